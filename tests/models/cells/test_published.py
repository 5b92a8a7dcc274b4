"""Every cell of the table, and options of some, against its published equations in plain float64
numpy over chained runs of 64 steps: the cell, and its files in every format, integers, too. A new
row of the table is among them once ``published`` has its equations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.bundle import Bundle
from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export import export_step
from edgernn.models.cells.table import CELLS
from edgernn.models.compact import CompactStack, is_compact
from edgernn.models.recurrent import CellStack, RecurrentStack, make_stack, state_widths
from edgernn.sessions.mil.session import MilSession
from edgernn.sessions.opening import open_artifact
from tests.models.cells.published import CASES, EQUATIONS, Equation, Weights

WIDTH, HIDDEN, LAYERS, ROWS, STEPS = 6, 8, 2, 2, 64
FRAMES = np.random.default_rng(1).normal(size=(1, STEPS, WIDTH))  # [B, T, I]


def run(
    layers: list[Weights], equation: Equation, xs: np.ndarray, start: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The layers one above the other over ``xs [B, T, I]`` from ``start``, each ``[L, B, ·]``."""
    state = [[tensor[index] for tensor in start] for index in range(len(layers))]
    made = []
    for t in range(xs.shape[1]):
        x = xs[:, t]
        for index, p in enumerate(layers):
            state[index] = equation(p, x, state[index])
            x = state[index][0]
        made.append(x)
    return np.stack(made, 1), [np.stack(tensors) for tensors in zip(*state, strict=True)]


def rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.square(array).mean()))


def numbers(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().double().numpy() for name, tensor in module.named_parameters()}


def stack_of(cell: str, options: dict[str, str]) -> CellStack | RecurrentStack:
    """Two layers, whose every number is its own."""
    torch.manual_seed(2)
    stack = make_stack(cell, WIDTH, hidden=HIDDEN, layers=LAYERS, options=options)
    for parameter in stack.requires_grad_(False).parameters():
        parameter.mul_(0.8).add_(0.1 * torch.randn_like(parameter))
    return stack.eval()


def test_every_cell_has_its_equations() -> None:
    assert EQUATIONS.keys() == CELLS.keys() - {"peephole"}  # of this folder's conftest


@pytest.mark.parametrize("name", CASES)
def test_the_cell_is_its_equations(name: str) -> None:
    cell, options, equation = CASES[name]
    stack = stack_of(cell, options).double()
    random = np.random.default_rng(1)
    xs = random.normal(size=(ROWS, STEPS, WIDTH))
    widths = state_widths(cell, HIDDEN, options).values()
    start = [random.uniform(-0.5, 0.5, (LAYERS, ROWS, width)) for width in widths]
    wanted, last = run([numbers(made) for made in stack.cells()], equation, xs, start)
    y, after = stack(torch.from_numpy(xs), tuple(map(torch.from_numpy, start)))
    np.testing.assert_allclose(y.numpy(), wanted, rtol=0, atol=1e-11)
    for found, value in zip(after, last, strict=True):
        np.testing.assert_allclose(found.numpy(), value, rtol=0, atol=1e-11)


