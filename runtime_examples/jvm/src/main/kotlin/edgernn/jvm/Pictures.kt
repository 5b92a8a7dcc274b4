package edgernn.jvm

import edgernn.Bundle
import edgernn.BundleError
import edgernn.Bytes
import edgernn.Tensor
import java.awt.Color
import java.awt.image.BufferedImage
import java.io.File
import java.io.IOException
import javax.imageio.ImageIO
import kotlin.math.abs

private const val MOST_PIXELS = 80_000_000L // a small file that claims more is more likely an attack than a photograph
private const val FRACTION_BITS = 22 // of a weight, as Pillow has it

/** What an image encoder looks at: the whole picture of a file, stretched, uint8 [1, height, width, channels] in RGB. */
fun readPicture(file: File, bundle: Bundle): Tensor {
    val shape = bundle.contract.shape(bundle.contract.pictureInput)
    if (shape.size != 4 || shape[3] != 3L) throw BundleError(
        "encode takes a tensor of $shape, expected a picture [1, height, width, 3]; use an example that gives it",
    )
    val (height, width) = shape.slice(1..2).map { it.toInt() }
    val picture = opened(file)
    val pixels = picture.getRGB(0, 0, picture.width, picture.height, null, 0, picture.width)
    val channels = IntArray(3 * pixels.size) { pixels[it / 3] shr (16 - 8 * (it % 3)) and 0xff }
    val narrowed = stretched(channels, picture.height, picture.width, 3, width)
    val made = stretched(narrowed, 1, picture.height, 3 * width, height)
    return Bytes(shape, ByteArray(made.size) { made[it].toByte() })
}

/** The first picture of a file on white, where it is transparent. */
private fun opened(file: File): BufferedImage {
    System.setProperty("java.awt.headless", "true")
    ImageIO.setUseCache(false)
    fun refuse(what: String?, cause: Exception? = null): Nothing =
        throw BundleError("$file is no picture ($what); expected a JPEG, PNG, GIF or BMP; save it again", cause)
    try {
        val stream = ImageIO.createImageInputStream(file) ?: refuse("it cannot be read")
        return stream.use {
            val reader = ImageIO.getImageReaders(stream).asSequence().firstOrNull() ?: refuse("its kind is unknown")
            reader.input = stream
            val count = reader.getWidth(0).toLong() * reader.getHeight(0)
            if (count > MOST_PIXELS) throw BundleError("$file has $count pixels, expected $MOST_PIXELS at most; shrink it")
            onWhite(reader.read(0)).also { reader.dispose() }
        }
    } catch (error: IOException) {
        refuse(error.message, error)
    } catch (error: RuntimeException) { // the readers' own, of many kinds
        refuse(error.message, error)
    }
}

private fun onWhite(picture: BufferedImage): BufferedImage {
    val made = BufferedImage(picture.width, picture.height, BufferedImage.TYPE_INT_RGB)
    val graphics = made.createGraphics()
    graphics.drawImage(picture, 0, 0, Color.WHITE, null)
    graphics.dispose()
    return made
}

/**
 * [values] of shape [before, size, inner], 0 to 255, as [before, target, inner]: a triangle filter over what lies under each new
 * one, in the fixed point of Pillow's BILINEAR.
 */
private fun stretched(values: IntArray, before: Int, size: Int, inner: Int, target: Int): IntArray {
    val scale = size.toDouble() / target
    val reach = maxOf(scale, 1.0)
    val made = IntArray(before * target * inner)
    for (place in 0 until target) {
        val center = (place + 0.5) * scale
        val first = maxOf((center - reach + 0.5).toInt(), 0)
        val end = minOf((center + reach + 0.5).toInt(), size)
        val shares = DoubleArray(end - first) { maxOf(0.0, 1 - abs((it + first - center + 0.5) * (1 / reach))) }
        val whole = 1 / shares.sum()
        val weights = IntArray(shares.size) { (shares[it] * whole * (1 shl FRACTION_BITS) + 0.5).toInt() }
        for (row in 0 until before) for (column in 0 until inner) {
            var total = 1 shl (FRACTION_BITS - 1)
            for (at in weights.indices) total += weights[at] * values[(row * size + first + at) * inner + column]
            made[(row * target + place) * inner + column] = (total shr FRACTION_BITS).coerceIn(0, 255)
        }
    }
    return made
}
