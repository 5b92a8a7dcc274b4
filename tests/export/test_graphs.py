"""What exporters trace wears the contract's names, and example inputs are never one tensor given
twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch

from edgernn.contract import FileContract, Narrowing
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.models.cells.table import FUSED
from edgernn.models.language import LanguageModel

MakeModel = Callable[..., LanguageModel]


@pytest.mark.parametrize("cell", FUSED)
def test_the_signature_has_the_names_of_the_contract(make_model: MakeModel, cell: str) -> None:
    model = make_model(cell=cell)
    names = [tensor.name for tensor in model.config.contract().step.inputs]
    assert list(inspect.signature(FlatGraph(model, "step").forward).parameters) == names


@pytest.mark.parametrize("cell", FUSED)
def test_the_graph_is_the_model_with_flat_tensors(make_model: MakeModel, cell: str) -> None:
    model = make_model(cell=cell)
    tokens, *state = example_inputs(FileContract(contract=model.config.contract()), batch=2, time=3)
    with torch.no_grad():
        logits, after = model(tokens, tuple(state))
        flat = FlatGraph(model, "step")(tokens, *state)
    assert isinstance(flat, tuple)
    assert all(torch.equal(a, b) for a, b in zip(flat, (logits, *after), strict=True))
    outputs = FileContract(contract=model.config.contract()).interface().outputs
    sizes = {"batch": 2, "time": 3}
    shapes = [
        [sizes.get(size, size) if isinstance(size, str) else size for size in out.shape or ()]
        for out in outputs
    ]
    assert [list(tensor.shape) for tensor in flat] == shapes


@pytest.mark.parametrize("cell", FUSED)
def test_examples_are_distinct_tensors(make_model: MakeModel, cell: str) -> None:
    examples = example_inputs(
        FileContract(contract=make_model(cell=cell).config.contract()), batch=2, time=3
    )
    assert len({id(tensor) for tensor in examples}) == len(examples)
    assert len({tensor.untyped_storage().data_ptr() for tensor in examples}) == len(examples)
    states = examples[1:]
    assert all(state.abs().min() > 0 for state in states)
    assert all(not torch.equal(a, b) for i, a in enumerate(states) for b in states[:i])


def test_examples_have_the_dtypes_and_sizes_of_the_file(make_model: MakeModel) -> None:
    contract = make_model(layers=3).config.contract()
    wide = example_inputs(FileContract(contract=contract), batch=2, time=5)
    assert [(list(t.shape), t.dtype) for t in wide] == [
        ([2, 5], torch.int64),
        ([3, 2, 8], torch.float32),
        ([3, 2, 8], torch.float32),
    ]
    narrowing = Narrowing(axes={"batch": 1, "time": 1}, dtypes={"tokens": "int32"})
    narrow = example_inputs(FileContract(contract=contract, narrowing=narrowing), batch=2, time=5)
    assert [(list(t.shape), t.dtype) for t in narrow[:2]] == [
        ([1, 1], torch.int32),
        ([3, 1, 8], torch.float32),
    ]


def test_examples_are_the_same_every_time_and_leave_the_seed_alone(make_model: MakeModel) -> None:
    file_contract = FileContract(contract=make_model().config.contract())
    before = torch.random.get_rng_state()
    first, second = (example_inputs(file_contract, batch=2, time=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)
