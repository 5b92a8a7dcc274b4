"""The compact step face computes what the fused face computes, for every cell, folded or not, with
fewer operators.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from edgernn.contract import FileContract
from edgernn.export.to_onnx.tracing import trace
from edgernn.models.captioner import Captioner
from edgernn.models.cells.base import State
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.compact import CompactStack
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.language import LanguageModel
from edgernn.models.recurrent import RecurrentStack, zero_state

MakeModel = Callable[..., LanguageModel]
HIDDEN, WIDTH, STEPS = 7, 5, 6

each_cell = pytest.mark.parametrize("cell", FUSED)


def stack_of(cell: str, layers: int) -> RecurrentStack:
    """A fused stack whose every number is its own: a bias that gets lost must show."""
    torch.manual_seed(layers)
    stack = RecurrentStack(cell, WIDTH, hidden=HIDDEN, layers=layers).requires_grad_(False).eval()
    for parameter in stack.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return stack


def close(found: tuple[Tensor, State], wanted: tuple[Tensor, State]) -> None:
    for have, want in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-5)


def test_the_weights_are_copied() -> None:
    for cell in FUSED:
        fused = stack_of(cell, 2)
        compact = CompactStack(fused.cells())
        before = [parameter.clone() for parameter in fused.parameters()]
        for parameter in compact.parameters():
            parameter.data.zero_()
        assert all(torch.equal(a, b) for a, b in zip(fused.parameters(), before, strict=True)), cell


@pytest.mark.parametrize("time", [0, 2])
@each_cell
def test_it_takes_one_time_step(cell: str, time: int) -> None:
    compact = CompactStack(stack_of(cell, 1).cells())
    with pytest.raises(ValueError, match=f"the step face takes one time step, got {time}"):
        compact(torch.randn(1, time, WIDTH), zero_state(cell, layers=1, batch=1, hidden=HIDDEN))


@pytest.mark.parametrize("layers", [1, 3])
@each_cell
def test_a_language_model_folded_is_the_model(
    make_model: MakeModel, cell: str, layers: int
) -> None:
    models = [
        make_model(cell=cell, layers=layers, tied=True, embedding=8).requires_grad_(False)
        for _ in range(3)
    ]
    fused, apart, folded = models[0], models[1].step_face(), models[2].step_face(folded=True)
    assert folded is models[2]
    assert folded.embedding.weight.shape == (fused.config.vocabulary, cell_class(cell).gates * 8)
    assert torch.equal(folded.head.weight, fused.head.weight)
    stack, table = folded.recurrent, folded.embedding
    assert folded.step_face(folded=True).recurrent is stack  # a second call changes nothing
    assert folded.embedding is table
    tokens = torch.randint(fused.config.vocabulary, (3, STEPS))
    wanted = fused(tokens, fused.initial_state(3))
    for model in (apart, folded):
        state, made = model.initial_state(3), []
        for t in range(STEPS):
            one, state = model(tokens[:, t : t + 1], state)
            made.append(one)
        close((torch.cat(made, 1), state), wanted)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_captioner_with_it_is_the_captioner(
    make_captioner: Callable[..., Captioner],
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    conditioning: str,
    cell: str,
) -> None:
    plain, compact = (
        make_captioner(conditioning=conditioning, cell=cell, layers=2).requires_grad_(False)
        for _ in range(2)
    )
    assert compact.step_face() is compact
    decoder = compact.decoder
    assert isinstance(decoder, CompactStack)
    assert compact.step_face(folded=True).decoder is decoder
    image, tokens = (
        torch.from_numpy(pictures[:3].copy()),
        torch.from_numpy(caption_ids[:3, 0, :5].copy()),
    )
    wanted, found = (model(*model.encode(image), tokens) for model in (plain, compact))
    torch.testing.assert_close(found.logits, wanted.logits, rtol=1e-5, atol=1e-5)


@each_cell
@pytest.mark.parametrize("folded", [False, True], ids=["apart", "folded"])
def test_a_step_of_two_layers_has_few_operators_and_no_shape_arithmetic(
    make_model: MakeModel, cell: str, folded: bool
) -> None:
    model = make_model(cell=cell, layers=2).requires_grad_(False)
    contract = FileContract.model_validate(
        {"contract": model.config.contract(), "narrowing": {"axes": {"time": 1}}}
    )
    graph: onnx.GraphProto = trace(model.step_face(folded=folded), contract).graph
    operators = [node.op_type for node in graph.node if node.op_type != "Constant"]
    assert len(operators) <= 40
    assert not {"Shape", "Slice", "Unsqueeze", "Squeeze", "Loop", "LSTM", "GRU", "RNN"} & set(
        operators
    )
