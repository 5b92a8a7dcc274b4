package edgernn

import java.io.File

/** One model file, opened by a runtime. */
interface Session : AutoCloseable {
    /** Runs it once and returns the named [outputs]; throws [BundleError] where the runtime refuses. */
    fun run(inputs: Tensors, outputs: List<String>): Tensors
}

/** What the core needs of a runtime; the app has that of ONNX Runtime, tests have their own. */
interface Runtime {
    /** The artifacts' format that it runs, as the manifest spells it. */
    val format: String

    /** Its version, such as 1.23.2, where it can tell: an artifact may require a newer one. */
    val version: String? get() = null

    fun open(file: File): Session
}

/** What a step gives: [outputs] for the caller, [state] for the next step. */
data class Results(val outputs: Tensors, val state: State)

/**
 * A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.
 *
 * What they take and give is read from the contract; no tensor's name or shape stands in the code.
 */
class Model private constructor(
    val bundle: Bundle,
    val artifact: Artifact,
    private val encoder: Session?,
    private val stepper: Session,
) : AutoCloseable {
    /** Whether several time steps may go in at once. */
    val openTime = "time" !in bundle.sizes && "time" !in artifact.axes

    /** The state before the first step: zeros, or the values in the bundle. A captioner's comes from [encode]. */
    fun initialState(): State {
        val states = bundle.graph("step").states
        return when (bundle.firstState) {
            "zeros" -> states.associate { spec ->
                val shape = bundle.shape(spec)
                spec.name to Floats(shape, FloatArray(elementCount(shape)))
            }
            "learned" -> bundle.learnedState().also { found -> states.forEach { check(it, found[it.name], 1) } }
            else -> throw BundleError("the first state of this model comes from a picture; call encode")
        }
    }

    /** Runs one step, or several where [openTime]. [inputs]: the tokens [1, T] and every context. */
    fun step(inputs: Tensors, state: State): Results {
        val graph = bundle.graph("step")
        val time = inputs[bundle.tokenInput.name]?.shape?.last() ?: 1L
        val made = run(stepper, graph, inputs + state, time)
        val after = graph.states.associate { state ->
            state.name to (made[nextName(state.name)] ?: throw BundleError(
                "the step does not return ${nextName(state.name)}; export the bundle again",
            ))
        }
        return Results(made - after.keys.map(::nextName).toSet(), after)
    }

    /** Looks at a picture once, uint8 [1, height, width, channels]: contexts in outputs, first states in state. */
    fun encode(image: Tensor): Results {
        val session = encoder ?: throw BundleError("this bundle writes text and has no encode graph; give a captioner's bundle")
        val graph = bundle.graph("encode")
        val made = run(session, graph, mapOf(bundle.pictureInput.name to image), 1)
        val states = graph.outputs.filter { it.role == "state" }.map { it.name }.toSet()
        return Results(made - states, made.filterKeys { it in states })
    }

    override fun close() {
        stepper.close()
        encoder?.close()
    }

    private fun run(session: Session, graph: Graph, inputs: Tensors, time: Long): Tensors {
        graph.inputs.forEach { check(it, inputs[it.name], time) }
        val made = session.run(inputs.filterKeys { name -> graph.inputs.any { it.name == name } }, graph.outputs.map { it.name })
        graph.outputs.forEach { check(it, made[it.name], time) }
        return made
    }

    private fun check(spec: TensorSpec, found: Tensor?, time: Long) {
        val expected = bundle.shape(spec, time)
        if (found?.shape != expected || found.dtype != spec.dtype) {
            throw BundleError(
                "${spec.name} is ${found?.let { "${it.dtype} ${it.shape}" } ?: "missing"}, expected ${spec.dtype} $expected",
            )
        }
    }

    companion object {
        /** Opens a bundle folder. Without [artifact] it is the manifest's first step of the runtime's format. */
        fun load(folder: File, runtime: Runtime, artifact: String? = null): Model {
            val bundle = Bundle(folder)
            val chosen = bundle.choose(runtime.format, "step", artifact, runtime.version)
            val first = if (bundle.captions) bundle.choose(runtime.format, "encode", version = runtime.version) else null
            val encoder = first?.let { open(bundle, it, runtime) }
            return Model(bundle, chosen, encoder, open(bundle, chosen, runtime))
        }

        private fun open(bundle: Bundle, artifact: Artifact, runtime: Runtime): Session {
            artifact.axes.forEach { (axis, size) ->
                if (size != 1L) throw BundleError(
                    "${artifact.path} takes only $size along $axis, expected 1; choose another artifact",
                )
            }
            artifact.dtypes.forEach { (name, dtype) ->
                throw BundleError(
                    "${artifact.path} takes $name as $dtype; this example converts no dtype: choose another artifact",
                )
            }
            return runtime.open(bundle.modelFile(artifact))
        }
    }
}
