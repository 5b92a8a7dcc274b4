"""The protocol of two graphs: what encode takes and gives, what step then needs, and what is
refused.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.families.captioner import CONDITIONINGS, captioner_contract
from edgernn.sessions.base import Arrays
from edgernn.sessions.fileless import FilelessSession

SIZE, REGIONS, HIDDEN, LAYERS, VOCABULARY = 8, 4, 3, 2, 7
SIZES = {"regions": REGIONS, "features": 5, "keys": 6, "gates": 12}


class Counting(FilelessSession):
    """Gives every output its own numbers, one more in each row; keeps what it was fed."""

    def __init__(
        self, file_contract: FileContract, first_state: Arrays | None = None, *, lacking: str = ""
    ) -> None:
        super().__init__(file_contract, first_state)
        self.fed: dict[str, np.ndarray] = {}
        self.lacking = lacking

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.fed = feeds
        batch = len(next(iter(feeds.values())))
        made = {}
        for place, tensor in enumerate(self.spec.outputs):
            shape = [{**self.contract.sizes, "batch": batch}[axis] for axis in tensor.axes]
            rows = np.arange(batch).reshape([-1 if axis == "batch" else 1 for axis in tensor.axes])
            made[tensor.name] = np.broadcast_to(10.0 * place + rows, shape).astype(
                self.file_contract.dtype(tensor)
            )
        return {name: array for name, array in made.items() if name != self.lacking}


def session(
    graph: str, conditioning: str = "soft-attention", *, lacking: str = "", **narrowing: Any
) -> Counting:
    contract = captioner_contract(
        ("h", "c"),
        conditioning,
        layers=LAYERS,
        hidden=HIDDEN,
        vocabulary=VOCABULARY,
        image_size=SIZE,
        sizes=SIZES,
    )
    narrow = Narrowing.model_validate(narrowing)
    return Counting(FileContract(contract=contract, graph=graph, narrowing=narrow), lacking=lacking)


def image(*shape: int, dtype: str = "uint8") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


PICTURES = image(2, SIZE, SIZE, 3)
FEATURES = np.ones((2, REGIONS, 5), np.float32)
KEYS = np.ones((2, REGIONS, 6), np.float32)
H = C = np.ones((LAYERS, 2, HIDDEN), np.float32)
TOKENS = np.ones((2, 1), np.int64)
INPUTS = {"tokens": TOKENS, "features": FEATURES, "feature_keys": KEYS}
STATE = {"h": H, "c": C}


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_encode_gives_contexts_and_the_first_state(conditioning: str) -> None:
    encode = session("encode", conditioning)
    contexts, state = encode.encode({"image": PICTURES})
    assert list(contexts) == [tensor.name for tensor in encode.contract.step.contexts]
    assert list(state) == ["h", "c"]
    assert [array.shape for array in state.values()] == [(LAYERS, 2, HIDDEN)] * 2
    starts = conditioning == "every-step"
    assert starts == (
        not any(array.any() for array in state.values())
    )  # zeros where encode makes none
    for array in contexts.values():
        assert array.dtype == np.float32
        assert len(array) == 2
    step = session("step", conditioning)
    outputs, after = step.step({"tokens": TOKENS, **contexts}, state)
    assert ("attention" in outputs) == ("attention" in conditioning)
    assert list(after) == ["h", "c"]
    assert step.fed.keys() == {"tokens", *contexts, "h", "c"}


def test_the_rows_of_a_batch_stay_where_they_are() -> None:
    contexts, state = session("encode").encode({"image": PICTURES})
    assert contexts["features"][:, 0, 0].tolist() == [0, 1]
    assert contexts["feature_keys"][:, 0, 0].tolist() == [10, 11]
    assert state["h"][0, :, 0].tolist() == [20, 21]
    assert state["c"][1, :, 0].tolist() == [30, 31]


def test_a_file_computes_one_graph_only() -> None:
    with pytest.raises(
        ContractError, match="this file computes encode, not step; open the bundle's file for step"
    ):
        session("encode").step(INPUTS, STATE)
    with pytest.raises(
        ContractError,
        match="this file computes step, not encode; open the bundle's file for encode",
    ):
        session("step").encode({"image": PICTURES})


@pytest.mark.parametrize("graph", ["encode", "step"])
def test_there_is_no_first_state_without_a_picture(graph: str) -> None:
    with pytest.raises(
        ContractError,
        match="the first state comes from the encode graph: call encode and go on with",
    ):
        session(graph).initial_state()
    assert not session(graph, "every-step").initial_state(2)["h"].any()


REFUSED_PICTURES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "input 'image' is missing; it is uint8 [batch, height, width, channels]"),
    "floats": (
        {"image": PICTURES / np.float32(255)},
        "image is float32, expected uint8 [batch, height, width, channels]",
    ),
    "int64": ({"image": PICTURES.astype(np.int64)}, "image is int64, expected uint8"),
    "a list": ({"image": PICTURES.tolist()}, "image is list, expected uint8"),
    "no batch axis": (
        {"image": PICTURES[0]},
        "image has shape [8, 8, 3], expected uint8 [batch, height, width, channels]",
    ),
    "too small": (
        {"image": PICTURES[:, :7]},
        "image has height = 7 (shape [2, 7, 8, 3]), expected 8 as in this file",
    ),
    "too wide": (
        {"image": image(1, 8, 9, 3)},
        "image has width = 9 (shape [1, 8, 9, 3]), expected 8 as in this file",
    ),
    "with alpha": (
        {"image": image(1, 8, 8, 4)},
        "image has channels = 4 (shape [1, 8, 8, 4]), expected 3 as in this file",
    ),
    "planes first": (
        {"image": image(1, 3, 8, 8)},
        "image has height = 3 (shape [1, 3, 8, 8]), expected 8 as in this file",
    ),
    "no picture": (
        {"image": image(0, 8, 8, 3)},
        "image has batch = 0 (shape [0, 8, 8, 3]), expected at least 1",
    ),
    "tokens too": (
        {"image": PICTURES, "tokens": TOKENS},
        "unknown input ['tokens']; expected ['image']",
    ),
}


@pytest.mark.parametrize(("given", "says"), REFUSED_PICTURES.values(), ids=REFUSED_PICTURES)
def test_a_picture_that_does_not_fit_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=re.escape(says)):
        session("encode").encode(given)


REFUSED_STEPS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no features": (
        {"tokens": TOKENS, "feature_keys": KEYS},
        STATE,
        "input 'features' is missing; it is float32 [batch, regions, feature_width]",
    ),
    "contexts as state": (
        {"tokens": TOKENS},
        {**STATE, "features": FEATURES},
        "input 'features' is missing",
    ),
    "another picture size": (
        {**INPUTS, "features": FEATURES[:, :3]},
        STATE,
        "features has regions = 3 (shape [2, 3, 5]), expected 4 as in this file",
    ),
    "keys for features": ({**INPUTS, "features": KEYS}, STATE, "features has feature_width = 6"),
    "contexts of one row": (
        {**INPUTS, "features": FEATURES[:1]},
        STATE,
        "features has batch = 1 (shape [1, 4, 5]), expected 2 as in tokens",
    ),
    "doubles": (
        {**INPUTS, "features": FEATURES.astype(np.float64)},
        STATE,
        "features is float64, expected float32",
    ),
    "the picture again": ({**INPUTS, "image": PICTURES}, STATE, "unknown input ['image']"),
    "two steps": (
        {**INPUTS, "tokens": np.ones((2, 2), np.int64)},
        STATE,
        "tokens has time = 2 (shape [2, 2]), expected 1",
    ),
    "no state": (INPUTS, {}, "state 'h' is missing; feed back what the last step returned"),
}


@pytest.mark.parametrize(("inputs", "state", "says"), REFUSED_STEPS.values(), ids=REFUSED_STEPS)
def test_a_step_without_what_encode_made_is_refused(
    inputs: dict[str, Any], state: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=re.escape(says)):
        session("step").step(inputs, state)


@pytest.mark.parametrize("lacking", ["feature_keys", "c"])
def test_a_file_that_gives_less_than_it_promises(lacking: str) -> None:
    with pytest.raises(
        ContractError,
        match=rf"the file does not return \['{lacking}'\], which its contract promises",
    ):
        session("encode", lacking=lacking).encode({"image": PICTURES})


def test_a_file_that_takes_the_platforms_picture_is_given_bytes() -> None:
    encode = session("encode", axes={"batch": 1}, dtypes={"image": "picture"})
    encode.encode({"image": PICTURES[:1]})
    assert encode.fed["image"].dtype == np.uint8
    assert np.array_equal(encode.fed["image"], PICTURES[:1])
    with pytest.raises(ContractError, match=r"image has batch = 2 .* expected 1 as in this file"):
        encode.encode({"image": PICTURES})


def test_what_was_given_is_left_alone() -> None:
    picture, given, state = (
        PICTURES.copy(),
        {n: a.copy() for n, a in INPUTS.items()},
        {n: a.copy() for n, a in STATE.items()},
    )
    for array in (picture, *given.values(), *state.values()):
        array.flags.writeable = False
    session("encode").encode({"image": picture})
    session("step").step(given, state)
    assert np.array_equal(picture, PICTURES)
