"""A bundle's C under the Kotlin core by JNI: the recorded run, the text that edgernn writes, and an
app that was compiled with another bundle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compiled_bundles import change_weight
from hosts import EXAMPLES, Command
from servers import Server

from edgernn import open_session
from edgernn.writing.text import write_text

CPP = EXAMPLES / "android" / "app" / "src" / "main" / "cpp"

for _tool in ("cc", "cmake", "make", "javac"):
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}", allow_module_level=True)


@pytest.fixture(scope="module")
def prepared(
    compiled_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What is compiled of each bundle."""
    folder = tmp_path_factory.mktemp("jni")
    for name in ("lstm", "audio"):
        prepare = EXAMPLES / "compiled" / "prepare.py"
        words = [sys.executable, str(prepare), str(compiled_bundles[name]), str(folder / name)]
        subprocess.run(words, check=True, timeout=60)
    return {name: folder / name for name in ("lstm", "audio")}


def library(net: Path, build: Path) -> Path:
    """Compile the library of an app, with every warning an error."""
    for words in (
        ["cmake", "-S", CPP, "-B", build, f"-DNET={net}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"],
        ["cmake", "--build", build],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "libnet.so"


def machine(kotlin: Server, net: Path) -> Command:
    """A virtual machine of its own, which checks how JNI is used: each takes one library."""
    java, *words = kotlin.words
    return Command((java, "-Xcheck:jni", *words), {"EDGERNN_RUNTIME": f"jni:{net}"})


@pytest.fixture(scope="module")
def lstm(
    kotlin: Server, prepared: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Command:
    """The core with the LSTM compiled in."""
    return machine(kotlin, library(prepared["lstm"], tmp_path_factory.mktemp("lstm")))


def test_the_recorded_run_holds(lstm: Command, compiled_bundles: dict[str, Path]) -> None:
    rows = lstm.rows(compiled_bundles["lstm"])
    assert set(rows) == {"logits", "h_next", "c_next", "uniforms", "sampler", "tokenizer"}
    assert all(verdict == "ok" for *_, verdict in rows.values())
    assert all(0 < (rows[name][0] or 0) < 1e-5 for name in ("logits", "h_next", "c_next"))


def test_a_stored_first_state_and_frames(
    kotlin: Server,
    prepared: dict[str, Path],
    compiled_bundles: dict[str, Path],
    tmp_path: Path,
) -> None:
    audio = machine(kotlin, library(prepared["audio"], tmp_path))
    assert set(audio.rows(compiled_bundles["audio"])) == {"sample", "h_next", "memory_next"}
    assert audio.failed(compiled_bundles["audio"]) == []


def test_integers_are_compared_step_by_step(
    kotlin: Server, compiled_integers: Path, tmp_path: Path
) -> None:
    prepare = [sys.executable, str(EXAMPLES / "compiled" / "prepare.py"), str(compiled_integers)]
    words = [*prepare, str(tmp_path / "net"), "--artifact", "c/step-int8"]
    subprocess.run(words, check=True, timeout=60)
    integers = machine(kotlin, library(tmp_path / "net", tmp_path / "build"))
    rows = integers.rows(compiled_integers, "--artifact", "c/step-int8")
    layers = {f"{name}[{layer}]" for name in ("h_next", "c_next") for layer in (0, 1)}
    assert set(rows) == {"logits", *layers, "uniforms", "sampler", "tokenizer"}
    assert all(verdict == "ok" for *_, verdict in rows.values())
    assert "the app was compiled with a c/step-int8 of" in integers.refusal(compiled_integers)


def test_the_text_is_that_of_edgernn(lstm: Command, compiled_bundles: dict[str, Path]) -> None:
    bundle = compiled_bundles["lstm"]
    for temperature in (0, 0.8):
        wanted = write_text(bundle, "the ", length=300, temperature=temperature, seed=7)
        flags = ["--prompt", "the ", "--length", 300, "--temperature", temperature, "--seed", 7]
        made = json.loads(lstm.good(bundle, *flags, "--json"))
        assert (made["artifact"], made["tokens"]) == ("c/step", wanted["tokens"])


JAVA = """
import java.nio.*;
import edgernn.*;

public class Forked {
    public static void main(String[] words) {
        CompiledRuntime.Companion.load(new java.io.File(words[0]));
        CompiledNetwork network = new CompiledNetwork(Compiled.describe());
        ByteBuffer block = ByteBuffer.allocateDirect(network.getBytes()).order(ByteOrder.nativeOrder());
        int token = network.getPlaces().get("tokens").getOffset();
        int logits = network.getPlaces().get("logits").getOffset();
        if (Compiled.step(block) != 0) { throw new AssertionError("token 0"); }
        ByteBuffer fork = ByteBuffer.allocateDirect(network.getBytes()).order(ByteOrder.nativeOrder());
        fork.put(0, block, 0, network.getStateBytes());
        block.putLong(token, 3);
        fork.putLong(token, 3);
        if (Compiled.step(block) != 0 || Compiled.step(fork) != 0) { throw new AssertionError("token 3"); }
        if (!block.equals(fork)) { throw new AssertionError("a fork goes on otherwise"); }
        fork.putLong(token, -1);
        if (Compiled.step(fork) != 2) { throw new AssertionError("an id out of range"); }
        if (Compiled.step(ByteBuffer.allocateDirect(8)) == 0) { throw new AssertionError("a short block"); }
        if (Compiled.step(ByteBuffer.allocate(network.getBytes())) == 0) { throw new AssertionError("no direct one"); }
        System.out.println(block.getFloat(logits));
    }
}
"""


def test_java_steps_and_forks_in_a_block_of_memory(
    kotlin: Server, lstm: Command, compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "Forked.java").write_text(JAVA)
    jar = str(kotlin.words[kotlin.words.index("-cp") + 1])
    words = ["javac", "-Werror", "-cp", jar, "-d", str(tmp_path), str(tmp_path / "Forked.java")]
    subprocess.run(words, check=True, timeout=120)
    place = lstm.environment["EDGERNN_RUNTIME"].removeprefix("jni:")
    java = Command(("java", "-Xcheck:jni", "-cp", f"{jar}:{tmp_path}", "Forked", place))
    session = open_session(compiled_bundles["lstm"])
    state = session.initial_state()
    for token in (0, 3):
        outputs, state = session.step({"tokens": np.array([[token]])}, state)
    assert float(java.good()) == pytest.approx(float(outputs["logits"].ravel()[0]), abs=1e-6)


def test_another_bundle_is_refused(lstm: Command, compiled_bundles: dict[str, Path]) -> None:
    said = lstm.refusal(compiled_bundles["gru"], "--check")
    assert "the app was compiled with a c/step of the SHA-256 " in said
    assert "of c/step; compile it with this bundle" in said


def test_a_library_that_is_not_there_is_refused(
    kotlin: Server, compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    said = machine(kotlin, tmp_path / "libnet.so").refusal(compiled_bundles["lstm"], "--check")
    assert "libnet.so cannot be loaded: " in said


def test_a_changed_weight_fails(
    kotlin: Server,
    prepared: dict[str, Path],
    compiled_bundles: dict[str, Path],
    tmp_path: Path,
) -> None:
    net = Path(shutil.copytree(prepared["lstm"], tmp_path / "net"))
    change_weight(net / "step.weights.bin")
    assert "logits" in machine(kotlin, library(net, tmp_path / "build")).failed(
        compiled_bundles["lstm"]
    )
