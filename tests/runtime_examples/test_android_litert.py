"""The Android example's LiteRT runtime, compiled on the core against the signatures it uses and run
on an interpreter of the test's own, which takes and gives memory as LiteRT's Java classes do: no
package that CI can install brings the Android library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hosts import ANDROID, kotlin_compiler
from litert_classes import SERVER, SOURCES

pytest.importorskip("ai_edge_litert")  # it goes with .ci/litert: the gate compiles enough Kotlin
if shutil.which("javac") is None:
    pytest.skip("needs javac", allow_module_level=True)

DRIVER = """
package edgernn.app

import edgernn.Bundle
import edgernn.BundleError
import edgernn.Golden
import edgernn.Model
import edgernn.Results
import edgernn.State
import edgernn.tokenRow
import java.io.File

private fun Model.next(id: Long, state: State) =
    step(mapOf("tokens" to tokenRow(listOf(id))), state)

private fun told(made: Results) = (made.outputs + made.state).toSortedMap()
    .map { (name, tensor) -> "$name ${tensor.floats.toList()}" }.joinToString()

private fun refused(what: () -> Unit) = try {
    what()
} catch (error: BundleError) {
    println(error.message)
}

private fun check(folder: File) = Bundle(folder).artifacts.forEach { artifact ->
    Model.load(folder, ownRuntime(), artifact.path).use { model ->
        val lines = Golden(model.bundle).check(model)
        lines.forEach { println("${artifact.path} ${it.name} ${it.ok}") }
    }
}

fun main(words: Array<String>) = if (words[0] == "--check") check(File(words[1])) else refused {
    Model.load(File(words[0]), ownRuntime()).use { model ->
        val begun = model.begin().state
        val first = model.next(1, begun)
        val all = listOf(first, model.next(2, first.state), model.next(0, first.state))
        all.forEach { println(told(it)) } // after all of them: each keeps its own memory
        refused { model.next(3, begun) }
        refused {
            val two = edgernn.Longs(listOf(2L, 1L), longArrayOf(0, 0))
            model.step(mapOf("tokens" to two), model.begin(batch = 2).state)
        }
    }
}
"""


def run(words: list[object]) -> str:
    done = subprocess.run(
        [*map(str, words)], capture_output=True, encoding="utf-8", check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Compile the core, the runtime and the driver with every warning an error; what runs them."""
    folder = tmp_path_factory.mktemp("android")
    stubs = [folder / f"{name}.java" for name in SOURCES]
    for path, source in zip(stubs, SOURCES.values(), strict=True):
        path.write_text(source, "utf-8")
    run(["javac", "-d", folder / "stubs", *stubs])
    (folder / "Driver.kt").write_text(DRIVER, "utf-8")
    kotlin = [
        ANDROID / "core" / "src" / "main" / "kotlin",
        ANDROID / "app" / "src" / "litert" / "kotlin",
        folder / "Driver.kt",
    ]
    jar = folder / "made.jar"
    compiler: list[object] = ["bash", kotlin_compiler(), *kotlin, "-cp", folder / "stubs"]
    run([*compiler, "-Werror", "-include-runtime", "-d", jar])
    (folder / "server.py").write_text(SERVER, "utf-8")
    server = f"-Dserver={sys.executable}|{folder / 'server.py'}"
    return ["java", server, "-cp", f"{jar}:{folder / 'stubs'}", "edgernn.app.DriverKt"]


def bundle(folder: Path, model: str) -> Path:
    """Write a bundle of one LiteRT file, which is ``model``."""

    def tensor(name: str, role: str, axes: list[str], **more: str) -> dict[str, Any]:
        return {"name": name, "role": role, "dtype": "float32", "axes": axes, **more}

    place, layers = ["batch", "time"], ["layers", "batch", "hidden"]
    inputs = [
        tensor("tokens", "input", place, below="vocab") | {"dtype": "int64"},
        *(tensor(name, "state", layers) for name in ("h", "c")),
    ]
    outputs = [
        tensor("logits", "output", [*place, "vocab"]),
        *(tensor(f"{name}_next", "state", layers) for name in ("h", "c")),
    ]
    path = folder / "step.tflite"
    path.write_text(model, "utf-8")
    artifact = {
        **{"path": path.name, "format": "litert", "precision": "float32", "graph": "step"},
        **{"bytes": len(model), "sha256": hashlib.sha256(model.encode()).hexdigest()},
        "narrowing": {
            "axes": {"batch": 1, "time": 1},
            "dtypes": {"tokens": "int32"},
            "runtime_state": False,
        },
    }
    contract = {
        "graphs": [{"name": "step", "inputs": inputs, "outputs": outputs}],
        "sizes": {"layers": 1, "hidden": 2, "vocab": 3},
    }
    manifest = {"schema_version": 2, "contract": contract, "artifacts": [artifact], "files": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def test_names_states_and_copies(program: list[object], tmp_path: Path) -> None:
    """Steps over 1 and 2, and over 0 from the state after 1; then an id too many, and two rows."""
    made = run([*program, bundle(tmp_path, "edgernn INT32")]).splitlines()
    assert made[:3] == [
        "c [-1.0, -2.0], h [1.0, 1.5], logits [1.0, -2.0, 1.0]",
        "c [-3.0, -6.0], h [12.0, 17.5], logits [12.0, -6.0, 2.0]",
        "c [-1.0, -2.0], h [10.0, 15.5], logits [10.0, -2.0, 0.0]",
    ]
    assert made[3:] == [
        "an id of tokens is 3, expected 0 to 2; use the bundle's tokenizer",
        "tokens is int64 [2, 1], expected int64 [1, 1]; a file takes one row and one step",
        "closed",
    ]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("damaged", "LiteRT cannot open step.tflite: no model; export the bundle again"),
        ("a,b INT32", "step.tflite has not one signature"),
        (
            "edgernn INT64",
            "step.tflite has tokens in int64, expected int32; export the bundle again",
        ),
        ("edgernn INT32 noise", "step.tflite takes [noise] too"),
    ],
)
def test_another_file_is_refused_and_closed(
    model: str, said: str, program: list[object], tmp_path: Path
) -> None:
    *closed, line = run([*program, bundle(tmp_path, model)]).splitlines()
    assert line.startswith(said)
    assert closed == ([] if model == "damaged" else ["closed"])


def test_the_recorded_run_holds_in_litert_itself(
    program: list[object], checkpoint_folder: Path, tmp_path: Path
) -> None:
    """The files that the app would run, on the interpreter of the Python package."""
    pytest.importorskip("torch")
    from edgernn.export import environments, export_bundle
    from edgernn.export.rounding.compression import Budget
    from edgernn.export.source import ReducedOptions

    if environments.find("litert") is None:
        pytest.skip(f"run: {environments.by_name('litert').command}")
    options = ReducedOptions(budget=Budget(perplexity=1.0))
    wanted = ("float32", "int8")
    folder = tmp_path / "bundle"
    export_bundle(
        checkpoint_folder, folder, to="litert", precision=wanted, steps=16, options=options
    )
    made = [line.split() for line in run([*program, "--check", folder]).splitlines()]
    told = [line for line in made if line != ["closed"]]
    assert {(path, name.split("[")[0]) for path, name, _ in told} == {
        (f"litert/step{precision}.tflite", name)
        for precision in ("", "-int8")
        for name in ("logits", "h_next", "c_next")
    }
    assert {verdict for *_, verdict in told} == {"true"}
