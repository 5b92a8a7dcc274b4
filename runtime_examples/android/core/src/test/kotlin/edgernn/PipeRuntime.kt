package edgernn

import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File
import java.nio.ByteBuffer

/**
 * A runtime for tests on a machine without ONNX Runtime for Java: each model runs in a process of its own, which gets
 * the inputs and gives the outputs as numbers over its standard streams. [command] starts it, given the model file.
 */
class PipeRuntime(private val command: List<String>) : Runtime {
    override val format = "onnx"
    override val version: String? = System.getenv("EDGERNN_RUNTIME_VERSION")

    override fun open(file: File): Session = PipeSession(command + file.path)
}

private class PipeSession(command: List<String>) : Session {
    private val process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val out = DataOutputStream(process.outputStream.buffered())
    private val into = DataInputStream(process.inputStream.buffered())

    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        out.writeInt(inputs.size)
        inputs.forEach { (name, tensor) -> write(name, tensor) }
        out.writeInt(outputs.size)
        outputs.forEach { out.writeUTF(it.name) }
        out.flush()
        return outputs.associate { it.name to read() }
    }

    override fun close() {
        out.close()
        process.waitFor()
    }

    private fun write(name: String, tensor: Tensor) {
        out.writeUTF(name)
        out.writeUTF(tensor.dtype)
        out.writeInt(tensor.shape.size)
        tensor.shape.forEach(out::writeLong)
        when (tensor) {
            is Floats -> tensor.values.forEach(out::writeFloat)
            is Longs -> tensor.values.forEach(out::writeLong)
            is Bytes -> out.write(tensor.values)
            is Raw -> out.write(tensor.bytes) // little-endian, as they are
        }
    }

    private fun read(): Tensor {
        val dtype = dtypeOf(into.readUTF(), "an output")
        val shape = List(into.readInt()) { into.readLong() }
        return tensorOf(dtype, shape, ByteBuffer.wrap(ByteArray(elementCount(shape) * dtype.width).also(into::readFully)))
    }
}
