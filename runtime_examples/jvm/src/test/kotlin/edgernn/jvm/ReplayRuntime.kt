package edgernn.jvm

import edgernn.Bundle
import edgernn.BundleError
import edgernn.Floats
import edgernn.Runtime
import edgernn.Session
import edgernn.TensorSpec
import edgernn.Tensors
import java.io.File

/**
 * A runtime that knows the recording by heart: it answers each step by what was recorded after that many steps, with [offset]
 * added to a value of the last step's logits.
 */
class ReplayRuntime(bundle: Bundle, private val offset: Float) : Runtime {
    override val format = "onnx"
    private val recorded = bundle.golden()
    private val steps = recorded.getValue(bundle.contract.tokenInput.name).shape[0].toInt()
    private val wrong = bundle.contract.logitsOutput.name

    override fun open(file: File) = object : Session {
        private var at = 0

        override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
            val made = outputs.map { it.name }.associateWith { name ->
                val all = recorded[name] ?: throw BundleError("the recording lacks $name; export the bundle again")
                if (all.shape[0].toInt() != steps) return@associateWith all // what encode gives
                val size = all.size / steps
                val values = all.floats.copyOfRange(at * size, (at + 1) * size)
                if (name == wrong && at == steps - 1) values[0] += offset
                Floats(all.shape.drop(1), values)
            }
            at++
            return made
        }

        override fun close() = Unit
    }
}
