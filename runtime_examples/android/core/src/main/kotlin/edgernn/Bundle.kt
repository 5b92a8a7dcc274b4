package edgernn

import java.io.File
import java.security.MessageDigest

/** One tensor of a graph; [below] names the axis whose size bounds its values, [role] is input, context, state or output. */
data class TensorSpec(val name: String, val role: String, val dtype: String, val axes: List<String>, val below: String?)

data class Graph(val inputs: List<TensorSpec>, val outputs: List<TensorSpec>) {
    val states get() = inputs.filter { it.role == "state" }
    val contexts get() = inputs.filter { it.role == "context" }
    val fresh get() = inputs.filter { it.role == "input" }
}

/** One model file. [axes]: axis → the only size that it takes; [dtypes]: tensor → a dtype that is not the contract's. */
data class Artifact(
    val path: String,
    val format: String,
    val precision: String,
    val graph: String,
    val digest: Digest,
    val axes: Map<String, Long>,
    val dtypes: Map<String, String>,
)

data class Digest(val bytes: Long, val sha256: String)

data class Decoding(
    val start: List<Long>,
    val stop: List<Long>,
    val suppress: List<Long>,
    val length: Int,
    val sampling: Sampling,
)

/** The name under which a state comes out. */
fun nextName(state: String) = state + "_next"

/**
 * A bundle folder: the manifest as plain data, and files that are what the manifest says.
 *
 * Opening one reads the manifest and verifies every file that it lists; a model file is verified when [modelFile] returns it.
 */
class Bundle(private val folder: File) {
    private val manifest = Json.parse(String(bytesOf(File(folder, "manifest.json")), Charsets.UTF_8), "manifest.json")

    init {
        val version = manifest["schema_version"].long
        if (version != 1L) throw BundleError(
            "manifest.json has schema_version $version, expected 1; use an example that reads it",
        )
    }

    private val contract = manifest["contract"]
    val graphs = contract["graphs"].list.associate { it["name"].string to Graph(tensors(it["inputs"]), tensors(it["outputs"])) }
    val sizes = contract["sizes"].entries.mapValues { it.value.long }
    val firstState = contract["initial_state"].string
    val captions = "encode" in graphs
    val decoding = decoding(manifest["decoding"])
    val artifacts = manifest["artifacts"].list.map(::artifact)
    val tokenizerKind = manifest["tokenizer"]["kind"].string
    val tokenizerText = manifest["tokenizer"]["text"].string
    val tokenizerIds = manifest["tokenizer"]["ids"].longs
    private val files = manifest["files"].entries.mapValues { Digest(it.value["bytes"].long, it.value["sha256"].string) }

    init {
        files.forEach { (name, digest) -> verified(name, digest) }
    }

    fun tokenizerFile() = read(manifest["tokenizer"]["path"].string)

    fun golden(): Tensors = manifest["golden"].string.let { readSafetensors(read(it), it) }

    fun learnedState(): Tensors = manifest["initial_state"].string.let { readSafetensors(read(it), it) }

    fun modelFile(artifact: Artifact): File = verified(artifact.path, artifact.digest)

    /** The artifact of [format] and [graph] at [path], or the first one where no path is given. */
    fun choose(format: String, graph: String, path: String? = null): Artifact {
        val fitting = artifacts.filter { it.format == format && it.graph == graph }
        return fitting.firstOrNull { path == null || it.path == path } ?: throw BundleError(
            "$folder has no $format artifact of a $graph graph" + (path?.let { " named $it" } ?: "") + "; this example runs " +
                fitting.joinToString { it.path }.ifEmpty { "none of its artifacts: export the bundle with --to onnx" },
        )
    }

    fun graph(name: String) = graphs[name] ?: throw BundleError(
        "$folder has no graph named $name; give the bundle of another model",
    )

    /** The shape of a tensor in a run of one row and [time] steps. */
    fun shape(tensor: TensorSpec, time: Long = 1): List<Long> = tensor.axes.map { axis ->
        sizes[axis] ?: when (axis) {
            "batch" -> 1L
            "time" -> time
            else -> throw BundleError("the contract gives no size to the axis $axis; export the bundle again")
        }
    }

    /** The step's only fresh input, the token ids. */
    val tokenInput: TensorSpec
        get() = graph("step").fresh.singleOrNull()?.takeIf { it.dtype == "int64" && it.below != null }
            ?: throw BundleError(
                "the step takes something other than token ids; this example writes text, expected one int64 input",
            )

    /** The step's output of one number per token. */
    val logitsOutput: TensorSpec
        get() = graph("step").outputs.firstOrNull { it.role == "output" && it.axes.lastOrNull() == tokenInput.below }
            ?: throw BundleError("the step gives no output over the axis ${tokenInput.below}; export the bundle again")

    private fun read(name: String): ByteArray {
        if (name !in files) throw BundleError("$name is not among the files of the manifest; export the bundle again")
        return bytesOf(File(folder, name))
    }

    private fun verified(name: String, digest: Digest): File {
        if (File(name).isAbsolute || ".." in name.split('/')) throw BundleError(
            "the manifest names $name, which is outside of the bundle",
        )
        val file = File(folder, name)
        val bytes = bytesOf(file)
        if (bytes.size.toLong() != digest.bytes) {
            throw BundleError("$file has ${bytes.size} bytes, the manifest says ${digest.bytes}; copy the bundle again")
        }
        val own = MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
        if (own != digest.sha256) {
            throw BundleError(
                "$file has the SHA-256 ${own.take(12)}…, the manifest says ${digest.sha256.take(12)}…; copy the bundle again",
            )
        }
        return file
    }

    private companion object {
        fun bytesOf(file: File) = if (file.isFile) file.readBytes() else throw BundleError(
            "$file is not there; check the path of the bundle",
        )

        fun tensors(list: Json) = list.list.map { tensor ->
            TensorSpec(
                tensor["name"].string, tensor["role"].string, tensor["dtype"].string,
                tensor["axes"].list.map { it.string }, tensor.find("below")?.string,
            )
        }

        fun decoding(json: Json) = Decoding(
            json["start"].longs, json["stop"].longs, json["suppress"].longs, json["length"].long.toInt(),
            Sampling(json["temperature"].number, json["top_k"].long.toInt(), json["top_p"].number),
        )

        fun artifact(json: Json) = Artifact(
            json["path"].string, json["format"].string, json["precision"].string, json["graph"].string,
            Digest(json["bytes"].long, json["sha256"].string),
            json["narrowing"]["axes"].entries.mapValues { it.value.long },
            json["narrowing"]["dtypes"].entries.mapValues { it.value.string },
        )
    }
}
