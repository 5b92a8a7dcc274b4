package edgernn

/** Text to token ids and back, for bundles of characters and of captions. */
class Tokenizer(bundle: Bundle) {
    private val words = bundle.tokenizerKind == "caption"
    private val ids: Map<String, Long>
    private val tokens: Map<Long, String>

    init {
        if (!words && bundle.tokenizerKind != "char") {
            throw BundleError(
                "the tokenizer is of the kind ${bundle.tokenizerKind}, expected char or caption; " +
                    "this example reads no other: use a library of the Hugging Face tokenizers format",
            )
        }
        val file = Json.parse(String(bundle.tokenizerFile(), Charsets.UTF_8), "tokenizer.json")
        ids = file["model"]["vocab"].entries.mapValues { it.value.long }
        tokens = ids.entries.associate { (token, id) -> id to token }
        val rows = bundle.sizes[bundle.tokenInput.below]
        if (tokens.keys != (0L until (rows ?: 0)).toSet()) {
            throw BundleError("the tokenizer has ${tokens.size} tokens, the model has $rows; export the bundle again")
        }
        if (known(bundle.tokenizerText) != bundle.tokenizerIds) {
            throw BundleError(
                "tokenizer.json does not encode the manifest's text to the manifest's ids; export the bundle again",
            )
        }
    }

    /** Throws [BundleError] naming the first character that the model does not know. */
    fun encode(text: String): List<Long> {
        parts(text).firstOrNull { it !in ids }?.let {
            throw BundleError("the prompt has '$it', which is not among the ${ids.size} tokens of the model; leave it out")
        }
        return known(text)
    }

    fun decode(ids: List<Long>) = ids.withIndex().joinToString("") { (index, id) -> piece(id, index == 0) }

    /** What a token adds to a text; words are joined by a space. */
    fun piece(id: Long, first: Boolean) = (if (words && !first) " " else "") + tokens.getValue(id)

    private fun parts(text: String) =
        if (words) {
            text.split(' ').filter { it.isNotEmpty() }
        } else {
            text.codePoints().toArray().map { String(Character.toChars(it)) }
        }

    /** A caption's special tokens (<start> and its kin) are no words: a text never encodes to them. */
    private fun known(text: String) =
        parts(text).filterNot { words && it.startsWith('<') && it.endsWith('>') }.mapNotNull { ids[it] }
}
