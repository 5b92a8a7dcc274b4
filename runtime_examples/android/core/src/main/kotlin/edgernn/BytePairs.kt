package edgernn

/**
 * The byte for which each character of a vocabulary stands. This is GPT-2's table: a printable byte of Latin-1 is itself, the
 * n-th other one is the character 256 + n.
 */
private val BYTE_OF_CHARACTER: Map<Char, Byte> = run {
    val printable = (0x21..0x7e) + (0xa1..0xac) + (0xae..0xff)
    val others = (0..255) - printable.toSet()
    printable.associate { it.toChar() to it.toByte() } +
        others.withIndex().associate { (index, byte) -> (256 + index).toChar() to byte.toByte() }
}

/** The bytes that a token spells; a token that does not spell bytes is its own. */
fun spelledBytes(token: String): ByteArray {
    if (token.any { it !in BYTE_OF_CHARACTER }) return token.toByteArray()
    return ByteArray(token.length) { BYTE_OF_CHARACTER.getValue(token[it]) }
}

/** The tokens of single bytes, and the merges of byte pairs (Sennrich et al. 2016). */
class BytePairs(ids: Map<String, Long>, merges: List<Json>) {
    private data class Merge(val rank: Int, val into: Long)

    private val ofByte = LongArray(256)
    private val table: Map<Pair<Long, Long>, Merge>

    init {
        for ((character, byte) in BYTE_OF_CHARACTER) {
            ofByte[byte.toInt() and 255] = ids[character.toString()]
                ?: throw BundleError("tokenizer.json has no token for every byte; export the bundle again")
        }
        table = merges.withIndex().associate { (rank, entry) ->
            val (left, right) = parts(entry)
            val (first, second, both) = listOf(left, right, left + right).map {
                ids[it] ?: throw BundleError(
                    "tokenizer.json has a merge that is no pair of tokens that makes a token; export the bundle again",
                )
            }
            (first to second) to Merge(rank, both)
        }
    }

    /** Merges all pairs of the lowest rank, from left to right, until there is none left. */
    fun encode(piece: ByteArray): List<Long> {
        var found = piece.map { ofByte[it.toInt() and 255] }
        while (true) {
            val pair = found.zipWithNext().filter { it in table }.minByOrNull { table.getValue(it).rank } ?: return found
            val kept = ArrayList<Long>(found.size)
            var at = 0
            while (at < found.size) {
                val here = at + 1 < found.size && found[at] == pair.first && found[at + 1] == pair.second
                kept.add(if (here) table.getValue(pair).into else found[at])
                at += if (here) 2 else 1
            }
            found = kept
        }
    }

    /** The two tokens of a merge, an array or parted by a space. */
    private fun parts(entry: Json): List<String> =
        if (entry.isString) entry.string.split(' ', limit = 2).let { it + List(2 - it.size) { "" } }
        else entry.list.map { it.string }.takeIf { it.size == 2 }
            ?: throw BundleError("tokenizer.json has a merge of no two tokens; export the bundle again")
}
