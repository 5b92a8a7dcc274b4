package edgernn

private const val MOST_DEPTH = 100 // of messages, as in the protocol-buffer library
private const val SPARSE = "has a sparse constant; expected none"

private enum class Message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR }

/** What a file must not do, by message and field; the numbers are those of onnx.proto. */
private val REFUSED = mapOf(
    (Message.MODEL to 20L) to "brings graphs for training; expected a graph to run",
    (Message.MODEL to 25L) to "brings functions of its own; expected ONNX's operators alone",
    (Message.GRAPH to 15L) to SPARSE,
    (Message.ATTRIBUTE to 22L) to SPARSE,
    (Message.ATTRIBUTE to 23L) to SPARSE,
)

/** The message in a field of a message. */
private val INNER = mapOf(
    (Message.MODEL to 7L) to Message.GRAPH,
    (Message.GRAPH to 1L) to Message.NODE,
    (Message.GRAPH to 5L) to Message.TENSOR,
    (Message.NODE to 5L) to Message.ATTRIBUTE,
    (Message.ATTRIBUTE to 5L) to Message.TENSOR,
    (Message.ATTRIBUTE to 6L) to Message.GRAPH,
    (Message.ATTRIBUTE to 10L) to Message.TENSOR,
    (Message.ATTRIBUTE to 11L) to Message.GRAPH,
)

/**
 * Reads the protocol-buffer fields of an `.onnx` file before the runtime sees it, and throws where it needs more than itself and
 * the runtime: another file that holds weights, operators of somebody else's, functions; in every sub-graph and attribute.
 * [path] names it in the message.
 */
internal fun refuseForeign(model: ByteArray, path: String) = OnnxGuard(model, path).check()

/** A field: its number, and its value or, of a text, message or packed list, its place in the file. */
private class Field(val number: Long, val value: Long, val place: IntRange?)

private class OnnxGuard(private val bytes: ByteArray, private val path: String) {
    private var at = 0

    fun check() {
        if (bytes.size >= 8 && text(4..7) == "ORTM") damaged() // the runtime would read it as a format of its own
        walk(Message.MODEL, bytes.indices, 0)
    }

    private fun walk(of: Message, place: IntRange, depth: Int) {
        if (depth > MOST_DEPTH) damaged()
        var operator = ""
        var domain = ""
        var name = ""
        var external = false
        at = place.first
        while (at <= place.last) {
            val field = next(place.last + 1)
            REFUSED[of to field.number]?.let(::refuse)
            external = external || field.number == 13L || (field.number == 14L && (field.place != null || field.value != 0L))
            if (field.place == null) continue
            when (field.number) {
                4L -> operator = text(field.place)
                7L -> domain = text(field.place)
                8L -> name = text(field.place)
            }
            INNER[of to field.number]?.let { walk(it, field.place, depth + 1) }
            at = field.place.last + 1
        }
        if (of == Message.TENSOR && external) refuse(
            "keeps the constant $name in another file; expected all of it in this one",
        )
        if (of == Message.NODE) checkNode(operator, domain)
    }

    private fun checkNode(operator: String, domain: String) {
        if (domain == "" || domain == "ai.onnx") return
        if (domain == "com.microsoft" && (operator == "MatMulNBits" || operator == "GatherBlockQuantized")) return
        refuse(
            "uses the operator $operator of the domain $domain; expected ONNX's own, or MatMulNBits or GatherBlockQuantized " +
                "of com.microsoft",
        )
    }

    /** The first characters of a text: more is no name that is known or fit to be shown. */
    private fun text(place: IntRange) =
        String(bytes, place.first, maxOf(0, minOf(100, place.last + 1 - place.first)), Charsets.ISO_8859_1)

    private fun next(end: Int): Field {
        val key = number(end)
        if (key ushr 32 != 0L) damaged() // the runtime would read another field
        val value = if (key and 7 == 0L) number(end) else 0
        val length = when (key and 7) {
            0L -> 0
            1L -> 8
            2L -> number(end)
            5L -> 4
            else -> damaged()
        }
        if (length !in 0..(end - at).toLong()) damaged()
        val place = at until at + length.toInt()
        at += length.toInt()
        return Field(key ushr 3, value, place.takeIf { key and 7 == 2L })
    }

    private fun number(end: Int): Long {
        var value = 0L
        for (shift in 0 until 70 step 7) {
            if (at >= end) damaged()
            val byte = bytes[at++].toLong()
            value = value or ((byte and 127) shl shift)
            if (byte >= 0) return value
        }
        damaged()
    }

    private fun refuse(what: String): Nothing = throw BundleError("$path $what; do not use this bundle")

    private fun damaged(): Nothing = throw BundleError("$path is no ONNX model; expected one; export the bundle again")
}
