package edgernn

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * The C of a bundle, which was compiled into a library of the app: no runtime, and no file to open. The library holds the step
 * alone; it is used for the bundle that it was made of, which is told by the digest in the manifest. [step]: as [Compiled.step].
 */
class CompiledRuntime(private val network: CompiledNetwork, private val step: (ByteBuffer) -> Int) : Runtime {
    override val format = "c"

    override fun open(bundle: Bundle, artifact: Artifact): Session {
        if (artifact.digest.sha256 != network.sha256) throw BundleError(
            "the app was compiled with a ${network.artifact} of the SHA-256 ${network.sha256.take(12)}…, expected " +
                "${artifact.digest.sha256.take(12)}… of ${artifact.path}; compile it with this bundle",
        )
        return CompiledSession(network, step)
    }

    override fun open(file: File): Session = throw BundleError("$file is C, which is compiled into an app and not opened")

    companion object {
        /** The library `libnet.so` of the app; null where it was built without one. */
        fun included(): CompiledRuntime? = try {
            System.loadLibrary("net")
            loaded()
        } catch (_: UnsatisfiedLinkError) {
            null
        }

        /** A library in a file; a virtual machine takes one. */
        fun load(library: File): CompiledRuntime = try {
            System.load(library.absolutePath)
            loaded()
        } catch (error: UnsatisfiedLinkError) {
            throw BundleError("$library cannot be loaded: ${error.message}; build it for this machine", error)
        }

        private fun loaded() = CompiledRuntime(CompiledNetwork(Compiled.describe()), Compiled::step)
    }
}

/** The functions of `net_jni.c`, for whoever needs the last microseconds: no maps, no copies. */
object Compiled {
    /** What [CompiledNetwork] reads: a line each of the whole, then one of each tensor. */
    @JvmStatic
    external fun describe(): Array<String>

    /**
     * One step on a direct buffer in native order, which holds the state and all that goes in and out at the offsets of
     * [CompiledNetwork]. Returns 0, or what the header of the step says: 2 is an id out of its range; nothing is written then.
     */
    @JvmStatic
    external fun step(block: ByteBuffer): Int
}

/** What was compiled: where its tensors lie in a block of [bytes], whose first [stateBytes] are the state. */
class CompiledNetwork(lines: Array<String>) {
    val artifact = lines[0]
    val sha256 = lines[1]
    val bytes = lines[2].toInt()
    val stateBytes = lines[3].toInt()

    /** By name; a state stands there as NAME and as NAME_next. */
    val places = lines.drop(4).map { Place(it.split(' ')) }.flatMap { place ->
        listOf(place.name to place) + if (place.role == STATE) listOf(nextName(place.name) to place) else emptyList()
    }.toMap()

    class Place(words: List<String>) {
        val name = words[0]
        val dtype = dtypeOf(words[1], name)
        val role = words[2].toInt()
        val offset = words[3].toInt()
        val shape = words.drop(4).map { it.toLong() }
        val bytes = elementCount(shape) * dtype.width
    }

    private companion object {
        const val STATE = 0
    }
}

private class CompiledSession(private val network: CompiledNetwork, private val step: (ByteBuffer) -> Int) : Session {
    private val block = ByteBuffer.allocateDirect(network.bytes).order(ByteOrder.LITTLE_ENDIAN).also {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) throw BundleError("a big-endian machine; expected little-endian")
    }

    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        inputs.forEach { (name, tensor) -> put(place(name), tensor) }
        val code = step(block)
        if (code != 0) throw BundleError(
            "the step refuses its inputs with $code; ${if (code == 2) "expected ids of the model's own" else "see its header"}",
        )
        return outputs.associate { spec ->
            val place = place(spec.name)
            spec.name to tensorOf(place.dtype, place.shape, part(place).slice())
        }
    }

    override fun close() = Unit

    private fun place(name: String) = network.places[name]
        ?: throw BundleError("what was compiled has no $name; compile the app with this bundle")

    private fun put(place: CompiledNetwork.Place, tensor: Tensor) {
        if (tensor.shape != place.shape || tensor.dtype != place.dtype.label) throw BundleError(
            "${place.name} is ${tensor.dtype} ${tensor.shape}, expected ${place.dtype.label} ${place.shape}; give what was compiled",
        )
        val into = part(place)
        when (tensor) {
            is Floats -> into.asFloatBuffer().put(tensor.values)
            is Longs -> into.asLongBuffer().put(tensor.values)
            is Bytes -> into.put(tensor.values)
            is Raw -> into.put(tensor.bytes)
        }
    }

    /** The bytes of a tensor in the block, in its order. */
    private fun part(place: CompiledNetwork.Place): ByteBuffer {
        block.limit(place.offset + place.bytes).position(place.offset)
        return block.slice().order(ByteOrder.LITTLE_ENDIAN).also { block.clear() }
    }
}
