package edgernn.jvm

import edgernn.Bundle
import edgernn.BundleError
import edgernn.Golden
import edgernn.Line
import edgernn.Model
import edgernn.NO_GOLDEN
import edgernn.Options
import edgernn.Packed
import edgernn.Runtime
import edgernn.Sampling
import edgernn.Tensor
import edgernn.Tokenizer
import edgernn.caption
import edgernn.generate
import edgernn.replayVectors
import java.io.File
import java.util.Locale

private const val USAGE = """edgernn BUNDLE [--prompt TEXT | --image FILE] [--length N] [--json]
        [--temperature T] [--top-k K] [--top-p P] [--seed S]
edgernn BUNDLE --check
edgernn BUNDLE --time N
each with [--artifact PATH] [--library ONNXRUNTIME], or [--compiled LIBRARY] for a bundle's C"""

private val FLAGS = setOf("--check", "--json", "--help")
private val VALUES = setOf(
    "--prompt", "--image", "--length", "--temperature", "--top-k", "--top-p", "--seed", "--artifact", "--time",
    "--library", "--compiled",
)

/** What was given: flags with their values, and the [rest]. */
internal class Given(arguments: List<String>, known: Set<String> = VALUES) {
    val flags = HashMap<String, String>()
    val rest = ArrayList<String>()

    init {
        val words = arguments.iterator()
        while (words.hasNext()) {
            val word = words.next()
            when {
                word in FLAGS -> flags[word] = ""
                word in known && words.hasNext() -> flags[word] = words.next()
                word.startsWith("--") -> throw BundleError(
                    "the argument $word is unknown or lacks its value; expected one of --help; add it",
                )
                else -> rest.add(word)
            }
        }
    }

    operator fun get(flag: String) = flags[flag]

    operator fun contains(flag: String) = flag in flags

    /** The number after a flag, as [read] reads it; null where it was not given. */
    fun <T> number(flag: String, expected: String, read: (String) -> T?): T? = this[flag]?.let { text ->
        read(text) ?: throw BundleError("$flag is $text, expected $expected; give one")
    }

    /** What runs the bundle: its C, or its ONNX files. */
    fun runtime(): Runtime = this["--compiled"]?.let { compiledRuntime(File(it)) } ?: OrtRuntime(this["--library"])
}

/** Runs a command line, says what is wrong with it in one line, and returns how it ends: 0, 1 or 2. */
internal fun end(arguments: List<String>, run: (List<String>) -> Int = ::run): Int = try {
    run(arguments)
} catch (error: BundleError) {
    refuse(error.message.orEmpty())
}

private fun refuse(line: String): Int {
    System.err.println("error: " + line.map { if (it < ' ') ' ' else it }.joinToString(""))
    return 2
}

internal fun run(arguments: List<String>): Int = run(Given(arguments), Given::runtime)

internal fun run(given: Given, runtime: (Given) -> Runtime): Int {
    if ("--help" in given) return 0.also { println(USAGE) }
    val place = given.rest.singleOrNull()
        ?: throw BundleError("one bundle is expected, ${given.rest.size} were given; give a folder or a .edgernn file")
    return Packed(File(place)).use { packed ->
        Model.load(packed.folder, runtime(given), given["--artifact"]).use { model ->
            when {
                "--check" in given -> check(model)
                "--time" in given -> time(model, given.number("--time", "a whole number of 1 or more") { whole(it, 1) } ?: 1)
                else -> write(model, given)
            }
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
        println("%-16s %.1e %s %s".format(Locale.ROOT, line.name, line.worst, tolerance, line.verdict))
    }
    return if (lines.all { it.ok }) 0 else 1
}

private const val WARM = 10_000 // steps before any is timed: by then the virtual machine has compiled what they do

private fun time(model: Model, steps: Int): Int {
    val golden = Golden(model.bundle)
    var state = golden.stateBefore(0)
    repeat(minOf(10 * steps, WARM)) { state = model.step(golden.inputs(it % golden.steps), state).state }
    val times = List(steps) { index ->
        val inputs = golden.inputs(index % golden.steps)
        val start = System.nanoTime()
        state = model.step(inputs, state).state
        (System.nanoTime() - start) / 1000.0
    }
    println("""{"artifact": ${quoted(model.artifact.path)}, "steps": $steps, "median_us": ${times.sorted()[steps / 2]}}""")
    return 0
}

private fun options(model: Model, given: Given): Options {
    val defaults = model.bundle.decoding.sampling
    val sampling = Sampling(
        given.number("--temperature", NUMBER, String::toDoubleOrNull) ?: defaults.temperature,
        given.number("--top-k", WHOLE) { whole(it, 0) } ?: defaults.topK,
        given.number("--top-p", NUMBER, String::toDoubleOrNull) ?: defaults.topP,
    )
    val length = given.number("--length", WHOLE) { whole(it, 0) } ?: 200
    return Options(length, sampling, given.number("--seed", "a whole number of 0 to 18446744073709551615", ::seed) ?: 0)
}

private const val NUMBER = "a number"
private const val WHOLE = "a whole number of 0 or more"

private fun whole(text: String, least: Int) = text.toIntOrNull()?.takeIf { it >= least }

private fun seed(text: String): Long? = text.takeIf { Regex("[0-9]+").matches(it) }?.toULongOrNull()?.toLong()

/** The picture that is to be captioned: the one of a file, or the recorded one. */
private fun picture(bundle: Bundle, given: Given): Tensor = given["--image"]?.let { readPicture(File(it), bundle) }
    ?: bundle.golden().getValue(bundle.contract.pictureInput.name)

private fun write(model: Model, given: Given): Int {
    if (!model.bundle.hasTokenizer) throw BundleError(
        "the bundle has no tokenizer, so that there is no text to write; replay its recorded run with --check",
    )
    if ("--image" in given && !model.bundle.contract.encodes) throw BundleError(
        "the bundle is a language model, which sees no pictures, expected a captioner; leave --image out",
    )
    val tokenizer = Tokenizer(model.bundle)
    val prompt = given["--prompt"] ?: ""
    val tokens = if (model.bundle.contract.encodes) {
        model.caption(picture(model.bundle, given), options(model, given))
    } else {
        model.generate(prompt, options(model, given), tokenizer)
    }
    if ("--json" in given) {
        val ids = tokens.toList()
        println("""{"artifact": ${quoted(model.artifact.path)}, "tokens": $ids, "text": ${quoted(tokenizer.decode(ids))}}""")
        return 0
    }
    val writing = tokenizer.Writing()
    tokenizer.encode(prompt).forEach { print(writing.piece(it)) } // as the model reads it
    for (token in tokens) {
        print(writing.piece(token))
        System.out.flush()
    }
    println(writing.end())
    return 0
}

/** A text as JSON has it. */
internal fun quoted(text: String): String = text.map { char ->
    if (char < ' ' || char == '"' || char == '\\' || char.isSurrogate()) "\\u%04x".format(char.code) else "$char"
}.joinToString("", "\"", "\"")
