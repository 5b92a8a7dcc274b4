package edgernn

/**
 * Bytes that come one by one, as whole characters: each piece of a character that stays one becomes U+FFFD, as in the tokenizers
 * library. Java's own decoder makes one U+FFFD of the three bytes of a surrogate.
 */
class Utf8Stream {
    private val held = ByteArray(4)
    private var count = 0

    /** Takes a byte and adds what it completes to [text]. */
    fun add(byte: Byte, text: StringBuilder) {
        val value = byte.toInt() and 255
        if (count > 0 && !follows(value)) end(text)
        held[count++] = byte
        val first = held[0].toInt() and 255
        val whole = when (first) {
            in 0..0x7f -> 1
            in 0xc2..0xdf -> 2
            in 0xe0..0xef -> 3
            in 0xf0..0xf4 -> 4
            else -> 0
        }
        if (whole == 0) {
            end(text)
        } else if (count == whole) {
            text.append(String(held, 0, count, Charsets.UTF_8))
            count = 0
        }
    }

    /** Ends the text: a character that stayed incomplete is U+FFFD. */
    fun end(text: StringBuilder) {
        if (count > 0) text.append('\ufffd')
        count = 0
    }

    /** Whether a byte may follow what is held: the bounds are those of Unicode's table 3-7. */
    private fun follows(value: Int): Boolean {
        val first = held[0].toInt() and 255
        val least = if (count > 1) 0x80 else if (first == 0xe0) 0xa0 else if (first == 0xf0) 0x90 else 0x80
        val most = if (count > 1) 0xbf else if (first == 0xed) 0x9f else if (first == 0xf4) 0x8f else 0xbf
        return value in least..most
    }
}
