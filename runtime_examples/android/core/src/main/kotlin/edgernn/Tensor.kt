package edgernn

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Bad input. The message is one line: what was wrong, the value seen, what was expected, what to do. */
class BundleError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** How a contract and a safetensors file spell a dtype, and how many bytes a value has. */
enum class Dtype(val label: String, val stored: String, val width: Int) {
    FLOAT32("float32", "F32", 4), FLOAT64("float64", "F64", 8), FLOAT16("float16", "F16", 2), BOOL("bool", "BOOL", 1),
    UINT8("uint8", "U8", 1), INT8("int8", "I8", 1), INT16("int16", "I16", 2), INT32("int32", "I32", 4), INT64("int64", "I64", 8),
}

/** The dtype of that name in a contract or a safetensors file; [what] has it. */
fun dtypeOf(name: String, what: String): Dtype = Dtype.entries.firstOrNull { it.label == name || it.stored == name }
    ?: throw BundleError("$what is $name, expected bool, uint8, int8 to int64 or float16 to float64; use an example that reads it")

/** A dense row-major tensor. */
sealed class Tensor(val shape: List<Long>, val dtype: String, val size: Int) {
    init {
        if (elementCount(shape) != size) throw BundleError(
            "$size values do not fill a tensor of $shape; export the bundle again",
        )
    }

    val floats: FloatArray
        get() = (this as? Floats)?.values ?: throw BundleError("a tensor of $dtype where float32 was expected")

    val longs: LongArray
        get() = (this as? Longs)?.values ?: throw BundleError("a tensor of $dtype where int64 was expected")

    /** The values as numbers; true is 1. */
    val numbers: DoubleArray
        get() = when (this) {
            is Floats -> DoubleArray(size) { values[it].toDouble() }
            is Longs -> DoubleArray(size) { values[it].toDouble() }
            is Bytes -> DoubleArray(size) { (values[it].toInt() and 0xff).toDouble() }
            is Raw -> DoubleArray(size) { number(it) }
        }

    /** Every place along [axis] [count] times; where the tensor has no such axis it stays as it is. */
    fun repeated(axis: Int, count: Long): Tensor {
        if (axis < 0 || count == 1L) return this
        val inner = elementCount(shape.drop(axis))
        val own = shape.toMutableList().also { it[axis] *= count }
        val bytes = little()
        val width = bytes.size / maxOf(size, 1)
        val made = ByteBuffer.allocate(elementCount(own) * width)
        for (begin in 0 until size step inner) repeat(count.toInt()) { made.put(bytes, begin * width, inner * width) }
        return tensorOf(dtypeOf(dtype, "a tensor"), own, made.flip() as ByteBuffer)
    }

    /** A copy with place [otherAt] of another tensor along [axis] in place of [at]; else both are alike. */
    fun withPlace(axis: Int, at: Int, other: Tensor, otherAt: Int): Tensor {
        val alike = shape.size == other.shape.size && shape.indices.all { it == axis || shape[it] == other.shape[it] }
        if (!alike || dtype != other.dtype) throw BundleError(
            "a row of ${other.dtype} ${other.shape} is to become one of $dtype $shape, expected states of one model; give those",
        )
        val (count, others) = shape[axis].toInt() to other.shape[axis].toInt()
        if (at !in 0 until count || otherAt !in 0 until others) throw BundleError(
            "row $otherAt of $others is to become row $at of $count, expected rows that there are; they count from 0",
        )
        val kind = dtypeOf(dtype, "a tensor")
        val inner = elementCount(shape.drop(axis + 1)) * kind.width
        val (made, from) = little().copyOf() to other.little()
        for (block in 0 until elementCount(shape.take(axis))) {
            val begin = (block * others + otherAt) * inner
            from.copyInto(made, (block * count + at) * inner, begin, begin + inner)
        }
        return tensorOf(kind, shape, ByteBuffer.wrap(made))
    }

    /** The values as little-endian bytes. */
    private fun little(): ByteArray = when (this) {
        is Floats -> ByteBuffer.allocate(4 * size).order(ByteOrder.LITTLE_ENDIAN).also { it.asFloatBuffer().put(values) }.array()
        is Longs -> ByteBuffer.allocate(8 * size).order(ByteOrder.LITTLE_ENDIAN).also { it.asLongBuffer().put(values) }.array()
        is Bytes -> values
        is Raw -> bytes
    }

