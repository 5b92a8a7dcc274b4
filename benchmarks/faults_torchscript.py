"""Faults of TorchScript files: traced and scripted again from the reference with one thing made
wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from _faulty import Fault, sign
from _faulty_bundles import make_model
from torch import Tensor, nn
from torch.nn import functional

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.language import LanguageModel

FILE = "torchscript/step.pt"
Three = tuple[Tensor, Tensor, Tensor]
Wrap = Callable[[LanguageModel], nn.Module]


class Step(nn.Module):
    """The honest step, to be spoiled by subclasses."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        """Return what the contract promises."""
        logits, (h_next, c_next) = self.model(tokens, (h, c))
        return logits, h_next, c_next


class _Swapped(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits, c_next, h_next


class _StillTraining(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return functional.dropout(logits, 0.1, training=True), h_next, c_next


class _TimeOfTheExample(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits.reshape(-1, 3, logits.shape[2]), h_next, c_next


class _BatchOfTheExample(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits, h_next.reshape(2, 2, 8), c_next


class _DoublePrecision(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits.double(), h_next, c_next


class _BrainFloat(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits.bfloat16(), h_next, c_next


class _Nested(Step):
    def forward(
        self, tokens: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:  # type: ignore[override]
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits, (h_next, c_next), c_next


class _WritesIntoItsInput(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = super().forward(tokens, h, c)
        return logits, h.copy_(h_next), c.copy_(c_next)


class _NoCellState(Step):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(tokens, h, c)[:2]


class _Remembers(nn.Module):
    """Answers a single row from the state that it kept itself, whatever state it is given: right
    for one stream alone.
    """

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner
        self.began = False
        self.kept_h = torch.zeros(1)
        self.kept_c = torch.zeros(1)

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        if h.size(1) == 1 and self.began:
            h, c = self.kept_h, self.kept_c
        logits, h_next, c_next = self.inner(tokens, h, c)
        if h.size(1) == 1:
            self.kept_h, self.kept_c, self.began = h_next, c_next, True
        return logits, h_next, c_next


def retraced(
    wrap: Wrap, *, script: Callable[[torch.jit.ScriptModule], nn.Module] | None = None
) -> Callable[[Path], None]:
    """Save the model of the bundle again through ``wrap``, with its honest metadata."""

    def apply(folder: Path) -> None:
        bundle = Bundle.open(folder)
        model = make_model(
            Tokenizer.load(folder / "tokenizer.json")
        )  # the one it was exported from
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter(
                "ignore"
            )  # torch.jit is deprecated, and tells what a trace bakes in
            examples = (
                torch.zeros(2, 3, dtype=torch.int64),
                torch.rand(2, 2, 8),
                torch.rand(2, 2, 8),
            )
            module = torch.jit.trace(wrap(model), examples, check_trace=False)
            if script is not None:
                module = torch.jit.script(script(module))
            metadata = bundle.file_contract(bundle.artifact(FILE)).to_metadata()
            torch.jit.save(module, str(folder / FILE), _extra_files=metadata)
        sign(folder, FILE)

    return apply


def _without_metadata(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.load(str(folder / FILE)), str(folder / FILE))
    sign(folder, FILE)


def _fault(
    name: str,
    imitates: str,
    apply: Callable[[Path], None],
    checks: tuple[str, ...],
    says: str,
    **more: str,
) -> Fault:
    return Fault(name, imitates, apply, checks, says, artifact=FILE, **more)


_EVERYWHERE = ("rollout", "golden")
FAULTS = (
    _fault(
        "TorchScript h and c swapped",
        "a tuple in another order",
        retraced(_Swapped),
        _EVERYWHERE,
        r"worst [hc]_next",
    ),
    _fault(
        "dropout of training",
        "exported before eval()",
        retraced(_StillTraining),
        _EVERYWHERE,
        "dropout with train",
    ),
    _fault(
        "time of the example traced in",
        "a shape read as a number (pytorch#22813)",
        retraced(_TimeOfTheExample),
        _EVERYWHERE,
        "shape .* is invalid for input",
    ),
    _fault(
        "batch of the example traced in",
        "a shape read as a number",
        retraced(_BatchOfTheExample),
        _EVERYWHERE,
        "shape .* is invalid for input",
    ),
    _fault(
        "one result too few",
        "a state not returned",
        retraced(_NoCellState),
        _EVERYWHERE,
        "does not return .*c_next",
    ),
    _fault(
        "float64 logits",
        "one operator that promotes: a C++ host reads them as float32",
        retraced(_DoublePrecision),
        (),
        "float64",
    ),
    _fault(
        "bfloat16 logits",
        "autocast left on: numpy has no such dtype",
        retraced(_BrainFloat),
        (),
        "bfloat16",
    ),
    _fault(
        "a tuple within the results",
        "(h, c) as torch's LSTM returns it",
        retraced(_Nested),
        (),
        "promises",
    ),
    _fault(
        "state overwritten in place",
        "the state that the caller keeps for a fork is gone",
        retraced(_WritesIntoItsInput),
        ("invariance",),
        "writes into what it was given",
    ),
    _fault(
        "state kept inside",
        "an attribute carries over from call to call",
        retraced(Step, script=_Remembers),
        ("rollout", "invariance"),
        "uses the operator prim::(SetAttr|If)",
    ),
    _fault(
        "state kept inside, no reference",
        "the same, golden run alone: one stream from one start is right",
        retraced(Step, script=_Remembers),
        ("invariance",),
        "uses the operator prim::(SetAttr|If)",
        honest="release",
    ),
    _fault(
        "TorchScript without metadata",
        "saved again by hand",
        _without_metadata,
        ("contract",),
        "no contract in its metadata",
    ),
)
