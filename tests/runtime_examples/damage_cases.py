"""What may be wrong with a bundle of text: a change of its folder, and what every host must name
in the one line that refuses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host_cases

Manifest = dict[str, Any]
Change = Callable[[Path], object]


def of_manifest(change: Callable[[Manifest], object]) -> Change:
    """Return a change of the manifest."""
    return lambda folder: host_cases.edit(folder, change)


def flipped(name: str) -> Change:
    """Return a change of one bit in the middle of a file."""

    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))

    return change


def manifest_is(content: bytes) -> Change:
    """Return a change of the whole manifest."""
    return lambda folder: (folder / "manifest.json").write_bytes(content)


def fifo(name: str) -> Change:
    """Return a change of a file into a pipe, whose reader would wait."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


STEP: Callable[[Manifest], Any] = lambda m: m["contract"]["graphs"][0]  # noqa: E731
MORE = {"name": "more", "role": "input", "dtype": "float32", "axes": ["batch"]}
NARROWING: Callable[[Manifest], Any] = lambda m: m["artifacts"][0]["narrowing"]  # noqa: E731
DAMAGE: dict[str, tuple[Change, str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json"),
    "an empty manifest": (manifest_is(b""), "manifest.json"),
    "a cut manifest": (manifest_is(b"{"), "manifest.json"),
    "a list": (manifest_is(b"[1]"), "manifest.json"),
    "a deep list": (manifest_is(b"[" * 100_000), "manifest.json"),
    "no text": (manifest_is(b"\xff\xfe"), "manifest.json"),
    "a version alone": (manifest_is(b'{"schema_version": 1}'), "manifest.json"),
    "a newer version": (of_manifest(lambda m: m.update(schema_version=3)), "schema_version"),
    "no version": (of_manifest(lambda m: m.pop("schema_version")), "schema_version"),
    "no contract": (of_manifest(lambda m: m.pop("contract")), "manifest.json"),
    "no files": (of_manifest(lambda m: m.pop("files")), "manifest.json"),
    "artifacts that are none": (of_manifest(lambda m: m.update(artifacts=5)), "artifact"),
    "no artifacts": (of_manifest(lambda m: m.update(artifacts=[])), "artifact"),
    "a path outside": (
        of_manifest(lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": "0" * 64}})),
        "path inside the",
    ),
    "a model outside": (
        of_manifest(lambda m: m["artifacts"][0].update(path="/etc/passwd")),
        "path inside the",
    ),
    "another size": (
        of_manifest(lambda m: m["files"]["tokenizer.json"].update(bytes=3)),
        "bytes, expected 3",
    ),
    "another digest": (
        of_manifest(lambda m: m["artifacts"][0].update(sha256="0" * 64)),
        "expected 000000000000",
    ),
    "a dtype of nobody": (
        of_manifest(lambda m: NARROWING(m)["dtypes"].update(h="bfloat16")),
        "onnx/step.onnx",
    ),
    "state in the runtime": (
        of_manifest(lambda m: NARROWING(m).update(runtime_state=True)),
        "onnx/step.onnx",
    ),
    "two rows": (of_manifest(lambda m: NARROWING(m)["axes"].update(batch=2)), "onnx/step.onnx"),
    "an unknown kind": (of_manifest(lambda m: m["tokenizer"].update(kind="custom")), "custom"),
    "a tokenizer that is not listed": (
        of_manifest(lambda m: m["files"].pop("tokenizer.json")),
        "tokenizer",
    ),
    "a tokenizer elsewhere": (
        of_manifest(lambda m: m["tokenizer"].update(path="../tokenizer.json")),
        "tokenizer.json",
    ),
    "other ids": (of_manifest(lambda m: m["tokenizer"]["ids"].reverse()), "ids"),
    "a graph of nobody": (
        of_manifest(lambda m: m["contract"]["graphs"][0].update(name="stop")),
        "manifest.json",
    ),
    "another vocabulary": (
        of_manifest(lambda m: m["contract"]["sizes"].update(vocab=35)),
        "manifest.json",
    ),
    "no start": (of_manifest(lambda m: m["decoding"].update(start=[])), "start"),
    "a start that is no id": (of_manifest(lambda m: m["decoding"].update(start=[99])), "start"),
    "a changed model": (flipped("onnx/step.onnx"), "onnx/step.onnx"),
    "a cut model": (lambda f: (f / "onnx/step.onnx").write_bytes(b"x"), "onnx/step.onnx"),
    "no model": (lambda f: (f / "onnx/step.onnx").unlink(), "step.onnx"),
    "a changed recording": (flipped("golden.safetensors"), "golden.safetensors"),
    "a changed tokenizer": (flipped("tokenizer.json"), "tokenizer.json"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json"),
    "no vectors": (lambda f: (f / "sampler.json").unlink(), "sampler.json"),
    "no recording": (lambda f: (f / "golden.safetensors").unlink(), "golden.safetensors"),
    "a huge file": (lambda f: os.truncate(f / "tokenizer.json", 1 << 40), "tokenizer.json"),
    "a fifo": (fifo("tokenizer.json"), "tokenizer.json"),
    "no tokenizer named": (of_manifest(lambda m: m.pop("tokenizer")), "tokenizer"),
    "no token for a byte": (of_manifest(lambda m: m["tokenizer"].update(kind="byte")), ""),
    "fewer ids": (of_manifest(lambda m: m["tokenizer"]["ids"].pop()), "ids"),
    "another frame a call": (
        of_manifest(lambda m: NARROWING(m).update(axes={"time": 3})),
        "onnx/step.onnx",
    ),
    "a dtype that nobody has": (
        of_manifest(lambda m: STEP(m)["outputs"][0].update(dtype="complex64")),
        "complex64",
    ),
    "a tensor twice": (of_manifest(lambda m: STEP(m)["inputs"].append(STEP(m)["inputs"][0])), ""),
    "an input more": (of_manifest(lambda m: STEP(m)["inputs"].append(MORE)), ""),
    "a state that does not come out": (of_manifest(lambda m: STEP(m)["outputs"].pop()), ""),
    "another hidden size": (of_manifest(lambda m: m["contract"]["sizes"].update(hidden=9)), ""),
    "a hidden size beyond reason": (
        of_manifest(lambda m: m["contract"]["sizes"].update(hidden=2**40)),
        "",
    ),
    "a size beyond reason": (
        of_manifest(lambda m: m["files"]["tokenizer.json"].update(bytes=1e300)),
        "",
    ),
    "a version that is none": (
        of_manifest(lambda m: m["artifacts"][0].update(requires={"onnxruntime": "newest"})),
        "",
    ),
    "a drive": (of_manifest(lambda m: m["artifacts"][0].update(path="c:step.onnx")), ""),
    "a dot": (of_manifest(lambda m: m["artifacts"][0].update(path="./onnx/step.onnx")), ""),
    "a first state from no encode": (
        of_manifest(lambda m: m["contract"].update(initial_state={"h": "encode"})),
        "",
    ),
    "a first state from anywhere": (
        of_manifest(lambda m: m["contract"].update(initial_state={"h": "random"})),
        "",
    ),
    "a temperature in words": (of_manifest(lambda m: m["decoding"].update(temperature="hot")), ""),
    "a suppressed id of nobody": (of_manifest(lambda m: m["decoding"].update(suppress=[99])), ""),
}
