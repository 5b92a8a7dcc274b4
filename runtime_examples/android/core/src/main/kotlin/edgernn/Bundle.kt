package edgernn

import java.io.File
import java.io.IOException
import java.security.MessageDigest

/** One model file. [axes]: axis → the only size that it takes; [dtypes]: tensor → a dtype that is not the contract's. */
data class Artifact(
    val path: String,
    val format: String,
    val precision: String,
    val graph: String,
    val digest: Digest,
    val axes: Map<String, Long>,
    val dtypes: Map<String, String>,
    /** Whether the runtime keeps the state, which this example leaves to others. */
    val keepsState: Boolean,
    /** The lowest version of onnxruntime that runs it, where the manifest names one. */
    val needs: String?,
    /** What the golden run allows, where the manifest says it. */
    val promise: Promise?,
)

/** How far a file may be from the recorded run; [forced]: each step from the recorded state, measured as a root mean square. */
data class Promise(val tolerance: Double, val forced: Boolean)

data class Digest(val bytes: Long, val sha256: String)

data class Decoding(
    val start: List<Long>,
    val stop: List<Long>,
    val suppress: List<Long>,
    val length: Int,
    val sampling: Sampling,
)

/** Whether a version such as 1.22.1 is [least] or newer, number by number; what is left out is 0. */
fun isNewEnough(version: String, least: String): Boolean {
    val (own, needed) = listOf(version, least).map { text ->
        text.split('.').map { part -> part.takeWhile(Char::isDigit).toLongOrNull() ?: 0 }
    }
    for (part in 0 until maxOf(own.size, needed.size)) {
        val (left, right) = (own.getOrNull(part) ?: 0) to (needed.getOrNull(part) ?: 0)
        if (left != right) return left > right
    }
    return true
}

/** The place of a file of a bundle; throws where its name or a link leads out of [folder]. */
fun inside(folder: File, name: String): File {
    val parts = name.split('/')
    val within = parts.none { it == "" || it == "." || it == ".." } && name.none { it == '\\' || it == ':' || it < ' ' } &&
        File(folder, name).canonicalFile.startsWith(folder.canonicalFile)
    return if (within) File(folder, name) else throw BundleError(
        "the manifest names $name, which leads out of the bundle; expected a path inside the folder; copy the bundle again",
    )
}

/**
 * A bundle folder: the manifest as plain data, and files that are what the manifest says. [Packed] unpacks a `.edgernn` file.
 *
 * Opening one reads the manifest and verifies every file that it lists; a model file is verified when [modelFile] returns it.
 * Whatever is read later is one of those files; each lies in the folder, links followed, and has the size and digest listed.
 */
class Bundle(private val folder: File) {
    private val manifest = inside(folder, "manifest.json").let { Json.parse(utf8(bytesOf(it), "$it"), "$it") }

    private val version = manifest["schema_version"].long.also {
        if (it !in 1L..2L) throw BundleError("manifest.json has schema_version $it, expected 1 or 2; use an example that reads it")
    }

    val contract = Contract(manifest["contract"], version)
    private val tokenizer = given(manifest, "tokenizer")

    /** Whether it writes text or captions. */
    val hasTokenizer = tokenizer != null

    /** How text is sampled where nothing else is asked for. */
    val decoding = given(manifest, "decoding")?.let(::decoding) ?: Decoding(emptyList(), emptyList(), emptyList(), 0, Sampling())
    val artifacts = manifest["artifacts"].list.map(::artifact)
    val tokenizerKind = tokenizer?.get("kind")?.string.orEmpty()
    val tokenizerText = tokenizer?.get("text")?.string.orEmpty()
    val tokenizerIds = tokenizer?.get("ids")?.longs.orEmpty()
    private val files = manifest["files"].entries.mapValues { Digest(it.value["bytes"].long, it.value["sha256"].string) }

    init {
        files.forEach { (name, digest) -> verified(name, digest) }
    }

    fun tokenizerFile(): ByteArray {
        val entry = tokenizer ?: throw BundleError("the bundle has no tokenizer; give one of a model of text")
        return read(entry["path"].string)
    }

    /** Whether there is a recorded run. */
    val hasGolden = given(manifest, "golden") != null

    fun golden(): Tensors = manifest["golden"].string.let { readSafetensors(read(it), it) }

    /** The sampler's vectors, where the bundle has them. */
    fun vectors(): Json? = given(manifest, "sampler")?.string?.let { Json.parse(utf8(read(it), it), it) }

    /** The stored first values of states, of one row. */
    val stored: State = contract.graph("step").states.filter { contract.firstStates[it.name] == "stored" }
        .associate { it.name to readStored(it) }

