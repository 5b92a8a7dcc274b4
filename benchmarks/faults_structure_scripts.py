"""Faults that no sample shows, in TorchScript files and Core ML programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from _faulty import Fault, sign
from faults_torchscript import FILE, Step, Three, retraced
from torch import Tensor, nn

from edgernn.models.language import LanguageModel

_STRUCTURE = ("structure",)


class _LongCalls(nn.Module):
    """Other logits where a call has more than 90 steps."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        if tokens.size(1) > 90:
            logits = logits * 1.01
        return logits, h_next, c_next


class _ManyRows(nn.Module):
    """Other states where there are more than three rows."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        if h.size(1) > 3:
            h_next = h_next.flip(1)
        return logits, h_next, c_next


class _FirstStepKept(nn.Module):
    """The first call's token is kept and added, times nothing: right in every number."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner
        self.first = torch.zeros(1)
        self.began = False

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        if not self.began:
            self.first, self.began = logits, True
        return logits + 0 * self.first.sum(), h_next, c_next


class _WearsOut(nn.Module):
    """Right for a million calls."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner
        self.calls = 0

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        self.calls += 1
        logits, h_next, c_next = self.inner(tokens, h, c)
        if self.calls > 1000000:
            logits = -logits
        return logits, h_next, c_next


class _CountsInABuffer(Step):
    """A count that is written into a buffer in place, without an attribute that is set."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model)
        self.register_buffer("count", torch.zeros(1))

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        self.count.add_(1)
        return logits + torch.relu(self.count - 1000000), h_next, c_next


class _SizeInNumbers(Step):
    """How far a call is above 90 steps, added to the logits, without a branch."""

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits + torch.relu(torch.zeros(1) + tokens.shape[1] - 90), h_next, c_next


class _MeanOverRows(Step):
    """A billionth of the mean of all rows in every row."""

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits, h_next + 1e-9 * h_next.mean(1, keepdim=True), c_next


class _Noise(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits + 1e-8 * torch.rand_like(logits), h_next, c_next


def _on_program(
    change: Callable[..., None], package: str = "coreml/step.mlpackage"
) -> Callable[[Path], None]:
    """Change the text of a Core ML program: its main block, and coremltools' module for it."""

    def apply(folder: Path) -> None:
        import coremltools as ct

        path = folder / package / "Data" / "com.apple.CoreML" / "model.mlmodel"
        spec = ct.proto.Model_pb2.Model.FromString(path.read_bytes())
        (function,) = spec.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        change(block, ct.proto.MIL_pb2)
        path.write_bytes(spec.SerializeToString())
        sign(folder, package)

    return apply


def _result_of(block: object, name: str) -> object:
    return next(operation for operation in block.operations if operation.outputs[0].name == name)  # type: ignore[attr-defined]


def _branch_in_program(block: object, mil: object) -> None:
    """Choose the logits by a condition: both branches are the same here."""
    last = _result_of(block, "logits")
    kind = last.outputs[0].type  # type: ignore[attr-defined]
    last.outputs[0].name = "logits_raw"  # type: ignore[attr-defined]
    const = block.operations.add(type="const")  # type: ignore[attr-defined]
    const.outputs.add(name="always").type.tensorType.dataType = mil.DataType.BOOL  # type: ignore[attr-defined]
    value = const.attributes["val"]
    value.type.tensorType.dataType = mil.DataType.BOOL  # type: ignore[attr-defined]
    value.immediateValue.tensor.bools.values.append(True)
    choice = block.operations.add(type="cond")  # type: ignore[attr-defined]
    choice.inputs["pred"].arguments.add(name="always")
    choice.outputs.add(name="logits").type.CopyFrom(kind)
    for _ in range(2):
        choice.blocks.add(outputs=["logits_raw"])


def _another_state(block: object, mil: object) -> None:
    """Write one state into the other's place."""
    written = [operation for operation in block.operations if operation.type == "write_state"]  # type: ignore[attr-defined]
    for operation in written:
        operation.inputs["input"].arguments[0].name = "own"


def _scripted(name: str, imitates: str, apply: Callable[[Path], None], says: str) -> Fault:
    return Fault(name, imitates, apply, _STRUCTURE, says, artifact=FILE)


FAULTS = (
    _scripted(
        "TorchScript long calls differ",
        "a path for prefill",
        retraced(Step, script=_LongCalls),
        "prim::If branches",
    ),
    _scripted(
        "TorchScript many rows differ",
        "a path for batches",
        retraced(Step, script=_ManyRows),
        "prim::If branches",
    ),
    _scripted(
        "TorchScript keeps its first step",
        "a cache",
        retraced(Step, script=_FirstStepKept),
        "prim::(If|SetAttr)",
    ),
    _scripted(
        "TorchScript wears out",
        "a counter",
        retraced(Step, script=_WearsOut),
        "prim::SetAttr keeps something",
    ),
    _scripted(
        "TorchScript counts in a buffer",
        "a buffer of calls",
        retraced(_CountsInABuffer),
        "writes into what it was given or keeps, with aten::add_",
    ),
    _scripted(
        "TorchScript size in numbers",
        "a length penalty",
        retraced(_SizeInNumbers),
        "computes with the size of an axis",
    ),
    _scripted(
        "TorchScript mean over rows",
        "a norm over the batch",
        retraced(_MeanOverRows),
        "aten::mean along the axis b",
    ),
    _scripted(
        "TorchScript noise too small to see",
        "dropout",
        retraced(_Noise),
        "aten::rand_like draws random numbers",
    ),
    Fault(
        "a branch in a Core ML program",
        "an operator that the Neural Engine does not take",
        _on_program(_branch_in_program),
        _STRUCTURE,
        r"cond \(logits\) branches",
        honest="coreml",
        artifact="coreml/step.mlpackage",
    ),
    Fault(
        "a Core ML state that the contract does not name",
        "a second memory",
        _on_program(_another_state, "coreml/step_mlstate.mlpackage"),
        _STRUCTURE,
        "keeps the state own, expected",
        honest="coreml",
        artifact="coreml/step_mlstate.mlpackage",
    ),
)
