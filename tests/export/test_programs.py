"""A graph as torch's exported program: the step face alone, in the file's dtypes, the model's own
numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.contract import (
    BATCH,
    ENCODE,
    STEP,
    TIME,
    Contract,
    FileContract,
    GraphSpec,
    Narrowing,
    TensorSpec,
)
from edgernn.errors import ContractError
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.export.programs import exported_program
from edgernn.models.captioner import Captioner
from edgernn.models.language import LanguageModel
from edgernn.models.module import ModuleModel


def contract_of(names: list[str]) -> Contract:
    """A frame of 3 values, and states of 4."""
    axes = ("batch", "width")
    frame = TensorSpec(name="x", dtype="float32", axes=("batch", "frame"), role="input")
    state = [TensorSpec(name=n, dtype="float32", axes=axes, role="state") for n in names]
    after = [s.model_copy(update={"name": f"{s.name}_next"}) for s in state]
    read = TensorSpec(name="y", dtype="float32", axes=axes, role="output")
    step = GraphSpec(name=STEP, inputs=(frame, *state), outputs=(read, *after))
    return Contract(graphs=(step,), sizes={"width": 4, "frame": 3})


FUSED = {"aten.lstm.input", "aten.gru.input", "aten.rnn_tanh.input", "aten.lstm_cell.default"}


def of(model: nn.Module, graph: str, **dtypes: str) -> FileContract:
    contract = model.config.contract()
    axes = {axis for tensor in contract.graph(graph).inputs for axis in tensor.axes}
    sizes = {axis: 1 for axis in (BATCH, TIME) if axis in axes}
    return FileContract(
        contract=contract, graph=graph, narrowing=Narrowing(axes=sizes, dtypes=dtypes)
    )


@pytest.mark.parametrize("graph", [ENCODE, STEP])
def test_a_captioner_gives_its_own_numbers(
    make_captioner: Callable[..., Captioner], graph: str
) -> None:
    captioner = make_captioner()
    file_contract = of(captioner, graph)
    examples = example_inputs(file_contract, batch=1, time=1)
    with torch.no_grad():
        wanted = FlatGraph(make_captioner(), graph)(*examples)
    program = exported_program(make_captioner(), file_contract)
    found = program.module()(*examples)
    for own, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(own.numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("folded", [False, True])
def test_a_step_is_of_products(make_model: Callable[..., LanguageModel], folded: bool) -> None:
    model = make_model()
    file_contract = of(model, STEP, tokens="int32")
    program = exported_program(model, file_contract, folded=folded)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.linear.default" in called
    assert not called & FUSED
    placed = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"]
    assert [val.dtype for val in placed if not val.dtype.is_floating_point] == [torch.int32]


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_cell_of_a_module_of_ones_own_is_products(kind: type[nn.Module]) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = kind(3, 4)

        def forward(self, x: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
            made = self.cell(x, state if len(state) > 1 else state[0])
            after = made if isinstance(made, tuple) else (made,)
            return after[0] * 2, *after

    torch.manual_seed(0)
    names = ["h", "c"] if kind is nn.LSTMCell else ["h"]
    own, contract = Own().eval(), contract_of(names)
    model = ModuleModel(own, contract)
    file_contract = FileContract(contract=contract, narrowing=Narrowing(axes={BATCH: 1}))
    examples = example_inputs(file_contract, batch=1, time=1)
    program = exported_program(model, file_contract)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("cell" in target for target in called)
    assert "aten.linear.default" in called
    held = sum(tensor.numel() for tensor in program.state_dict.values())
    assert held == sum(parameter.numel() for parameter in own.parameters()), "each weight once"
    with torch.no_grad():
        for wanted, found in zip(own(*examples), program.module()(*examples), strict=True):
            np.testing.assert_allclose(wanted.numpy(), found.numpy(), rtol=1e-5, atol=1e-6)


def test_what_torch_refuses_is_told(
    make_model: Callable[..., LanguageModel],
) -> None:
    class Branching(LanguageModel):
        def graph(self, name: str, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if float(tensors[1].sum()) > 0:
                return super().graph(name, *tensors)
            return super().graph(name, *(-tensor for tensor in tensors))

    branching = make_model()
    branching.__class__ = Branching
    with pytest.raises(ContractError, match=r"torch\.export could not export step: .+"):
        exported_program(branching, of(branching, STEP))