    private fun readStored(spec: TensorSpec): Tensor {
        val path = manifest["initial_state"].string
        val shape = contract.shape(spec, contract.learned(mapOf(spec to spec.axes.map { 1L })))
        val found = readSafetensors(read(path), path)[spec.name]
        return found?.takeIf { it.shape == shape && it.dtype == spec.dtype } ?: throw BundleError(
            "$path has no first value of ${spec.name} as the contract says; export the bundle again",
        )
    }

    fun modelFile(artifact: Artifact): File = verified(artifact.path, artifact.digest).also {
        if (artifact.format == "onnx") refuseForeign(bytesOf(it), artifact.path)
    }

    /** The artifact of [format] and [graph] at [path], or without a path the first that a runtime of [version] runs. */
    fun choose(format: String, graph: String, path: String? = null, version: String? = null): Artifact {
        val fitting = artifacts.filter { it.format == format && it.graph == graph }
        val wanted = fitting.filter { path == null || it.path == path }
        wanted.firstOrNull { version == null || it.needs == null || isNewEnough(version, it.needs) }?.let { return it }
        val needed = wanted.mapNotNull { it.needs }.reduceOrNull { least, other -> if (isNewEnough(least, other)) other else least }
        if (needed != null) throw BundleError(
            "${path ?: "every $graph file of the bundle"} needs onnxruntime $needed or newer, this is $version; " +
                "update it or choose another artifact",
        )
        throw BundleError(
            "$folder has no $format artifact of a $graph graph" + (path?.let { " named $it" } ?: "") + "; this example runs " +
                fitting.joinToString { it.path }.ifEmpty { "none of its artifacts: export the bundle with --to $format" },
        )
    }

    private fun read(name: String): ByteArray {
        if (name !in files) throw BundleError("$name is not among the files of the manifest; export the bundle again")
        return bytesOf(inside(folder, name))
    }

    private fun verified(name: String, digest: Digest): File {
        val file = inside(folder, name)
        val bytes = bytesOf(file)
        if (bytes.size.toLong() != digest.bytes) {
            throw BundleError("$file has ${bytes.size} bytes, expected ${digest.bytes}; copy the bundle again")
        }
        val own = MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
        if (own != digest.sha256) {
            throw BundleError(
                "$file has the SHA-256 ${own.take(12)}…, expected ${digest.sha256.take(12)}…; copy the bundle again",
            )
        }
        return file
    }

    private companion object {
        const val MOST_BYTES = 1L shl 30 // of one file: it is read whole

        fun bytesOf(file: File): ByteArray {
            if (!file.isFile) throw BundleError("$file is not there, or no plain file; check the path of the bundle")
            if (file.length() > MOST_BYTES) throw BundleError("$file has ${file.length()} bytes, expected at most 2^30")
            try {
                return file.readBytes()
            } catch (error: IOException) {
                throw BundleError("$file cannot be read: ${error.message}; make it readable", error)
            }
        }

        /** A member that is there and not null. */
        fun given(json: Json, key: String): Json? = json.find(key)?.takeUnless { it.isNull }

        fun decoding(json: Json) = Decoding(
            json["start"].longs, json["stop"].longs, json["suppress"].longs, json["length"].int,
            Sampling(json["temperature"].number, json["top_k"].int, json["top_p"].number),
        )

        fun artifact(json: Json) = Artifact(
            json["path"].string, json["format"].string, json["precision"].string, json["graph"].string,
            Digest(json["bytes"].long, json["sha256"].string),
            json.find("narrowing")?.find("axes")?.entries.orEmpty().mapValues { it.value.long },
            json.find("narrowing")?.find("dtypes")?.entries.orEmpty().mapValues { it.value.string },
            json.find("narrowing")?.find("runtime_state")?.boolean ?: false,
            json.find("requires")?.find("onnxruntime")?.string?.also { version ->
                if (!Regex("[0-9]+(\\.[0-9]+)*").matches(version)) throw BundleError(
                    "an artifact requires onnxruntime $version, which is no version; export the bundle again",
                )
            },
            promise(json),
        )

        /**
         * Before schema version 2 an artifact has no tolerance of its own: then it is the one that it was packed with, and forced
         * where its numbers are no floats.
         */
        fun promise(json: Json): Promise? {
            val forced = given(json, "forced")?.boolean ?: false
            given(json, "tolerance")?.number?.let { own ->
                if (own < 0) throw BundleError("an artifact has a tolerance below 0; export the bundle again")
                return Promise(own, forced)
            }
            val packed = given(json, "parity") ?: return null
            return Promise(packed["tolerance"].number, !json["precision"].string.startsWith("float"))
        }
    }
}
