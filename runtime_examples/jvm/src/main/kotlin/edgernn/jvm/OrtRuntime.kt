package edgernn.jvm

import edgernn.Artifact
import edgernn.Bundle
import edgernn.BundleError
import edgernn.CLOSED
import edgernn.Contract
import edgernn.Graph
import edgernn.Runtime
import edgernn.Session
import edgernn.TensorSpec
import edgernn.Tensors
import java.io.File
import java.lang.foreign.Arena
import java.lang.foreign.MemorySegment
import java.nio.ByteOrder
import java.util.concurrent.locks.ReentrantReadWriteLock
import kotlin.concurrent.read
import kotlin.concurrent.write

private const val MOST_FREE = 32 // plans of a session that wait for a run
private const val MOST_BYTES = 1L shl 25 // of them: a long prompt has megabytes of logits

/**
 * onnxruntime by its C interface. [library]: the path of its shared library; without one it is looked for as [OrtLibrary.open]
 * says. [threads]: those that work on one operator.
 */
class OrtRuntime @JvmOverloads constructor(library: String? = null, private val threads: Int = 1) : Runtime {
    private val ort = OrtLibrary.open(library)
    override val format = "onnx"
    override val concurrent = true
    override val version: String get() = ort.version

    override fun open(file: File): Session = throw BundleError("$file needs the contract of its bundle; open the bundle")

    override fun open(bundle: Bundle, artifact: Artifact): Session {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) throw BundleError("a big-endian machine; expected little-endian")
        val file = bundle.modelFile(artifact)
        val session = try {
            ort.openSession(file.toPath(), threads)
        } catch (error: OrtError) {
            throw BundleError("onnxruntime cannot open $file: ${error.message}; export the bundle again", error)
        }
        return OrtSession(ort, session, bundle.contract, bundle.contract.graph(artifact.graph))
    }
}

/**
 * An opened file, for any number of threads. The tensors of a run lie in a [Plan], which later runs of the same shapes use again:
 * a step copies its inputs in and its outputs out, and allocates nothing of onnxruntime's.
 */
private class OrtSession(
    private val ort: OrtLibrary,
    private val session: MemorySegment,
    contract: Contract,
    private val graph: Graph,
) : Session {
    private val settled = contract.settled(graph)
    private val free = ArrayDeque<Plan>() // those of no run, the last used at the end
    private val lock = ReentrantReadWriteLock() // closing waits for the runs
    private var closed = false

    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors = lock.read {
        if (closed) throw BundleError(CLOSED)
        try {
            val plan = take(graph.inputs.map { inputs.getValue(it.name).shape })
            try {
                plan.run(inputs)
            } finally {
                giveBack(plan)
            }
        } catch (error: OrtError) {
            throw BundleError("the model does not run: ${error.message}; export the bundle again", error)
        }
    }

    override fun close() = lock.write {
        if (!closed) {
            free.forEach(Plan::close)
            ort.closeSession(session)
        }
        closed = true
    }

    private fun take(shapes: List<List<Long>>): Plan {
        val found = synchronized(free) {
            free.indexOfLast { it.shapes == shapes }.takeIf { it >= 0 }?.let(free::removeAt)
        }
        return found ?: Plan(shapes)
    }

    /** Keeps a plan for the next run; of many, those that waited longest go. */
    private fun giveBack(plan: Plan) {
        val gone = ArrayList<Plan>()
        synchronized(free) {
            free.addLast(plan)
            while (free.size > MOST_FREE || (free.size > 1 && free.sumOf { it.bytes } > MOST_BYTES)) gone.add(free.removeFirst())
        }
        gone.forEach(Plan::close)
    }

    /** The memory of runs whose inputs have these shapes. */
    private inner class Plan(val shapes: List<List<Long>>) : AutoCloseable {
        private val arena = Arena.ofShared()
        private val given = Named(arena, graph.inputs.map { it.name })
        private val made = Named(arena, graph.outputs.map { it.name })
        private val inputs = ArrayList<Slot>()
        private val outputs = arrayOfNulls<Slot>(graph.outputs.size) // each from the first run on, which says its shape
        val bytes get() = inputs.sumOf { it.bytes } + outputs.sumOf { it?.bytes ?: 0 }

        init {
            try {
                graph.inputs.forEachIndexed { index, spec ->
                    inputs.add(Slot(ort, arena, spec, shapes[index]).also { given[index] = it.value })
                }
            } catch (error: Exception) {
                close()
                throw error
            }
        }

        fun run(tensors: Tensors): Tensors {
            graph.inputs.forEachIndexed { index, spec -> inputs[index].put(tensors.getValue(spec.name)) }
            ort.run(session, given, made)
            try {
                return graph.outputs.withIndex().associate { (index, spec) ->
                    spec.name to (outputs[index]?.tensor() ?: first(index, spec))
                }
            } finally {
                graph.outputs.indices.filter { outputs[it] == null }.forEach(::release)
                outputs.forEachIndexed { index, slot -> made[index] = slot?.value ?: MemorySegment.NULL }
            }
        }

        /** A tensor that onnxruntime has allocated; where its shape is always this one, the next run writes to memory of ours. */
        private fun first(index: Int, spec: TensorSpec) = copyOf(ort, made[index], spec).also { tensor ->
            if (spec.name !in settled) return@also
            val own = Slot(ort, arena, spec, tensor.shape)
            release(index)
            outputs[index] = own
        }

        private fun release(index: Int) {
            if (made[index].address() != 0L) ort.releaseTensor(made[index])
            made[index] = MemorySegment.NULL
        }

        override fun close() {
            (inputs + outputs.filterNotNull()).forEach { ort.releaseTensor(it.value) }
            arena.close()
        }
    }
}
