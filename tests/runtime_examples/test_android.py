"""The Android example on the JVM: the core with a runtime that replays recordings, and the app's
own runtime over the names and signatures of onnxruntime's Java package, behind which stands
onnxruntime's library.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import dtype_bundle
import frame_bundle
import host_cases
import pytest
from c_program import PROMPT, STEPS
from hosts import Command
from servers import Server

from edgernn.bundle import Bundle
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.writing.text import write_text

ROOT = Path(__file__).resolve().parents[2] / "runtime_examples" / "android"
CORE = ROOT / "core" / "src"
LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights: what they lose is not the point
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def caption_bundle(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny captioner in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "captions"
    export_bundle(
        captioner_folder, folder, to="onnx", precision=("float32", "int8"), steps=8, options=LOOSE
    )
    return folder


@pytest.fixture
def run(kotlin: Server) -> Run:
    """Run the core's command line on the replay of a recording."""

    def call(*arguments: object, error: str = "0") -> subprocess.CompletedProcess[str]:
        settings = {"EDGERNN_RUNTIME": "replay", "EDGERNN_REPLAY_ERROR": error}
        return Command((), settings, server=kotlin).run(*arguments)

    return call


@pytest.mark.parametrize("fixture", ["text", "caption_bundle"])
def test_a_perfect_replay_passes_the_golden_run(
    run: Run, fixture: str, request: pytest.FixtureRequest
) -> None:
    done = run(request.getfixturevalue(fixture), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(re.search(r" 0\.0e\+00 \S+ ok$", line) for line in done.stdout.splitlines())
    assert [line.split()[0] for line in done.stdout.splitlines()][-3:] == [
        "uniforms",
        "sampler",
        "tokenizer",
    ]
    assert "h_next" in done.stdout


@pytest.mark.parametrize("error", ["0.1", "NaN"])
def test_one_wrong_logit_fails_the_golden_run(run: Run, text: Path, error: str) -> None:
    done = run(text, "--check", error=error)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "FAILED" in line)
    found = re.search(r"^logits .* FAILED: parts at step (\d+) of 0 to \1 by ", line)
    assert found, line  # the runtime is wrong at the last step alone


def test_no_damage_to_a_manifest_is_more_than_a_line(run: Run, text: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(text, tmp_path / "copy"))
    broken = host_cases.damaged_manifests(
        json.loads((folder / "manifest.json").read_bytes()), 3, 400
    )
    (tmp_path / "broken.json").write_text(
        json.dumps([content.decode("latin-1") for content in broken]), "utf-8"
    )
    done = run(folder, "--fuzz", tmp_path / "broken.json")
    assert re.fullmatch(r"[0-4]{400}\n", done.stdout), done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def app(kotlin: Server) -> Command:
    """The app's own runtime, over hand-written classes of onnxruntime's Java package."""
    return Command((), {"EDGERNN_RUNTIME": "android"}, server=kotlin)


@pytest.mark.parametrize("artifact", STEPS)
def test_the_apps_runtime_passes_the_golden_run(app: Command, text: Path, artifact: str) -> None:
    rows = app.rows(text, "--artifact", artifact)
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    assert all((rows[name][0] or 0) > 0 for name in rows if name.endswith("_next"))


def test_the_apps_runtime_looks_at_pictures(app: Command, caption_bundle: Path) -> None:
    assert app.failed(caption_bundle) == []
    assert app.good(caption_bundle, "--length", 5, "--temperature", 0)


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_apps_runtime_takes_any_network(
    app: Command, tmp_path: Path, encode: bool, rows: int
) -> None:
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=encode, rows=rows)
    if rows == 1:
        assert app.failed(folder) == []
    plain = Command((), server=app.server)
    assert app.good(folder, rows, 4, 0) == plain.good(folder, rows, 4, 0)


def test_the_apps_runtime_takes_every_dtype(app: Command, tmp_path: Path) -> None:
    rows = app.rows(dtype_bundle.write_dtype_bundle(tmp_path))
    assert len(rows) == 2 * len(dtype_bundle.DTYPES)
    assert set(rows.values()) == {(0, 0, "ok")}


def test_the_apps_runtime_writes_the_text_of_edgernn(app: Command, text: Path) -> None:
    """A prompt in one call, then a token a call: buffers of two shapes."""
    wanted = write_text(text, PROMPT, length=200, temperature=0.8, seed=7)
    flags = ["--prompt", PROMPT, "--length", 200, "--temperature", 0.8, "--seed", 7]
    assert json.loads(app.good(text, *flags, "--json"))["tokens"] == wanted["tokens"]


@pytest.mark.parametrize(
    "name", ["load", "begin", "step", "setRow", "encode", "sample", "generate"]
)
def test_the_names_are_those_of_every_example(name: str) -> None:
    text = "\n".join(path.read_text() for path in (CORE / "main").rglob("*.kt"))
    assert re.search(rf"fun (Model\.)?{name}\(", text)


def test_no_tensor_name_is_written_in_the_code(text: Path, caption_bundle: Path) -> None:
    sources = [*(CORE / "main").rglob("*.kt"), *(ROOT / "app").rglob("*.kt")]
    sources = [
        path for path in sources if path.name != "Vectors.kt"
    ]  # sampler.json has a field named tokens
    named = re.compile(r'val format = "\w+"')  # of a runtime: c is one, and a state of an LSTM
    codes = [named.sub("", path.read_text()) for path in sources]
    literals = {name for code in codes for name in re.findall(r'"([A-Za-z_]+)"', code)}
    for folder in (text, caption_bundle):
        for graph in Bundle.open(folder).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
