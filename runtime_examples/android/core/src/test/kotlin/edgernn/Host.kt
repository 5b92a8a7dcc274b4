package edgernn

import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream
import kotlin.system.exitProcess

/**
 * A command line for the core, so that it can be tested without a device:
 *
 *     Host BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] [--artifact PATH] [--json]
 *     Host BUNDLE --check | --time N     of a captioner: of the recorded picture
 *     Host BUNDLE --tokens FILE | --fuzz FILE | --library ROWS,STEPS,CHANGE     parts of it, see Parts.kt
 *     Host --sample | --uniform FILE     the same
 *     Host --serve     runs what stands on each line of the standard input, so that one virtual machine does for all
 *
 * EDGERNN_RUNTIME is the command that runs model files, words parted by a bar; or `replay`: the recorded outputs;
 * or `compiled:LIBRARY`: a bundle's C.
 */
fun main(arguments: Array<String>) = if (arguments.contentEquals(arrayOf("--serve"))) serve() else exitProcess(
    end(arguments.toList(), System.getenv()).also { pipes.values.forEach(PipeRuntime::close) },
)

/** Runs a command line and says what is wrong with it in one line; returns how it ends. */
private fun end(arguments: List<String>, environment: Map<String, String>): Int = try {
    run(arguments, environment)
} catch (error: BundleError) {
    refuse(error.message.orEmpty())
} catch (error: NumberFormatException) {
    refuse("${error.message}, expected a number")
}

private fun refuse(line: String): Int {
    System.err.println(line.map { if (it < ' ') ' ' else it }.joinToString(""))
    return 2
}

/** For each line `{"arguments": […], "environment": {…}}` prints a line `{"code": …, "out": "…", "err": "…"}`. */
private fun serve() {
    val answers = System.out
    for (line in generateSequence(::readlnOrNull)) {
        val asked = Json.parse(line, "the request")
        val (out, err) = ByteArrayOutputStream() to ByteArrayOutputStream()
        System.setOut(PrintStream(out, true, "UTF-8"))
        System.setErr(PrintStream(err, true, "UTF-8"))
        val environment = System.getenv() + asked["environment"].entries.mapValues { it.value.string }
        val code = end(asked["arguments"].list.map { it.string }, environment)
        answers.println("""{"code": $code, "out": ${quoted("$out")}, "err": ${quoted("$err")}}""")
    }
    pipes.values.forEach(PipeRuntime::close)
}

private val pipes = HashMap<String, PipeRuntime>() // by command: a runtime takes longer to start than a test to run

private fun runtime(folder: File, environment: Map<String, String>): Runtime {
    val command = environment.getValue("EDGERNN_RUNTIME")
    if (command == "replay") return ReplayRuntime(Bundle(folder), environment["EDGERNN_REPLAY_ERROR"]?.toFloat() ?: 0f)
    if (command.startsWith("compiled:")) return CompiledRuntime.load(File(command.removePrefix("compiled:")))
    return pipes.getOrPut(command) { PipeRuntime(command.split('|'), environment["EDGERNN_RUNTIME_VERSION"]) }
}

private val VALUES = setOf(
    "--prompt", "--length", "--temperature", "--top-k", "--top-p", "--seed", "--artifact", "--time", "--tokens", "--fuzz",
    "--sample", "--uniform", "--library",
)

private fun run(arguments: List<String>, environment: Map<String, String>): Int {
    val flags = HashMap<String, String>()
    val rest = ArrayList<String>()
    val words = arguments.iterator()
    while (words.hasNext()) {
        val word = words.next()
        when {
            word in setOf("--check", "--json") -> flags[word] = ""
            word in VALUES && words.hasNext() -> flags[word] = words.next()
            word.startsWith("--") -> throw BundleError("the argument $word is unknown or has no value; expected one of $VALUES")
            else -> rest.add(word)
        }
    }
    flags["--sample"]?.let { return sampleLines(File(it)) }
    flags["--uniform"]?.let { return uniformLines(File(it)) }
    val place = File(rest.singleOrNull() ?: throw BundleError("one bundle is expected, ${rest.size} were given"))
    return Packed(place).use { runFolder(it.folder, flags, environment) }
}

