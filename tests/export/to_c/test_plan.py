"""Where things lie: a slot holds one thing at a time, and a matrix is stored as it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.export.to_c import generator, plan
from edgernn.export.to_c.exporter import CExporter
from edgernn.export.to_c.front import program_of
from edgernn.export.to_c.matrices import packed, panels
from edgernn.export.to_c.passes import PASSES, optimised
from edgernn.export.to_c.plan import plan_of
from edgernn.export.to_c.program import Program
from edgernn.sessions.ort.reading import read_model

NETWORKS = ["lstm float32", "gru float32", "lstm_normalised float32", "lstm int8", "gru int4"]


@pytest.fixture(scope="module", params=NETWORKS)
def program(
    request: pytest.FixtureRequest,
    make_model: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Program:
    """A network before its passes."""
    cell, precision = request.param.split()
    model = make_model(cell=cell, layers=3, hidden=16)
    path = tmp_path_factory.mktemp("c") / "step"
    written = CExporter().export(model, path, precision=precision, decoding=None)
    own = FileContract(contract=model.config.contract(), narrowing=written.narrowing)
    return program_of(read_model(path / "graph.onnx").graph, own)


def test_a_slot_is_not_written_while_what_is_in_it_is_needed(program: Program) -> None:
    program = optimised(program)
    found, held = plan_of(program), {}
    for node in program.nodes:
        for view in node.reads():
            if view.storage in found.places:
                assert held[found.places[view.storage]] is view.storage
        for view in node.writes():
            if view.storage in found.places:
                held[found.places[view.storage]] = view.storage
    assert len(found.slots) < len(found.places), "some are shared"


def test_every_pass_leaves_fewer_nodes_or_as_many(program: Program) -> None:
    counts = [len(program.nodes)]
    for change in PASSES:
        if change.name != "quantised":  # makes one of each vector
            program = change.run(program)
            counts.append(len(program.nodes))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0] / 2


@pytest.mark.parametrize("rows", [1, 16, 32, 33, 64, 65, 96, 97, 128, 250])
def test_panels_hold_every_row_once(rows: int) -> None:
    draw = np.random.default_rng(1)
    matrix = draw.normal(size=(5, rows)).astype(np.float32)
    bias = draw.normal(size=rows).astype(np.float32)
    x = draw.normal(size=5).astype(np.float32)
    flat, made = packed(matrix, bias), []
    for width, count in panels(rows):
        panel, flat = flat[: 6 * width].reshape(6, width), flat[6 * width :]
        made.append((panel[0] + x @ panel[1:])[:count])
    assert not flat.size
    assert np.allclose(np.concatenate(made), bias + x @ matrix, atol=1e-6)


FAULTS = {
    "rows in another order": lambda matrix, bias: packed(np.roll(matrix, 8, 1), bias),
    "no bias": lambda matrix, bias: packed(matrix, None),
    "a row's bias of another": lambda matrix, bias: packed(
        matrix, None if bias is None else np.roll(bias, 1)
    ),
    "an input's weights of another": lambda matrix, bias: packed(np.roll(matrix, 1, 0), bias),
    "coarse weights": lambda matrix, bias: packed(np.float32(np.round(matrix * 64) / 64), bias),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_generator_with_a_fault_packs_nothing(
    fault: str, checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgernn.errors import ContractError
    from edgernn.export.pack import export_bundle

    monkeypatch.setattr(plan, "packed", FAULTS[fault])
    with pytest.raises(ContractError, match=r"^c float32 is .* from the reference in "):
        export_bundle(checkpoint_folder, tmp_path / "net", to="c", steps=16)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("x * p / q", "(x < -1 ? -1 : x > 1 ? 1 : x)"),
        ("6.37261928875436e-04f", "6.38e-04f"),
        ("+ 0.5f;", "+ 0.5001f;"),
    ],
    ids=["a straight line for tanh", "a coefficient", "a sigmoid that is a little high"],
)
def test_an_activation_that_is_too_coarse_packs_nothing(
    right: str,
    wrong: str,
    checkpoint_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgernn.errors import ContractError
    from edgernn.export.pack import export_bundle
    from edgernn.export.to_c.functions import helpers_of

    def coarse(names: set[str]) -> list[str]:
        return [text.replace(right, wrong) for text in helpers_of(names)]

    monkeypatch.setattr(generator, "helpers_of", coarse)
    with pytest.raises(ContractError, match=r"^c float32 is .* from the reference in "):
        export_bundle(checkpoint_folder, tmp_path / "net", to="c", steps=64)
