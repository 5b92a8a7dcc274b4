"""The Android example's LiteRT runtime, compiled on the core against the signatures it uses and run
on a small interpreter of the test's own, which takes and gives memory as LiteRT's Java classes do:
no package that CI can install brings the Android library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hosts import ANDROID, kotlin_compiler

pytest.importorskip("ai_edge_litert")  # it goes with .ci/litert: the gate compiles enough Kotlin
if shutil.which("javac") is None:
    pytest.skip("needs javac", allow_module_level=True)

DATA_TYPE = "package org.tensorflow.lite; public enum DataType { FLOAT32, INT32, INT64 }"
TENSOR = """
package org.tensorflow.lite;

public interface Tensor {
    DataType dataType();
    int[] shape();
    int numBytes();
}
"""
# its file is text: the signatures, then the type of the tokens, then more inputs
INTERPRETER = """
package org.tensorflow.lite;

import java.io.*;
import java.nio.*;
import java.nio.file.Files;
import java.util.*;

public final class Interpreter implements AutoCloseable {
    public static class Options {
        public Options setNumThreads(int threads) { return this; }
    }

    private record Memory(DataType dataType, int[] shape, ByteBuffer held) implements Tensor {
        Memory(DataType type, int... shape) {
            this(type, shape, ByteBuffer.allocate(
                Arrays.stream(shape).reduce(type == DataType.INT64 ? 8 : 4, (a, b) -> a * b)));
            held.order(ByteOrder.nativeOrder());
        }
        public int numBytes() { return held.capacity(); }
        float at(int place) { return held.getFloat(4 * place); }
        void set(int place, float value) { held.putFloat(4 * place, value); }
    }

    private final Map<String, Memory> inputs = new TreeMap<>(), outputs = new TreeMap<>();
    private final String[] keys;

    public Interpreter(File file, Options options) {
        try {
            String[] words = Files.readString(file.toPath()).split(" ");
            if (words.length < 2) throw new IllegalArgumentException("no model\\nat all");
            keys = words[0].split(",");
            inputs.put("tokens", new Memory(DataType.valueOf(words[1]), 1, 1));
            for (int at = 2; at < words.length; at++)
                inputs.put(words[at], new Memory(DataType.FLOAT32, 1));
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
        for (String name : List.of("h", "c")) {
            inputs.put(name, new Memory(DataType.FLOAT32, 1, 1, 2));
            outputs.put(name + "_next", new Memory(DataType.FLOAT32, 1, 1, 2));
        }
        outputs.put("logits", new Memory(DataType.FLOAT32, 1, 1, 3));
    }

    public String[] getSignatureKeys() { return keys; }
    public String[] getSignatureInputs(String key) {
        return inputs.keySet().toArray(new String[0]);
    }
    public Tensor getInputTensorFromSignature(String name, String key) {
        return found(inputs, name, key);
    }
    public Tensor getOutputTensorFromSignature(String name, String key) {
        return found(outputs, name, key);
    }
    public void close() { System.out.println("closed"); }

    private Memory found(Map<String, Memory> all, String name, String key) {
        if (key.equals(keys[0]) && all.containsKey(name)) return all.get(name);
        throw new IllegalArgumentException("no tensor " + name + " of " + key);
    }

    public void runSignature(Map<String, Object> given, Map<String, Object> made, String key) {
        if (given.size() != inputs.size()) throw new IllegalArgumentException("inputs are missing");
        given.forEach((name, value) -> {
            ByteBuffer from = (ByteBuffer) value, into = found(inputs, name, key).held();
            if (from.capacity() != into.capacity()) throw new IllegalArgumentException("bytes");
            if (from.isDirect() && from.order() == ByteOrder.nativeOrder())
                into.put(0, from, 0, from.capacity()); // wherever its position is
            else into.clear().put(from);
        });
        step();
        made.forEach((name, value) ->
            ((ByteBuffer) value).put(found(outputs, name, key).held().duplicate().clear()));
    }

    private void step() {
        Memory h = inputs.get("h"), c = inputs.get("c"), logits = outputs.get("logits");
        int token = inputs.get("tokens").held().getInt(0);
        for (int i = 0; i < 2; i++) {
            outputs.get("h_next").set(i, 10 * h.at(i) + token + i / 2f);
            outputs.get("c_next").set(i, c.at(i) - (i + 1) * token);
        }
        logits.set(0, outputs.get("h_next").at(0));
        logits.set(1, outputs.get("c_next").at(1));
        logits.set(2, token);
    }
}
"""
DRIVER = """
package edgernn.app

import edgernn.BundleError
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

fun main(arguments: Array<String>) = refused {
    Model.load(File(arguments[0]), ownRuntime()).use { model ->
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
    sources = {"DataType": DATA_TYPE, "Tensor": TENSOR, "Interpreter": INTERPRETER}
    stubs = [folder / f"{name}.java" for name in sources]
    for path, source in zip(stubs, sources.values(), strict=True):
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
    return ["java", "-cp", f"{jar}:{folder / 'stubs'}", "edgernn.app.DriverKt"]


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
        "tokens is 3, expected 0..2; give what the contract says",
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
