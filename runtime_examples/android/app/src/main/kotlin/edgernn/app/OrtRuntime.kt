package edgernn.app

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Floats
import edgernn.Longs
import edgernn.Runtime
import edgernn.Session
import edgernn.Tensor
import edgernn.Tensors
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
    override fun run(inputs: Tensors, outputs: List<String>): Tensors {
        val given = LinkedHashMap<String, OnnxTensor>()
        try {
            inputs.forEach { (name, tensor) -> given[name] = toOrt(tensor) }
            session.run(given, outputs.toSet()).use { results ->
                return outputs.associateWith { name -> fromOrt(results.get(name).get() as OnnxTensor) }
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
            is Bytes -> {
                val direct = ByteBuffer.allocateDirect(tensor.size).order(ByteOrder.nativeOrder()).put(tensor.values)
                direct.rewind()
                OnnxTensor.createTensor(environment, direct, shape, OnnxJavaType.UINT8)
            }
        }
    }

    private fun fromOrt(tensor: OnnxTensor): Tensor {
        val buffer = tensor.floatBuffer
        return Floats(tensor.info.shape.toList(), FloatArray(buffer.remaining()).also(buffer::get))
    }
}
