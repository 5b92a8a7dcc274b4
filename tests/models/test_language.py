"""A language model is a pure function of tokens and state: chunks, rows and faces may be cut
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from edgernn.families.language import language_contract
from edgernn.models.cells.base import State
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.models.recurrent import MAX_LAYERS
from edgernn.sessions.torch_kernels import plain_kernels

MakeModel = Callable[..., LanguageModel]
SHAPE: dict[str, Any] = {"vocabulary": 20, "embedding": 6, "hidden": 8}


@pytest.fixture(scope="module")
def models(make_model: MakeModel) -> dict[str, LanguageModel]:
    """One model per cell, in float64: what differs is then a defect and no rounding."""
    return {cell: make_model(cell=cell).double() for cell in FUSED}


def tokens_of(model: LanguageModel, batch: int, time: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    return torch.randint(model.config.vocabulary, (batch, time), generator=generator)


def random_state(model: LanguageModel, batch: int) -> State:
    generator = torch.Generator().manual_seed(batch)
    dtype = model.head.weight.dtype
    return tuple(
        torch.rand(tensor.shape, generator=generator).to(dtype) - 0.5
        for tensor in model.initial_state(batch)
    )


def close(found: tuple[Tensor, State], wanted: tuple[Tensor, State]) -> None:
    for have, want in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cell", FUSED)
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 7)])
def test_shapes_and_dtypes(make_model: MakeModel, cell: str, batch: int, time: int) -> None:
    model = make_model(cell=cell)
    logits, after = model(tokens_of(model, batch, time), model.initial_state(batch))
    assert (logits.shape, logits.dtype) == ((batch, time, model.config.vocabulary), torch.float32)
    assert [tensor.shape for tensor in after] == [(2, batch, 8)] * len(cell_class(cell).states)


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(sorted(FUSED)),
    batch=st.integers(1, 3),
    cuts=st.lists(st.integers(1, 5), min_size=2, max_size=5),
)
def test_a_sequence_may_be_cut_anywhere(
    models: dict[str, LanguageModel], cell: str, batch: int, cuts: list[int]
) -> None:
    model = models[cell]
    tokens, state = tokens_of(model, batch, sum(cuts)), random_state(model, batch)
    with plain_kernels():
        whole = model(tokens, state)
        parts = []
        for chunk in tokens.split(cuts, dim=1):
            logits, state = model(chunk, state)
            parts.append(logits)
    close((torch.cat(parts, dim=1), state), whole)


@pytest.mark.parametrize("cell", FUSED)
def test_a_row_alone_is_the_row_in_a_batch(models: dict[str, LanguageModel], cell: str) -> None:
    model = models[cell]
    tokens, state = tokens_of(model, 3, 9), random_state(model, 3)
    with plain_kernels():
        logits, after = model(tokens, state)
        for row in range(3):
            one = slice(row, row + 1)
            alone = model(tokens[one], tuple(tensor[:, one].contiguous() for tensor in state))
            close(alone, (logits[one], tuple(tensor[:, one] for tensor in after)))


@pytest.mark.parametrize("cell", FUSED)
def test_every_state_counts(models: dict[str, LanguageModel], cell: str) -> None:
    model = models[cell]
    tokens, state = tokens_of(model, 1, 1), random_state(model, 1)
    with plain_kernels():
        logits, _ = model(tokens, state)
        for index in range(len(state)):
            for layer in range(2):
                other = tuple(tensor.clone() for tensor in state)
                other[index][layer] += 0.1
                assert (model(tokens, other)[0] - logits).abs().max() > 1e-4, (
                    f"state {index}, layer {layer}"
                )


def test_a_call_changes_nothing_that_it_was_given(models: dict[str, LanguageModel]) -> None:
    model = models["lstm"]
    tokens, state = tokens_of(model, 2, 4), random_state(model, 2)
    copies = [tensor.clone() for tensor in (tokens, *state)]
    with plain_kernels():
        first, again = model(tokens, state), model(tokens, state)
    assert all(torch.equal(a, b) for a, b in zip((tokens, *state), copies, strict=True))
    assert all(
        torch.equal(a, b) for a, b in zip((first[0], *first[1]), (again[0], *again[1]), strict=True)
    )


@pytest.mark.parametrize("cell", FUSED)
def test_the_step_face_of_a_model(make_model: MakeModel, cell: str) -> None:
    fused, step = (make_model(cell=cell, layers=3).double() for _ in range(2))
    assert step.step_face() is step
    tokens, state = tokens_of(fused, 2, 1), random_state(fused, 2)
    with plain_kernels():
        close(step(tokens, state), fused(tokens, state))
    stack = step.recurrent
    assert step.step_face().recurrent is stack  # a second time changes nothing
    with pytest.raises(ValueError, match="one time step"):
        step(tokens_of(step, 2, 2), state)


def test_tied_weights_are_one_matrix(make_model: MakeModel) -> None:
    model = make_model(tied=True, embedding=8)
    assert model.head.weight is model.embedding.weight
    untied = make_model(tied=False, embedding=8)
    assert untied.head.weight is not untied.embedding.weight
    saved = model.embedding.weight.numel()
    assert (
        sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in model.parameters())
        == saved
    )


def test_tied_weights_learn_from_both_ends() -> None:
    model = LanguageModel(LanguageConfig(vocabulary=20, embedding=8, hidden=8, tied=True))
    logits, _ = model(torch.zeros(1, 1, dtype=torch.int64), model.initial_state(1))
    logits[0, 0, 5].backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert gradient[5].any()  # as a row of the head
    assert gradient[0].any()  # as the embedding of the token given


def test_tied_weights_need_equal_sizes() -> None:
    with pytest.raises(
        ValidationError,
        match="tied weights need embedding = hidden, got 6 and 8; use --embedding 8",
    ):
        LanguageConfig(**SHAPE, tied=True)


@pytest.mark.parametrize("cell", FUSED)
def test_a_learned_first_state(make_model: MakeModel, cell: str) -> None:
    model = make_model(cell=cell, learned_initial_state=True)
    one, three = model.initial_state(1), model.initial_state(3)
    for name, single, triple in zip(cell_class(cell).states, one, three, strict=True):
        assert single.any()
        assert triple.shape == (2, 3, 8)
        assert torch.equal(single, model.first_state[name])
        assert all(torch.equal(triple[:, row], single[:, 0]) for row in range(3))
    logits, _ = model(tokens_of(model, 3, 4), three)
    logits.square().mean().backward()
    for name, parameter in model.first_state.items():
        assert parameter.grad is not None, name
        assert parameter.grad.shape == (2, 1, 8)
        assert all(layer.any() for layer in parameter.grad), name


def test_without_a_learned_first_state_it_is_zeros(models: dict[str, LanguageModel]) -> None:
    assert not any(tensor.any() for tensor in models["lstm"].initial_state(2))
    assert not list(models["lstm"].first_state)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_first_states_share_no_memory(make_model: MakeModel, learned: bool, batch: int) -> None:
    model = make_model(cell="lstm", learned_initial_state=learned)
    h, c = model.initial_state(batch)
    assert h is not c
    assert h.untyped_storage().data_ptr() != c.untyped_storage().data_ptr()
    assert h.is_contiguous()
    with torch.no_grad():
        before = c.clone()
        h.add_(1)
        assert torch.equal(c, before)


@pytest.mark.parametrize("layers", [0, -1, MAX_LAYERS + 1])
def test_layers_out_of_range(layers: int) -> None:
    with pytest.raises(ValidationError, match="layers"):
        LanguageConfig(**SHAPE, layers=layers)


@pytest.mark.parametrize("layers", [1, MAX_LAYERS])
def test_layers_in_range(layers: int) -> None:
    model = LanguageModel(LanguageConfig(**SHAPE, layers=layers))
    assert [len(tensor) for tensor in model.initial_state(1)] == [layers, layers]


def test_an_unknown_cell() -> None:
    with pytest.raises(ValidationError, match="expected one of lstm, gru, rnn, rnn_relu"):
        LanguageConfig(**SHAPE, cell="mamba")


def test_an_unknown_setting() -> None:
    with pytest.raises(ValidationError, match="hiden"):
        LanguageConfig.model_validate({**SHAPE, "hiden": 8})


@pytest.mark.parametrize("cell", FUSED)
@pytest.mark.parametrize("learned", [False, True])
def test_the_contract_of_a_configuration(cell: str, learned: bool) -> None:
    config = LanguageConfig(**SHAPE, cell=cell, layers=3, learned_initial_state=learned)
    contract = config.contract()
    start = "learned" if learned else "zeros"
    assert contract == language_contract(
        cell_class(cell).states, layers=3, hidden=8, vocabulary=20, initial_state=start
    )
    assert tuple(state.name for state in contract.step.states) == cell_class(cell).states
    assert contract.sizes == {"layers": 3, "hidden": 8, "vocab": 20}


def test_dropout_acts_in_training_only(make_model: MakeModel) -> None:
    model = make_model(dropout=0.5)
    tokens, state = tokens_of(model, 2, 6), random_state(model, 2)
    with torch.no_grad():
        assert torch.equal(model(tokens, state)[0], model(tokens, state)[0])
        assert torch.equal(model(tokens, state)[0], make_model()(tokens, state)[0])
        model.train()
        assert not torch.equal(model(tokens, state)[0], model(tokens, state)[0])
