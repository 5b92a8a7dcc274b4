package edgernn.jvm

import edgernn.BundleError
import edgernn.Dtype
import java.lang.foreign.Arena
import java.lang.foreign.FunctionDescriptor
import java.lang.foreign.Linker
import java.lang.foreign.MemoryLayout
import java.lang.foreign.MemorySegment
import java.lang.foreign.SymbolLookup
import java.lang.foreign.ValueLayout.ADDRESS
import java.lang.foreign.ValueLayout.JAVA_INT
import java.lang.foreign.ValueLayout.JAVA_LONG
import java.lang.invoke.MethodHandle
import java.nio.file.Path
import java.util.concurrent.atomic.AtomicLong

/** A function at an address, as a method handle. */
internal fun function(address: MemorySegment, result: MemoryLayout?, vararg arguments: MemoryLayout): MethodHandle {
    val types = if (result == null) FunctionDescriptor.ofVoid(*arguments) else FunctionDescriptor.of(result, *arguments)
    return Linker.nativeLinker().downcallHandle(address, types)
}

/** A text that ends with a zero byte. */
internal fun text(address: MemorySegment): String = address.reinterpret(Long.MAX_VALUE).getString(0)

/**
 * onnxruntime's C interface: the part that a step needs. `OrtGetApiBase()->GetApi(17)` returns a table of functions whose order
 * never changes, so that one is known by its place and its signature, which `onnxruntime_c_api.h` documents. 17 is the interface
 * of onnxruntime 1.17, and every later library has it too. A library stays open, with one environment, as long as the process.
 */
internal class OrtLibrary private constructor(lookup: SymbolLookup) {
    /** Of the library, as 1.23.2. */
    val version: String
    private val table: MemorySegment

    init {
        val found = lookup.find("OrtGetApiBase").orElseThrow {
            BundleError("the library is no onnxruntime; give the path of one")
        }
        val base = (function(found, ADDRESS).invoke() as MemorySegment).reinterpret(2 * ADDRESS.byteSize())
        version = text(function(base.getAtIndex(ADDRESS, 1), ADDRESS).invoke() as MemorySegment)
        val given = function(base.getAtIndex(ADDRESS, 0), ADDRESS, JAVA_INT).invoke(INTERFACE) as MemorySegment
        if (given.address() == 0L) throw BundleError(
            "the library is onnxruntime $version, without interface version $INTERFACE; expected 1.17 or newer; update it",
        )
        table = given.reinterpret(PLACES * ADDRESS.byteSize())
    }

    private val getErrorMessage = at(2, ADDRESS, ADDRESS)
    private val createEnv = at(3, ADDRESS, JAVA_INT, ADDRESS, ADDRESS)
    private val createSession = at(7, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS)
    private val run = at(9, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS)
    private val createSessionOptions = at(10, ADDRESS, ADDRESS)
    private val setLogSeverity = at(22, ADDRESS, ADDRESS, JAVA_INT)
    private val setIntraOpThreads = at(24, ADDRESS, ADDRESS, JAVA_INT)
    private val createTensorWithData = at(49, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS)
    private val getTensorData = at(51, ADDRESS, ADDRESS, ADDRESS)
    private val getElementType = at(60, ADDRESS, ADDRESS, ADDRESS)
    private val getRank = at(61, ADDRESS, ADDRESS, ADDRESS)
    private val getShape = at(62, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG)
    private val getTypeAndShape = at(65, ADDRESS, ADDRESS, ADDRESS)
    private val createCpuMemoryInfo = at(69, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS)
    private val releaseStatus = at(93, null, ADDRESS)
    private val releaseSession = at(95, null, ADDRESS)
    private val releaseValue = at(96, null, ADDRESS)
    private val releaseTypeAndShape = at(99, null, ADDRESS)
    private val releaseSessionOptions = at(100, null, ADDRESS)

    /** How many tensors were made, and how many of them are released. */
    val made = AtomicLong()
    val released = AtomicLong()

    // What goes wrong is thrown, so that the log is for what is fatal.
    private val environment = Arena.ofConfined().use { arena ->
        result(arena) { createEnv.invoke(LOG_FATAL, arena.allocateFrom("edgernn"), it) as MemorySegment }
    }
    private val cpu = Arena.ofConfined().use { arena ->
        result(arena) { createCpuMemoryInfo.invoke(ARENA_ALLOCATOR, DEFAULT_MEMORY, it) as MemorySegment }
    }

    /** Opens a model file; [threads] work on one operator. To be released. */
    fun openSession(file: Path, threads: Int): MemorySegment = Arena.ofConfined().use { arena ->
        val options = result(arena) { createSessionOptions.invoke(it) as MemorySegment }
        try {
            check(setLogSeverity.invoke(options, LOG_FATAL) as MemorySegment)
            check(setIntraOpThreads.invoke(options, threads) as MemorySegment)
            val path = if (WINDOWS) arena.allocateFrom("$file", Charsets.UTF_16LE) else arena.allocateFrom("$file")
            result(arena) { createSession.invoke(environment, path, options, it) as MemorySegment }
        } finally {
            releaseSessionOptions.invoke(options)
        }
    }

    /** A tensor over [memory], which must outlive it. To be released. */
    fun tensorOver(memory: MemorySegment, shape: List<Long>, dtype: Dtype): MemorySegment = Arena.ofConfined().use { arena ->
        val axes = arena.allocateFrom(JAVA_LONG, *shape.toLongArray())
        val type = ELEMENT_TYPES.getValue(dtype)
        result(arena) {
            createTensorWithData.invoke(cpu, memory, memory.byteSize(), axes, shape.size.toLong(), type, it) as MemorySegment
        }.also { made.incrementAndGet() }
    }

