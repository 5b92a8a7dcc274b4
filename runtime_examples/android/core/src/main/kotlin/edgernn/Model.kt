package edgernn

import java.io.File

/** One model file, opened by a runtime. */
interface Session : AutoCloseable {
    /** Runs it once and returns the named [outputs]; throws [BundleError] where the runtime refuses. */
    fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors
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
    private val contract = bundle.contract

    /** Whether several time steps may go in at once. */
    val openTime = TIME !in contract.sizes && TIME !in artifact.axes

    /** The state before the first step: zeros, or the values in the bundle; throws where some of it comes from [encode]. */
    fun initialState(): State {
        if ("encode" in contract.firstStates.values) throw BundleError(
            "the first state of this model comes from what it looks at; call encode",
        )
        return bundle.firstState
    }

    /** Runs one step, or several where [openTime]. [inputs]: every fresh input and every context, of one row. */
    fun step(inputs: Tensors, state: State): Results {
        val made = run(stepper, contract.graph("step"), inputs + state)
        val after = contract.graph("step").states.associate { it.name to made.getValue(nextName(it.name)) }
        return Results(made - after.keys.map(::nextName).toSet(), after)
    }

    /** Runs encode once: contexts in outputs, and the first state: zeros, stored, or what it gives. */
    fun encode(inputs: Tensors): Results {
        val session = encoder ?: throw BundleError("this bundle has no encode graph; give the bundle of a model that has one")
        val graph = contract.graph("encode")
        val made = run(session, graph, inputs)
        val states = graph.outputs.filter { it.role == "state" }.map { it.name }.toSet()
        return Results(made - states, bundle.firstState + made.filterKeys { it in states })
    }

    override fun close() {
        stepper.close()
        encoder?.close()
    }

    private fun run(session: Session, graph: Graph, inputs: Tensors): Tensors {
        val given = check(graph.inputs, inputs, emptyMap())
        val made = session.run(inputs.filterKeys { name -> graph.inputs.any { it.name == name } }, graph.outputs)
        check(graph.outputs, made, given)
        return made
    }

    /** Makes sure that tensors are as the contract says, and of the same open axes as those before; returns their sizes. */
    private fun check(specs: List<TensorSpec>, found: Tensors, known: Sizes): Sizes = specs.fold(known) { before, spec ->
        val tensor = found[spec.name] ?: throw BundleError("${spec.name} is missing; give every input, context and state")
        val sizes = contract.learned(mapOf(spec to tensor.shape), before)
        val expected = contract.shape(spec, sizes)
        if (tensor.shape != expected || tensor.dtype != spec.dtype) throw BundleError(
            "${spec.name} is ${tensor.dtype} ${tensor.shape}, expected ${spec.dtype} $expected; give what the contract says",
        )
        sizes
    }

    companion object {
        /** Opens a bundle folder. Without [artifact] it is the manifest's first step of the runtime's format. */
        fun load(folder: File, runtime: Runtime, artifact: String? = null): Model {
            val bundle = Bundle(folder)
            val chosen = bundle.choose(runtime.format, "step", artifact, runtime.version)
            val first = if (bundle.contract.encodes) bundle.choose(runtime.format, "encode", version = runtime.version) else null
            val encoder = first?.let { open(bundle, it, runtime) }
            return Model(bundle, chosen, encoder, open(bundle, chosen, runtime))
        }

        private fun open(bundle: Bundle, artifact: Artifact, runtime: Runtime): Session {
            artifact.axes.forEach { (axis, size) ->
                val wanted = if (axis == TIME) bundle.contract.stepFrames else 1L
                if ((axis == TIME || axis == BATCH) && size != wanted) throw BundleError(
                    "${artifact.path} takes only $size along $axis, expected $wanted; choose another artifact",
                )
            }
            artifact.dtypes.forEach { (name, dtype) ->
                throw BundleError(
                    "${artifact.path} takes $name as $dtype; this example converts no dtype: choose another artifact",
                )
            }
            if (artifact.keepsState) throw BundleError("${artifact.path} keeps the state itself; choose another artifact")
            return runtime.open(bundle.modelFile(artifact))
        }
    }
}
