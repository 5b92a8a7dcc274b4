package edgernn

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/** A value of a JSON file that knows where it stands in it, so that an error can say so. */
class Json private constructor(private val value: Any?, private val where: String) {
    val string: String get() = typed("a string")
    val boolean: Boolean get() = typed("true or false")
    val number: Double get() = typed("a number")
    val list: List<Json> get() = typed<List<Any?>>("an array").mapIndexed { index, item -> Json(item, "$where[$index]") }
    val entries: Map<String, Json> get() = members.mapValues { (key, item) -> Json(item, "$where.$key") }
    private val members: Map<String, Any?> get() = typed("an object")

    /** A whole number from 0 to 2^53, in which a double is exact. */
    val long: Long
        get() = number.takeIf { it in 0.0..9007199254740992.0 && it == Math.floor(it) }?.toLong()
            ?: throw BundleError("$where is $number, expected a whole number from 0; export the bundle again")

    /** A whole number from 0; what is above 2^31 - 1 is as good as that. */
    val int: Int get() = long.coerceAtMost(Int.MAX_VALUE.toLong()).toInt()

    val isString get() = value is String

    val isNull get() = value == null

    val longs: List<Long> get() = list.map { it.long }

    fun find(key: String): Json? = if (key in members) Json(members[key], "$where.$key") else null

    operator fun get(key: String): Json = find(key) ?: throw BundleError("$where has no \"$key\"; export the bundle again")

    private inline fun <reified T> typed(expected: String): T =
        value as? T ?: throw BundleError("$where is not what it should be, expected $expected; export the bundle again")

    companion object {
        /** Reads strict JSON (RFC 8259), in which no object has a name twice; [source] names the file in errors. */
        fun parse(text: String, source: String) = Json(JsonReader(text, source).document(), source)
    }
}

/** The text of a file in UTF-8; throws where it is none. */
fun utf8(bytes: ByteArray, source: String): String = try {
    Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
} catch (error: CharacterCodingException) {
    throw BundleError("$source is not UTF-8; export the bundle again", error)
}

private class JsonReader(private val text: String, private val source: String) {
    private var at = 0

    fun document(): Any? {
        val value = read(0)
        skipSpace()
        if (at < text.length) fail("the end of the file")
        return value
    }

    private fun fail(expected: String): Nothing =
        throw BundleError("$source is damaged at character $at: expected $expected; export the bundle again")

    private fun skipSpace() {
        while (at < text.length && text[at] in " \n\r\t") at++
    }

    private fun take(wanted: Char): Boolean {
        skipSpace()
        val there = text.getOrNull(at) == wanted
        if (there) at++
        return there
    }

    private fun read(depth: Int): Any? {
        if (depth > MOST_DEPTH) fail("fewer nested values")
        skipSpace()
        return when (text.getOrNull(at)) {
            '{' -> readObject(depth)
            '[' -> readArray(depth)
            '"' -> readString()
            't' -> readWord("true", true)
            'f' -> readWord("false", false)
            'n' -> readWord("null", null)
            else -> readNumber()
        }
    }

    private fun readWord(word: String, meant: Any?): Any? {
        if (!text.startsWith(word, at)) fail("a value")
        at += word.length
        return meant
    }

    private fun readObject(depth: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        take('{')
        if (take('}')) return found
        do {
            skipSpace()
            if (text.getOrNull(at) != '"') fail("a name in quotes")
            val name = readString()
            if (!take(':')) fail("':'")
            if (name in found) fail("every name of an object once")
            found[name] = read(depth + 1)
        } while (take(','))
        if (!take('}')) fail("',' or '}'")
        return found
    }

    private fun readArray(depth: Int): List<Any?> {
        val found = ArrayList<Any?>()
        take('[')
        if (take(']')) return found
        do found.add(read(depth + 1)) while (take(','))
        if (!take(']')) fail("',' or ']'")
        return found
    }

    private fun readNumber(): Double {
        val found = NUMBER.matchAt(text, at) ?: fail("a value")
        at = found.range.last + 1
        return found.value.toDouble().takeIf { it.isFinite() } ?: fail("a number that a double holds")
    }

    private fun readString(): String {
        val out = StringBuilder()
        at++
        while (text.getOrElse(at) { fail("'\"'") } != '"') {
            if (text[at] < ' ') fail("no control character in a string")
            if (text[at] == '\\') out.append(readEscape()) else out.append(text[at])
            at++
        }
        at++
        for ((index, char) in out.withIndex()) {
            val paired = if (char.isHighSurrogate()) out.getOrNull(index + 1)?.isLowSurrogate() == true
            else !char.isLowSurrogate() || out.getOrNull(index - 1)?.isHighSurrogate() == true
            if (!paired) fail("both halves of a surrogate pair")
        }
        return out.toString()
    }

    private fun readEscape(): Char {
        val name = text.getOrElse(++at) { fail("an escape") }
        if (name == 'u') {
            val code = text.substring(at + 1, minOf(at + 5, text.length))
            if (!HEX.matches(code)) fail("four hexadecimal digits")
            at += 4
            return code.toInt(16).toChar() // halves of a pair follow one another in Kotlin's strings as they do in JSON
        }
        val index = "\"\\/bfnrt".indexOf(name)
        return if (index >= 0) "\"\\/\b\u000c\n\r\t"[index] else fail("an escape")
    }

    private companion object {
        const val MOST_DEPTH = 64 // a manifest has 7; without a bound a hostile file overflows the stack
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
        val HEX = Regex("[0-9a-fA-F]{4}")
    }
}
