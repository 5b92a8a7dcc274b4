"""The JVM example beyond what every host does: started as its users start it, a bundle's C without
JNI, and memory that is reused from step to step.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import frame_bundle
import host_cases
import numpy as np
import pytest
from compiled_bundles import change_weight
from hosts import EXAMPLES, JVM, Command, compile_kotlin, java_home
from PIL import Image
from servers import Server

from edgernn.bundle import Bundle
from edgernn.writing.text import write_text


@pytest.fixture(scope="module")
def jvm(kotlin: Server) -> Command:
    """The example, in the virtual machine that all tests share."""
    return Command((), server=kotlin)


@pytest.fixture(scope="module")
def started(library: Path) -> Command:
    """The example as its users start it, by its script."""
    settings = {"ONNXRUNTIME_LIBRARY": str(library), "EDGERNN_JAR": str(compile_kotlin()[0])}
    return Command((str(JVM / "edgernn"),), {"JAVA_HOME": str(java_home()), **settings})


def test_the_script_writes_and_refuses(started: Command, tmp_path: Path) -> None:
    bundle = host_cases.made_of_kind("bpe", tmp_path / "b")
    prompt = "naïve Éclair 你好 \U0001f98a "
    wanted = write_text(bundle, prompt, length=30, temperature=0.8, seed=7)["text"]
    ascii_only = Command(started.words, {**started.environment, "LC_ALL": "C"})
    flags = ["--prompt", prompt, "--length", 30, "--temperature", 0.8, "--seed", 7]
    assert ascii_only.good(bundle, *flags) == prompt + wanted + "\n"
    said = started.refusal(bundle, "--length", "-1")
    assert said == "error: --length is -1, expected a whole number of 0 or more; give one\n"


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("JAVA_HOME", "none", "there is no none/bin/java; expected Java 22 or newer"),
        ("EDGERNN_JAR", "none.jar", "there is no none.jar; expected what make builds"),
    ],
)
def test_what_is_missing_is_told(started: Command, setting: str, value: str, said: str) -> None:
    lacking = Command(started.words, {**started.environment, setting: value})
    assert said in lacking.refusal("bundle")


def test_an_older_java_is_refused(started: Command) -> None:
    java = shutil.which("java")
    version = subprocess.run(
        [java or "true", "-version"], capture_output=True, text=True, check=True
    )
    if '"17' not in version.stderr:
        pytest.skip("needs Java 17 on the path")
    older = Command(started.words, {**started.environment, "JAVA_HOME": ""})
    said = older.refusal("bundle")
    assert said == "error: this is Java 17, expected 22 or newer; set JAVA_HOME to one\n"


def test_another_library_is_refused(jvm: Command, text: Path, tmp_path: Path) -> None:
    missing = jvm.refusal(text, "--library", tmp_path / "none.so")
    assert "cannot open onnxruntime" in missing
    assert "give its path by --library or ONNXRUNTIME_LIBRARY" in missing
    assert "is no onnxruntime; give the path of" in jvm.refusal(text, "--library", "libc.so.6")


@pytest.mark.parametrize("size", [(23, 31), (640, 401), (5, 300)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_picture_is_stretched_as_pillow_does(
    jvm: Command, captioner_bundle_folder: Path, tmp_path: Path, size: tuple[int, int], mode: str
) -> None:
    """Bit for bit, but for the rounding of what is half transparent, and of tall pictures, which
    Pillow may shrink in the other order.
    """
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 4), np.uint8)
    picture = Image.fromarray(noise, "RGBA")
    (picture if mode == "RGBA" else picture.convert("RGB").convert(mode)).save(tmp_path / "a.png")
    sizes = Bundle.open(captioner_bundle_folder).manifest.contract.sizes
    opaque = Image.open(tmp_path / "a.png").convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", size, "white"), opaque).convert("RGB")
    wanted = opaque.resize((sizes["width"], sizes["height"]), Image.Resampling.BILINEAR)
    made = bytes.fromhex(jvm.good("--picture", tmp_path / "a.png", captioner_bundle_folder))
    apart = np.abs(np.frombuffer(made, np.uint8).astype(int) - np.asarray(wanted).ravel())
    assert apart.max() <= (1 if mode == "RGBA" or size == (5, 300) else 0)


def test_a_picture_is_captioned_and_another_file_refused(
    jvm: Command, captioner_bundle_folder: Path, text: Path, tmp_path: Path
) -> None:
    assert "which sees no pictures" in jvm.refusal(text, "--image", tmp_path / "teal.jpg")
    Image.new("RGB", (50, 40), "teal").save(tmp_path / "teal.jpg")
    assert jvm.good(captioner_bundle_folder, "--image", tmp_path / "teal.jpg", "--length", 4)
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (tmp_path / "text.png").write_text("no picture")
    for name in ("cut.png", "text.png", "none.png"):
        said = jvm.refusal(captioner_bundle_folder, "--image", tmp_path / name)
        assert f"{name} is no picture (" in said
        assert "save it again" in said


@pytest.fixture(scope="module")
def networks(
    compiled_bundles: dict[str, Path],
    compiled_integers: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Path, Path]]:
    """A bundle in C and what is compiled of it, by name."""
    folder = tmp_path_factory.mktemp("networks")
    made = {name: (compiled_bundles[name], folder / name) for name in ("lstm", "audio")}
    made["int8"] = (compiled_integers, folder / "int8")
    for name, (bundle, net) in made.items():
        artifact = ["--artifact", "c/step-int8"] if name == "int8" else []
        prepare = [sys.executable, EXAMPLES / "compiled" / "prepare.py", bundle, net, *artifact]
        subprocess.run(prepare, check=True, timeout=60)
    return {name: (bundle, library_of(net)) for name, (bundle, net) in made.items()}


def library_of(net: Path) -> Path:
    """Compile what prepare.py has written into a shared library."""
    if shutil.which("cc") is None:
        pytest.skip("needs cc")
    flags = ["-shared", "-fPIC", "-O1", "-ffp-contract=off", "-fno-trapping-math"]
    sources = [net / name for name in ("step.c", "network.c", "step.weights.S")]
    words = ["cc", *flags, "-Wa,-I," + str(net), "-I", net, *sources, "-o", net / "libnet.so"]
    subprocess.run(words, check=True, timeout=120)
    return net / "libnet.so"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("lstm", {"logits", "h_next", "c_next", "uniforms", "sampler", "tokenizer"}),
        ("audio", {"sample", "h_next", "memory_next"}),
        (
            "int8",
            {"logits", "uniforms", "sampler", "tokenizer"}
            | {f"{state}_next[{layer}]" for state in "hc" for layer in (0, 1)},
        ),
    ],
)
def test_a_bundle_in_c_passes_its_golden_run(
    jvm: Command, networks: dict[str, tuple[Path, Path]], name: str, rows: set[str]
) -> None:
    bundle, net = networks[name]
    artifact = ["--artifact", "c/step-int8"] if name == "int8" else []
    found = jvm.rows(bundle, "--compiled", net, *artifact)
    assert set(found) == rows
    assert {verdict for *_, verdict in found.values()} == {"ok"}


def test_a_bundle_in_c_writes_the_text_of_edgernn(
    jvm: Command, networks: dict[str, tuple[Path, Path]]
) -> None:
    bundle, net = networks["lstm"]
    for temperature in (0, 0.8):
        wanted = write_text(bundle, "the ", length=300, temperature=temperature, seed=7)
        flags = ["--prompt", "the ", "--length", 300, "--temperature", temperature, "--seed", 7]
        made = json.loads(jvm.good(bundle, "--compiled", net, *flags, "--json"))
        assert (made["artifact"], made["tokens"]) == ("c/step", wanted["tokens"])


def test_another_library_than_the_bundles_is_refused(
    jvm: Command, networks: dict[str, tuple[Path, Path]], library: Path, tmp_path: Path
) -> None:
    bundle, net = networks["lstm"]
    said = jvm.refusal(networks["audio"][0], "--compiled", net)
    assert "compiled with a c/step of the SHA-256 " in said
    assert "cannot be loaded: " in jvm.refusal(bundle, "--compiled", tmp_path / "libnet.so")
    assert "has no net_network; build it of what" in jvm.refusal(bundle, "--compiled", library)


def test_a_changed_weight_fails(
    jvm: Command, networks: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    bundle, net = networks["lstm"]
    copy = Path(shutil.copytree(net.parent, tmp_path / "net"))
    change_weight(copy / "step.weights.bin")
    assert "logits" in jvm.failed(bundle, "--compiled", library_of(copy))


@pytest.mark.parametrize("runtime", ["", "android"])
def test_an_output_of_another_dtype_is_refused(
    kotlin: Server, runtime: str, tmp_path: Path
) -> None:
    """It would be written over memory that is too small."""
    folder = frame_bundle.write_frame_bundle(tmp_path)

    def change(manifest: dict[str, object]) -> None:
        for tensor in manifest["contract"]["graphs"][-1]["outputs"]:  # type: ignore[index]
            if tensor["name"] == "sample":
                tensor["dtype"] = "uint8"

    host_cases.edit(folder, change)
    said = Command((), {"EDGERNN_RUNTIME": runtime}, server=kotlin).refusal(folder, 1, 2, 0)
    assert "the model gives sample as " in said
    assert "expected uint8; export the bundle again" in said


@pytest.mark.parametrize("runtime", ["", "android"])
def test_steps_allocate_nothing_of_onnxruntime(
    kotlin: Server, runtime: str, tmp_path: Path
) -> None:
    """After the first steps of a shape; what was allocated is gone when the model is closed."""
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=True)
    told = Command((), {"EDGERNN_RUNTIME": runtime}, server=kotlin).good("--reuse", 50, folder)
    assert told.split() == ["0", "0"]


@pytest.mark.parametrize("runtime", ["", "android", "compiled"])
def test_threads_share_a_model_until_it_is_closed(
    kotlin: Server, text: Path, networks: dict[str, tuple[Path, Path]], runtime: str
) -> None:
    """Every thread writes the one text; what steps after the end is told so."""
    bundle, net = networks["lstm"]
    words = [bundle, "--compiled", net] if runtime == "compiled" else [text]
    settings = {"EDGERNN_RUNTIME": "android" if runtime == "android" else ""}
    done = Command((), settings, server=kotlin).run("--threads", 8, *words)
    assert (done.returncode, done.stdout) == (2, "1 8\n"), done.stderr
    assert done.stderr == "error: the model is closed, expected one that is open; load it again\n"


def test_what_no_step_takes_is_told(jvm: Command, text: Path) -> None:
    """onnxruntime alone would take -1 for the last id."""
    size = Bundle.open(text).manifest.contract.sizes["vocab"]
    for token in (-1, size):
        ids, lacking, other = jvm.good("--refused", token, text).splitlines()
        assert (
            ids
            == f"an id of tokens is {token}, expected 0 to {size - 1}; use the bundle's tokenizer"
        )
        assert lacking == "a state has no h; give what begin or step gave"
        assert "expected states of one model" in other
