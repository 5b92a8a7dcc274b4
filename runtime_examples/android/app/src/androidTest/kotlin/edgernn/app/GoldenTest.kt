package edgernn.app

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import edgernn.CompiledRuntime
import edgernn.Golden
import edgernn.Model
import edgernn.replayVectors
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** This device computes what the bundle recorded, with every artifact of the bundle that it runs. */
@RunWith(AndroidJUnit4::class)
class GoldenTest {
    @Test
    fun everyStepArtifactPassesTheGoldenRun() {
        val folder = bundleFolder(InstrumentationRegistry.getInstrumentation().targetContext)
        val compiled = CompiledRuntime.included()
        val format = (compiled ?: ownRuntime()).format
        val steps = edgernn.Bundle(folder).artifacts.filter { it.format == format && it.graph == "step" }
        assertTrue("the bundle has no step for $format", steps.isNotEmpty())
        val artifacts = if (compiled == null) steps else steps.take(1) // one is compiled in
        for (artifact in artifacts) {
            Model.load(folder, compiled ?: ownRuntime(), artifact.path).use { model ->
                val lines = Golden(model.bundle).check(model) + replayVectors(model.bundle)
                lines.forEach { assertTrue("${artifact.path}: $it", it.ok) }
            }
        }
    }
}
