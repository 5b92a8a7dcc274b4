"""Editing folders of ncnn in a bundle: the layers of the text, and the matrices in the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from _faulty import sign

from edgernn.sessions.ncnn.folder import NcnnGraph, graph_of
from edgernn.sessions.ncnn.text import Layer, text_of
from edgernn.sessions.ncnn.weights import Held, stored

STEP, HALF, EIGHT = "ncnn/step", "ncnn/step-float16", "ncnn/step-int8"
Apply = Callable[[Path], None]
Layers = list[Layer]


def on_layers(change: Callable[[Layers], Layers], inner: str = STEP) -> Apply:
    """Write other layers, as a faulty converter would."""

    def apply(folder: Path) -> None:
        path = folder / inner / "step.param"
        before = graph_of(folder / inner).layers
        after = tuple(change(list(before)))
        if after == before:
            raise ValueError("the fault changes nothing")
        path.write_text(text_of(after), encoding="ascii")
        sign(folder, inner)

    return apply


def on_weights(change: Callable[[list[np.ndarray], NcnnGraph], None], inner: str = STEP) -> Apply:
    """Change what the file of weights holds, each piece as it is stored."""

    def apply(folder: Path) -> None:
        path = folder / inner / "step.bin"
        graph = graph_of(folder / inner)
        arrays = [held.values(graph.content).copy() for held in graph.weights]
        change(arrays, graph)
        content = b"".join(
            _bytes(held, array) for held, array in zip(graph.weights, arrays, strict=True)
        )
        if content == graph.content:
            raise ValueError("the fault changes nothing")
        path.write_bytes(content)
        sign(folder, inner)

    return apply


def on_matrix(
    change: Callable[[np.ndarray], np.ndarray], inner: str = STEP, *, name: str = "from_hidden"
) -> Apply:
    """Change the last matrix whose name ends so."""

    def on_arrays(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
        place = places(graph.weights, name)[-1]
        arrays[place] = change(arrays[place]).astype(arrays[place].dtype)

    return on_weights(on_arrays, inner)


def places(weights: Sequence[Held], name: str) -> list[int]:
    """Return the places of the matrices whose names end with ``name``."""
    return [at for at, held in enumerate(weights) if held.is_matrix and held.name.endswith(name)]


def renamed(layers: Layers, names: dict[str, str]) -> Layers:
    """Return the layers with blobs called otherwise."""
    return [
        replace(
            layer,
            reads=tuple(names.get(name, name) for name in layer.reads),
            makes=tuple(names.get(name, name) for name in layer.makes),
        )
        for layer in layers
    ]


def with_kind(layers: Layers, kind: str, other: str) -> Layers:
    """Return the layers with all of one kind made another."""
    return [replace(one, kind=other) if one.kind == kind else one for one in layers]


def _bytes(held: Held, array: np.ndarray) -> bytes:
    return b"".join(stored(array, dtype=held.dtype if held.piece.tagged else None))
