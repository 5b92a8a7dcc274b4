package edgernn.app

import android.app.Application
import android.graphics.Bitmap
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import edgernn.BundleError
import edgernn.CompiledRuntime
import edgernn.Golden
import edgernn.NO_GOLDEN
import edgernn.Options
import edgernn.Model
import edgernn.Tokenizer
import edgernn.caption
import edgernn.generate
import edgernn.replayVectors
import java.util.Locale
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.yield

/** What the screen shows. */
data class Screen(val text: String = "", val note: String = "", val busy: Boolean = false, val captions: Boolean = false)

/** Opens the bundle once and writes from it off the main thread; a new request ends the one before. */
class WriterViewModel(application: Application) : AndroidViewModel(application) {
    private val shown = MutableStateFlow(Screen(note = "Opening…", busy = true))
    val screen = shown.asStateFlow()

    private val one = Mutex() // a model is used by one request at a time
    private lateinit var model: Model
    private lateinit var tokenizer: Tokenizer
    private var job: Job = request("Ready") {
        model = Model.load(bundleFolder(application), CompiledRuntime.included() ?: ownRuntime())
        tokenizer = Tokenizer(model.bundle)
        shown.update { it.copy(captions = model.bundle.contract.encodes) }
    }

    fun write(prompt: String, temperature: Double) = start {
        val sampling = model.bundle.decoding.sampling.copy(temperature = temperature)
        stream(prompt, model.generate(prompt, Options(400, sampling, System.nanoTime()), tokenizer))
    }

    fun look(picture: Bitmap) = start {
        stream("", model.caption(picture.toTensor(model.bundle), Options()))
    }

    fun check() = start {
        val golden = if (model.bundle.hasGolden) Golden(model.bundle).check(model) else emptyList()
        val lines = (golden + replayVectors(model.bundle)).map { line ->
            "%s %.2g %s".format(Locale.ROOT, line.name, line.worst, line.verdict)
        }
        val table = (if (model.bundle.hasGolden) lines else listOf(NO_GOLDEN) + lines).joinToString("\n")
        shown.update { it.copy(text = table) }
    }

    fun stop() = job.cancel()

    override fun onCleared() { // the scope of this model has ended, but a step may still be running: wait for it
        CoroutineScope(Dispatchers.Default).launch { one.withLock { if (::model.isInitialized) model.close() } }
    }

    private suspend fun stream(prompt: String, tokens: Sequence<Long>) {
        val writing = tokenizer.Writing()
        val read = tokenizer.encode(prompt).joinToString("") { writing.piece(it) } // as the model reads it
        shown.update { it.copy(text = read) }
        val begun = System.nanoTime()
        tokens.forEachIndexed { index, token ->
            yield() // where a stop takes effect
            val rate = (index + 1) * 1e9 / (System.nanoTime() - begun)
            val piece = writing.piece(token)
            shown.update { it.copy(text = it.text + piece, note = "%.0f tokens/s".format(rate)) }
        }
        val rest = writing.end()
        shown.update { it.copy(text = it.text + rest) }
    }

    private fun start(work: suspend () -> Unit) {
        if (!::model.isInitialized) return // the bundle was refused, and the note says why
        job.cancel()
        job = request(null, work)
    }

    private fun request(done: String?, work: suspend () -> Unit) = viewModelScope.launch(Dispatchers.Default) {
        one.withLock {
            shown.update { it.copy(busy = true) }
            try {
                work()
                shown.update { it.copy(note = done ?: it.note) }
            } catch (error: BundleError) {
                shown.update { it.copy(note = error.message.orEmpty()) }
            } finally {
                shown.update { it.copy(busy = false) }
            }
        }
    }
}
