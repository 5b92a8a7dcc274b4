package edgernn

private const val PREFILL_STEPS = 256 // a longer prompt goes in as several calls, so that memory stays bounded
private const val MOST_LOGITS = 1L shl 20 // of one such call: 4 MB

/** How many tokens go in at once where the model takes several, by the size of the [vocabulary]. */
internal fun prefillWidth(vocabulary: Long) = (MOST_LOGITS / vocabulary).coerceIn(1, PREFILL_STEPS.toLong()).toInt()

/** How much to write and how. Without [sampling] it is the bundle's own; [seed] is 64 bits, one random number a token. */
data class Options(val length: Int = 200, val sampling: Sampling? = null, val seed: Long = 0)

/** Writes a text after [prompt], token by token as the sequence is read; an empty one begins with the bundle's start tokens. */
fun Model.generate(prompt: String, options: Options, tokenizer: Tokenizer = Tokenizer(bundle)): Sequence<Long> {
    if (bundle.contract.encodes) throw BundleError("this bundle is a captioner and writes about pictures; give it one")
    return write(tokenizer.encode(prompt).ifEmpty(::startTokens), begin(), options)
}

/** Writes the caption of [image], uint8 [1, height, width, channels], word by word. */
fun Model.caption(image: Tensor, options: Options): Sequence<Long> {
    val begun = begin(mapOf(bundle.contract.pictureInput.name to image))
    return write(startTokens(), begun, options).takeWhile { it !in bundle.decoding.stop }
}

/** What is fed where there is no prompt. */
private fun Model.startTokens(): List<Long> {
    val vocabulary = bundle.contract.shape(bundle.contract.logitsOutput).last()
    val start = bundle.decoding.start
    if (start.isEmpty() || start.any { it >= vocabulary }) throw BundleError(
        "decoding.start in manifest.json is $start, expected ids of 0 to ${vocabulary - 1}; give a prompt",
    )
    return start
}

/** Feeds [ids], which are one or more, from the state [before]: the last row of the logits, and the state after them. */
private fun Model.prefill(ids: List<Long>, before: State, contexts: Tensors): Pair<FloatArray, State> {
    val (tokens, logits) = bundle.contract.tokenInput.name to bundle.contract.logitsOutput.name
    val vocabulary = bundle.contract.shape(bundle.contract.logitsOutput).last()
    var state = before
    var row = FloatArray(0)
    for (part in ids.chunked(if (openTime) prefillWidth(vocabulary) else 1)) {
        val results = step(contexts + (tokens to tokenRow(part)), state)
        state = results.state
        val all = results.outputs.getValue(logits)
        row = all.floats.copyOfRange(all.size - all.shape.last().toInt(), all.size)
    }
    return row to state
}

/** Feeds [first], samples, feeds back: ids after [first] in a sequence that has [begun], to one that ends a text or the length. */
fun Model.write(first: List<Long>, begun: Begun, options: Options): Sequence<Long> = sequence {
    val decoding = bundle.decoding
    var pending = first
    var state = begun.state
    repeat(if (decoding.length > 0) minOf(options.length, decoding.length) else options.length) { position ->
        val (row, after) = prefill(pending, state, begun.contexts)
        state = after
        suppress(row, decoding.suppress)
        val token = sample(row, options.sampling ?: decoding.sampling, uniformAt(options.seed, position.toLong())).toLong()
        yield(token)
        if (token in decoding.stop) return@sequence
        pending = listOf(token)
    }
}
