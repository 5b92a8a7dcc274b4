package edgernn

import java.text.Normalizer
import java.util.Locale
import java.util.regex.PatternSyntaxException

/** Text to token ids and back, for every kind of tokens that edgernn writes: char, byte, word, bpe, spaced and caption. */
class Tokenizer(bundle: Bundle) {
    private val kind = bundle.tokenizerKind
    private val spaced = kind == "spaced" || kind == "caption" // words, with a space between two but for line ends
    private val ids: Map<String, Long>
    private val bytes: List<ByteArray> // what each token is in a text
    private val unknown: Long? // the id of an unknown word
    private val pairs: BytePairs?
    private val pattern: Regex?

    init {
        if (kind !in setOf("char", "byte", "word", "bpe", "spaced", "caption")) {
            throw BundleError(
                "the tokenizer is of kind $kind, expected char, byte, word, bpe, spaced or caption; " +
                    "use a library of the Hugging Face tokenizers format",
            )
        }
        val file = Json.parse(utf8(bundle.tokenizerFile(), "tokenizer.json"), "tokenizer.json")
        val spelled = kind == "byte" || kind == "bpe"
        ids = file["model"]["vocab"].entries.mapValues { it.value.long }
        val tokens = ids.entries.associate { (token, id) -> id to token }
        val rows = bundle.contract.sizes[bundle.contract.tokenInput.below] ?: 0
        if (ids.size.toLong() != rows || tokens.size != ids.size || tokens.keys.any { it >= rows }) {
            throw BundleError("the tokenizer has ${ids.size} tokens, manifest.json has $rows; export the bundle again")
        }
        bytes = ids.keys.sortedBy { ids.getValue(it) }.map { if (spelled) spelledBytes(it) else it.toByteArray() }
        pairs = if (spelled) BytePairs(ids, if (kind == "bpe") file["model"]["merges"].list else emptyList()) else null
        unknown = if (kind == "word" || spaced) ids[file["model"]["unk_token"].string] else null
        val before = file["pre_tokenizer"]
        pattern = when (kind) {
            "bpe" -> compiled(before["pretokenizers"].list.firstOrNull() ?: before)
            "word", "spaced", "caption" -> compiled(before)
            else -> null
        }
        if (encode(bundle.tokenizerText, skip = true) != bundle.tokenizerIds) {
            throw BundleError(
                "tokenizer.json does not encode the manifest's text to the manifest's ids; export the bundle again",
            )
        }
    }

    /** Throws [BundleError] naming the first character that the model does not know; an unknown word is its id for that. */
    fun encode(text: String): List<Long> = encode(text, skip = false)

    fun decode(ids: List<Long>): String = Writing().let { writing -> ids.joinToString("") { writing.piece(it) } + writing.end() }

    /** A text that is written token by token: pieces of whole characters, which may span several tokens. */
    inner class Writing {
        private val stream = Utf8Stream()
        private var begun = false

        /** What a token completes of the text. */
        fun piece(id: Long): String {
            val apart = spaced && !bytes[id.toInt()].contentEquals(LINE_END)
            val text = StringBuilder(if (apart && begun) " " else "")
            begun = apart
            bytes[id.toInt()].forEach { stream.add(it, text) }
            return text.toString()
        }

        /** What is left at the end. */
        fun end(): String = StringBuilder().also(stream::end).toString()
    }

    private fun encode(text: String, skip: Boolean): List<Long> = when (kind) {
        "char" -> text.codePoints().toArray().toList().mapNotNull { known(String(Character.toChars(it)), skip) }
        "byte" -> pairs!!.encode(text.toByteArray())
        "bpe" -> cut(text).flatMap { pairs!!.encode(it.toByteArray()) }
        "word" -> cut(text).mapNotNull { known(it, skip) }
        "spaced" -> matches(text).map { it.value }.mapNotNull { known(it, skip) }.toList()
        else -> matches(normal(text)).map { it.value }.mapNotNull { known(it, skip) }.toList()
    }

    /** The id of a token, that of an unknown word, or null where what is unknown is left out. */
    private fun known(token: String, skip: Boolean): Long? {
        val id = ids[token]
        if (id != null && id != unknown) return id
        if (skip) return null
        return unknown ?: throw BundleError(
            "the prompt has '$token', which is not among the ${ids.size} tokens of the model; leave it out",
        )
    }

    /** The matches of the pattern and what lies between them. */
    private fun cut(text: String): List<String> {
        val pieces = ArrayList<String>()
        var at = 0
        for (match in matches(text)) {
            if (match.range.first > at) pieces.add(text.substring(at, match.range.first))
            pieces.add(match.value)
            at = match.range.last + 1
        }
        if (at < text.length) pieces.add(text.substring(at))
        return pieces
    }

    private fun matches(text: String) = pattern!!.findAll(text).filter { it.value.isNotEmpty() }

    private companion object {
        val LINE_END = byteArrayOf('\n'.code.toByte())

        // Spelled out, since \s has other members in each library of regular expressions.
        const val SPACES = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

        fun compiled(part: Json): Regex {
            val text = part["pattern"]["Regex"].string
            try {
                return Regex(text.replace("\\S", "[^$SPACES]").replace("\\s", "[$SPACES]"))
            } catch (error: PatternSyntaxException) {
                throw BundleError("tokenizer.json has the pattern $text, which is none (${error.description}); export again", error)
            }
        }

        /** NFKC and lower case; each character by itself, as Σ at the end of a word has another lower case in Java. */
        fun normal(text: String) = Normalizer.normalize(text, Normalizer.Form.NFKC).codePoints().toArray()
            .joinToString("") { String(Character.toChars(it)).lowercase(Locale.ROOT) }
    }
}
