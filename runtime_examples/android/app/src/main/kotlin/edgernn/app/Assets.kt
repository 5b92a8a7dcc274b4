package edgernn.app

import android.content.Context
import android.content.res.AssetManager
import java.io.File

/** Copies assets/bundle to a folder, where a runtime can open its files, and returns it. */
fun bundleFolder(context: Context): File {
    val folder = File(context.filesDir, "bundle")
    folder.deleteRecursively() // an update of the app may bring another bundle
    copy(context.assets, "bundle", folder)
    return folder
}

private fun copy(assets: AssetManager, from: String, to: File) {
    val names = assets.list(from).orEmpty()
    if (names.isNotEmpty()) {
        to.mkdirs()
        names.forEach { copy(assets, "$from/$it", File(to, it)) }
    } else {
        assets.open(from).use { input -> to.outputStream().use(input::copyTo) }
    }
}
