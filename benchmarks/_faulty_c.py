"""Editing C in a bundle: its text and its weights, and the graph that they are generated from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import onnx
from _faulty import sign

from edgernn.contract import FileContract
from edgernn.contract.file import METADATA_KEY
from edgernn.export.to_c.generator import generate
from edgernn.export.to_c.options import Options

STEP, FOUR, EIGHT, BYTES = "c/step", "c/step-int4", "c/step-int8", "c/step-w8a8"
Change = Callable[[onnx.ModelProto], None]
Apply = Callable[[Path], None]


def on_text(pattern: str, replacement: str, inner: str = STEP, *, name: str = "step.c") -> Apply:
    """Write something else wherever the text of ``inner`` has ``pattern``, as a faulty generator or
    a stranger would.
    """

    def apply(folder: Path) -> None:
        path = folder / inner / name
        text, count = re.subn(pattern, replacement, path.read_text(encoding="ascii"))
        if not count:
            raise ValueError(f"{name} of {inner} has no {pattern}: the fault changes nothing")
        path.write_text(text, encoding="ascii")
        sign(folder, inner)

    return apply


def on_weights(change: Callable[[bytearray], None], inner: str = STEP) -> Apply:
    """Change the bytes of the weights."""

    def apply(folder: Path) -> None:
        path = folder / inner / "step.weights.bin"
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        sign(folder, inner)

    return apply


def as_generated(change: Change, inner: str = STEP) -> Apply:
    """Write the C of another graph than the one beside it, as a generator does that takes the graph
    for another.
    """
    return lambda folder: _again(folder, inner, change, with_graph=False)


def on_graph(change: Change, inner: str = STEP) -> Apply:
    """Change the graph, and generate the C from it again."""
    return lambda folder: _again(folder, inner, change, with_graph=True)


def on_options(inner: str = STEP, *, again: bool, **changed: object) -> Apply:
    """Change the options, and generate the C ``again`` by them, or leave it."""

    def apply(folder: Path) -> None:
        path = folder / inner / "options.json"
        own = Options.read(path.read_text(encoding="utf-8"))
        path.write_text(Options(**{**vars(own), **changed}).text(), encoding="utf-8")
        if again:
            _again(folder, inner, lambda model: None, with_graph=False)
        sign(folder, inner)

    return apply


def _again(folder: Path, inner: str, change: Change, *, with_graph: bool) -> None:
    place = folder / inner
    model = onnx.load(place / "graph.onnx")
    change(model)
    content = model.SerializeToString(deterministic=True)
    contract = (place / "contract.json").read_text(encoding="utf-8")
    own = FileContract.from_metadata({METADATA_KEY: contract}, source=inner)
    options = Options.read((place / "options.json").read_text(encoding="utf-8"))
    files = generate(content, own, options).files
    if with_graph:
        files["graph.onnx"] = content
    for name, held in files.items():
        (place / name).write_bytes(held)
    sign(folder, inner)