    /** Runs a session: arrays of names and of tensors; where an output is null, it is made, and to be released. */
    fun run(session: MemorySegment, inputs: Named, outputs: Named) {
        val before = outputs.nulls()
        val status = run.invoke(
            session, MemorySegment.NULL, inputs.names, inputs.values, inputs.count, outputs.names, outputs.count, outputs.values,
        )
        check(status as MemorySegment)
        made.addAndGet(before - outputs.nulls())
    }

    /** The dtype and the shape of a tensor that a run has made; throws where its dtype is none of a contract. */
    fun describe(value: MemorySegment): Pair<Dtype, List<Long>> = Arena.ofConfined().use { arena ->
        val info = result(arena) { getTypeAndShape.invoke(value, it) as MemorySegment }
        try {
            val number = arena.allocate(JAVA_LONG)
            check(getElementType.invoke(info, number) as MemorySegment)
            val type = number.get(JAVA_INT, 0)
            check(getRank.invoke(info, number) as MemorySegment)
            val axes = arena.allocate(JAVA_LONG, number.get(JAVA_LONG, 0))
            check(getShape.invoke(info, axes, number.get(JAVA_LONG, 0)) as MemorySegment)
            val dtype = ELEMENT_TYPES.entries.firstOrNull { it.value == type }?.key
                ?: throw OrtError("it gives a tensor of the element type $type, which no contract has")
            dtype to axes.toArray(JAVA_LONG).toList()
        } finally {
            releaseTypeAndShape.invoke(info)
        }
    }

    /** The memory of a tensor that a run has made, as long as it is not released. */
    fun data(value: MemorySegment, bytes: Long): MemorySegment = Arena.ofConfined().use { arena ->
        result(arena) { getTensorData.invoke(value, it) as MemorySegment }.reinterpret(bytes)
    }

    fun releaseTensor(value: MemorySegment) {
        releaseValue.invoke(value)
        released.incrementAndGet()
    }

    fun closeSession(session: MemorySegment) {
        releaseSession.invoke(session)
    }

    private fun at(place: Long, result: MemoryLayout?, vararg arguments: MemoryLayout) =
        function(table.getAtIndex(ADDRESS, place), result, *arguments)

    /** Calls a function that writes a pointer, and returns that. */
    private inline fun result(arena: Arena, call: (MemorySegment) -> MemorySegment): MemorySegment {
        val place = arena.allocate(ADDRESS)
        check(call(place))
        return place.get(ADDRESS, 0)
    }

    /** Throws what a status says; it is null where a call succeeded. */
    private fun check(status: MemorySegment) {
        if (status.address() == 0L) return
        val message = text(getErrorMessage.invoke(status) as MemorySegment)
        releaseStatus.invoke(status)
        throw OrtError(message)
    }

    companion object {
        private const val INTERFACE = 17
        private const val PLACES = 101L // of the table, as far as it is read
        private const val LOG_FATAL = 4
        private const val ARENA_ALLOCATOR = 1
        private const val DEFAULT_MEMORY = 0
        private val WINDOWS = System.getProperty("os.name").startsWith("Windows")
        private val USUAL = listOf("libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.dylib", "onnxruntime.dll")

        /** ONNXTensorElementDataType. */
        private val ELEMENT_TYPES = mapOf(
            Dtype.FLOAT32 to 1, Dtype.UINT8 to 2, Dtype.INT8 to 3, Dtype.INT16 to 5, Dtype.INT32 to 6, Dtype.INT64 to 7,
            Dtype.BOOL to 9, Dtype.FLOAT16 to 10, Dtype.FLOAT64 to 11,
        )
        private val opened = HashMap<String, OrtLibrary>()

        /** Opens the library at [path]; without one that of ONNXRUNTIME_LIBRARY, or one of the usual name. */
        @Synchronized
        fun open(path: String?): OrtLibrary {
            val wanted = path ?: System.getenv("ONNXRUNTIME_LIBRARY")
            val names = if (wanted == null) USUAL else listOf(wanted)
            for (name in names) {
                opened[name]?.let { return it }
                lookup(name)?.let { found -> return OrtLibrary(found).also { opened[name] = it } }
            }
            throw BundleError(
                "cannot open onnxruntime (${names.joinToString()}); expected a shared library of 1.17 or newer; give its " +
                    "path by --library or ONNXRUNTIME_LIBRARY",
            )
        }

        private fun lookup(name: String): SymbolLookup? = try {
            SymbolLookup.libraryLookup(name, Arena.global())
        } catch (_: IllegalArgumentException) {
            null
        }
    }
}

/** Names and tensors as a run takes them: two arrays of [count] pointers. */
internal class Named(arena: Arena, texts: Collection<String>) {
    val count = texts.size.toLong()
    val names: MemorySegment = pointers(arena, texts.map { arena.allocateFrom(it) })
    val values: MemorySegment = pointers(arena, texts.map { MemorySegment.NULL })

    operator fun get(index: Int): MemorySegment = values.getAtIndex(ADDRESS, index.toLong())

    fun nulls(): Long = (0 until count).count { values.getAtIndex(ADDRESS, it).address() == 0L }.toLong()

    operator fun set(index: Int, value: MemorySegment) = values.setAtIndex(ADDRESS, index.toLong(), value)

    private fun pointers(arena: Arena, all: List<MemorySegment>): MemorySegment =
        arena.allocate(ADDRESS, all.size.toLong()).also { array ->
            all.forEachIndexed { index, each -> array.setAtIndex(ADDRESS, index.toLong(), each) }
        }
}

/** What onnxruntime says is wrong; the first line of it. */
internal class OrtError(message: String) : Exception(message.lineSequence().first())
