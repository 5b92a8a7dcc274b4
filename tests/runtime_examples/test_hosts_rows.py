"""Rows of a batch go their own ways in every host: one begins again, one goes back, one goes on
from where another was, and each goes on as that row alone would, and as in edgernn.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import frame_bundle
import host_cases
import numpy as np
import pytest
import safetensors.numpy
from hosts import Command, Host, told

from edgernn.contract import BATCH, next_name
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.model import Model, open_model

ROWS, STEPS, CHANGE = 3, 8, 4
# what a row is, alone, since it began: which steps of which row went in
HISTORIES = [
    [(range(CHANGE, STEPS), 0)],
    [(range(1), 1), (range(CHANGE, STEPS), 1)],
    [(range(CHANGE), 0), (range(CHANGE, STEPS), 2)],
]
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def lstm(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Two layers of an LSTM whose first state is stored: h and c ``[layers, B, H]``."""
    folder = tmp_path_factory.mktemp("rows") / "lstm"
    checkpoint = Checkpoint(make_model(learned_initial_state=True), tokenizer, {}, {})
    export_bundle(checkpoint, folder, to=["onnx"], steps=8, release=True)
    return folder


@pytest.fixture(params=["lstm", "frames", "frames of a source"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle whose recorded inputs are of three rows and eight steps."""
    folder = tmp_path / "network"
    if request.param == "lstm":
        source: Path = request.getfixturevalue("lstm")
        shutil.copytree(source, folder)
        ids = open_model(folder).step.spec.text_ids
        size = open_model(folder).contract.sizes[str(ids.below)]
        drawn = np.random.default_rng(5).integers(0, size, (STEPS, ROWS, 1))
        record(folder, {ids.name: drawn})
        return folder
    encode = request.param != "frames"
    frame_bundle.write_frame_bundle(folder, encode=encode)
    golden = frame_bundle.golden(encode, rows=ROWS)
    if encode:
        golden["source"][2] = golden["source"][0]  # a row that moves keeps its contexts
    record(folder, {name: golden[name] for name in fed(open_model(folder))})
    return folder


def record(folder: Path, inputs: Arrays) -> None:
    """Make these the recorded inputs."""
    content = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(content))


def recorded(folder: Path) -> Arrays:
    """Return the recorded inputs: of a step ``[N, *axes]``, of encode ``[*axes]``."""
    return safetensors.numpy.load_file(folder / "golden.safetensors")


def fed(model: Model) -> list[str]:
    """Return the names of what is fed: to encode, and to every step."""
    seen = model.encode.spec.fresh_inputs if model.encode else ()
    return [spec.name for spec in (*seen, *model.step.spec.fresh_inputs)]


def in_edgernn(model: Model, inputs: Arrays, change: int) -> list[tuple[Arrays, Arrays]]:
    """Return outputs and next state of each step, in edgernn itself."""
    seen = [spec.name for spec in model.encode.spec.fresh_inputs] if model.encode else []
    contexts, first = model.begin({name: inputs[name] for name in seen}, batch=ROWS)
    state, made = first, list[tuple[Arrays, Arrays]]()
    for at in range(STEPS):
        if change and at == change:
            now, older = state, made[0][1]
            parts = [(first, 0), (older, 1), (now, 0)]
            state = {
                spec.name: np.concatenate(
                    [
                        np.take(each[spec.name], [row], spec.axes.index(BATCH))
                        for each, row in parts
                    ],
                    spec.axes.index(BATCH),
                )
                for spec in model.step.spec.states
            }
        fresh = {spec.name: inputs[spec.name][at] for spec in model.step.spec.fresh_inputs}
        outputs, state = model.step({**fresh, **contexts}, state)
        made.append((dict(outputs), dict(state)))
    return made


def alone(model: Model, inputs: Arrays, row: int) -> Arrays:
    """Return the inputs of a row alone since it began."""
    made = dict[str, np.ndarray]()
    for spec in model.encode.spec.fresh_inputs if model.encode else ():
        made[spec.name] = np.take(inputs[spec.name], [row], spec.axes.index(BATCH))
    for spec in model.step.spec.fresh_inputs:
        place, parts = spec.axis(BATCH), list[np.ndarray]()
        for steps, from_row in HISTORIES[row]:
            array = inputs[spec.name][list(steps)]
            parts.append(array if place is None else np.take(array, [from_row], place + 1))
        made[spec.name] = np.concatenate(parts)
    return made


def test_rows_part_and_go_on_as_each_alone(
    host: Host, as_library: Command, network: Path, tmp_path: Path
) -> None:
    model, inputs = open_model(network), recorded(network)
    (_, *together), _ = told(host, as_library, network, ROWS, STEPS, CHANGE)
    for told_step, step in zip(together, in_edgernn(model, inputs, CHANGE), strict=True):
        for found, wanted in zip(told_step, step, strict=True):
            assert found.keys() == wanted.keys()
            for name, array in wanted.items():
                np.testing.assert_allclose(found[name], array, atol=1e-6)
    specs = {spec.name: spec for spec in model.step.spec.outputs}
    for row, history in enumerate(HISTORIES):
        folder = host_cases.copied(network, tmp_path / f"row{row}")
        record(folder, alone(model, inputs, row))
        count = sum(len(steps) for steps, _ in history)
        (_, *single), _ = told(host, as_library, folder, 1, count)
        for (outputs, state), (own, after) in zip(together[CHANGE:], single[-4:], strict=True):
            whole = {**outputs, **{next_name(name): array for name, array in state.items()}}
            for name, array in {**own, **{next_name(n): a for n, a in after.items()}}.items():
                mine = np.take(whole[name], [row], specs[name].axes.index(BATCH))
                np.testing.assert_allclose(mine, array, atol=1e-6)


def test_the_change_can_be_seen(network: Path) -> None:
    """Else the test above would show nothing."""
    model, inputs = open_model(network), recorded(network)
    changed, untouched = (in_edgernn(model, inputs, change)[-1][1] for change in (CHANGE, 0))
    for spec in model.step.spec.states:
        parts = np.abs(changed[spec.name].astype(float) - untouched[spec.name])
        others = tuple(at for at, axis in enumerate(spec.axes) if axis != BATCH)
        if np.issubdtype(changed[spec.name].dtype, np.floating) and spec.name != "memory":
            assert (parts.max(others) > 1e-4).all(), spec.name


def test_a_row_that_is_not_there_is_refused(
    host: Host, as_library: Command, tmp_path: Path
) -> None:
    folder = frame_bundle.write_frame_bundle(tmp_path, rows=2)
    done = as_library.run(folder, 2, STEPS, CHANGE)
    assert done.returncode != 0
    assert "is to become row 2 of 2" in done.stderr
    assert "they count from 0" in done.stderr
