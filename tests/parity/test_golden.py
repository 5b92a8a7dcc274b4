"""A golden run is written as documented, replays to the bit on what recorded it, and catches what
differs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgernn.bundle import Bundle
from edgernn.contract import ENCODE, STEP, FileContract
from edgernn.errors import BundleError
from edgernn.families.language import language_contract
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity import golden
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
Tensors = dict[str, np.ndarray]

STEPS = 34  # every token of the vocabulary once


@pytest.fixture
def path(make_model: MakeModel, tmp_path: Path) -> Path:
    """A golden run of the tiny LSTM, 6 steps."""
    golden.record(EagerSession(make_model()), tmp_path / "golden.safetensors", steps=6)
    return tmp_path / "golden.safetensors"


def edit(path: Path, change: Callable[[Tensors], Tensors]) -> None:
    tensors = change(safetensors.numpy.load_file(path))
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()}, path
    )


@pytest.mark.parametrize("cell", FUSED)
def test_it_replays_to_the_bit(make_model: MakeModel, tmp_path: Path, cell: str) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(EagerSession(make_model(cell=cell, learned_initial_state=True)), path)
    drifts = golden.replay(EagerSession(make_model(cell=cell, learned_initial_state=True)), path)
    assert [drift.tensor for drift in drifts] == [
        "logits",
        *(f"{name}_next" for name in cell_class(cell).states),
    ]
    for drift in drifts:
        assert drift.curve.tolist() == [0.0] * STEPS
        assert drift.scale > 0


@pytest.mark.parametrize("cell", FUSED)
def test_names_and_shapes_are_as_documented(
    make_model: MakeModel, tmp_path: Path, cell: str
) -> None:
    path, model = tmp_path / "golden.safetensors", make_model(cell=cell)
    golden.record(EagerSession(model), path, steps=5)
    tensors = safetensors.numpy.load_file(path)
    shapes = {"tokens": (5, 1, 1), "logits": (5, 1, 1, model.config.vocabulary)}
    for name in cell_class(cell).states:
        shapes |= {name: (2, 1, 8), f"{name}_next": (5, 2, 1, 8)}
    assert {name: array.shape for name, array in tensors.items()} == shapes
    assert {name: str(array.dtype) for name, array in tensors.items()} == {
        name: "int64" if name == "tokens" else "float32" for name in shapes
    }


def test_a_host_can_replay_it_with_a_reader_and_a_loop(bundle: Bundle) -> None:
    tensors = safetensors.numpy.load_file(bundle.path("golden.safetensors"))
    session = open_session(bundle, "onnx")
    state = {"h": tensors["h"], "c": tensors["c"]}
    assert all(array.any() for array in state.values())
    assert not np.array_equal(state["h"], state["c"])
    for n, tokens in enumerate(tensors["tokens"]):
        outputs, state = session.step({"tokens": tokens}, state)
        np.testing.assert_allclose(outputs["logits"], tensors["logits"][n], atol=1e-5)
        np.testing.assert_allclose(state["h"], tensors["h_next"][n], atol=1e-5)
        np.testing.assert_allclose(state["c"], tensors["c_next"][n], atol=1e-5)
    assert n == STEPS - 1


def test_the_same_session_writes_the_same_bytes(
    make_model: MakeModel, path: Path, tmp_path: Path
) -> None:
    golden.record(EagerSession(make_model()), tmp_path / "again", steps=6)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_it_needs_no_model_code(tmp_path: Path, make_model: MakeModel) -> None:
    file_contract = FileContract(contract=make_model().config.contract())
    golden.record(FakeSession(file_contract), tmp_path / "golden", steps=4)
    assert (
        max(drift.worst for drift in golden.replay(FakeSession(file_contract), tmp_path / "golden"))
        == 0
    )


@pytest.mark.parametrize(
    ("cell", "swap"), [("lstm", (0, 1)), ("lstm", (2, 3)), ("gru", (0, 1)), ("gru", (1, 2))]
)
def test_another_gate_order_is_caught(
    make_model: MakeModel, tmp_path: Path, cell: str, swap: tuple[int, int]
) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(EagerSession(make_model(cell=cell)), path)
    model = make_model(cell=cell)
    with torch.no_grad():
        for weight in model.recurrent.parameters():
            rows = list(weight.split(8))
            rows[swap[0]], rows[swap[1]] = rows[swap[1]], rows[swap[0]]
            weight.copy_(torch.cat(rows))
    assert max(drift.scaled for drift in golden.replay(EagerSession(model), path)) > 1e-2


def test_a_changed_value_is_found_where_it_stands(make_model: MakeModel, path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        tensors["c_next"][3, 1, 0, 2] += 0.25
        return tensors

    edit(path, change)
    found = {drift.tensor: drift for drift in golden.replay(EagerSession(make_model()), path)}
    assert found["c_next"].curve.tolist() == pytest.approx([0, 0, 0, 0.25, 0, 0], abs=1e-6)
    assert (found["logits"].worst, found["h_next"].worst) == (0, 0)


def test_a_forced_replay_starts_every_step_from_the_recorded_state(
    make_model: MakeModel, path: Path
) -> None:
    """An error of one step stays in that step and the one after it, and is told relative to the
    tensor's size.
    """
    recorded = safetensors.numpy.load_file(path)["c_next"][:, 1]
    size = float(np.sqrt(np.square(recorded).mean()))

    def change(tensors: Tensors) -> Tensors:
        tensors["c_next"][3] *= 1.5
        return tensors

    edit(path, change)
    found = {
        drift.tensor: drift
        for drift in golden.replay(EagerSession(make_model()), path, forced=True)
    }
    assert all(drift.relative for drift in found.values())
    assert np.flatnonzero(found["c_next[1]"].curve > 1e-6).tolist() == [3, 4]
    assert np.flatnonzero(found["logits"].curve > 1e-6).tolist() == [4]
    assert 0.1 * size < found["c_next[1]"].worst < size
    free = {drift.tensor: drift for drift in golden.replay(EagerSession(make_model()), path)}
    assert np.flatnonzero(free["c_next"].curve > 1e-6).tolist() == [3]


def test_a_forced_replay_of_what_recorded_it_is_exact(make_model: MakeModel, path: Path) -> None:
    assert (
        max(drift.worst for drift in golden.replay(EagerSession(make_model()), path, forced=True))
        == 0
    )


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_damaged_file(make_model: MakeModel, path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        BundleError, match=r"golden.safetensors is no golden run \(.*\); export the bundle again"
    ):
        golden.replay(EagerSession(make_model()), path)


def test_a_missing_file(make_model: MakeModel, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot read the golden run .*nothing: No such file"):
        golden.replay(EagerSession(make_model()), tmp_path / "nothing")


def test_a_golden_run_of_another_cell(make_model: MakeModel, path: Path) -> None:
    with pytest.raises(
        BundleError, match="does not fit the contract in c, c_next; export the bundle again"
    ):
        golden.replay(EagerSession(make_model(cell="gru")), path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {**tensors, "h": tensors["h"][:, :, :4], "c": tensors["c"][:, :, :4]},
        lambda tensors: {**tensors, "h_next": tensors["h_next"][:-1]},
        lambda tensors: {**tensors, "tokens": tensors["tokens"][:-1]},
        lambda tensors: {**tensors, "tokens": tensors["tokens"].astype(np.float32)},
        lambda tensors: {**tensors, "logits": tensors["logits"][..., :-1]},
    ],
    ids=[
        "another hidden size",
        "a state too few",
        "an input too few",
        "another dtype",
        "another vocabulary",
    ],
)
def test_a_golden_run_of_other_shapes(
    make_model: MakeModel, path: Path, change: Callable[[Tensors], Tensors]
) -> None:
    edit(path, change)
    with pytest.raises(BundleError, match="export the bundle again"):
        golden.replay(EagerSession(make_model()), path)


def wide_contract(*, vocabulary: int = 5000, **sizes: int) -> FileContract:
    return FileContract(
        contract=language_contract(
            ("h", "c"), vocabulary=vocabulary, **{"layers": 1, "hidden": 4, **sizes}
        )
    )


def large_model(make_model: MakeModel) -> LanguageModel:
    return make_model(vocabulary=5000, layers=1, hidden=7)


@pytest.fixture
def wide(make_model: MakeModel, tmp_path: Path) -> Path:
    """A golden run of a model whose logits would take 5 MB."""
    golden.record(EagerSession(large_model(make_model)), tmp_path / "golden.safetensors")
    return tmp_path / "golden.safetensors"


def test_a_wide_output_is_recorded_as_five_tensors(make_model: MakeModel, wide: Path) -> None:
    tensors = safetensors.numpy.load_file(wide)
    assert {name: (str(array.dtype), array.shape) for name, array in tensors.items()} == {
        "tokens": ("int64", (256, 1, 1)),
        **dict.fromkeys(("h", "c"), ("float32", (1, 1, 7))),
        **{f"{name}_next": ("float32", (256, 1, 1, 7)) for name in ("h", "c")},
        "logits.columns": ("int64", (256,)),
        "logits.at_columns": ("float32", (256, 1, 1, 256)),
        "logits.largest_ids": ("int64", (256, 1, 1, 32)),
        "logits.largest": ("float32", (256, 1, 1, 32)),
        "logits.log_sum": ("float32", (256, 1, 1)),
    }
    outputs, _ = EagerSession(large_model(make_model)).step(
        {"tokens": tensors["tokens"][0]}, {n: tensors[n] for n in "hc"}
    )
    logits = outputs["logits"]
    np.testing.assert_array_equal(
        tensors["logits.at_columns"][0], logits[..., tensors["logits.columns"]]
    )
    np.testing.assert_array_equal(
        tensors["logits.largest"][0], -np.sort(-logits, axis=-1)[..., :32]
    )
    np.testing.assert_array_equal(
        logits[0, 0, tensors["logits.largest_ids"][0, 0, 0]], tensors["logits.largest"][0, 0, 0]
    )
    assert tensors["logits.log_sum"][0, 0, 0] == pytest.approx(
        np.log(np.exp(logits.astype(float)).sum())
    )


@pytest.mark.parametrize("forced", [False, True])
def test_a_wide_run_replays_exactly(make_model: MakeModel, wide: Path, forced: bool) -> None:
    drifts = golden.replay(EagerSession(large_model(make_model)), wide, forced=forced)
    states = [f"{name}_next{'[0]' if forced else ''}" for name in ("h", "c")]
    assert {drift.tensor for drift in drifts} == {
        "logits.at_columns",
        "logits.largest",
        "logits.log_sum",
        *states,
    }
    assert max(drift.worst for drift in drifts) == 0
    assert all(drift.scale > 0 and len(drift.curve) == 256 for drift in drifts)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda head: head.bias[2500:].add_(1), "logits.at_columns"),
        (lambda head: head.weight.mul_(1.5), "logits.largest"),
        (lambda head: head.bias.add_(torch.linspace(-1, 1, 5000)), "logits.log_sum"),
    ],
    ids=["half of the columns", "a larger matrix", "another bias"],
)
@pytest.mark.parametrize("forced", [False, True])
def test_a_wide_run_catches_another_head(
    make_model: MakeModel,
    wide: Path,
    change: Callable[[torch.nn.Linear], object],
    where: str,
    forced: bool,
) -> None:
    model = large_model(make_model)
    with torch.no_grad():
        change(model.head)
    found = {
        drift.tensor: drift.scaled
        for drift in golden.replay(EagerSession(model), wide, forced=forced)
    }
    assert found[where] > 1e-3
    assert {name: value for name, value in found.items() if value} == {
        n: found[n] for n in found if n.startswith("logits")
    }


@pytest.mark.parametrize(
    "sizes", [{"vocabulary": 200_000}, {"layers": 5, "hidden": 4096}, {"layers": 2, "hidden": 2048}]
)
def test_a_run_is_at_most_four_megabytes(tmp_path: Path, sizes: dict[str, int]) -> None:
    session, path = FakeSession(wide_contract(**sizes)), tmp_path / "golden"
    golden.record(session, path)
    assert path.stat().st_size <= golden.MOST_BYTES
    assert len(safetensors.numpy.load_file(path)["tokens"]) >= 8
    assert max(drift.worst for drift in golden.replay(session, path)) == 0


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (
            "logits.columns",
            lambda ids: ids[::-1],
            "logits.columns must be ascending ids from 0 to 4999",
        ),
        (
            "logits.columns",
            lambda ids: ids + 1,
            "logits.columns must be ascending ids from 0 to 4999",
        ),
        ("logits.columns", lambda ids: ids[:-1], "does not fit the contract in logits.at_columns"),
        (
            "logits.largest_ids",
            lambda ids: ids - 5000,
            "logits.largest_ids must be ids from 0 to 4999",
        ),
        ("logits.log_sum", lambda sums: sums[:-1], "does not fit the contract in logits.log_sum"),
        (
            "logits.largest",
            lambda values: values.astype(np.float64),
            "does not fit the contract in logits.largest",
        ),
    ],
)
def test_a_damaged_wide_run(
    make_model: MakeModel,
    wide: Path,
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    reason: str,
) -> None:
    edit(wide, lambda tensors: {**tensors, name: change(tensors[name])})
    with pytest.raises(BundleError, match=f"{reason}.*; export the bundle again"):
        golden.replay(EagerSession(large_model(make_model)), wide)


def test_a_wide_run_written_whole_goes_on_replaying(make_model: MakeModel, wide: Path) -> None:
    session = EagerSession(large_model(make_model))
    parts = safetensors.numpy.load_file(wide)
    whole = {name: array for name, array in parts.items() if not name.startswith("logits")}
    state, logits = {name: parts[name] for name in "hc"}, []
    for tokens in parts["tokens"]:
        outputs, state = session.step({"tokens": tokens}, state)
        logits.append(outputs["logits"].copy())
    safetensors.numpy.save_file({**whole, "logits": np.stack(logits)}, wide)
    drifts = golden.replay(session, wide)
    assert [drift.tensor for drift in drifts] == ["logits", "h_next", "c_next"]
    assert max(drift.worst for drift in drifts) == 0


def test_a_captioner_with_many_words_and_a_large_picture(
    make_captioner: Callable[..., Captioner], tmp_path: Path
) -> None:
    model, path = make_captioner(vocabulary=20_000, image_size=128), tmp_path / "golden.safetensors"
    contract = model.config.contract()
    step, encoder = (
        EagerSession(model, FileContract(contract=contract, graph=graph))
        for graph in (STEP, ENCODE)
    )
    golden.record(step, path, encoder=encoder)
    assert path.stat().st_size <= golden.MOST_BYTES
    tensors = safetensors.numpy.load_file(path)
    assert "logits.columns" in tensors
    assert tensors["attention"].shape == (len(tensors["tokens"]), 1, 1, contract.sizes["regions"])
    for session in (step, encoder):
        assert max(drift.worst for drift in golden.replay(session, path)) == 0


def test_a_run_that_is_cut_or_meets_few_ids_falls_short(
    make_model: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    session, path = EagerSession(make_model()), tmp_path / "golden.safetensors"
    golden.record(session, path)
    assert golden.shortfall(path, session.contract) == ""
    whole = safetensors.numpy.load_file(path)
    steps = len(whole["tokens"])
    cut = {name: array[:2] if len(array) == steps else array for name, array in whole.items()}
    for changed, named in (
        (cut, "has 2 steps, expected 34"),
        ({**whole, "tokens": 0 * whole["tokens"]}, "meets 1 ids"),
    ):
        safetensors.numpy.save_file(
            {name: np.ascontiguousarray(array) for name, array in changed.items()}, path
        )
        assert named in golden.shortfall(path, session.contract)


def test_what_is_recorded_does_not_excuse_itself(
    make_model: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    session, path = EagerSession(make_model()), tmp_path / "golden.safetensors"
    golden.record(session, path)
    assert golden.parting(session, session, path) == 0
    whole = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({**whole, "logits": whole["logits"] + 1}, path)
    assert golden.parting(session, session, path) == 0