    /** The [count] values from [begin] on, in a shape of their own. */
    fun part(own: List<Long>, begin: Int, count: Int): Tensor = when (this) {
        is Floats -> Floats(own, values.copyOfRange(begin, begin + count))
        is Longs -> Longs(own, values.copyOfRange(begin, begin + count))
        is Bytes -> Bytes(own, values.copyOfRange(begin, begin + count))
        is Raw -> Raw(own, kind, bytes.copyOfRange(begin * kind.width, (begin + count) * kind.width))
    }
}

class Floats(shape: List<Long>, val values: FloatArray) : Tensor(shape, "float32", values.size)

class Longs(shape: List<Long>, val values: LongArray) : Tensor(shape, "int64", values.size)

class Bytes(shape: List<Long>, val values: ByteArray) : Tensor(shape, "uint8", values.size)

/** A tensor of another dtype: its little-endian bytes. */
class Raw(shape: List<Long>, val kind: Dtype, val bytes: ByteArray) : Tensor(shape, kind.label, bytes.size / kind.width) {
    private val buffer get() = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)

    internal fun number(at: Int): Double = when (kind) {
        Dtype.BOOL -> if (bytes[at].toInt() != 0) 1.0 else 0.0
        Dtype.INT8 -> bytes[at].toDouble()
        Dtype.INT16 -> buffer.getShort(2 * at).toDouble()
        Dtype.INT32 -> buffer.getInt(4 * at).toDouble()
        Dtype.FLOAT16 -> half(buffer.getShort(2 * at).toInt())
        else -> buffer.getDouble(8 * at)
    }

    /** IEEE 754 binary16. */
    private fun half(bits: Int): Double {
        val exponent = bits shr 10 and 0x1f
        val fraction = (bits and 0x3ff).toDouble()
        val sign = if (bits and 0x8000 != 0) -1.0 else 1.0
        return when (exponent) {
            0x1f -> if (fraction > 0) Double.NaN else sign * Double.POSITIVE_INFINITY
            0 -> sign * Math.scalb(fraction, -24)
            else -> sign * Math.scalb(1024 + fraction, exponent - 25)
        }
    }
}

/** A tensor of little-endian bytes, which stand between the position and the limit of [data]. */
fun tensorOf(dtype: Dtype, shape: List<Long>, data: ByteBuffer): Tensor {
    val count = data.remaining() / dtype.width
    data.order(ByteOrder.LITTLE_ENDIAN)
    return when (dtype) {
        Dtype.FLOAT32 -> Floats(shape, FloatArray(count).also { data.asFloatBuffer().get(it) })
        Dtype.INT64 -> Longs(shape, LongArray(count).also { data.asLongBuffer().get(it) })
        Dtype.UINT8 -> Bytes(shape, ByteArray(count).also { data.get(it) })
        else -> Raw(shape, dtype, ByteArray(count * dtype.width).also { data.get(it) })
    }
}

fun zeros(dtype: String, shape: List<Long>): Tensor =
    dtypeOf(dtype, "a tensor").let { tensorOf(it, shape, ByteBuffer.allocate(elementCount(shape) * it.width)) }

private const val MOST_ELEMENTS = 1 shl 26 // far more than a step has: memory stays bounded

/** The number of elements of [shape]; throws where an axis is negative or there are too many. */
fun elementCount(shape: List<Long>): Int {
    val count = shape.fold(1.0) { product, axis -> product * axis } // a double does not overflow
    if (shape.any { it < 0 } || count > MOST_ELEMENTS) throw BundleError(
        "a tensor of $shape, expected at most 2^26 elements; export the bundle again",
    )
    return count.toInt()
}

typealias Tensors = Map<String, Tensor>

/** States by the names that the contract gives them. */
typealias State = Map<String, Tensor>

/** What a row of ids is as the tokens [1, T] of a step. */
fun tokenRow(ids: List<Long>): Tensor = Longs(listOf(1L, ids.size.toLong()), ids.toLongArray())
