package edgernn

/** Bad input. The message is one line: what was wrong, the value seen, what was expected, what to do. */
class BundleError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** A dense row-major tensor of one of the three dtypes that a bundle's ONNX files take and give. */
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
}

class Floats(shape: List<Long>, val values: FloatArray) : Tensor(shape, "float32", values.size)

class Longs(shape: List<Long>, val values: LongArray) : Tensor(shape, "int64", values.size)

class Bytes(shape: List<Long>, val values: ByteArray) : Tensor(shape, "uint8", values.size)

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

/** States by the names that the contract gives them, each [L, 1, H]. */
typealias State = Map<String, Tensor>

/** What a row of ids is as the tokens [1, T] of a step. */
fun tokenRow(ids: List<Long>): Tensor = Longs(listOf(1L, ids.size.toLong()), ids.toLongArray())
