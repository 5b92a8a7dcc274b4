package edgernn

import kotlin.math.exp

/** How a token is chosen: temperature 0 is greedy; topK 0 and topP 1 keep the whole vocabulary. */
data class Sampling(val temperature: Double = 0.8, val topK: Int = 0, val topP: Double = 1.0) {
    init {
        if (!(temperature >= 0 && temperature < Double.POSITIVE_INFINITY)) throw BundleError(
            "temperature is $temperature, expected 0 (greedy) or more; change it",
        )
        if (topK < 0) throw BundleError("top-k is $topK, expected 0 (all tokens) or more; change it")
        if (!(topP > 0 && topP <= 1)) throw BundleError("top-p is $topP, expected above 0 and at most 1; 1 keeps all")
    }
}

/**
 * Chooses a token id from [logits] [V], minus infinity where a token must not come.
 *
 * [uniform] in [0, 1) decides, so that the same numbers give the same text everywhere. Ties go to the lower id.
 */
fun sample(logits: FloatArray, options: Sampling, uniform: Double): Int {
    if (logits.isEmpty() || logits.any { it.isNaN() || it == Float.POSITIVE_INFINITY }) {
        throw BundleError("the logits are empty or not finite; replay the golden run")
    }
    val best = logits.indices.reduce { best, id -> if (logits[id] > logits[best]) id else best }
    if (logits[best].isInfinite()) throw BundleError("every token is suppressed; expected at least one that may be written")
    if (options.temperature == 0.0) return best
    val order = logits.indices.sortedByDescending { logits[it] + 0f } // stable; + 0f makes -0 and 0 equal
        .let { if (options.topK > 0) it.take(options.topK) else it }
    var total = 0.0
    var cumulative = order.map { id ->
        total += exp((logits[id].toDouble() - logits[best]) / options.temperature)
        total
    }.map { it / total } // ends in exactly 1
    if (options.topP < 1) {
        val kept = cumulative.take(cumulative.indexOfFirst { it >= options.topP } + 1)
        cumulative = kept.map { it / kept.last() }
    }
    return order[cumulative.indexOfFirst { it > uniform }.let { if (it < 0) cumulative.lastIndex else it }]
}

/**
 * The number in [0, 1) of a seed that decides the token at [position]: SplitMix64 (Steele et al. 2014), as in every example.
 * [seed] is the 64 bits of any seed from 0 to 2^64 - 1.
 */
fun uniformAt(seed: Long, position: Long): Double {
    var z = seed + (position + 1) * -0x61c8864680b583ebL // 0x9E3779B97F4A7C15
    z = (z xor (z ushr 30)) * -0x40a7b892e31b1a47L // 0xBF58476D1CE4E5B9
    z = (z xor (z ushr 27)) * -0x6b2fb644ecceee15L // 0x94D049BB133111EB
    return ((z xor (z ushr 31)) ushr 11) * (1.0 / (1L shl 53))
}

/** Makes [ids] impossible. */
fun suppress(logits: FloatArray, ids: List<Long>) = ids.forEach { id ->
    if (id !in logits.indices) throw BundleError(
        "the id $id is suppressed, the model has ${logits.size} tokens; export the bundle again",
    )
    logits[id.toInt()] = Float.NEGATIVE_INFINITY
}
