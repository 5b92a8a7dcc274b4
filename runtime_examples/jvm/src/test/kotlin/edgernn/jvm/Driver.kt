package edgernn.jvm

import edgernn.Bundle
import edgernn.Json
import edgernn.Model
import edgernn.Packed
import edgernn.Runtime
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream

private val PARTS = setOf("--tokens", "--fuzz", "--sample", "--uniform", "--reuse", "--threads", "--picture", "--refused")

/**
 * The command line, and parts of what it is made of, for tests: for each line `{"arguments": […], "environment": {…}}` prints
 * a line `{"code": …, "out": "…", "err": "…"}`, so that one virtual machine does for all.
 *
 *     BUNDLE …                          as Main.kt has it
 *     BUNDLE ROWS STEPS CHANGE          the example as a library, see Parts.kt
 *     BUNDLE --tokens FILE | --fuzz FILE | --reuse STEPS | --threads COUNT | --picture FILE | --refused ID
 *     --sample FILE | --uniform FILE
 *
 * EDGERNN_RUNTIME is `replay`: the recorded outputs; `android`: the app's runtime; or `jni:LIBRARY`: a bundle's C by JNI.
 */
fun main(arguments: Array<String>) {
    if (arguments.isNotEmpty()) return kotlin.system.exitProcess(end(arguments.toList()) { run(it, System.getenv()) })
    val answers = System.out
    for (line in generateSequence(::readlnOrNull)) {
        val asked = Json.parse(line, "the request")
        val (out, err) = ByteArrayOutputStream() to ByteArrayOutputStream()
        System.setOut(PrintStream(out, true, "UTF-8"))
        System.setErr(PrintStream(err, true, "UTF-8"))
        val environment = asked["environment"].entries.mapValues { it.value.string }
        val code = end(asked["arguments"].list.map { it.string }) { run(it, environment) }
        answers.println("""{"code": $code, "out": ${quoted("$out")}, "err": ${quoted("$err")}}""")
    }
}

private fun run(arguments: List<String>, environment: Map<String, String>): Int {
    val stepped = arguments.size == 4 && arguments.none { it.startsWith("--") }
    if (!stepped && arguments.none { it in PARTS }) return run(Given(arguments)) { runtime(it, environment) }
    val given = Given(arguments, PARTS + "--compiled")
    given["--sample"]?.let { return sampleLines(File(it)) }
    given["--uniform"]?.let { return uniformLines(File(it)) }
    return Packed(File(given.rest.first())).use { packed ->
        given["--tokens"]?.let { return tokenLines(Bundle(packed.folder), File(it)) }
        given["--fuzz"]?.let { return fuzz(packed.folder, File(it)) }
        given["--picture"]?.let { return picture(packed.folder, File(it)) }
        given["--threads"]?.let { return threads(Model.load(packed.folder, runtime(given, environment)), it.toInt()) }
        given["--refused"]?.let { return refused(Model.load(packed.folder, runtime(given, environment)), it.toLong()) }
        given["--reuse"]?.let { return reuse(Model.load(packed.folder, runtime(given, environment)), it.toInt()) }
        val (rows, steps, change) = given.rest.drop(1).map { it.toInt() }
        Model.load(packed.folder, runtime(given, environment)).use { library(it, rows, steps, change) }
    }
}

private fun runtime(given: Given, environment: Map<String, String>): Runtime {
    val word = environment["EDGERNN_RUNTIME"].orEmpty()
    return when {
        word == "replay" -> ReplayRuntime(Bundle(File(given.rest.first())), environment["EDGERNN_REPLAY_ERROR"]?.toFloat() ?: 0f)
        word == "android" -> edgernn.app.OrtRuntime()
        word.startsWith("jni:") -> edgernn.CompiledRuntime.load(File(word.removePrefix("jni:")))
        else -> given.runtime()
    }
}
