"""Several sequences in one call: each to the bit what it is alone, and a bundle of such a file is
judged like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.export.source import ReducedOptions
from edgernn.export.to_c.exporter import CExporter
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import build, find_compiler

STREAMS, STEPS = 3, 6


def opened(model: Any, path: Path, precision: str, streams: int) -> CompiledSession:
    exporter = CExporter(streams=streams)
    made = exporter.export(model, path, precision=precision, decoding=None)
    own = FileContract(contract=model.config.contract(), narrowing=made.narrowing)
    compiler = find_compiler()
    flags = tuple("-O1" if flag == "-O3" else flag for flag in compiler.flags)
    files = checked_sources(path)
    return CompiledSession(build(files, replace(compiler, flags=flags)), own)


OF_EACH_KIND = ("lstm", "gru", "rnn_relu", "gru_before", "lstm_projected", "lstm_normalised", "nas")
CASES = [
    *((cell, {"hidden": 16}, "float32") for cell in OF_EACH_KIND),
    ("lstm", {"hidden": 32}, "int8"),
    ("lstm", {"hidden": 20}, "w8a8"),
    ("gru", {"hidden": 16}, "int4"),
    ("lstm_normalised", {"hidden": 16}, "int8"),
]


@pytest.mark.parametrize(("cell", "options", "precision"), CASES)
def test_a_stream_is_what_it_is_alone(
    cell: str,
    options: dict[str, Any],
    precision: str,
    make_model: Callable[..., Any],
    tmp_path: Path,
) -> None:
    model = make_model(cell=cell, **options)
    together = opened(model, tmp_path / "together", precision, STREAMS)
    alone = opened(model, tmp_path / "alone", precision, 1)
    draw = np.random.default_rng(6)
    zeros = together.initial_state(STREAMS)
    state = {name: draw.normal(size=a.shape).astype(a.dtype) for name, a in zeros.items()}
    mine = [{n: a[:, row : row + 1].copy() for n, a in state.items()} for row in range(STREAMS)]
    for _ in range(STEPS):
        tokens = draw.integers(together.contract.sizes["vocab"], size=(STREAMS, 1))
        outputs, state = together.step({"tokens": tokens}, state)
        for row in range(STREAMS):
            single, mine[row] = alone.step({"tokens": tokens[row : row + 1]}, mine[row])
            assert np.array_equal(outputs["logits"][row], single["logits"][0])
            for name, array in state.items():
                assert np.array_equal(array[:, row : row + 1], mine[row][name])


def test_another_number_of_rows_is_one_clear_error(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    session = opened(make_model(), tmp_path / "step", "float32", STREAMS)
    with pytest.raises(ContractError, match=r"^tokens has batch = 1 .*, expected 3 as in this fi"):
        session.step({"tokens": np.zeros((1, 1), np.int64)}, session.initial_state(1))


def test_other_numbers_of_streams_are_refused(checkpoint_folder: Path, tmp_path: Path) -> None:
    from edgernn.export.pack import export_bundle

    with pytest.raises(UsageError, match=r"^--streams is 0, expected 1 or more$"):
        ReducedOptions(streams=0)
    options = ReducedOptions(streams=9)
    with pytest.raises(UsageError, match=r"^--streams is 9, expected 1 to 8 of c: more "):
        export_bundle(checkpoint_folder, tmp_path / "net", to=["c"], options=options)
    told = (
        r"^--streams is of c, executorch, litert, and onnx is written too; leave it out of --to, "
    )
    with pytest.raises(UsageError, match=told):
        export_bundle(checkpoint_folder, tmp_path / "net", to=["c", "onnx"], options=options)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_bundle_of_streams_passes_every_check(
    precision: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    from edgernn.export.pack import export_bundle
    from tests.export.test_networks import passed

    bundle = export_bundle(
        checkpoint_folder,
        tmp_path / "net",
        to="c",
        precision=precision,
        steps=16,
        options=ReducedOptions(streams=STREAMS),
    )
    assert any("c/step" in path for path in passed(bundle, steps=16))
    assert not (tmp_path / "net" / "c" / "text").exists(), "a text is one sequence"
    assert bundle.manifest.artifacts[0].narrowing.axes["batch"] == STREAMS
