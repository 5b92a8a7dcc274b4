package edgernn

import java.io.File
import java.io.IOException
import java.util.zip.ZipFile
import kotlin.io.path.createTempDirectory

/** A `.edgernn` file, unpacked into a folder that is there until this is closed; a folder stays where it is. */
class Packed(private val place: File) : AutoCloseable {
    /** The bundle's folder. */
    val folder: File = if (place.isFile) createTempDirectory("edgernn").toFile() else place

    init {
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
            file.parentFile.mkdirs()
            archive.getInputStream(entry).use { source ->
                file.outputStream().use { sink ->
                    val part = ByteArray(1 shl 16)
                    while (true) {
                        val count = source.read(part)
                        if (count < 0) break
                        room -= count
                        if (room < 0) throw BundleError("$place unpacks to more than 2 GB; give another bundle")
                        sink.write(part, 0, count)
                    }
                }
            }
        }
    }

    private companion object {
        const val MOST_BYTES = 1L shl 31
    }
}
