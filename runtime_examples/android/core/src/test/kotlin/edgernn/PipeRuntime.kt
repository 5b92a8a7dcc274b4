package edgernn

import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File
import java.nio.ByteBuffer

/**
 * A runtime for tests on a machine without ONNX Runtime for Java: the models run in another process, `run_model.py`, which gets
 * the inputs and gives the outputs as numbers over its standard streams. [command] starts it; [version] is that of its runtime.
 */
class PipeRuntime(command: List<String>, override val version: String?) : Runtime, AutoCloseable {
    override val format = "onnx"
    private val process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val out = DataOutputStream(process.outputStream.buffered())
    private val into = DataInputStream(process.inputStream.buffered())

    override fun open(file: File): Session {
        ask('o', "cannot open $file") { out.writeUTF(file.path) }
        return PipeSession(into.readInt())
    }

    override fun close() {
        out.close()
        process.waitFor()
    }

    /** Sends a request, and leaves the answer to be read; throws where the other side says what is wrong. */
    private fun ask(kind: Char, what: String, write: () -> Unit) {
        out.writeByte(kind.code)
        write()
        out.flush()
        if (into.readByte() != 0.toByte()) throw BundleError("ONNX Runtime $what: ${into.readUTF()}; export the bundle again")
    }

    private inner class PipeSession(private val number: Int) : Session {
        override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
            ask('r', "does not run the model") {
                out.writeInt(number)
                out.writeInt(inputs.size)
                inputs.forEach { (name, tensor) -> write(name, tensor) }
                out.writeInt(outputs.size)
                outputs.forEach { out.writeUTF(it.name) }
            }
            return outputs.associate { it.name to read() }
        }

        override fun close() = ask('c', "does not close the model") { out.writeInt(number) }
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
