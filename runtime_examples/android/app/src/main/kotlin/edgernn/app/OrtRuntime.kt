package edgernn.app

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import edgernn.BundleError
import edgernn.Dtype
import edgernn.Bytes
import edgernn.Floats
import edgernn.Longs
import edgernn.Raw
import edgernn.Runtime
import edgernn.Session
import edgernn.Tensor
import edgernn.TensorSpec
import edgernn.Tensors
import edgernn.dtypeOf
import edgernn.tensorOf
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.nio.LongBuffer

/** ONNX Runtime: the only file that knows it. */
class OrtRuntime : Runtime {
    override val format = "onnx"
    private val environment = OrtEnvironment.getEnvironment()
    override val version: String? get() = environment.version

    override fun open(file: File): Session = try {
        // One step is small: threads that wait for one another cost more than they give.
        val options = OrtSession.SessionOptions().apply { setIntraOpNumThreads(1) }
        FileSession(environment, environment.createSession(file.path, options))
    } catch (error: OrtException) {
        throw BundleError("ONNX Runtime cannot open $file: ${error.message}; export the bundle again", error)
    }
}

private class FileSession(private val environment: OrtEnvironment, private val session: OrtSession) : Session {
    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        val given = LinkedHashMap<String, OnnxTensor>()
        try {
            inputs.forEach { (name, tensor) -> given[name] = toOrt(tensor) }
            session.run(given, outputs.map { it.name }.toSet()).use { results ->
                return outputs.associate { it.name to fromOrt(results.get(it.name).get() as OnnxTensor, it) }
            }
        } catch (error: OrtException) {
            throw BundleError("the model does not run: ${error.message}; export the bundle again", error)
        } finally {
            given.values.forEach(OnnxTensor::close) // what Java's collector does not see
        }
    }

    override fun close() = session.close()

    private fun toOrt(tensor: Tensor): OnnxTensor {
        val shape = tensor.shape.toLongArray()
        return when (tensor) {
            is Floats -> OnnxTensor.createTensor(environment, FloatBuffer.wrap(tensor.values), shape)
            is Longs -> OnnxTensor.createTensor(environment, LongBuffer.wrap(tensor.values), shape)
            is Bytes -> OnnxTensor.createTensor(environment, direct(tensor.values), shape, OnnxJavaType.UINT8)
            is Raw -> OnnxTensor.createTensor(environment, direct(tensor.bytes), shape, ortType(tensor.kind))
        }
    }

    private fun direct(bytes: ByteArray): ByteBuffer =
        ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply { put(bytes).rewind() }

    private fun ortType(dtype: Dtype): OnnxJavaType = when (dtype) {
        Dtype.FLOAT32 -> OnnxJavaType.FLOAT
        Dtype.FLOAT64 -> OnnxJavaType.DOUBLE
        else -> OnnxJavaType.valueOf(dtype.name) // the others have the same names
    }

    private fun fromOrt(tensor: OnnxTensor, spec: TensorSpec): Tensor {
        val dtype = dtypeOf(spec.dtype, spec.name)
        if (tensor.info.type != ortType(dtype)) throw BundleError(
            "the model gives ${spec.name} as ${tensor.info.type}, expected ${spec.dtype}; export the bundle again",
        )
        return tensorOf(dtype, tensor.info.shape.toList(), tensor.byteBuffer)
    }
}
