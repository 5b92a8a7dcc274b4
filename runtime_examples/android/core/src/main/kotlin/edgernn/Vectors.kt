package edgernn

/** How many of the sampler's vectors were replayed, and how many of them are not the recorded ones. */
data class Tally(val numbers: Int, val tokens: Int, val wrong: Int)

/** Replays `sampler.json`: random numbers and choices of tokens that every device must make alike; null where there is none. */
fun replayVectors(bundle: Bundle): Tally? {
    val file = bundle.vectors() ?: return null
    if (file["version"].long != 1L || file["generator"].string != "splitmix64") {
        throw BundleError("the sampler's vectors are not of version 1 and splitmix64; use an example that reads them")
    }
    val numbers = file["uniforms"].list.flatMap { group ->
        val seed = group["seed"].long
        val position = group["position"].long
        group["values"].list.mapIndexed { index, value -> value.number == uniformAt(seed, position + index) }
    }
    val tokens = file["tokens"].list.map { choice -> replayChoice(choice).toLong() == choice["token"].long }
    return Tally(numbers.size, tokens.size, (numbers + tokens).count { !it })
}

private fun replayChoice(choice: Json): Int {
    val logits = choice["logits"].list.map { it.number.toFloat() }.toFloatArray()
    suppress(logits, choice["suppress"].longs)
    val options = Sampling(choice["temperature"].number, choice["top_k"].int, choice["top_p"].number)
    return sample(logits, options, choice["uniform"].number)
}
