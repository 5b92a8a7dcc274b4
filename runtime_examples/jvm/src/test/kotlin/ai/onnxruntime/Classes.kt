/**
 * The part of onnxruntime's Java package that the Android app uses, for tests: its names and signatures, written by hand, over
 * onnxruntime's C interface. No package that CI can install brings the Java package itself.
 */
package ai.onnxruntime

import edgernn.Dtype
import edgernn.elementCount
import edgernn.jvm.Named
import edgernn.jvm.OrtError
import edgernn.jvm.OrtLibrary
import java.io.File
import java.lang.foreign.Arena
import java.lang.foreign.MemorySegment
import java.lang.foreign.ValueLayout.JAVA_BYTE
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Optional

private val ort by lazy { OrtLibrary.open(null) }

class OrtException(message: String) : Exception(message)

private inline fun <T> told(call: () -> T): T = try {
    call()
} catch (error: OrtError) {
    throw OrtException(error.message.orEmpty())
}

enum class OnnxJavaType(internal val dtype: Dtype?) {
    FLOAT(Dtype.FLOAT32), DOUBLE(Dtype.FLOAT64), INT8(Dtype.INT8), INT16(Dtype.INT16), INT32(Dtype.INT32), INT64(Dtype.INT64),
    BOOL(Dtype.BOOL), STRING(null), UINT8(Dtype.UINT8), FLOAT16(Dtype.FLOAT16), BFLOAT16(null), UNKNOWN(null),
}

interface OnnxValue : AutoCloseable

interface OnnxTensorLike : OnnxValue

class TensorInfo internal constructor(@JvmField val type: OnnxJavaType, private val axes: LongArray) {
    val shape: LongArray get() = axes.clone()
}

class OnnxTensor internal constructor(internal val value: MemorySegment) : OnnxTensorLike {
    val info: TensorInfo
        get() = ort.describe(value).let { (dtype, shape) ->
            TensorInfo(OnnxJavaType.entries.single { it.dtype == dtype }, shape.toLongArray())
        }

    /** A copy, big-endian as Java's buffers begin. */
    val byteBuffer: ByteBuffer
        get() = ort.describe(value).let { (dtype, shape) ->
            ByteBuffer.wrap(ort.data(value, elementCount(shape).toLong() * dtype.width).toArray(JAVA_BYTE))
        }

    override fun close() = ort.releaseTensor(value)

    companion object {
        @JvmStatic
        fun createTensor(environment: OrtEnvironment, data: ByteBuffer, shape: LongArray, type: OnnxJavaType): OnnxTensor {
            check(environment === OrtEnvironment.getEnvironment())
            check(data.isDirect && data.order() == ByteOrder.nativeOrder()) { "the real one would copy" }
            return told { OnnxTensor(ort.tensorOver(MemorySegment.ofBuffer(data), shape.toList(), type.dtype!!)) }
        }
    }
}

class OrtEnvironment private constructor() {
    val version: String get() = ort.version

    fun createSession(path: String, options: OrtSession.SessionOptions): OrtSession =
        told { OrtSession(ort.openSession(File(path).toPath(), options.threads)) }

    companion object {
        private val only = OrtEnvironment()

        @JvmStatic
        fun getEnvironment(): OrtEnvironment = only
    }
}

class OrtSession internal constructor(private val session: MemorySegment) : AutoCloseable {
    class SessionOptions : AutoCloseable {
        internal var threads = 0

        fun setIntraOpNumThreads(count: Int) {
            threads = count
        }

        override fun close() = Unit
    }

    class RunOptions

    /** The tensors that a run has made, and those that it was given; the former are closed with it. */
    class Result internal constructor(private val own: Map<String, OnnxTensor>, given: Map<String, OnnxValue>) : AutoCloseable {
        private val all = own + given

        fun get(name: String): Optional<OnnxValue> = Optional.ofNullable(all[name])

        override fun close() = own.values.forEach(OnnxTensor::close)
    }

    fun run(
        inputs: Map<String, OnnxTensorLike>,
        requestedOutputs: Set<String>,
        pinnedOutputs: Map<String, OnnxValue>,
        runOptions: RunOptions?,
    ): Result = Arena.ofConfined().use { arena ->
        check(runOptions == null && (requestedOutputs intersect pinnedOutputs.keys).isEmpty())
        val given = Named(arena, inputs.keys.toList())
        inputs.values.forEachIndexed { index, each -> given[index] = (each as OnnxTensor).value }
        val made = Named(arena, requestedOutputs + pinnedOutputs.keys)
        pinnedOutputs.values.forEachIndexed { index, each -> made[requestedOutputs.size + index] = (each as OnnxTensor).value }
        told { ort.run(session, given, made) }
        Result(requestedOutputs.withIndex().associate { (index, name) -> name to OnnxTensor(made[index]) }, pinnedOutputs)
    }

    override fun close() = ort.closeSession(session)
}
