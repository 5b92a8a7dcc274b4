"""A model is begun once and stepped as often as one likes, wherever its first state comes from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.model import Model, choose_model, open_model

HIDDEN = 4
STORED = {name: np.full((1, HIDDEN), 0.5, np.float32) for name in ("a", "b")}
FRAME = {"x": np.ones((2, 3), np.float32)}
SOURCE = {"source": np.linspace(0, 1, 2 * 3, dtype=np.float32).reshape(2, 3)}


def contract(starts: Mapping[str, str] | None = None, *, encode: bool = False) -> Contract:
    """Two states, ``a`` and ``b``, which start as ``starts`` says."""
    state = f"float32[batch, hidden={HIDDEN}]"
    more = {}
    if encode:
        more = {"encode_inputs": {"source": "float32[batch, width]"}, "contexts": {"keys": state}}
    return build_contract(
        inputs={"x": "float32[batch, width=3]"},
        states={"a": state, "b": state},
        outputs={"y": "float32[batch, hidden]"},
        initial_state=dict(starts or {}),
        **more,
    )


def model(starts: Mapping[str, str] | None = None, *, encode: bool = False) -> Model:
    known = contract(starts, encode=encode)
    step, *others = (
        FakeSession(FileContract(contract=known, graph=graph), STORED)
        for graph in ("step", "encode")[: 1 + encode]
    )
    return Model(step, *others)


@pytest.mark.parametrize("batch", [1, 3])
def test_it_begins_with_zeros(batch: int) -> None:
    contexts, state = model().begin(batch=batch)
    assert contexts == {}
    assert list(state) == ["a", "b"]
    for array in state.values():
        assert (array.dtype, array.shape) == (np.float32, (batch, HIDDEN))
        assert not array.any()


def test_it_begins_with_what_is_stored_in_every_row() -> None:
    _, state = model({"a": "stored"}).begin(batch=3)
    assert (state["a"] == 0.5).all()
    assert state["a"].shape == (3, HIDDEN)
    assert not state["b"].any()
    state["a"][0] = 9  # a caller's own: the next sequence begins as before
    assert (STORED["a"] == 0.5).all()


def test_it_begins_with_what_encode_makes() -> None:
    opened = model({"a": "encode", "b": "encode"}, encode=True)
    contexts, state = opened.begin(SOURCE)
    assert list(contexts) == ["keys"]
    assert list(state) == ["a", "b"]
    for array in (*contexts.values(), *state.values()):
        assert array.shape == (2, HIDDEN)
        assert array[1].mean() > array[0].mean()  # each row from its own source


@pytest.mark.parametrize("rows", [1, 2])
def test_each_state_begins_in_a_way_of_its_own(rows: int) -> None:
    source = {"source": SOURCE["source"][-rows:]}
    _, state = model({"a": "encode", "b": "stored"}, encode=True).begin(source)
    assert list(state) == ["a", "b"]
    assert state["a"].any()
    assert (state["b"] == 0.5).all()
    _, state = model({"a": "encode"}, encode=True).begin(source)
    assert state["a"].any()
    assert not state["b"].any()
    assert {array.shape for array in state.values()} == {(rows, HIDDEN)}


def test_a_step_takes_contexts_and_gives_the_next_state() -> None:
    opened = model({"a": "encode"}, encode=True)
    contexts, state = opened.begin(SOURCE)
    kept = {name: array.copy() for name, array in state.items()}
    outputs, after = opened.step({**FRAME, **contexts}, state)
    assert (list(outputs), list(after)) == (["y"], ["a", "b"])
    assert all(np.array_equal(state[name], kept[name]) for name in kept)
    assert not np.array_equal(after["a"], state["a"])
    again, _ = opened.step({**FRAME, **contexts}, kept)
    assert np.array_equal(outputs["y"], again["y"])
    with pytest.raises(ContractError, match="input 'keys' is missing"):
        opened.step(FRAME, state)


@pytest.mark.parametrize(
    ("encode", "given", "says"),
    [
        (False, SOURCE, r"unknown input \['source'\]: the model has no encode graph"),
        (True, {}, "input 'source' is missing; it is float32 \\[batch, width\\]"),
        (True, {**SOURCE, "more": SOURCE["source"]}, r"unknown input \['more'\]"),
        (True, {"source": np.ones((2, 4), np.float32)}, "source has width = 4"),
        (
            True,
            {"source": np.ones((2, 3))},
            r"source is float64, expected float32 \[batch, width\]",
        ),
        (True, {"source": [[1.0]]}, "source is list, expected float32"),
    ],
    ids=["nothing to encode", "missing", "unknown", "width", "dtype", "no array"],
)
def test_what_it_cannot_begin_with_is_named(
    encode: bool, given: Mapping[str, np.ndarray], says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        model({"a": "encode"} if encode else {}, encode=encode).begin(given)


@pytest.mark.parametrize("batch", [0, -1, 1.5, None])
def test_a_batch_that_is_no_number_of_rows_is_named(batch: object) -> None:
    with pytest.raises(UsageError, match="batch is"):
        model().begin(batch=batch)  # type: ignore[arg-type]


def test_files_that_do_not_belong_together_are_refused() -> None:
    whole = model({"a": "encode"}, encode=True)
    with pytest.raises(ContractError, match="has an encode graph, and its file was not given"):
        Model(whole.step)
    with pytest.raises(ContractError, match="have different contracts"):
        Model(whole.step, model({"b": "encode"}, encode=True).encode)


def test_its_files_by_graph() -> None:
    plain, whole = model(), model({"a": "encode"}, encode=True)
    assert plain.sessions == (plain.step,)
    assert whole.sessions == (whole.encode, whole.step)
    assert (whole.session("encode"), whole.session("step")) == (whole.encode, whole.step)
    assert plain.session("encode") is plain.session("generate") is None
    assert plain.rows is None


def test_what_it_looks_at_is_encodes_first_input() -> None:
    opened = model({"a": "encode"}, encode=True)
    assert list(opened.seen(SOURCE["source"])) == ["source"]
    looked, begun = opened.look(SOURCE["source"])[1], opened.begin(SOURCE)[1]
    assert all(np.array_equal(looked[name], begun[name]) for name in begun)
    with pytest.raises(ContractError, match="looks at nothing"):
        model().seen(SOURCE["source"])


def test_a_bundles_model_opens_with_its_encode_file(
    bundle: Bundle, captioner_bundle: Bundle
) -> None:
    assert open_model(bundle).encode is None
    artifact, opened = choose_model(captioner_bundle)
    assert artifact.graph == "step"
    assert opened.encode is not None
    assert opened.encode.spec.name == "encode"
    assert choose_model(bundle, "onnx/step.onnx")[0].path == "onnx/step.onnx"


def test_another_file_than_a_step_is_refused(captioner_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="is the encode file; choose a step file"):
        choose_model(captioner_bundle, "onnx/encode.onnx")
