package edgernn.app

import edgernn.Artifact
import edgernn.Bundle
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Contract
import edgernn.Dtype
import edgernn.Floats
import edgernn.Longs
import edgernn.Raw
import edgernn.Runtime
import edgernn.Session
import edgernn.TensorSpec
import edgernn.Tensors
import edgernn.dtypeOf
import edgernn.tensorOf
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor as LiteTensor

/** LiteRT: the only file that knows it. A .tflite file's one signature has the names of the contract; ids are int32 there. */
class LiteRtRuntime : Runtime {
    override val format = "litert"
    override val converts = true

    override fun open(file: File): Session = throw BundleError("$file needs the contract of its bundle; open the bundle")

    override fun open(bundle: Bundle, artifact: Artifact): Session {
        val file = bundle.modelFile(artifact)
        try {
            // One step is small: threads that wait for one another cost more than they give.
            val interpreter = Interpreter(file, Interpreter.Options().apply { setNumThreads(1) })
            return try {
                TfliteSession(interpreter, bundle.contract, artifact)
            } catch (error: Exception) {
                interpreter.close()
                throw error
            }
        } catch (error: RuntimeException) {
            throw BundleError("LiteRT cannot open ${artifact.path}: ${reason(error)}; export the bundle again", error)
        }
    }
}

/** What LiteRT says, of which the first line names the error. */
private fun reason(error: RuntimeException) = error.message.orEmpty().lineSequence().first()

private class TfliteSession(private val interpreter: Interpreter, contract: Contract, artifact: Artifact) : Session {
    private val key = interpreter.signatureKeys.singleOrNull()
        ?: throw BundleError("${artifact.path} has not one signature; export the bundle again")
    private val graph = contract.graph(artifact.graph)
    private val given = graph.inputs.associate {
        it.name to Place(it, artifact, interpreter.getInputTensorFromSignature(it.name, key), contract.sizes[it.below])
    }
    private val made = graph.outputs.associate {
        it.name to Place(it, artifact, interpreter.getOutputTensorFromSignature(it.name, key))
    }

    init {
        val more = interpreter.getSignatureInputs(key).toSet() - given.keys
        if (more.isNotEmpty()) throw BundleError("${artifact.path} takes $more too, which no contract names; export it again")
    }

    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        given.forEach { (name, place) -> place.put(inputs.getValue(name)) }
        made.values.forEach { it.buffer.clear() } // LiteRT writes from the position on, and leaves it behind
        try {
            interpreter.runSignature(given.mapValues { it.value.buffer }, made.mapValues { it.value.buffer }, key)
        } catch (error: RuntimeException) {
            throw BundleError("the model does not run: ${reason(error)}; export the bundle again", error)
        }
        return outputs.associate { it.name to made.getValue(it.name).tensor() }
    }

    override fun close() = interpreter.close()
}

/** The memory of one tensor: it goes in or comes out as the file has it. [ids]: how many there are, where it holds ids. */
private class Place(private val spec: TensorSpec, artifact: Artifact, own: LiteTensor, private val ids: Long? = null) {
    private val dtype = dtypeOf(artifact.dtypes[spec.name] ?: spec.dtype, spec.name)
    private val narrow = dtype == Dtype.INT32 && spec.dtype == "int64"
    private val shape = own.shape().map { it.toLong() }
    val buffer: ByteBuffer = ByteBuffer.allocateDirect(own.numBytes()).order(ByteOrder.nativeOrder())

    init {
        val found = own.dataType().name.lowercase()
        if (found != dtype.label) throw BundleError(
            "${artifact.path} has ${spec.name} in $found, expected ${dtype.label}; export the bundle again",
        )
        if (!narrow && found != spec.dtype) throw BundleError(
            "this example gives LiteRT no $found for ${spec.dtype}; choose another artifact",
        )
    }

    fun put(tensor: edgernn.Tensor) {
        if (tensor.shape != shape || tensor.dtype != spec.dtype) throw BundleError(
            "${spec.name} is ${tensor.dtype} ${tensor.shape}, expected ${spec.dtype} $shape; a file takes one row and one step",
        )
        buffer.clear()
        when (tensor) {
            is Floats -> buffer.asFloatBuffer().put(tensor.values)
            is Longs -> tensor.values.forEach { if (narrow) buffer.putInt(checked(it).toInt()) else buffer.putLong(checked(it)) }
            is Bytes -> buffer.put(tensor.values)
            is Raw -> buffer.put(tensor.bytes)
        }
        buffer.clear()
    }

    /** A copy: the next step writes the same memory. */
    fun tensor(): edgernn.Tensor {
        buffer.clear()
        if (!narrow) return tensorOf(dtype, shape, buffer)
        return Longs(shape, LongArray(buffer.capacity() / Int.SIZE_BYTES) { buffer.getInt().toLong() })
    }

    private fun checked(value: Long): Long {
        val allowed = if (ids != null) 0 until ids else if (narrow) Int.MIN_VALUE.toLong()..Int.MAX_VALUE else return value
        if (value !in allowed) throw BundleError("${spec.name} is $value, expected $allowed; give what the contract says")
        return value
    }
}
