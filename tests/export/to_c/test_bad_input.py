"""What a call of C is given wrongly: null and unaligned pointers, values that are not numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.sessions.c_folder import generated_sources
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.opening import open_session

PRECISIONS = ("float32", "int8", "int4", "w8a8", "w8a7", "w4a8")
OK, NULL, RANGE, UNALIGNED = range(4)


@pytest.fixture(scope="module")
def model(make_model: Callable[..., LanguageModel]) -> LanguageModel:
    return make_model()


@pytest.fixture(scope="module")
def made(
    model: LanguageModel, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of the tiny LSTM as C in every precision. Read only."""
    out = tmp_path_factory.mktemp("c") / "bundle"
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": np.arange(120) % 30})
    options = ReducedOptions(budget=Budget(perplexity=1.0))
    export_bundle(loaded, out, to="c", precision=PRECISIONS, steps=4, options=options)
    return out


def path_of(precision: str) -> str:
    return "c/step" if precision == "float32" else f"c/step-{precision}"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_stays_where_the_reference_has_it(
    made: Path, model: LanguageModel, precision: str, value: float
) -> None:
    session, reference = open_session(made, path_of(precision)), EagerSession(model)
    for layer, place in ((0, 3), (1, 5)):
        state = {n: np.full_like(a, 0.25) for n, a in reference.initial_state().items()}
        state["c"][layer, 0, place] = value
        tokens = {"tokens": np.array([[3]])}
        outputs, after = session.step(tokens, state)
        wanted, wanted_after = reference.step(tokens, state)
        for name, array in {**wanted, **wanted_after}.items():
            found = {**outputs, **after}[name]
            assert np.array_equal(np.isnan(found), np.isnan(array)), name
            assert np.array_equal(np.isinf(found), np.isinf(array)), name
        again, _ = session.step(tokens, reference.initial_state())
        assert np.isfinite(again["logits"]).all(), "nothing of it is left for the next call"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_hidden_state_that_is_no_number_spoils_what_it_is_multiplied_into(
    made: Path, model: LanguageModel, precision: str
) -> None:
    session, reference = open_session(made, path_of(precision)), EagerSession(model)
    state = {name: np.zeros_like(array) for name, array in reference.initial_state().items()}
    state["h"][1, 0, 2] = np.nan  # of the second layer: the first one's is as it was
    outputs, after = session.step({"tokens": np.array([[3]])}, state)
    wanted, wanted_after = reference.step({"tokens": np.array([[3]])}, state)
    assert np.isnan(wanted["logits"]).all()
    assert np.isnan(outputs["logits"]).all()
    for name in ("h", "c"):
        assert np.array_equal(np.isnan(after[name]), np.isnan(wanted_after[name]))
        assert np.isfinite(after[name][0]).all()


@pytest.mark.parametrize("precision", ["float32", "int8", "w4a8"])
def test_a_row_that_is_no_number_does_not_touch_the_others(
    model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path, precision: str
) -> None:
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": np.arange(120) % 30})
    options = ReducedOptions(budget=Budget(perplexity=1.0), streams=3)
    bundle = export_bundle(
        loaded, tmp_path / "b", to="c", precision=precision, steps=4, options=options
    )
    session = open_session(bundle)
    tokens = {"tokens": np.array([[3], [4], [5]])}
    state = {name: np.full_like(array, 0.1) for name, array in session.initial_state(3).items()}
    wanted, wanted_after = session.step(tokens, state)
    state["h"][:, 1], state["c"][:, 1] = np.nan, np.inf
    outputs, after = session.step(tokens, state)
    assert np.isnan(outputs["logits"][1]).all()
    for row in (0, 2):
        assert np.array_equal(outputs["logits"][row], wanted["logits"][row])
        for name in ("h", "c"):
            assert np.array_equal(after[name][:, row], wanted_after[name][:, row])


def test_more_rows_or_steps_than_the_file_was_made_for(made: Path) -> None:
    session = open_session(made, "c")
    for tokens in (np.zeros((2, 1), np.int64), np.zeros((1, 2), np.int64)):
        with pytest.raises(
            ContractError, match=r"tokens has (batch|time) = 2 .*, expected 1 as in"
        ) as told:
            session.step({"tokens": tokens}, session.initial_state(len(tokens)))
        assert "\n" not in str(told.value)


def test_an_id_outside_the_table_writes_nothing(made: Path) -> None:
    session = open_session(made, "c")
    for token in (-1, 34, 2**40):
        with pytest.raises(ContractError):
            session.step({"tokens": np.array([[token]])}, session.initial_state())


def test_null_and_unaligned_pointers_are_told(made: Path) -> None:
    compiler = find_compiler()
    checked = replace(compiler, flags=(*compiler.flags, "-DNET_DEBUG"))
    step = build(generated_sources(made / "c" / "step"), checked)["net_step"]
    plain = build(generated_sources(made / "c" / "step"), compiler)["net_step"]
    memory = np.zeros(4096, np.uint8)
    base = memory.ctypes.data + -memory.ctypes.data % 64
    tokens, state, logits = base, base + 64, base + 1024

    def call(function: Callable[..., int], *, tokens: int, logits: int, state: int) -> int:
        inputs, outputs = (ctypes.c_void_p * 1)(tokens), (ctypes.c_void_p * 1)(logits)
        return function(inputs, ctypes.c_void_p(state), outputs)

    right = {"tokens": tokens, "logits": logits, "state": state}
    assert call(step, **right) == OK
    for name in right:
        assert call(plain, **{**right, name: 0}) == NULL
        assert call(step, **{**right, name: 0}) == NULL
    memory[:] = 0
    assert call(step, **{**right, "tokens": tokens + 4}) == UNALIGNED
    assert call(step, **{**right, "logits": logits + 2}) == UNALIGNED
    assert not memory.any(), "nothing was written"
