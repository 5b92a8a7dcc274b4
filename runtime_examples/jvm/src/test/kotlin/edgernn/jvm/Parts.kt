package edgernn.jvm

import edgernn.Bundle
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Floats
import edgernn.Golden
import edgernn.Json
import edgernn.Model
import edgernn.Options
import edgernn.Sampling
import edgernn.Tensors
import edgernn.Tokenizer
import edgernn.replayVectors
import edgernn.generate
import edgernn.sample
import edgernn.tokenRow
import edgernn.uniformAt
import java.io.File
import java.util.concurrent.ConcurrentLinkedQueue

/** Prints a line for each item of a JSON array: the ids of a text, or ! where it is refused; the pieces of a list of ids. */
fun tokenLines(bundle: Bundle, file: File): Int {
    val tokenizer = Tokenizer(bundle)
    for (item in Json.parse(file.readText(), file.name).list) {
        if (item.isString) {
            println(
                try {
                    tokenizer.encode(item.string).joinToString("") { "$it " }
                } catch (error: BundleError) {
                    "!"
                },
            )
            continue
        }
        val writing = tokenizer.Writing()
        val pieces = item.longs.map(writing::piece) + writing.end()
        println(pieces.joinToString("|") { piece -> piece.toByteArray().joinToString("") { "%02x".format(it) } })
    }
    return 0
}

/** Puts each manifest of a JSON array into a bundle and reads all that there is; prints how far it came, a digit each. */
fun fuzz(folder: File, file: File): Int {
    for (manifest in Json.parse(file.readText(), file.name).list) {
        File(folder, "manifest.json").writeText(manifest.string, Charsets.ISO_8859_1) // each character is a byte
        var reached = 0
        try {
            val bundle = Bundle(folder)
            reached++
            Tokenizer(bundle)
            reached++
            Model.load(folder, ReplayRuntime(bundle, 0f)).use { check(Golden(bundle).check(it).isNotEmpty()) }
            reached++
            replayVectors(bundle)
            reached++
        } catch (error: BundleError) {
            if (error.message.orEmpty().length < 20) reached = 9
        }
        print(reached)
    }
    println()
    return 0
}

/** Reads "temperature top_k top_p uniform count logit…" line by line; prints the id chosen for each. */
fun sampleLines(file: File): Int {
    for (line in file.readLines()) {
        val words = line.split(' ')
        val options = Sampling(words[0].toDouble(), words[1].toInt(), words[2].toDouble())
        println(sample(words.drop(5).map { it.toFloat() }.toFloatArray(), options, words[3].toDouble()))
    }
    return 0
}

/** Reads "seed position" line by line; prints the number. */
fun uniformLines(file: File): Int {
    for (line in file.readLines()) {
        val (seed, position) = line.split(' ')
        println(uniformAt(seed.toULong().toLong(), position.toLong()))
    }
    return 0
}

/**
 * Begins a sequence of [rows] rows, steps [steps] times, and prints what comes out; before step [change], if it is no 0, three
 * rows part: as `library_drivers.py` says.
 */
fun library(model: Model, rows: Int, steps: Int, change: Int): Int {
    val recorded = model.bundle.golden()
    val contract = model.bundle.contract
    val given = contract.graphs["encode"]?.inputs.orEmpty().associate { it.name to recorded.getValue(it.name) }
    val begun = model.begin(given, rows)
    val told = arrayListOf(printed(begun.contexts + begun.state))
    var state = begun.state
    var older = state
    for (at in 0 until steps) {
        if (change > 0 && at == change) {
            val now = state
            state = model.setRow(model.setRow(now, 0, model.begin(given, rows).state), 1, older, 1)
            state = model.setRow(state, 2, now)
        }
        val fresh = contract.graph("step").fresh.associate { spec ->
            val all = recorded.getValue(spec.name)
            val size = all.size / all.shape[0].toInt()
            spec.name to all.part(all.shape.drop(1), at * size, size)
        }
        val made = model.step(fresh + begun.contexts, state)
        state = made.state
        if (at == 0) older = state
        told.add("[${printed(made.outputs)}, ${printed(state)}]")
    }
    println("[$told, null]")
    return 0
}

/** Writes a text in [count] threads that share a model; prints how many unlike texts and how many texts; then steps once more. */
fun threads(model: Model, count: Int): Int {
    val texts = ConcurrentLinkedQueue<List<Long>>()
    val options = Options(100, Sampling(0.8), 7)
    val all = List(count) { Thread { texts.add(model.generate("the ", options).toList()) } }
    all.forEach(Thread::start)
    all.forEach(Thread::join)
    println("${texts.toSet().size} ${texts.size}")
    model.close()
    model.close() // which is no error
    model.generate("the ", options).first()
    return 0
}

/** Prints how each is refused: an [id], a state that lacks a tensor, and a row of another network's state. */
fun refused(model: Model, id: Long): Int {
    val (contexts, state) = model.begin()
    val (name, own) = state.entries.first()
    val other = state + (name to Floats(own.shape.map { it + 1 }, FloatArray(own.shape.fold(1) { all, size -> all * (size + 1).toInt() })))
    listOf(
        { model.step(contexts + (model.bundle.contract.tokenInput.name to tokenRow(listOf(id))), state) },
        { model.setRow(state - name, 0, state) },
        { model.setRow(state, 0, other) },
    ).forEach { call ->
        try {
            println(call())
        } catch (error: BundleError) {
            println(error.message)
        }
    }
    return 0
}

/** Prints the bytes of a picture as an image encoder looks at it. */
@OptIn(ExperimentalStdlibApi::class)
fun picture(folder: File, file: File): Int {
    println((readPicture(file, Bundle(folder)) as Bytes).values.toHexString())
    return 0
}

/** Prints how many tensors of onnxruntime's [steps] steps make after the first ones, and how many are left at the end. */
fun reuse(model: Model, steps: Int): Int {
    val ort = OrtLibrary.open(null)
    val before = ort.made.get() - ort.released.get()
    val golden = Golden(model.bundle)
    var state = golden.stateBefore(0)
    repeat(2) { state = model.step(golden.inputs(0), state).state }
    val made = ort.made.get()
    repeat(steps) { state = model.step(golden.inputs(it % golden.steps), state).state }
    print("${ort.made.get() - made} ")
    model.close()
    println(ort.made.get() - ort.released.get() - before)
    return 0
}

private fun printed(tensors: Tensors) = tensors.entries.joinToString(prefix = "{", postfix = "}") { (name, tensor) ->
    "${quoted(name)}: [${tensor.shape}, ${tensor.numbers.toList()}]"
}
