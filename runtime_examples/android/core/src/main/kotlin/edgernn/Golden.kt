package edgernn

import java.util.Locale
import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.sqrt

/** How far one tensor went from the recording, over all and, where it has any, at each of its [steps]; no number fails. */
data class Line(val name: String, val worst: Double, val tolerance: Double, val steps: List<Double> = emptyList()) {
    val ok get() = worst <= tolerance

    /** What is said of it; of one that failed, at which step it was off first, and how far. */
    val verdict: String get() {
        if (ok) return "ok"
        val first = steps.indexOfFirst { !(it <= tolerance) }
        if (first < 0) return "FAILED"
        return "FAILED: parts at step $first of 0 to ${steps.lastIndex} by %.1e".format(Locale.ROOT, steps[first])
    }
}

/** What a check says of a bundle that has no recorded run, which is no failure. */
const val NO_GOLDEN = "golden           - 0 not run; the bundle has no recorded run"

/**
 * The bundle's recorded run, and its replay on this device. Where an output would make the run too large, it has a few numbers of
 * it instead: OUTPUT.columns and the values there, the largest values, and the log-sum.
 */
class Golden(private val bundle: Bundle) {
    private val recorded = bundle.golden()
    private val contract = bundle.contract
    private val step = contract.graph("step")

    /** How many steps were recorded. */
    val steps = (step.fresh.ifEmpty { step.outputs.filter { it.role == "state" } }).firstOrNull()
        ?.let { recorded[it.name]?.shape?.firstOrNull()?.toInt() } ?: 0

    /** Of the open axes in a step. */
    private val sizes = contract.learned(step.contexts.associateWith { tensor(it.name).shape }, mapOf(BATCH to 1L))

    init {
        step.inputs.forEach { require(it, it.role == "input", sizes) }
        step.outputs.forEach { if (isShort(it)) requireParts(it) else require(it, true, sizes) }
        contract.graphs["encode"]?.let { encode ->
            val given = contract.learned(encode.inputs.associateWith { tensor(it.name).shape }, sizes - TIME)
            (encode.inputs + encode.outputs).forEach { require(it, false, given) }
        }
    }

    /** The fresh inputs of step [index] and every context. */
    fun inputs(index: Int): Tensors = step.contexts.associate { it.name to tensor(it.name) } +
        step.fresh.associate { it.name to row(it.name, index, contract.shape(it, sizes)) }

    /** The recorded state before step [index]. */
    fun stateBefore(index: Int): State = step.states.associate { spec ->
        spec.name to if (index == 0) tensor(spec.name) else row(nextName(spec.name), index - 1, contract.shape(spec, sizes))
    }

    /** Runs the whole recording on [model]: what encode gives where there is one, then every output and state of step. */
    fun check(model: Model): List<Line> {
        val (tolerance, forced) = promised(model.artifact)
        val drifts = LinkedHashMap<String, Drift>()
        var state = stateBefore(0)
        for (index in 0 until steps) {
            val results = model.step(inputs(index), if (forced) stateBefore(index) else state)
            state = results.state
            for (spec in step.outputs) {
                if (spec.role == "state") {
                    addState(spec, state.getValue(spec.name.removeSuffix(nextName(""))), index, forced, drifts)
                    continue
                }
                compared(spec, results.outputs.getValue(spec.name).numbers, index).forEach { (name, own) ->
                    drifts.getOrPut(name, ::Drift).add(row(name, index).numbers, own)
                }
            }
        }
        return encodeLines(model) + drifts.map { (name, drift) ->
            drift.steps(forced).let { Line(name, it.max(), tolerance, it) }
        }
    }

    private fun encodeLines(model: Model): List<Line> {
        val encode = contract.graphs["encode"] ?: return emptyList()
        val made = model.encode(encode.inputs.associate { it.name to tensor(it.name) })
        val (tolerance, forced) = promised(bundle.choose(model.artifact.format, "encode"))
        return encode.outputs.map { spec ->
            val drift = Drift().also { it.add(tensor(spec.name).numbers, made.getValue(spec.name).numbers) }
            Line(spec.name, drift.steps(forced).max(), tolerance)
        }
    }

    /** In a forced run each layer by itself: an error in one of three would be small in all of them together. */
    private fun addState(spec: TensorSpec, made: Tensor, index: Int, forced: Boolean, drifts: MutableMap<String, Drift>) {
        val (expected, found) = row(spec.name, index).numbers to made.numbers
        if (!forced || spec.layers < 0) {
            drifts.getOrPut(spec.name, ::Drift).add(expected, found)
            return
        }
        val layers = made.shape[spec.layers].toInt()
        val inner = elementCount(made.shape.drop(spec.layers + 1))
        for (layer in 0 until layers) {
            val places = found.indices.filter { it / inner % layers == layer }
            drifts.getOrPut("${spec.name}[$layer]", ::Drift).add(expected.sliceArray(places), found.sliceArray(places))
        }
    }