private fun runFolder(folder: File, flags: Map<String, String>, environment: Map<String, String>): Int {
    flags["--tokens"]?.let { return tokenLines(Bundle(folder), File(it)) }
    flags["--fuzz"]?.let { return fuzz(folder, File(it)) }
    flags["--library"]?.split(',')?.map { it.toInt() }?.let { (rows, steps, change) ->
        return Model.load(folder, runtime(folder, environment)).use { library(it, rows, steps, change) }
    }
    Model.load(folder, runtime(folder, environment), flags["--artifact"]).use { model ->
        return when {
            "--check" in flags -> check(model)
            "--time" in flags -> time(model, flags.getValue("--time").toInt())
            else -> write(model, flags)
        }
    }
}

private fun check(model: Model): Int {
    val golden = if (model.bundle.hasGolden) Golden(model.bundle).check(model) else emptyList<Line>().also { println(NO_GOLDEN) }
    val text = if (model.bundle.hasTokenizer) listOf(Line("tokenizer", 0.0, 0.0)) else emptyList()
    if (model.bundle.hasTokenizer) Tokenizer(model.bundle) // throws where it is another one
    val lines = golden + replayVectors(model.bundle) + text
    for (line in lines) {
        val tolerance = line.tolerance.toBigDecimal().stripTrailingZeros().toPlainString()
        println("%-16s %.1e %s %s".format(line.name, line.worst, tolerance, if (line.ok) "ok" else "FAILED"))
    }
    return if (lines.all { it.ok }) 0 else 1
}

private fun time(model: Model, steps: Int): Int {
    if (steps < 1) throw BundleError("--time is $steps, expected 1 or more")
    val golden = Golden(model.bundle)
    var state = golden.stateBefore(0)
    val times = List(steps) { index ->
        val start = System.nanoTime()
        state = model.step(golden.inputs(index % golden.steps), state).state
        (System.nanoTime() - start) / 1000.0
    }
    println("""{"artifact": ${quoted(model.artifact.path)}, "steps": $steps, "median_us": ${times.sorted()[steps / 2]}}""")
    return 0
}

private fun options(model: Model, flags: Map<String, String>): Options {
    val defaults = model.bundle.decoding.sampling
    val sampling = Sampling(
        flags["--temperature"]?.toDouble() ?: defaults.temperature,
        flags["--top-k"]?.toInt() ?: defaults.topK,
        flags["--top-p"]?.toDouble() ?: defaults.topP,
    )
    return Options(flags["--length"]?.toInt() ?: 200, sampling, flags["--seed"]?.let(::seed) ?: 0)
}

private fun write(model: Model, flags: Map<String, String>): Int {
    if (!model.bundle.hasTokenizer) throw BundleError(
        "the bundle has no tokenizer, so that there is no text to write; replay its recorded run with --check",
    )
    val tokenizer = Tokenizer(model.bundle)
    val prompt = flags["--prompt"] ?: ""
    val tokens = if (model.bundle.contract.encodes) {
        model.caption(model.bundle.golden().getValue(model.bundle.contract.pictureInput.name), options(model, flags))
    } else {
        model.generate(prompt, options(model, flags), tokenizer)
    }
    if ("--json" in flags) {
        val ids = tokens.toList()
        println("""{"artifact": ${quoted(model.artifact.path)}, "tokens": $ids, "text": ${quoted(tokenizer.decode(ids))}}""")
        return 0
    }
    val writing = tokenizer.Writing()
    tokenizer.encode(prompt).forEach { print(writing.piece(it)) } // as the model reads it
    tokens.forEach { print(writing.piece(it)) }
    println(writing.end())
    return 0
}

private fun seed(text: String): Long = text.takeIf { Regex("[0-9]+").matches(it) }?.toULongOrNull()?.toLong()
    ?: throw BundleError("--seed is $text, expected a whole number of 0 to 18446744073709551615; give one")

/** A text as JSON has it. */
internal fun quoted(text: String): String = text.map { char ->
    if (char < ' ' || char == '"' || char == '\\' || char.isSurrogate()) "\\u%04x".format(char.code) else "$char"
}.joinToString("", "\"", "\"")
