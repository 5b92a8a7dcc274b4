package edgernn

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.sqrt

/** How far one tensor went from the recording; a measure that is no number fails. */
data class Line(val name: String, val worst: Double, val tolerance: Double) {
    val ok get() = worst <= tolerance
}

/** The bundle's recorded run, and its replay on this device. */
class Golden(private val bundle: Bundle) {
    private val recorded = bundle.golden()
    private val step = bundle.graph("step")

    /** How many steps were recorded. */
    val steps = recorded[bundle.tokenInput.name]?.shape?.firstOrNull()?.toInt() ?: 0

    init {
        step.inputs.forEach { require(it, perStep = it.role == "input") }
        step.outputs.forEach { require(it, perStep = true) }
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

    /** Runs the whole recording on [session]: what encode gives where there is one, then every output and state of step. */
    fun check(session: Session): List<Line> {
        val (tolerance, forced) = promise(session.artifact.precision)
        val drifts = LinkedHashMap<String, Drift>()
        var state = stateBefore(0)
        for (index in 0 until steps) {
            val results = session.step(inputs(index), if (forced) stateBefore(index) else state)
            state = results.state
            results.outputs.forEach { (name, made) -> drifts.getOrPut(name, ::Drift).add(row(name, index), made.floats) }
            state.forEach { (name, made) -> addState(nextName(name), made, index, forced, drifts) }
        }
        return encodeLines(session) + drifts.map { (name, drift) -> Line(name, drift.worst(forced), tolerance) }
    }

    private fun encodeLines(session: Session): List<Line> {
        val encode = bundle.graphs["encode"] ?: return emptyList()
        val made = session.encode(tensor(encode.fresh.single().name))
        val (tolerance, forced) = promise(bundle.choose(session.artifact.format, "encode").precision)
        return (made.outputs + made.state).map { (name, found) ->
            Line(name, Drift().also { it.add(tensor(name).floats, found.floats) }.worst(forced), tolerance)
        }
    }

    /** In integers each layer by itself: an error in one of three would be small in all of them together. */
    private fun addState(name: String, made: Tensor, index: Int, forced: Boolean, drifts: MutableMap<String, Drift>) {
        val layers = if (forced) made.shape[0].toInt() else 1
        val size = made.size / layers
        val expected = row(name, index)
        for (layer in 0 until layers) {
            val range = layer * size until (layer + 1) * size
            val drift = drifts.getOrPut(if (forced) "$name[$layer]" else name, ::Drift)
            drift.add(expected.sliceArray(range), made.floats.sliceArray(range))
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

/** What a precision promises, and whether each step starts from the recorded state and is measured as a root mean square. */
private fun promise(precision: String): Pair<Double, Boolean> = when (precision) {
    "float32" -> 1e-4 to false
    "float16" -> 0.25 to false
    "int8" -> 0.15 to true
    "int4", "smallest" -> 0.4 to true
    else -> throw BundleError("an artifact of the precision $precision, expected float32, float16, int8, int4 or smallest")
}

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
