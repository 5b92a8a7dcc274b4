"""Editing ExecuTorch programs in a bundle: their bytes, or the step that they are lowered from."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _faulty import sign

from edgernn.bundle import Bundle
from edgernn.models import checkpoint
from edgernn.sessions.pte.program import IDENTIFIER, read_program
from edgernn.sessions.pte.stored import FORWARD, LOOKUP, graphs_of
from edgernn.sessions.pte.xnnpack import Constant
from edgernn.storage.flatbuffer import Table

FLOATS, BYTES = "executorch/step.pte", "executorch/step-int8.pte"
FIRST, SECOND, HEAD = 0, 1, 2  # the matrices of a step of two layers, in the order of its products
_TANH, _SIGMOID, _SLICE = 43, 4, 35  # of the union of XNNPACK's operators
Apply = Callable[[Path], None]


def on_bytes(inner: str, change: Callable[[Path, bytearray], None]) -> Apply:
    """Change the bytes of one file, and sign it."""

    def apply(folder: Path) -> None:
        path = folder / inner
        content = bytearray(path.read_bytes())
        change(path, content)
        path.write_bytes(content)
        sign(folder, inner)

    return apply


def _constants(path: Path, *, axes: int) -> list[Constant]:
    program = read_program(path)
    (graph,) = graphs_of(program, program.by_name[FORWARD])
    return [each for each in graph.constants if len(each.shape) == axes]


def _put(content: bytearray, before: np.ndarray, after: np.ndarray) -> None:
    """Write ``after`` where the bytes of ``before`` lie."""
    old, new = before.tobytes(), np.ascontiguousarray(after, before.dtype).tobytes()
    assert len(old) == len(new) and old != new
    at = content.find(old)
    assert at >= 0
    content[at : at + len(old)] = new


def on_matrix(
    inner: str, place: int, change: Callable[[np.ndarray], np.ndarray], *, part: str = "both"
) -> Apply:
    """Change the rows of a matrix, or its scales, or both."""

    def edit(path: Path, content: bytearray) -> None:
        matrix = _constants(path, axes=2)[place]
        if part in ("content", "both"):
            _put(content, matrix.content, change(matrix.content.reshape(matrix.shape)))
        if part in ("scales", "both") and matrix.scales.size:
            _put(content, matrix.scales, change(matrix.scales))

    return on_bytes(inner, edit)


def in_torchs_order(rows: np.ndarray) -> np.ndarray:
    i, f, o, g = np.split(rows, 4)
    return np.concatenate((i, f, g, o))


def without_row(rows: np.ndarray) -> np.ndarray:
    changed = rows.copy()
    changed[3] = 0
    return changed


def one_bit(rows: np.ndarray) -> np.ndarray:
    changed = rows.copy()
    changed.view(np.uint32)[5, 2] ^= 1 << 29
    return changed


def weights_of_another_layer(path: Path, content: bytearray) -> None:
    first, second = _constants(path, axes=2)[:2]
    _put(content, second.content, first.content)


def no_bias(path: Path, content: bytearray) -> None:
    bias = _constants(path, axes=1)[HEAD]
    _put(content, bias.content, np.zeros_like(bias.content))


def table_off_by_one(path: Path, content: bytearray) -> None:
    program = read_program(path)
    method = program.by_name[FORWARD]
    call = next(e for e in method.instructions if method.operators[e.index] == LOOKUP)
    rows = program.array(method.values[call.arguments[0]])
    _put(content, rows, np.roll(rows, 1, 0))


def _plan(content: bytearray) -> Table:
    plans = Table.root(memoryview(bytes(content)), IDENTIFIER).tables(1)
    return next(plan for plan in plans if plan.text(0) == FORWARD)


def on_places(field: int, change: Callable[[list[int], list[int]], list[int]]) -> Apply:
    """Change the places of a method's inputs (3) or outputs (4): ``change`` gets its outputs and
    inputs, and returns those of the field.
    """

    def edit(path: Path, content: bytearray) -> None:
        plan = _plan(content)
        start, count = plan._vector(plan._place(field) or 0, 4)
        places = change(plan.numbers(4, "i"), plan.numbers(3, "i"))
        struct.pack_into(f"<{count}i", content, start, *places)

    return on_bytes(FLOATS, edit)


def contract_swaps(path: Path, content: bytearray) -> None:
    for old, new in (
        (b'"h_next"', b'"z_next"'),
        (b'"c_next"', b'"h_next"'),
        (b'"z_next"', b'"c_next"'),
    ):
        content[:] = content.replace(old, new)


def on_nodes(inner: str, change: Callable[[bytearray, list[Table]], None]) -> Apply:
    """Change the operators of the one delegate in place."""

    def edit(path: Path, content: bytearray) -> None:
        program = read_program(path)
        blob = bytes(program.by_name[FORWARD].delegates[0].content)
        at = content.find(blob[:256])
        (start,) = struct.unpack_from("<I", blob, 10)
        flat = bytearray(blob[start:])
        root = Table.root(memoryview(bytes(flat)), bytes(flat[4:8]))
        change(flat, root.tables(1))
        content[at + start : at + len(blob)] = flat

    return on_bytes(inner, edit)


def tanh_as_sigmoid(flat: bytearray, nodes: list[Table]) -> None:
    node = next(node for node in nodes if node.whole(0, "B") == _TANH)
    flat[node._place(0) or 0] = _SIGMOID


def another_gate(flat: bytearray, nodes: list[Table]) -> None:
    """Let the slice of the second gate begin at the first."""
    inner = [node.table(1) for node in nodes if node.whole(0, "B") == _SLICE]
    moved = next(s for s in inner if s and s.numbers(1, "I")[-1] and s.numbers(1, "I")[0] == 0)
    start, count = moved._vector(moved._place(1) or 0, 4)
    struct.pack_into("<I", flat, start + 4 * (count - 1), 0)


def lowered_again(change: Callable[[torch.nn.Module], torch.nn.Module]) -> Apply:
    """Lower the step once more, as ``change`` makes it."""

    def apply(folder: Path) -> None:
        from edgernn.export.programs import flat_step
        from edgernn.export.to_executorch.lowering import lower
        from edgernn.sessions.quiet import quiet

        bundle = Bundle.open(folder)
        artifact = bundle.artifact(FLOATS)
        file_contract = bundle.file_contract(artifact)
        model = checkpoint.load(folder / "reference").model.eval().requires_grad_(False)
        step, examples = flat_step(model, file_contract)
        with quiet(), torch.no_grad():
            program = torch.export.export(change(step), examples)
            made = lower(program, integers=False, texts=file_contract.to_metadata())
        (folder / FLOATS).write_bytes(made.buffer)
        sign(folder, FLOATS)

    return apply


class KeepsCell(torch.nn.Module):
    """A step whose cell state is a buffer of its own; what the caller gives is not read."""

    def __init__(self, step: torch.nn.Module) -> None:
        super().__init__()
        self.step = step
        self.register_buffer("kept", torch.zeros(2, 1, 8))

    def forward(
        self, tokens: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        logits, h_next, c_next = self.step(tokens, h, self.kept + 0 * c)
        self.kept.copy_(c_next)
        return logits, h_next, c_next


class Draws(torch.nn.Module):
    """A step that adds noise below every tolerance."""

    def __init__(self, step: torch.nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(
        self, tokens: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        logits, h_next, c_next = self.step(tokens, h, c)
        return logits + 1e-9 * torch.rand(1, 1, 1), h_next, c_next


def other_precision(folder: Path) -> None:
    (folder / FLOATS).write_bytes((folder / BYTES).read_bytes())
    sign(folder, FLOATS)
