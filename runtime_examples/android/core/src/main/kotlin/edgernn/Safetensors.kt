package edgernn

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Reads a safetensors file: 8 bytes little-endian header length, a JSON header, the tensors' bytes.
 *
 * [source] names it in errors.
 */
fun readSafetensors(file: ByteArray, source: String): Tensors {
    val whole = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN)
    val length = if (file.size < 8) -1 else whole.getLong(0)
    if (length < 0 || length > file.size - 8) {
        throw BundleError(
            "$source is no safetensors file: its header does not fit into its ${file.size} bytes; export the bundle again",
        )
    }
    val header = Json.parse(utf8(file.copyOfRange(8, 8 + length.toInt()), source), source)
    val start = 8 + length.toInt()
    return header.entries.filterKeys { it != "__metadata__" }.mapValues { (name, entry) ->
        readTensor(entry, whole, start, "$source: $name")
    }
}

private fun readTensor(entry: Json, file: ByteBuffer, start: Int, what: String): Tensor {
    val shape = entry["shape"].longs
    val dtype = dtypeOf(entry["dtype"].string, what)
    val (begin, end) = entry["data_offsets"].longs.takeIf { it.size == 2 } ?: throw BundleError(
        "$what has no two offsets; export the bundle again",
    )
    val count = elementCount(shape)
    if (begin > end || end > file.capacity() - start || end - begin != count.toLong() * dtype.width) {
        throw BundleError("$what does not lie within its file as its shape $shape says; export the bundle again")
    }
    val data = file.duplicate().position(start + begin.toInt()).limit(start + end.toInt()) as ByteBuffer
    return tensorOf(dtype, shape, data)
}
