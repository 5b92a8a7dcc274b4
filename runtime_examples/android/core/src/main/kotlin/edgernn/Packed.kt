package edgernn

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.util.zip.ZipFile
import kotlin.io.path.createTempDirectory

/** A `.edgernn` file, unpacked into a folder that is there until this is closed; a folder stays where it is. */
class Packed(private val place: File) : AutoCloseable {
    /** The bundle's folder. */
    val folder: File = if (place.isFile) createTempDirectory("edgernn").toFile() else place

    init {
        if (!place.exists()) throw BundleError("there is no bundle $place; give a bundle's folder or its .edgernn file")
        if (place.isFile) {
            try {
                ZipFile(place).use(::unpack)
            } catch (error: IOException) {
                close()
                throw BundleError("$place is no bundle (${error.message}); give a folder or a .edgernn file", error)
            } catch (error: BundleError) {
                close()
                throw error
            }
        }
    }

    override fun close() {
        if (folder != place) folder.deleteRecursively()
    }

    private fun unpack(archive: ZipFile) {
        var room = MOST_BYTES
        for (entry in archive.entries()) {
            if (entry.isDirectory) continue
            val file = inside(folder, entry.name)
            if (file.exists()) throw BundleError(
                "$place holds ${entry.name} twice, expected each file once; do not use this bundle",
            )
            file.parentFile.mkdirs()
            try {
                archive.getInputStream(entry).use { source -> file.outputStream().use { room -= copy(source, it, room) } }
            } catch (error: IOException) {
                throw BundleError("${entry.name} of $place cannot be unpacked (${error.message}); copy the bundle again", error)
            }
        }
    }

    /** Copies at most [room] bytes and returns how many there were. */
    private fun copy(source: InputStream, sink: OutputStream, room: Long): Long {
        val part = ByteArray(1 shl 16)
        var copied = 0L
        while (true) {
            val count = source.read(part)
            if (count < 0) return copied
            copied += count
            if (copied > room) throw BundleError("$place unpacks to more than 2 GB; give another bundle")
            sink.write(part, 0, count)
        }
    }

    private companion object {
        const val MOST_BYTES = 1L shl 31
    }
}
