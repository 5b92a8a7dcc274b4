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

    /** Whether its sessions take and give the contract's dtypes where a file has others. */
    val converts: Boolean get() = false

    /** Whether its sessions take runs of several threads at once; else [Model] lets one run wait for the other. */
    val concurrent: Boolean get() = false

    fun open(file: File): Session

    /** Opens an artifact; a runtime that has it in itself opens no file. */
    fun open(bundle: Bundle, artifact: Artifact): Session = open(bundle.modelFile(artifact))
}

/** A session whose runs share memory: those of several threads wait for one another, and closing waits for them. */
private class OneAtATime(private val session: Session) : Session {
    private var closed = false

    @Synchronized
    override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
        if (closed) throw BundleError(CLOSED)
        return session.run(inputs, outputs)
    }

    @Synchronized
    override fun close() {
        if (!closed) session.close()
        closed = true
    }
}

/** What is said of a model that is used after its end. */
const val CLOSED = "the model is closed, expected one that is open; load it again"

/** What a step gives: [outputs] for the caller, [state] for the next step. */
data class Results(val outputs: Tensors, val state: State)

/** How a sequence begins: [contexts] for every step, [state] before the first. */
data class Begun(val contexts: Tensors, val state: State)

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

    /**
     * Begins a sequence. [inputs]: every input of encode where the model has that graph, which then says how many
     * rows there are; else nothing, and there are [batch] rows. A state begins with what encode gives, with its
     * stored value in every row, or with zeros, each as the contract says.
     */
    fun begin(inputs: Tensors = emptyMap(), batch: Int = 1): Begun {
        if (batch < 1 || (!contract.encodes && inputs.isNotEmpty())) throw BundleError(
            "a sequence begins with ${inputs.size} inputs and $batch rows, expected what encode takes, " +
                "if there is encode, and 1 row or more",
        )
        val step = contract.graph("step")
        val made = if (contract.encodes) encode(inputs) else emptyMap()
        val given = contract.graphs["encode"]?.inputs.orEmpty().associateWith { inputs.getValue(it.name).shape }
        val contexts = step.contexts.associate { it.name to made.getValue(it.name) }
        val before = if (contract.encodes) contract.learned(given) else mapOf(BATCH to batch.toLong())
        val sizes = contract.learned(step.contexts.associateWith { contexts.getValue(it.name).shape }, before)
        return Begun(contexts, step.states.associate { it.name to first(it, made, sizes) })
    }

    private fun first(state: TensorSpec, made: Tensors, sizes: Sizes): Tensor = when (contract.firstStates[state.name]) {
        "encode" -> made.getValue(state.name)
        "stored" -> bundle.stored.getValue(state.name).repeated(state.axes.indexOf(BATCH), sizes[BATCH] ?: 1L)
        else -> zeros(state.dtype, contract.shape(state, sizes))
    }

    /** Runs one step, or several where [openTime]. [inputs]: every fresh input and every context. */
    fun step(inputs: Tensors, state: State): Results {
        val made = run(stepper, contract.graph("step"), inputs + state)
        val after = contract.graph("step").states.associate { it.name to made.getValue(nextName(it.name)) }
        return Results(made - after.keys.map(::nextName).toSet(), after)
    }

    /**
     * [state] with row [otherRow] of another state in place of [row], so that a row begins again, goes back or goes on in
     * another place; neither is changed. A state without rows stays as it is.
     */
    fun setRow(state: State, row: Int, other: State, otherRow: Int = 0): State = contract.graph("step").states.associate {
        val (own, from) = listOf(state, other).map { given ->
            given[it.name] ?: throw BundleError("a state has no ${it.name}; give what begin or step gave")
        }
        it.name to if (BATCH in it.axes) own.withPlace(it.axes.indexOf(BATCH), row, from, otherRow) else own
    }

    /** Runs encode once; everything that it gives, by name. */
    fun encode(inputs: Tensors): Tensors {
        val session = encoder ?: throw BundleError("this bundle has no encode graph; give the bundle of a model that has one")
        return run(session, contract.graph("encode"), inputs)
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
        requireIds(spec, tensor)
        sizes
    }

    /** Refuses ids outside the axis that bounds them: a runtime may count negative ones from the end. */
    private fun requireIds(spec: TensorSpec, tensor: Tensor) {
        val most = contract.sizes[spec.below ?: return] ?: return
        if (tensor.dtype.startsWith("float")) return
        val id = tensor.numbers.firstOrNull { it < 0 || it >= most } ?: return
        throw BundleError("an id of ${spec.name} is ${id.toLong()}, expected 0 to ${most - 1}; use the bundle's tokenizer")
    }

    companion object {
        /** Opens a bundle folder. Without [artifact] it is the manifest's first step of the runtime's format. */
        fun load(folder: File, runtime: Runtime, artifact: String? = null): Model {
            val bundle = Bundle(folder)
            val chosen = bundle.choose(runtime.format, "step", artifact, runtime.version)
            val first = if (bundle.contract.encodes) bundle.choose(runtime.format, "encode", version = runtime.version) else null
            val encoder = first?.let { open(bundle, it, runtime) }
            return try {
                Model(bundle, chosen, encoder, open(bundle, chosen, runtime))
            } catch (error: BundleError) {
                encoder?.close()
                throw error
            }
        }

        private fun open(bundle: Bundle, artifact: Artifact, runtime: Runtime): Session {
            artifact.axes.forEach { (axis, size) ->
                val wanted = if (axis == TIME) bundle.contract.stepFrames else 1L
                if ((axis == TIME || axis == BATCH) && size != wanted) throw BundleError(
                    "${artifact.path} takes only $size along $axis, expected $wanted; choose another artifact",
                )
            }
            if (!runtime.converts) artifact.dtypes.forEach { (name, dtype) ->
                throw BundleError(
                    "${artifact.path} takes $name as $dtype; this example converts no dtype: choose another artifact",
                )
            }
            if (artifact.keepsState) throw BundleError("${artifact.path} keeps the state itself; choose another artifact")
            val session = runtime.open(bundle, artifact)
            return if (runtime.concurrent) session else OneAtATime(session)
        }
    }
}