class SideBySide(nn.Module):
    """Stacks as one step that takes a frame: what each makes of it, and its states; in the step
    face that a model of edgernn is written in.
    """

    def __init__(self, stacks: Mapping[str, CellStack | RecurrentStack]) -> None:
        super().__init__()
        each = [stack.cells() for stack in stacks.values()]
        self.counts = [len(cells[0].states) for cells in each]
        self.stacks = nn.ModuleList(
            CompactStack(cells) if is_compact(cells) else CellStack(cells) for cells in each
        )

    def forward(self, frame: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        made, after, at = [], [], 0
        for stack, count in zip(self.stacks, self.counts, strict=True):
            y, following = stack(frame, state[at : at + count])
            made, after, at = [*made, y], [*after, *following], at + count
        return (*made, *after)


def frames_contract(widths: Mapping[str, Mapping[str, int]]) -> Contract:
    """Of stacks by name, each with the widths of its states by name."""

    def tensor(name: str, role: str, *axes: str) -> TensorSpec:
        return TensorSpec(name=name, role=role, dtype="float32", axes=axes)

    def states(end: str) -> list[TensorSpec]:
        return [tensor(n + end, "state", "layers", "batch", f"{n}_width") for n in sizes]

    sizes = {f"{cell}_{name}": w for cell, own in widths.items() for name, w in own.items()}
    read = (tensor(cell, "output", "batch", "time", f"{cell}_h_width") for cell in widths)
    inputs = (tensor("frame", "input", "batch", "time", "width"), *states(""))
    step = GraphSpec(name="step", inputs=inputs, outputs=(*read, *states("_next")))
    axes = {f"{name}_width": width for name, width in sizes.items()}
    return Contract(graphs=(step,), sizes={"time": 1, "width": WIDTH, "layers": LAYERS, **axes})


ROUNDED = {"int8": 0.06, "int4": 0.5}  # how far a chained run may go, of what it is
ALL = ["float32", "int8", "int4"]
# formats, and the precisions of those that take integers here
FILES = [(["onnx", "torchscript", "c"], ALL), (["coreml"], ["float32"])]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    """Every case side by side in one file of each format and precision."""
    cases = {name: (cell, options) for name, (cell, options, _) in CASES.items()}
    step = SideBySide({name: stack_of(*case) for name, case in cases.items()})
    contract = frames_contract({n: state_widths(c, HIDDEN, o) for n, (c, o) in cases.items()})
    folder = tmp_path_factory.mktemp("cells")
    return [
        export_step(step, contract, folder / to[0], to=to, precision=precision, steps=8)
        for to, precision in FILES
    ]


def test_its_files_pass_every_check(bundles: list[Bundle]) -> None:
    report = verify_bundle(bundles[0].folder, steps=16)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    written = [(a.format, a.precision) for bundle in bundles for a in bundle.manifest.artifacts]
    assert sorted(written) == sorted(
        [
            *((name, precision) for name in ("onnx", "c") for precision in ALL),
            *((name, "float32") for name in ("torchscript", "coreml")),
        ]
    )


Made = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def chained(bundles: list[Bundle]) -> Made:
    """What each step file makes of the frames, one call a frame: outputs, and last states."""
    made: Made = {}
    for bundle, artifact in ((b, a) for b in bundles for a in b.manifest.artifacts):
        kind = MilSession if artifact.format == "coreml" else None
        session, outputs = open_artifact(bundle, artifact, kind), []
        state = session.initial_state(1)
        for t in range(STEPS):
            given = {"frame": FRAMES[:, t : t + 1].astype(np.float32)}
            read, state = session.step(given, state)
            outputs.append(read)
        joined = {name: np.concatenate([o[name] for o in outputs], 1) for name in outputs[0]}
        made[artifact.path] = {**joined, **state}
    return made


@pytest.mark.parametrize("name", CASES)
def test_its_files_are_its_equations(name: str, chained: Made) -> None:
    cell, options, equation = CASES[name]
    widths = state_widths(cell, HIDDEN, options)
    zeros = [np.zeros((LAYERS, 1, width)) for width in widths.values()]
    cells = stack_of(cell, options).cells()
    wanted, last = run([numbers(made) for made in cells], equation, FRAMES, zeros)
    expected = {name: wanted, **{f"{name}_{s}": v for s, v in zip(widths, last, strict=True)}}
    for path, made in chained.items():
        for tensor, value in expected.items():
            # integers round the weights, and a chained run carries what that changes
            part = next((part for bits, part in ROUNDED.items() if bits in path), None)
            if part is None:
                np.testing.assert_allclose(made[tensor], value, rtol=0, atol=2e-5, err_msg=path)
            else:
                assert rms(made[tensor] - value) <= part * rms(value), (path, tensor)
