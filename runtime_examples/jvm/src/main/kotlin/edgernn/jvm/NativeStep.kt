package edgernn.jvm

import edgernn.BundleError
import edgernn.CompiledNetwork
import edgernn.CompiledRuntime
import java.io.File
import java.lang.foreign.Arena
import java.lang.foreign.MemoryLayout
import java.lang.foreign.MemorySegment
import java.lang.foreign.SymbolLookup
import java.lang.foreign.ValueLayout.ADDRESS
import java.lang.foreign.ValueLayout.JAVA_INT

// `network_tensor` and `network` of ../compiled/network.h.
private const val AXES = 8
private val TENSOR = MemoryLayout.structLayout(
    ADDRESS.withName("name"), ADDRESS.withName("dtype"), JAVA_INT.withName("role"), JAVA_INT.withName("count"),
    JAVA_INT.withName("width"), JAVA_INT.withName("offset"), JAVA_INT.withName("rank"),
    MemoryLayout.sequenceLayout(AXES.toLong(), JAVA_INT).withName("shape"), MemoryLayout.paddingLayout(4),
)
private val NETWORK = MemoryLayout.structLayout(
    ADDRESS.withName("artifact"), ADDRESS.withName("sha256"), JAVA_INT.withName("bytes"), JAVA_INT.withName("state_bytes"),
    JAVA_INT.withName("tensors"), MemoryLayout.paddingLayout(4), ADDRESS.withName("table"), ADDRESS.withName("first"),
    ADDRESS.withName("step"),
)

/**
 * The step in C of a bundle in a shared library, by its table, without JNI. [prefix]: what the names of the C begin with. The
 * library stays open as long as the process; several may be.
 */
fun compiledRuntime(library: File, prefix: String = "net"): CompiledRuntime {
    val lookup = try {
        SymbolLookup.libraryLookup(library.toPath(), Arena.global())
    } catch (error: IllegalArgumentException) {
        throw BundleError("$library cannot be loaded: ${error.message}; build it for this machine", error)
    }
    val network = lookup.find("${prefix}_network").orElseThrow {
        BundleError("$library has no ${prefix}_network; build it of what compiled/prepare.py writes")
    }.reinterpret(NETWORK.byteSize())
    val step = function(pointer(NETWORK, "step", network), JAVA_INT, ADDRESS)
    return CompiledRuntime(CompiledNetwork(described(network))) { block -> step.invoke(MemorySegment.ofBuffer(block)) as Int }
}

/** What [CompiledNetwork] reads. */
private fun described(network: MemorySegment): Array<String> {
    val count = number(NETWORK, "tensors", network)
    val table = pointer(NETWORK, "table", network).reinterpret(TENSOR.byteSize() * count)
    val tensors = table.elements(TENSOR).map { each ->
        val shape = each.asSlice(offset(TENSOR, "shape"))
        val axes = List(number(TENSOR, "rank", each)) { shape.getAtIndex(JAVA_INT, it.toLong()) }
        val place = listOf(number(TENSOR, "role", each), number(TENSOR, "offset", each)) + axes
        "${text(pointer(TENSOR, "name", each))} ${text(pointer(TENSOR, "dtype", each))} ${place.joinToString(" ")}"
    }.toList()
    val whole = listOf("artifact", "sha256").map { text(pointer(NETWORK, it, network)) } +
        listOf("bytes", "state_bytes").map { "${number(NETWORK, it, network)}" }
    return (whole + tensors).toTypedArray()
}

private fun offset(struct: MemoryLayout, member: String) = struct.byteOffset(MemoryLayout.PathElement.groupElement(member))

private fun number(struct: MemoryLayout, member: String, at: MemorySegment) = at.get(JAVA_INT, offset(struct, member))

private fun pointer(struct: MemoryLayout, member: String, at: MemorySegment) = at.get(ADDRESS, offset(struct, member))
