package edgernn.jvm

import edgernn.BundleError
import java.io.FileDescriptor
import java.io.FileOutputStream
import java.io.PrintStream
import kotlin.system.exitProcess

private const val OLDEST = 22 // the first with java.lang.foreign

/** Write text from a bundle, replay its recorded run, or time its steps: see --help. */
fun main(arguments: Array<String>) {
    // A text is UTF-8, whatever the machine's locale says.
    System.setOut(PrintStream(FileOutputStream(FileDescriptor.out).buffered(), false, Charsets.UTF_8))
    System.setErr(PrintStream(FileOutputStream(FileDescriptor.err), true, Charsets.UTF_8))
    val code = end(arguments.toList()) { words ->
        val version = java.lang.Runtime.version().feature()
        if (version < OLDEST) throw BundleError("this is Java $version, expected $OLDEST or newer; set JAVA_HOME to one")
        run(words)
    }
    System.out.flush()
    exitProcess(code)
}
