package edgernn.app

import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import androidx.activity.ComponentActivity
import androidx.activity.compose.rememberLauncherForActivityResult
import androidx.activity.compose.setContent
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.safeDrawingPadding
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.text.selection.SelectionContainer
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.Button
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedButton
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Slider
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableFloatStateOf
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.platform.LocalContext
import androidx.compose.ui.unit.dp
import androidx.lifecycle.viewmodel.compose.viewModel

class MainActivity : ComponentActivity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContent { MaterialTheme { WriterScreen() } }
    }
}

/** A prompt or a picture, the text as it comes, and the check of this device. */
@Composable
fun WriterScreen(model: WriterViewModel = viewModel()) {
    val screen by model.screen.collectAsState()
    Column(Modifier.safeDrawingPadding().padding(16.dp), verticalArrangement = Arrangement.spacedBy(12.dp)) {
        if (screen.captions) PictureButton(!screen.busy, model::look) else Prompt(!screen.busy, model::write)
        Row(horizontalArrangement = Arrangement.spacedBy(8.dp)) {
            OutlinedButton(onClick = model::stop, enabled = screen.busy) { Text("Stop") }
            OutlinedButton(onClick = model::check, enabled = !screen.busy) { Text("Check this device") }
        }
        Text(screen.note, style = MaterialTheme.typography.labelMedium)
        SelectionContainer(Modifier.fillMaxWidth().weight(1f).verticalScroll(rememberScrollState())) { Text(screen.text) }
    }
}

@Composable
private fun Prompt(enabled: Boolean, onWrite: (String, Double) -> Unit) {
    var prompt by rememberSaveable { mutableStateOf("") }
    var temperature by rememberSaveable { mutableFloatStateOf(0.8f) }
    OutlinedTextField(prompt, { prompt = it }, Modifier.fillMaxWidth(), label = { Text("Prompt") })
    Text("Temperature %.1f".format(temperature))
    Slider(temperature, { temperature = it }, valueRange = 0f..1.5f)
    Button(onClick = { onWrite(prompt, temperature.toDouble()) }, enabled = enabled) { Text("Write") }
}

@Composable
private fun PictureButton(enabled: Boolean, onPicture: (Bitmap) -> Unit) {
    val resolver = LocalContext.current.contentResolver
    val launcher = rememberLauncherForActivityResult(PickVisualMedia()) { uri ->
        if (uri == null) return@rememberLauncherForActivityResult
        val picture = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            // Upright as the camera noted it, and in memory that getPixels can read.
            ImageDecoder.decodeBitmap(ImageDecoder.createSource(resolver, uri)) { decoder, _, _ ->
                decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
            }
        } else {
            @Suppress("DEPRECATION")
            MediaStore.Images.Media.getBitmap(resolver, uri)
        }
        onPicture(picture)
    }
    Button(onClick = { launcher.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly)) }, enabled = enabled) {
        Text("Choose a picture")
    }
}
