package edgernn

/**
 * Replays `sampler.json`: random numbers and choices of tokens that every device must make alike. Each line says how many are not
 * the recorded ones, without end where the file records none; there is no line where the bundle has no vectors.
 */
fun replayVectors(bundle: Bundle): List<Line> {
    val file = bundle.vectors() ?: return emptyList()
    if (file["version"].long != 1L || file["generator"].string != "splitmix64") {
        throw BundleError("the sampler's vectors are not of version 1 and splitmix64; use an example that reads them")
    }
    val numbers = file["uniforms"].list.flatMap { group ->
        val seed = group["seed"].long
        val position = group["position"].long
        group["values"].list.mapIndexed { index, value -> value.number == uniformAt(seed, position + index) }
    }
    val tokens = file["tokens"].list.map { choice -> replayChoice(choice).toLong() == choice["token"].long }
    return listOf("uniforms" to numbers, "sampler" to tokens).map { (name, right) ->
        Line(name, if (right.isEmpty()) Double.POSITIVE_INFINITY else right.count { !it }.toDouble(), 0.0)
    }
}

private fun replayChoice(choice: Json): Int {
    val logits = choice["logits"].list.map { it.number.toFloat() }.toFloatArray()
    suppress(logits, choice["suppress"].longs)
    val options = Sampling(choice["temperature"].number, choice["top_k"].int, choice["top_p"].number)
    return sample(logits, options, choice["uniform"].number)
}
