package edgernn.app

import edgernn.Artifact
import edgernn.Bundle
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Floats
import edgernn.Graph
import edgernn.Longs
import edgernn.Raw
import edgernn.Runtime
import edgernn.Session
import edgernn.Tensors
import edgernn.TensorSpec
import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor as EtTensor

/** ExecuTorch: the only file that knows it. A .pte file has no names: tensors stand in the contract's order. */
class ExecuTorchRuntime : Runtime {
    override val format = "executorch"

    override fun open(file: File): Session = throw BundleError("$file needs the contract of its bundle; open the bundle")

    override fun open(bundle: Bundle, artifact: Artifact): Session = try {
        val file = bundle.modelFile(artifact)
        PteSession(Module.load(file.path), bundle.contract.graph(artifact.graph))
    } catch (error: RuntimeException) {
        throw BundleError("ExecuTorch cannot open ${artifact.path}: ${error.message}; export the bundle again", error)
    }
}

private class PteSession(private val module: Module, private val graph: Graph) : Session {
    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        val given = graph.inputs.map { EValue.from(toEt(inputs.getValue(it.name))) }.toTypedArray()
        val made = try {
            module.forward(*given)
        } catch (error: RuntimeException) {
            throw BundleError("the model does not run: ${error.message}; export the bundle again", error)
        }
        if (made.size != graph.outputs.size) throw BundleError(
            "the model gives ${made.size} tensors, expected ${graph.outputs.size}; export the bundle again",
        )
        val found = graph.outputs.zip(made.asList()).associate { (spec, value) -> spec.name to fromEt(value.toTensor(), spec) }
        return outputs.associate { it.name to found.getValue(it.name) }
    }

    override fun close() = module.destroy()

    private fun toEt(tensor: edgernn.Tensor): EtTensor {
        val shape = tensor.shape.toLongArray()
        return when (tensor) {
            is Floats -> EtTensor.fromBlob(tensor.values, shape)
            is Longs -> EtTensor.fromBlob(tensor.values, shape)
            is Bytes -> EtTensor.fromBlobUnsigned(tensor.values, shape)
            is Raw -> throw BundleError("this example gives ExecuTorch no ${tensor.dtype}; choose another artifact")
        }
    }

    /** A copy: what a step returns lies in memory that the next one writes. */
    private fun fromEt(tensor: EtTensor, spec: TensorSpec): edgernn.Tensor {
        val shape = tensor.shape().toList()
        return try {
            when (spec.dtype) {
                "float32" -> Floats(shape, tensor.dataAsFloatArray.copyOf())
                "int64" -> Longs(shape, tensor.dataAsLongArray.copyOf())
                else -> throw BundleError("this example reads no ${spec.dtype} of ExecuTorch; choose another artifact")
            }
        } catch (error: IllegalStateException) {
            throw BundleError("the model gives ${spec.name} in another dtype than ${spec.dtype}; export it again", error)
        }
    }
}
