"""The Kotlin core: compiled for the JVM and run with a runtime that replays recordings, and with ONNX Runtime behind a pipe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.writer import write_text
from edgernn.export.artifacts import ReducedOptions
from edgernn.export.compression import Budget
from edgernn.export.pack import export_bundle
from edgernn.formats import FORMATS
from edgernn.tolerances import tolerance

ROOT = Path(__file__).resolve().parents[2] / "runtime_examples" / "android"
CORE = ROOT / "core" / "src"
PIPE = f"{sys.executable}|{CORE / 'test' / 'run_model.py'}"
LOOSE = ReducedOptions(budget=Budget(perplexity="900%"))  # untrained weights: what they lose is not the point
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def kotlin_compiler() -> str:
    """Return the compiler's path, from KOTLINC, the path or npm's kotlin-compiler; skip where there is none."""
    npm = ROOT / "node_modules" / "kotlin-compiler" / "bin" / "kotlinc"
    found = os.environ.get("KOTLINC") or shutil.which("kotlinc") or (str(npm) if npm.is_file() else None)
    if found is None:
        pytest.skip("kotlinc is not installed; set KOTLINC, or: cd runtime_examples/android && npm install kotlin-compiler")
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    return found


@pytest.fixture(scope="module")
def text_bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LSTM in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "text"
    export_bundle(checkpoint_folder, folder, to="onnx", precision=("float32", "int8"), steps=16, options=LOOSE)
    return folder


@pytest.fixture(scope="module")
def caption_bundle(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny captioner in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "captions"
    export_bundle(captioner_folder, folder, to="onnx", precision=("float32", "int8"), steps=8, options=LOOSE)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the core's command line, compiled with every warning an error."""
    jar = tmp_path_factory.mktemp("kotlin") / "core.jar"
    folders = [str(CORE / "main" / "kotlin"), str(CORE / "test" / "kotlin")]
    command = ["bash", kotlin_compiler(), *folders, "-Werror", "-include-runtime", "-d", str(jar)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr

    def call(*arguments: object, runtime: str = "replay", error: str = "0") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "EDGERNN_RUNTIME": runtime, "EDGERNN_REPLAY_ERROR": error}
        program = ["java", "-Dstdout.encoding=UTF-8", "-Dstderr.encoding=UTF-8", "-cp", str(jar), "edgernn.HostKt"]
        return subprocess.run(
            [*program, *map(str, arguments)], env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
        )

    return call


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Bad input ends with 2 and one line on stderr that has every part."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_it_samples_as_the_reference_does(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    cases, expected = [], []
    for index in range(300):
        logits = random.normal(0, 3, int(random.integers(1, 40))).astype(np.float32)
        if index % 3 == 0:
            logits = np.round(logits)  # ties, and zeros of both signs
        options = {
            "temperature": float(random.choice([0, 0.3, 0.8, 2])),
            "top_k": int(random.choice([0, 1, 3, 100])),
            "top_p": float(random.choice([0.2, 0.9, 1])),
        }
        uniform = float(random.random())
        cases.append({**options, "uniform": uniform, "logits": logits.tolist()})
        expected.append(Sampler(**options).pick(logits, uniform))
    border = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "uniform": 0.5, "logits": [1.0, 1.0]}
    cases += [border, {**border, "top_p": 0.5, "uniform": 0.9}]
    expected += [1, 0]
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(cases))
    done = run("--vectors", path)
    assert [int(line) for line in done.stdout.split()] == expected, done.stderr


@pytest.mark.parametrize("fixture", ["text_bundle", "caption_bundle"])
def test_a_perfect_replay_passes_the_golden_run(run: Run, fixture: str, request: pytest.FixtureRequest) -> None:
    done = run(request.getfixturevalue(fixture), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(re.search(r" 0\.00 of \S+ ok$", line) for line in done.stdout.splitlines())
    assert "h_next" in done.stdout


@pytest.mark.parametrize("error", ["0.1", "NaN"])
def test_one_wrong_logit_fails_the_golden_run(run: Run, text_bundle: Path, error: str) -> None:
    done = run(text_bundle, "--check", error=error)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith("FAILED")] == ["logits"]


