package edgernn.app

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import edgernn.Artifact
import edgernn.Bundle
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Dtype
import edgernn.Floats
import edgernn.Graph
import edgernn.Longs
import edgernn.Raw
import edgernn.Runtime
import edgernn.Session
import edgernn.Tensor
import edgernn.TensorSpec
import edgernn.Tensors
import edgernn.dtypeOf
import edgernn.elementCount
import edgernn.tensorOf
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** ONNX Runtime: the only file that knows it. */
class OrtRuntime : Runtime {
    override val format = "onnx"
    private val environment = OrtEnvironment.getEnvironment()
    override val version: String? get() = environment.version

    override fun open(file: File): Session = throw BundleError("$file needs the contract of its bundle; open the bundle")

    override fun open(bundle: Bundle, artifact: Artifact): Session {
        val file = bundle.modelFile(artifact)
        val graph = bundle.contract.graph(artifact.graph)
        // One step is small: threads that wait for one another cost more than they give.
        val options = OrtSession.SessionOptions().apply { setIntraOpNumThreads(1) }
        return try {
            val session = environment.createSession(file.path, options)
            FileSession(environment, session, options, graph, bundle.contract.settled(graph))
        } catch (error: OrtException) {
            options.close()
            throw BundleError("ONNX Runtime cannot open $file: ${error.message}; export the bundle again", error)
        }
    }
}

/**
 * An opened file. Its tensors, of any dtype, lie in direct buffers that are reused from step to step as long as the inputs keep
 * their shapes. [settled]: the outputs whose shapes then stay, too; the first run says which.
 */
private class FileSession(
    private val environment: OrtEnvironment,
    private val session: OrtSession,
    private val options: OrtSession.SessionOptions, // not to be closed before the session
    private val graph: Graph,
    private val settled: Set<String>,
) : Session {
    private val given = LinkedHashMap<String, Slot>()
    private val made = LinkedHashMap<String, Slot>()

    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors = try {
        graph.inputs.forEach { put(it, inputs.getValue(it.name)) }
        val others = graph.outputs.map { it.name }.toSet() - made.keys
        session.run(given.mapValues { it.value.tensor }, others, made.mapValues { it.value.tensor }, null).use { results ->
            graph.outputs.associate { spec ->
                spec.name to (made[spec.name]?.read() ?: first(spec, results.get(spec.name).get() as OnnxTensor))
            }
        }
    } catch (error: OrtException) {
        throw BundleError("the model does not run: ${error.message}; export the bundle again", error)
    }

    override fun close() {
        release(given)
        release(made)
        session.close()
        options.close()
    }

    private fun put(spec: TensorSpec, tensor: Tensor) {
        val slot = given[spec.name]?.takeIf { it.shape == tensor.shape } ?: Slot(environment, spec, tensor.shape).also { own ->
            given.put(spec.name, own)?.tensor?.close()
            release(made)
        }
        slot.write(tensor)
    }

    /** A copy of what ONNX Runtime has allocated; the next run writes to a buffer of its own, where the shape stays. */
    private fun first(spec: TensorSpec, tensor: OnnxTensor): Tensor {
        val dtype = dtypeOf(spec.dtype, spec.name)
        if (tensor.info.type != ortType(dtype)) throw BundleError(
            "the model gives ${spec.name} as ${tensor.info.type}, expected ${spec.dtype}; export the bundle again",
        )
        val shape = tensor.info.shape.toList()
        if (spec.name in settled) made[spec.name] = Slot(environment, spec, shape)
        return tensorOf(dtype, shape, tensor.byteBuffer)
    }

    private fun release(slots: MutableMap<String, Slot>) {
        slots.values.forEach { it.tensor.close() } // what Java's collector does not see
        slots.clear()
    }
}

/** A direct buffer and ONNX Runtime's tensor over it. */
private class Slot(environment: OrtEnvironment, spec: TensorSpec, val shape: List<Long>) {
    private val dtype = dtypeOf(spec.dtype, spec.name)
    private val buffer = ByteBuffer.allocateDirect(elementCount(shape) * dtype.width).order(ByteOrder.nativeOrder())
    val tensor: OnnxTensor = OnnxTensor.createTensor(environment, buffer, shape.toLongArray(), ortType(dtype))

    fun write(from: Tensor) {
        buffer.clear()
        when (from) {
            is Floats -> buffer.asFloatBuffer().put(from.values)
            is Longs -> buffer.asLongBuffer().put(from.values)
            is Bytes -> buffer.put(from.values)
            is Raw -> buffer.put(from.bytes)
        }
    }

    /** A copy: the next run writes to the same buffer. */
    fun read(): Tensor {
        buffer.clear()
        return tensorOf(dtype, shape, buffer)
    }
}

private fun ortType(dtype: Dtype): OnnxJavaType = when (dtype) {
    Dtype.FLOAT32 -> OnnxJavaType.FLOAT
    Dtype.FLOAT64 -> OnnxJavaType.DOUBLE
    else -> OnnxJavaType.valueOf(dtype.name) // the others have the same names
}
