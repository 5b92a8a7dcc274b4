"""What holds for every cell of the table, and for one outside it: a new row is held to all of it
without a test of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.families.step import CELL_STATES
from edgernn.models.captioner import Captioner
from edgernn.models.cells.base import Cell, State
from edgernn.models.cells.table import CELLS, FUSED, cell_class
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.compact import CompactStack, input_table, is_compact
from edgernn.models.language import LanguageModel
from edgernn.models.recurrent import CellStack, RecurrentStack, make_stack
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.torch_kernels import plain_kernels

INPUT, HIDDEN, BATCH, STEPS = 5, 7, 3, 12
each_cell = pytest.mark.parametrize("cell", [*CELLS, "peephole"])  # the last of conftest


def stack_of(cell: str, layers: int) -> RecurrentStack | CellStack:
    """A stack whose every number is its own: a bias that gets lost must show."""
    torch.manual_seed(layers)
    stack = make_stack(cell, INPUT, hidden=HIDDEN, layers=layers).requires_grad_(False).eval()
    for parameter in stack.parameters():
        parameter.mul_(0.7).add_(0.1 * torch.randn_like(parameter))
    return stack


def random_state(cell: str, *shape: int) -> State:
    return tuple(torch.rand(*shape, HIDDEN) - 0.5 for _ in cell_class(cell).states)


def chained(
    stack: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, state: State
) -> tuple[Tensor, State]:
    """One call for each time step of ``x [B, T, …]``, the state carried."""
    made = []
    for t in range(x.shape[1]):
        y, state = stack(x[:, t : t + 1], state)
        made.append(y)
    return torch.cat(made, 1), state


def close(found: tuple[Tensor, State], wanted: tuple[Tensor, State]) -> None:
    for have, want in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        assert have.shape == want.shape
        torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-6)


@each_cell
def test_it_names_its_states_and_says_what_it_has(cell: str) -> None:
    kind = cell_class(cell)
    assert issubclass(kind, Cell)
    assert kind.states and len(set(kind.states)) == len(kind.states)
    assert all(name.isidentifier() for name in kind.states)
    assert kind.gates > 0 or kind.compact is None  # a compact step adds to gates


@each_cell
def test_a_step_takes_rows_and_gives_the_next_state(cell: str) -> None:
    made, state = cell_class(cell)(INPUT, HIDDEN), random_state(cell, BATCH)
    made.reset_parameters()
    x = torch.randn(BATCH, INPUT)
    after = made(x, state)
    assert [tensor.shape for tensor in after] == [(BATCH, HIDDEN)] * len(made.states)
    alone = made(x[1:2], tuple(tensor[1:2] for tensor in state))
    torch.testing.assert_close(alone, tuple(tensor[1:2] for tensor in after))
    for index in range(len(state)):  # every state matters
        other = tuple(t + (0.5 if i == index else 0) for i, t in enumerate(state))
        assert any(not torch.equal(a, b) for a, b in zip(made(x, other), after, strict=True))


@each_cell
def test_resetting_draws_every_parameter_anew_and_finite(cell: str) -> None:
    made = cell_class(cell)(INPUT, HIDDEN)
    first: list[Tensor] = []
    for _ in range(2):
        for parameter in made.parameters():
            parameter.data.fill_(torch.nan)
        torch.manual_seed(4)
        made.reset_parameters()
        found = [parameter.detach().clone() for parameter in made.parameters()]
        assert all(torch.isfinite(tensor).all() for tensor in found)
        assert not first or all(torch.equal(a, b) for a, b in zip(first, found, strict=True))
        first = found


@each_cell
def test_gradients_reach_every_parameter(cell: str) -> None:
    stack = stack_of(cell, 2).requires_grad_(True)
    y, after = stack(torch.randn(BATCH, 4, INPUT), random_state(cell, 2, BATCH))
    (y.square().sum() + sum(tensor.square().sum() for tensor in after)).backward()
    for name, parameter in stack.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("layers", [1, 2, 5])
@each_cell
def test_one_call_over_time_is_its_steps_chained(cell: str, layers: int) -> None:
    stack = stack_of(cell, layers)
    x, start = torch.randn(BATCH, STEPS, INPUT), random_state(cell, layers, BATCH)
    with plain_kernels():
        whole = stack(x, start)
        close(chained(stack, x, start), whole)
        steps = CellStack(stack.cells())
        close(chained(steps, x, start), whole)
        close(steps(x, start), whole)


@pytest.mark.parametrize("folded", [False, True], ids=["apart", "folded"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
@each_cell
def test_the_compact_step_is_the_step(cell: str, layers: int, batch: int, folded: bool) -> None:
    stack = stack_of(cell, layers)
    if not is_compact(stack.cells()):
        return
    compact = CompactStack(stack.cells(), folded=folded)
    words = torch.randn(4, INPUT)
    table = input_table(stack.cells()[0], words) if folded else words
    tokens, start = torch.randint(4, (batch, STEPS)), random_state(cell, layers, batch)
    close(chained(compact, table[tokens], start), stack(words[tokens], start))


@pytest.mark.parametrize("layers", [1, 2])
@each_cell
def test_gates_that_are_added_go_to_the_first_layer_alone(cell: str, layers: int) -> None:
    stack, kind = stack_of(cell, layers), cell_class(cell)
    if not kind.gates:
        return
    x, state = torch.randn(BATCH, 1, INPUT), random_state(cell, layers, BATCH)
    gates = torch.randn(BATCH, kind.gates * HIDDEN)
    cells = stack.cells()
    bottom = cells[0](x[:, 0], tuple(tensor[0] for tensor in state), gates)
    wanted = CellStack(cells)(x, state, gates)
    for have, want in zip(wanted[1], bottom, strict=True):
        assert torch.equal(have[0], want)
    if layers > 1:  # what is above sees no gates
        above = cells[1](bottom[0], tuple(tensor[1] for tensor in state))
        assert torch.equal(wanted[0][:, 0], above[0])
    assert (CellStack(cells)(x, state)[0] - wanted[0]).abs().max() > 1e-4
    if is_compact(cells):
        close(CompactStack(cells)(x, state, gates), wanted)
        table = input_table(cells[0], x)
        close(CompactStack(cells, folded=True)(table, state, gates), wanted)


@each_cell
def test_it_is_exported_and_verified(
    cell: str, make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(cell=cell)
    if cell == "rnn_relu":  # nothing bounds its state
        with torch.no_grad():
            for parameter in model.recurrent.parameters():
                parameter.mul_(0.6)
    evaluation = {"tokens": tokenizer.encode("the quick brown fox\n" * 4)}
    save(Checkpoint(model, tokenizer, evaluation=evaluation), tmp_path / "run")
    every = ["onnx", "torchscript", "coreml"]  # of the other cells test_published has them all
    to = every if cell in {*FUSED, "peephole"} else ["onnx"]
    export_bundle(tmp_path / "run", tmp_path / "bundle", to=to, steps=16)
    report = verify_bundle(tmp_path / "bundle", steps=16)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]


@each_cell
def test_a_captioner_writes_with_it(cell: str, make_captioner: Callable[..., Captioner]) -> None:
    model = make_captioner(conditioning="initial-state", cell=cell).requires_grad_(False)
    state = model.encode(torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8))[1]
    assert [tensor.shape for tensor in state] == [(1, 2, 8)] * len(cell_class(cell).states)
    tokens = torch.tensor([[1], [2]])
    wanted, _, after = model.step(tokens, (), state)
    found, _, compact = model.step_face().step(tokens, (), state)
    close((found, compact), (wanted, after))


@pytest.mark.parametrize("cell", CELL_STATES)
def test_the_states_that_verify_expects_of_a_cell_are_its_own(cell: str) -> None:
    assert cell_class(cell).states == CELL_STATES[cell]


def test_an_unknown_cell_names_the_known_ones() -> None:
    for make in (
        cell_class,
        lambda name: make_stack(name, INPUT, hidden=HIDDEN, layers=1),
    ):
        with pytest.raises(
            UsageError,
            match="unknown cell 'elman'; expected one of lstm, gru, rnn, rnn_relu, gru_before",
        ):
            make("elman")
