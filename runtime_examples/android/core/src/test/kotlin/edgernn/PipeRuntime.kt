package edgernn

import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File

/**
 * A runtime for tests on a machine without ONNX Runtime for Java: each model runs in a process of its own, which gets
 * the inputs and gives the outputs as big-endian numbers over its standard streams. [command] starts it, given the model file.
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

    override fun run(inputs: Tensors, outputs: List<String>): Tensors {
        out.writeInt(inputs.size)
        inputs.forEach { (name, tensor) -> write(name, tensor) }
        out.writeInt(outputs.size)
        outputs.forEach(out::writeUTF)
        out.flush()
        return outputs.associateWith { read() }
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
        }
    }

    private fun read(): Tensor {
        val shape = List(into.readInt()) { into.readLong() }
        return Floats(shape, FloatArray(shape.fold(1L, Long::times).toInt()) { into.readFloat() })
    }
}
