package edgernn.app

import android.graphics.Bitmap
import edgernn.Bundle
import edgernn.Bytes
import edgernn.Tensor

/** What an image encoder looks at: the whole upright picture as a square, uint8 [1, height, width, channels] in RGB. */
fun Bitmap.toTensor(bundle: Bundle): Tensor {
    val shape = bundle.contract.shape(bundle.contract.pictureInput)
    val (height, width) = shape.slice(1..2).map { it.toInt() }
    val pixels = IntArray(width * height)
    Bitmap.createScaledBitmap(this, width, height, true).getPixels(pixels, 0, width, 0, 0, width, height)
    val bytes = ByteArray(3 * pixels.size) { index -> (pixels[index / 3] shr (16 - 8 * (index % 3))).toByte() }
    return Bytes(shape, bytes)
}
