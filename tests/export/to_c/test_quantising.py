"""Gates behind their panels: the same bits as the whole product first, in less memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.export.to_c import passes
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_c.front import program_of
from edgernn.export.to_c.generator import generate
from edgernn.export.to_c.integer_nodes import Gated
from edgernn.export.to_c.options import Options
from edgernn.export.to_c.passes import optimised
from edgernn.export.to_c.plan import plan_of
from edgernn.models.cells.table import CELLS
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.ort.reading import read_model
from tests.export.to_c.test_generator import first_state, run

NEW = ("gates behind their panels", "rows in place", "states at once")


def written(model: Any, path: Path, precision: str) -> FileContract:
    made = CExporter().export(model, path, precision=precision, decoding=None)
    return FileContract(contract=model.config.contract(), narrowing=made.narrowing)


def compiled(path: Path, own: FileContract, *extra: str) -> CompiledSession:
    """Open what is generated now, compiled quickly."""
    options = Options.read((path / "options.json").read_text())
    files = generate((path / "graph.onnx").read_bytes(), own, options).files
    compiler = find_compiler()
    flags = tuple("-O1" if flag == "-O3" else flag for flag in compiler.flags)
    return CompiledSession(build(files, replace(compiler, flags=(*flags, *extra))), own)


def assert_same(found: Any, wanted: Any) -> None:
    for one, two in zip(found[0], wanted[0], strict=True):
        assert np.array_equal(one["logits"], two["logits"])
    for name, array in wanted[1].items():
        assert np.array_equal(found[1][name], array)


CASES = [
    *((cell, "int8") for cell in CELLS),
    *(("lstm", precision) for precision in ("float32", "w8a8", "w8a7", "int4")),
    ("gru", "w4a8"),
]


@pytest.mark.parametrize(("cell", "precision"), CASES)
def test_the_bits_are_those_of_whole_products(
    cell: str,
    precision: str,
    make_model: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "step"
    own = written(make_model(cell=cell, hidden=48, embedding=20), path, precision)
    session = compiled(path, own)
    kept = tuple(change for change in passes.PASSES if change.name not in NEW)
    monkeypatch.setattr(passes, "PASSES", kept)
    other, state = compiled(path, own), first_state(session)
    assert_same(run(session, state, 8), run(other, state, 8))


@pytest.mark.parametrize(("cell", "precision"), [("lstm", "w8a8"), ("gru", "int4")])
def test_the_bits_are_the_same_with_little_memory(
    cell: str, precision: str, make_model: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "step"
    own = written(make_model(cell=cell, hidden=48, embedding=20), path, precision)
    session, small = compiled(path, own), compiled(path, own, "-DNET_SMALL", "-Wall", "-Werror")
    state = first_state(session)
    assert_same(run(session, state, 8), run(small, state, 8))
    sizes = dict(re.findall(r"(SCRATCH|SMALL)_BYTES (\d+)", (path / "step.h").read_text()))
    assert int(sizes["SMALL"]) < int(sizes["SCRATCH"])


@pytest.mark.parametrize(
    ("cell", "hidden", "most"), [("lstm", 64, 524), ("gru", 64, 660), ("rnn", 32, 600)]
)
def test_no_product_of_gates_is_there_as_a_whole(
    cell: str, hidden: int, most: int, make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model(cell=cell, hidden=hidden, embedding=hidden)
    own = written(model, tmp_path / "step", "int8")
    program = optimised(program_of(read_model(tmp_path / "step" / "graph.onnx").graph, own))
    assert plan_of(program).small_scratch_bytes <= most  # vectors of 16 bits, and 16 units' gates
    kinds = [type(node).__name__ for node in program.nodes]
    assert kinds.count("Gated") == 2
    assert kinds.count("IntegerProduct") == 1, "that of the logits"
    assert "Move" not in kinds


def test_units_that_fill_no_panel_stay_whole(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    own = written(make_model(hidden=24), tmp_path / "step", "int8")
    program = optimised(program_of(read_model(tmp_path / "step" / "graph.onnx").graph, own))
    assert not [node for node in program.nodes if isinstance(node, Gated)]
