package edgernn

import java.io.File
import kotlin.system.exitProcess

/**
 * A command line for the core, so that it can be tested without a device:
 *
 *     Host BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] [--artifact PATH] [--json]
 *     Host BUNDLE --check | --time N     Host --vectors FILE     (samples as the JSON file says, one id a line)
 *     Host BUNDLE --tokens FILE     (of a JSON array a line each: ids of a text, or ! where it is refused; pieces of a list of ids)
 *     Host BUNDLE --fuzz FILE     (for each manifest in the JSON array reads all that there is; a digit each: how far it came)
 *
 * EDGERNN_RUNTIME is the command that runs a model file, words parted by a bar, or `replay`: the recorded outputs.
 */
fun main(arguments: Array<String>) {
    try {
        exitProcess(run(arguments.toList()))
    } catch (error: BundleError) {
        System.err.println(error.message.orEmpty().map { if (it < ' ') ' ' else it }.joinToString(""))
        exitProcess(2)
    } catch (error: NumberFormatException) {
        System.err.println("${error.message}, expected a number")
        exitProcess(2)
    }
}

private fun run(arguments: List<String>): Int {
    val flags = HashMap<String, String>()
    val rest = ArrayList<String>()
    val words = arguments.iterator()
    while (words.hasNext()) {
        val word = words.next()
        when {
            word in setOf("--check", "--json") -> flags[word] = ""
            word.startsWith("--") && words.hasNext() -> flags[word] = words.next()
            else -> rest.add(word)
        }
    }
    flags["--vectors"]?.let { return sampleVectors(File(it)) }
    val place = File(rest.singleOrNull() ?: throw BundleError("one bundle is expected, ${rest.size} were given"))
    return Packed(place).use { runFolder(it.folder, flags) }
}

private fun runFolder(folder: File, flags: Map<String, String>): Int {
    flags["--tokens"]?.let { return tokenLines(Bundle(folder), File(it)) }
    flags["--fuzz"]?.let { return fuzz(folder, File(it)) }
    val command = System.getenv("EDGERNN_RUNTIME")
    val runtime = if (command == "replay") ReplayRuntime(Bundle(folder)) else PipeRuntime(command.split('|'))
    Model.load(folder, runtime, flags["--artifact"]).use { model ->
        return when {
            "--check" in flags -> check(model)
            "--time" in flags -> time(model, flags.getValue("--time").toInt())
            else -> write(model, flags)
        }
    }
}

private fun check(model: Model): Int {
    val golden = if (model.bundle.hasGolden) Golden(model.bundle).check(model) else emptyList<Line>().also { println(NO_GOLDEN) }
    val lines = golden + replayVectors(model.bundle)
    lines.forEach { println("%-16s %.1e %s %s".format(it.name, it.worst, it.tolerance.toBigDecimal().stripTrailingZeros().toPlainString(), if (it.ok) "ok" else "FAILED")) }
    return if (lines.all { it.ok }) 0 else 1
}

private fun tokenLines(bundle: Bundle, file: File): Int {
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

private fun fuzz(folder: File, file: File): Int {
    for (manifest in Json.parse(file.readText(), file.name).list) {
        File(folder, "manifest.json").writeText(manifest.string, Charsets.ISO_8859_1) // each character is a byte
        var reached = 0
        try {
            val bundle = Bundle(folder)
            reached++
            Tokenizer(bundle)
            reached++
            Model.load(folder, ReplayRuntime(bundle)).use { check(Golden(bundle).check(it).isNotEmpty()) }
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

private fun time(model: Model, steps: Int): Int {
    val golden = Golden(model.bundle)
    var state = golden.stateBefore(0)
    val times = List(steps) { index ->
        val start = System.nanoTime()
        state = model.step(golden.inputs(index % golden.steps), state).state
        (System.nanoTime() - start) / 1000.0
    }
    println("""{"artifact": "${model.artifact.path}", "steps": $steps, "median_us": ${times.sorted()[steps / 2]}}""")
    return 0
}

private fun write(model: Model, flags: Map<String, String>): Int {
    if (!model.bundle.hasTokenizer) throw BundleError(
        "the bundle has no tokenizer, so that there is no text to write; replay its recorded run with --check",
    )
    val defaults = model.bundle.decoding.sampling
    val sampling = Sampling(
        flags["--temperature"]?.toDouble() ?: defaults.temperature,
        flags["--top-k"]?.toInt() ?: defaults.topK,
        flags["--top-p"]?.toDouble() ?: defaults.topP,
    )
    val options = Options(flags["--length"]?.toInt() ?: 200, sampling, flags["--seed"]?.let(::seed) ?: 0)
    val tokenizer = Tokenizer(model.bundle)
    val ids = if (model.bundle.contract.encodes) {
        val image = model.bundle.golden().getValue(model.bundle.contract.pictureInput.name)
        model.caption(image, options)
    } else {
        model.generate(flags["--prompt"] ?: "", options, tokenizer)
    }.toList()
    println(if ("--json" in flags) """{"artifact": "${model.artifact.path}", "tokens": $ids}""" else tokenizer.decode(ids))
    return 0
}

private fun seed(text: String): Long = text.takeIf { Regex("[0-9]+").matches(it) }?.toULongOrNull()?.toLong()
    ?: throw BundleError("--seed is $text, expected a whole number of 0 to 18446744073709551615; give one")

private fun sampleVectors(file: File): Int {
    for (case in Json.parse(file.readText(), file.name).list) {
        val logits = case["logits"].list.map { it.number.toFloat() }.toFloatArray()
        val options = Sampling(case["temperature"].number, case["top_k"].long.toInt(), case["top_p"].number)
        println(sample(logits, options, case["uniform"].number))
    }
    return 0
}

/** A runtime that knows the recording by heart: it answers each step by what was recorded after that many steps. */
private class ReplayRuntime(bundle: Bundle) : Runtime {
    override val format = "onnx"
    private val recorded = bundle.golden()
    private val steps = recorded.getValue(bundle.contract.tokenInput.name).shape[0].toInt()
    private val offset = System.getenv("EDGERNN_REPLAY_ERROR")?.toFloat() ?: 0f // added to a value of the last step's logits
    private val wrong = bundle.contract.logitsOutput.name

    override fun open(file: File) = object : Session {
        private var at = 0

        override fun run(inputs: Tensors, outputs: List<TensorSpec>): Tensors {
            val made = outputs.map { it.name }.associateWith { name ->
                val all = recorded[name] ?: throw BundleError("the recording lacks $name; export the bundle again")
                if (all.shape[0].toInt() != steps) return@associateWith all // what encode gives
                val size = all.size / steps
                val values = all.floats.copyOfRange(at * size, (at + 1) * size)
                if (name == wrong && at == steps - 1) values[0] += offset
                Floats(all.shape.drop(1), values)
            }
            at++
            return made
        }

        override fun close() = Unit
    }
}