    private fun isShort(spec: TensorSpec) = spec.role == "output" && spec.name !in recorded && "${spec.name}.columns" in recorded

    /** What is recorded of an output at step [index], by name, as this device has it. */
    private fun compared(spec: TensorSpec, values: DoubleArray, index: Int): Map<String, DoubleArray> {
        if (!isShort(spec)) return mapOf(spec.name to values)
        val columns = tensor("${spec.name}.columns").longs
        val ids = row("${spec.name}.largest_ids", index).longs
        val rows = values.toList().chunked(contract.shape(spec, sizes).last().toInt())
        val kept = ids.size / rows.size
        val logSums = rows.map { row ->
            row.max().let { top -> top + ln(row.sumOf { exp(it - top) }) } // no number where one is none
        }
        return mapOf(
            "${spec.name}.at_columns" to rows.flatMap { row -> columns.map { row[it.toInt()] } }.toDoubleArray(),
            "${spec.name}.largest" to DoubleArray(ids.size) { rows[it / kept][ids[it].toInt()] },
            "${spec.name}.log_sum" to logSums.map { if (spec.dtype == "float64") it else it.toFloat().toDouble() }.toDoubleArray(),
        )
    }

    /** Makes sure that the parts of an output are of the shapes that belong together, and their ids below its size. */
    private fun requireParts(spec: TensorSpec) {
        val whole = contract.shape(spec, sizes)
        val before = listOf(steps.toLong()) + whole.dropLast(1)
        val columns = tensor("${spec.name}.columns")
        val ids = tensor("${spec.name}.largest_ids")
        val wanted = mapOf(
            "at_columns" to before + columns.size.toLong(), "log_sum" to before,
            "largest_ids" to before + (ids.shape.lastOrNull() ?: 0L), "largest" to before + (ids.shape.lastOrNull() ?: 0L),
        )
        val fits = steps > 0 && wanted.all { (part, shape) -> tensor("${spec.name}.$part").shape == shape }
        val below = (columns.longs + ids.longs).all { it in 0 until whole.last() }
        if (!fits || !below || columns.size == 0 || ids.size == 0) {
            throw BundleError("the golden run has parts of ${spec.name} that do not fit it; export the bundle again")
        }
    }

    private fun tensor(name: String) = recorded[name] ?: throw BundleError(
        "the golden run has no tensor $name; export the bundle again",
    )

    /** What is recorded of a tensor at step [index]. */
    private fun row(name: String, index: Int, shape: List<Long>? = null): Tensor = tensor(name).let { all ->
        val size = all.size / steps
        all.part(shape ?: listOf(size.toLong()), index * size, size)
    }

    private fun require(spec: TensorSpec, perStep: Boolean, sizes: Sizes) {
        val expected = (if (perStep) listOf(steps.toLong()) else emptyList()) + contract.shape(spec, sizes)
        val found = tensor(spec.name)
        if (steps < 1 || found.shape != expected || found.dtype != spec.dtype) {
            throw BundleError(
                "the golden run has ${spec.name} as ${found.dtype} ${found.shape}, expected ${spec.dtype} $expected; " +
                    "export the bundle again",
            )
        }
    }
}

/** What the manifest allows for a file. */
private fun promised(artifact: Artifact): Promise = artifact.promise ?: throw BundleError(
    "manifest.json does not say how far ${artifact.path} may be from the golden run; expected its tolerance; " +
        "export the bundle again",
)

/** The differences of one tensor over a run. */
private class Drift {
    private var largest = 0.0
    private val differences = ArrayList<Double>() // the largest of each step; infinite where a value is not finite
    private val rows = ArrayList<Pair<Double, Double>>() // root mean squares: of the recording, of the difference

    fun add(recorded: DoubleArray, found: DoubleArray) {
        val apart = DoubleArray(recorded.size) { recorded[it] - found[it] }
        val expected = DoubleArray(recorded.size) { if (recorded[it].isFinite()) recorded[it] else 0.0 }
        largest = max(largest, expected.maxOf { abs(it) })
        differences.add(if (apart.all { it.isFinite() }) apart.maxOf { abs(it) } else Double.POSITIVE_INFINITY)
        rows.add(sqrt(expected.sumOf { it * it } / expected.size) to sqrt(apart.sumOf { it * it } / apart.size))
    }

    /** How far it is off at each step. */
    fun steps(forced: Boolean): List<Double> {
        val overRun = max(LEAST, sqrt(rows.sumOf { (size, _) -> size * size } / rows.size))
        return differences.zip(rows) { difference, (size, apart) ->
            if (!forced || difference.isInfinite()) difference / max(1.0, largest) else apart / max(size, overRun)
        }
    }

    private companion object {
        const val LEAST = 1e-3 // a tensor smaller than this in every value is as good as zero
    }
}
