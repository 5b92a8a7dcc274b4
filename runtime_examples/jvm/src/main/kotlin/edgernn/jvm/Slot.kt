package edgernn.jvm

import edgernn.BundleError
import edgernn.Bytes
import edgernn.Dtype
import edgernn.Floats
import edgernn.Longs
import edgernn.Raw
import edgernn.Tensor
import edgernn.TensorSpec
import edgernn.dtypeOf
import edgernn.elementCount
import java.lang.foreign.Arena
import java.lang.foreign.MemorySegment
import java.lang.foreign.ValueLayout.JAVA_BYTE
import java.lang.foreign.ValueLayout.JAVA_FLOAT
import java.lang.foreign.ValueLayout.JAVA_LONG

private const val ALIGNMENT = 64L // bytes, as onnxruntime's own allocator has it

/** Memory of one tensor, of any dtype, and onnxruntime's tensor over it, [value], which is to be released. */
internal class Slot(ort: OrtLibrary, arena: Arena, spec: TensorSpec, private val shape: List<Long>) {
    private val dtype = dtypeOf(spec.dtype, spec.name)
    val bytes = elementCount(shape).toLong() * dtype.width
    private val memory = arena.allocate(maxOf(bytes, 1), ALIGNMENT).asSlice(0, bytes)
    val value: MemorySegment = ort.tensorOver(memory, shape, dtype)

    fun put(tensor: Tensor) = when (tensor) {
        is Floats -> MemorySegment.copy(tensor.values, 0, memory, JAVA_FLOAT, 0, tensor.size)
        is Longs -> MemorySegment.copy(tensor.values, 0, memory, JAVA_LONG, 0, tensor.size)
        is Bytes -> MemorySegment.copy(tensor.values, 0, memory, JAVA_BYTE, 0, tensor.size)
        is Raw -> MemorySegment.copy(tensor.bytes, 0, memory, JAVA_BYTE, 0, tensor.bytes.size)
    }

    fun tensor(): Tensor = tensorIn(memory, shape, dtype)
}

/** A copy of a tensor that onnxruntime has allocated; throws where it is not of the dtype that the contract gives it. */
internal fun copyOf(ort: OrtLibrary, value: MemorySegment, spec: TensorSpec): Tensor {
    val (dtype, shape) = ort.describe(value)
    if (dtype.label != spec.dtype) throw BundleError(
        "the model gives ${spec.name} as ${dtype.label}, expected ${spec.dtype}; export the bundle again",
    )
    return tensorIn(ort.data(value, elementCount(shape).toLong() * dtype.width), shape, dtype)
}

private fun tensorIn(memory: MemorySegment, shape: List<Long>, dtype: Dtype): Tensor = when (dtype) {
    Dtype.FLOAT32 -> Floats(shape, memory.toArray(JAVA_FLOAT))
    Dtype.INT64 -> Longs(shape, memory.toArray(JAVA_LONG))
    Dtype.UINT8 -> Bytes(shape, memory.toArray(JAVA_BYTE))
    else -> Raw(shape, dtype, memory.toArray(JAVA_BYTE))
}