@pytest.mark.parametrize("fixture", ["text_bundle", "caption_bundle"])
def test_real_files_pass_the_golden_run(run: Run, fixture: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(fixture)
    for artifact in ("onnx/step.onnx", "onnx/step-int8.onnx"):
        done = run(folder, "--check", "--artifact", artifact, runtime=PIPE)
        assert done.returncode == 0, (artifact, done.stdout + done.stderr)
        assert ("h_next[1]" in done.stdout) == (artifact.endswith("int8.onnx") and fixture == "text_bundle")


def test_greedy_text_is_the_reference_text(run: Run, text_bundle: Path) -> None:
    expected = write_text(text_bundle, "the quick", length=500, temperature=0, artifact="onnx/step.onnx")
    done = run(text_bundle, "--prompt", "the quick", "--length", 500, "--temperature", 0, "--json", runtime=PIPE)
    assert json.loads(done.stdout)["tokens"] == expected["tokens"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--prompt", "a€"), ("'€'", "leave it out")),
        (("--artifact", "onnx/none.onnx"), ("none.onnx", "onnx/step.onnx")),
        (("--top-p", "1.5"), ("top-p", "1.5")),
        (("--temperature", "-1"), ("temperature", "-1")),
        (("--length", "many"), ("many", "a number")),
    ],
)
def test_misuse_is_one_line(run: Run, text_bundle: Path, arguments: Sequence[str], parts: Sequence[str]) -> None:
    assert_refused(run(text_bundle, *arguments), *parts)


def test_a_damaged_bundle_is_refused(run: Run, text_bundle: Path, tmp_path: Path) -> None:
    assert_refused(run(tmp_path / "nowhere"), "is not there")
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    model = folder / "onnx" / "step.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    assert_refused(run(folder), "step.onnx", "SHA-256")
    manifest = folder / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace('"schema_version": 1', '"schema_version": 2'))
    assert_refused(run(folder), "schema_version 2")
    manifest.write_text(whole[: len(whole) // 2])
    assert_refused(run(folder), "damaged")
    golden = folder / "golden.safetensors"
    manifest.write_text(whole)
    golden.write_bytes(golden.read_bytes()[:-1])
    assert_refused(run(folder), "golden.safetensors", "bytes")


@pytest.mark.parametrize("name", ["load", "initialState", "step", "encode", "sample", "generate"])
def test_the_names_are_those_of_every_example(name: str) -> None:
    text = "\n".join(path.read_text() for path in (CORE / "main").rglob("*.kt"))
    assert re.search(rf"fun (Session\.)?{name}\(", text)


def test_its_promises_are_those_of_onnx() -> None:
    rows = re.findall(
        r'^    (("\w+"(?:, )?)+) -> ([0-9.e-]+) to (true|false)', (CORE / "main/kotlin/edgernn/Golden.kt").read_text(), re.M
    )
    promised = {name: (float(row[2]), row[3] == "true") for row in rows for name in re.findall(r"\w+", row[0])}
    assert set(promised) == set(FORMATS["onnx"].precisions)
    for precision, (worst, forced) in promised.items():
        row = tolerance("onnx", precision)
        assert (worst, forced) == (row.rollout, row.forced)


def test_no_tensor_name_is_written_in_the_code(text_bundle: Path, caption_bundle: Path) -> None:
    sources = [*(CORE / "main").rglob("*.kt"), *(ROOT / "app").rglob("*.kt")]
    literals = {name for path in sources for name in re.findall(r'"([A-Za-z_]+)"', path.read_text())}
    for folder in (text_bundle, caption_bundle):
        for graph in Bundle.open(folder).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
