package edgernn

const val BATCH = "batch"
const val TIME = "time"
private const val LAYERS = "layers"

/** One tensor of a graph; [below] names the axis whose size bounds its values, [role] is input, context, state or output. */
data class TensorSpec(val name: String, val role: String, val dtype: String, val axes: List<String>, val below: String?) {
    /** The place of the axis of layers, or -1. */
    val layers get() = axes.indexOf(LAYERS)
}

data class Graph(val inputs: List<TensorSpec>, val outputs: List<TensorSpec>) {
    val states get() = inputs.filter { it.role == "state" }
    val contexts get() = inputs.filter { it.role == "context" }
    val fresh get() = inputs.filter { it.role == "input" }
}

/** The sizes of a run's open axes: batch, time, and those that encode chooses. */
typealias Sizes = Map<String, Long>

/** The name under which a state comes out. */
fun nextName(state: String) = state + "_next"

/** Which tensors go into and come out of each graph; throws where that does not hold together. */
class Contract(json: Json, version: Long) {
    val graphs = json["graphs"].list.associate { it["name"].string to Graph(tensors(it["inputs"]), tensors(it["outputs"])) }
    val sizes = json["sizes"].entries.mapValues { (axis, size) ->
        size.long.takeIf { it > 0 } ?: throw BundleError(
            "the axis $axis has the size 0, expected 1 or more; export the bundle again",
        )
    }

    /** Frames along time that one step takes. */
    val stepFrames = json.find("step_frames")?.long ?: 1L

    /** Whether a graph is to run once before the first step. */
    val encodes = "encode" in graphs

    /** State → "stored" or "encode"; others start at zeros. Version 1 has one word for all states. */
    val firstStates: Map<String, String> = if (version > 1) {
        json.find("initial_state")?.entries?.mapValues { it.value.string } ?: emptyMap()
    } else {
        val word = json["initial_state"].string
        graph("step").states.filter { word != "zeros" }.associate { it.name to if (word == "learned") "stored" else word }
    }

    init {
        json.find("latency_frames")?.long // throws where it is no number from 0
        if (stepFrames < 1) throw BundleError("a step takes 0 frames, expected 1 or more; export the bundle again")
        firstStates.forEach(::checkFirst)
        checkStates()
        val chosen = graph("step").contexts + graphs["encode"]?.inputs.orEmpty()
        val open = learned(chosen.associateWith { spec -> spec.axes.map { 1L } })
        graphs.filterKeys { it == "step" || it == "encode" }.values.forEach { graph ->
            (graph.inputs + graph.outputs).forEach { elementCount(shape(it, open)) }
        }
    }

    fun graph(name: String) = graphs[name] ?: throw BundleError(
        "manifest.json has no graph named $name; give the bundle of another model",
    )

    /** The shape of a tensor in a [run]. Without a size of its own, batch is one row and time the frames of one step. */
    fun shape(tensor: TensorSpec, run: Sizes = emptyMap()): List<Long> = tensor.axes.map { axis ->
        sizes[axis] ?: run[axis] ?: when (axis) {
            BATCH -> 1L
            TIME -> stepFrames
            else -> throw BundleError("the contract gives no size to the axis $axis; export the bundle again")
        }
    }

    /** What the shapes of tensors say of the open axes, beside what is [known]. */
    fun learned(shapes: Map<TensorSpec, List<Long>>, known: Sizes = emptyMap()): Sizes {
        val run = HashMap(known)
        for ((spec, shape) in shapes) {
            if (shape.size != spec.axes.size) continue
            spec.axes.zip(shape).forEach { (axis, size) -> if (axis !in sizes) run.putIfAbsent(axis, size) }
        }
        return run
    }

    /** The outputs of a [graph] whose shapes follow from those of its inputs: of others each run may choose an axis. */
    fun settled(graph: Graph): Set<String> {
        val known = sizes.keys + BATCH + TIME + graph.inputs.flatMap { it.axes }
        return graph.outputs.filter { known.containsAll(it.axes) }.map { it.name }.toSet()
    }

    /** Of text: the step's only fresh input, the token ids. */
    val tokenInput: TensorSpec
        get() = graph("step").fresh.singleOrNull()?.takeIf { it.dtype == "int64" && it.below != null }
            ?: throw BundleError(
                "the step takes something other than token ids; this example writes text, expected one int64 input",
            )

    /** Of text: the step's output of one number per token. */
    val logitsOutput: TensorSpec
        get() = graph("step").outputs.firstOrNull { it.role == "output" && it.axes.lastOrNull() == tokenInput.below }
            ?: throw BundleError("the step gives no output over the axis ${tokenInput.below}; export the bundle again")

    /** Of captions: what encode looks at. */
    val pictureInput: TensorSpec
        get() = graph("encode").fresh.singleOrNull() ?: throw BundleError(
            "encode takes other than one picture; export the bundle again",
        )

    private fun checkFirst(name: String, word: String) {
        val known = graph("step").states.any { it.name == name } && word in setOf("stored", "encode")
        val given = word != "encode" || graphs["encode"]?.outputs.orEmpty().any { it.name == name && it.role == "state" }
        if (!known || !given) throw BundleError(
            "initial_state has $name begin with $word, expected a state that is stored or that encode gives; " +
                "export the bundle again",
        )
    }

    private fun checkStates() {
        val step = graph("step")
        val after = step.outputs.filter { it.role == "state" }
        val returned = step.states.all { state -> after.any { it == state.copy(name = nextName(state.name)) } }
        if (!returned || after.size != step.states.size) throw BundleError(
            "the step does not return its states as it takes them, NAME as ${nextName("NAME")}; export the bundle again",
        )
    }

    private companion object {
        fun tensors(list: Json): List<TensorSpec> {
            val found = list.list.map(::tensor)
            if (found.distinctBy { it.name }.size != found.size) {
                throw BundleError("a graph has two tensors of one name; export the bundle again")
            }
            return found
        }

        fun tensor(json: Json): TensorSpec {
            val axes = json["axes"].list.map { it.string }
            val name = json["name"].string
            if (axes.distinct().size != axes.size) throw BundleError("$name has an axis twice; export the bundle again")
            return TensorSpec(
                name, json["role"].string, dtypeOf(json["dtype"].string, name).label, axes,
                json.find("below")?.takeUnless { it.isNull }?.string,
            )
        }
    }
}
