package edgernn

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.sqrt

/** How far one tensor went from the recording; a measure that is no number fails. */
data class Line(val name: String, val worst: Double, val tolerance: Double) {
    val ok get() = worst <= tolerance
}

/** What a check says of a bundle that has no recorded run, which is no failure. */
const val NO_GOLDEN = "golden           - 0 not run; the bundle has no recorded run"

/**
 * The bundle's recorded run, and its replay on this device. Where an output would make the run too large, it has a few numbers of
 * it instead: OUTPUT.columns and the values there, the largest values, and the log-sum.
 */
class Golden(private val bundle: Bundle) {
    private val recorded = bundle.golden()
    private val step = bundle.graph("step")

    /** How many steps were recorded. */
    val steps = recorded[bundle.tokenInput.name]?.shape?.firstOrNull()?.toInt() ?: 0

    init {
        step.inputs.forEach { require(it, perStep = it.role == "input") }
        step.outputs.forEach { if (isShort(it)) requireParts(it) else require(it, perStep = true) }
        bundle.graphs["encode"]?.let { encode -> (encode.inputs + encode.outputs).forEach { require(it, perStep = false) } }
    }

    /** The token of step [index] and every context. */
    fun inputs(index: Int): Tensors =
        step.contexts.associate { it.name to tensor(it.name) } +
            (bundle.tokenInput.name to tokenRow(listOf(tensor(bundle.tokenInput.name).longs[index])))

    /** The recorded state before step [index]. */
    fun stateBefore(index: Int): State = step.states.associate { spec ->
        spec.name to if (index == 0) tensor(spec.name) else Floats(bundle.shape(spec), row(nextName(spec.name), index - 1))
    }

    /** Runs the whole recording on [model]: what encode gives where there is one, then every output and state of step. */
    fun check(model: Model): List<Line> {
        val (tolerance, forced) = promised(model.artifact)
        val drifts = LinkedHashMap<String, Drift>()
        var state = stateBefore(0)
        for (index in 0 until steps) {
            val results = model.step(inputs(index), if (forced) stateBefore(index) else state)
            state = results.state
            for ((output, made) in results.outputs) {
                compared(output, made.floats, index).forEach { (name, own) ->
                    drifts.getOrPut(name, ::Drift).add(row(name, index), own)
                }
            }
            state.forEach { (name, made) -> addState(nextName(name), made, index, forced, drifts) }
        }
        return encodeLines(model) + drifts.map { (name, drift) -> Line(name, drift.worst(forced), tolerance) }
    }

    private fun encodeLines(model: Model): List<Line> {
        if (!bundle.captions) return emptyList()
        val made = model.encode(tensor(bundle.pictureInput.name))
        val (tolerance, forced) = promised(bundle.choose(model.artifact.format, "encode"))
        return (made.outputs + made.state).map { (name, found) ->
            Line(name, Drift().also { it.add(tensor(name).floats, found.floats) }.worst(forced), tolerance)
        }
    }

    /** In a forced run each layer by itself: an error in one of three would be small in all of them together. */
    private fun addState(name: String, made: Tensor, index: Int, forced: Boolean, drifts: MutableMap<String, Drift>) {
        val layers = if (forced) made.shape.firstOrNull()?.toInt() ?: 1 else 1
        val size = made.size / layers
        val expected = row(name, index)
        for (layer in 0 until layers) {
            val range = layer * size until (layer + 1) * size
            val drift = drifts.getOrPut(if (forced) "$name[$layer]" else name, ::Drift)
            drift.add(expected.sliceArray(range), made.floats.sliceArray(range))
        }
    }

    private fun isShort(spec: TensorSpec) = spec.name !in recorded && "${spec.name}.columns" in recorded

    /** What is recorded of an output at step [index], by name, as this device has it. */
    private fun compared(output: String, values: FloatArray, index: Int): Map<String, FloatArray> {
        if (output in recorded) return mapOf(output to values)
        val columns = tensor("$output.columns").longs
        val all = tensor("$output.largest_ids").longs
        val count = all.size / steps
        val top = values.maxOf { it.toDouble() } // no number where one of them is none
        val logSum = top + ln(values.sumOf { exp(it - top) })
        return mapOf(
            "$output.at_columns" to FloatArray(columns.size) { values[columns[it].toInt()] },
            "$output.largest" to FloatArray(count) { values[all[index * count + it].toInt()] },
            "$output.log_sum" to floatArrayOf(logSum.toFloat()),
        )
    }

    /** Makes sure that the parts of an output are of the shapes that belong together, and their ids below its size. */
    private fun requireParts(spec: TensorSpec) {
        val whole = bundle.shape(spec)
        val before = listOf(steps.toLong()) + whole.dropLast(1)
        val columns = tensor("${spec.name}.columns")
        val ids = tensor("${spec.name}.largest_ids")
        val wanted = mapOf(
            "at_columns" to before + columns.size.toLong(), "log_sum" to before,
            "largest_ids" to before + (ids.shape.lastOrNull() ?: 0L), "largest" to before + (ids.shape.lastOrNull() ?: 0L),
        )
        val fits = steps > 0 && wanted.all { (part, shape) -> tensor("${spec.name}.$part").shape == shape }
        val below = (columns.longs + ids.longs).all { it in 0 until whole.last() }
        if (!fits || !below || columns.size == 0 || ids.size == 0 || elementCount(before) != steps) {
            throw BundleError("the golden run has parts of ${spec.name} that do not fit it; export the bundle again")
        }
    }

    private fun tensor(name: String) = recorded[name] ?: throw BundleError(
        "the golden run has no tensor $name; export the bundle again",
    )

    private fun row(name: String, index: Int) = tensor(name).floats.let { all ->
        val size = all.size / steps
        all.copyOfRange(index * size, (index + 1) * size)
    }

    private fun require(spec: TensorSpec, perStep: Boolean) {
        val expected = (if (perStep) listOf(steps.toLong()) else emptyList()) + bundle.shape(spec)
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
    private var difference = 0.0
    private var finite = true
    private val rows = ArrayList<Pair<Double, Double>>() // root mean squares: of the recording, of the difference

    fun add(expected: FloatArray, found: FloatArray) {
        val apart = DoubleArray(expected.size) { expected[it].toDouble() - found[it] }
        finite = finite && apart.all { it.isFinite() }
        largest = max(largest, expected.maxOf { abs(it) }.toDouble())
        difference = max(difference, apart.maxOf { abs(it) })
        rows.add(sqrt(expected.sumOf { it.toDouble() * it } / expected.size) to sqrt(apart.sumOf { it * it } / apart.size))
    }

    fun worst(forced: Boolean): Double {
        if (!finite) return Double.POSITIVE_INFINITY
        if (!forced) return difference / max(1.0, largest)
        val overRun = max(LEAST, sqrt(rows.sumOf { (size, _) -> size * size } / rows.size))
        return rows.maxOf { (size, apart) -> apart / max(size, overRun) }
    }

    private companion object {
        const val LEAST = 1e-3 // a tensor smaller than this in every value is as good as zero
    }
}
