"""Faults beyond what a few small samples show: at other rows and lengths, and from call to call;
and tokenizers that lie.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _faulty import Fault, edit_manifest, sign
from faults_torchscript import FILE, Step, Three, retraced
from torch import Tensor, nn

_TOKENIZER = "tokenizer.json"
Document = dict[str, Any]


class _Scripted(nn.Module):
    """A scripted module around the honest step, to be spoiled by subclasses."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner
        self.calls = 0
        self.kept = torch.zeros(1)


class _WrongBeyond64(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits * (1.01 if tokens.size(1) > 64 else 1.0), h_next, c_next


class _WrongFromFourRows(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits, h_next * (1.01 if tokens.size(0) > 3 else 1.0), c_next


class _WrongForManyRows(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits, h_next, c_next * (1.01 if tokens.size(0) > 8 else 1.0)


class _LastOfALongCallLost(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens[:, :128], h, c)
        if tokens.size(1) > 128:
            logits = torch.cat(
                [logits, torch.zeros_like(logits[:, :1]).expand(-1, tokens.size(1) - 128, -1)], 1
            )
        return logits, h_next, c_next


class _Tires(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        self.calls += 1
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits + 1e-5 * self.calls, h_next, c_next


class _WarmsUp(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        self.calls += 1
        logits, h_next, c_next = self.inner(tokens, h, c)
        return logits, h_next, c_next + (0.01 if self.calls < 3 else 0.0)


class _CachesTheFirst(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        if tokens.numel() == 1 and not bool(h.any()):
            if self.calls == 0:
                self.kept = logits
            self.calls = 1
            logits = self.kept
        return logits, h_next, c_next


class _HearsTheLastCall(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        logits, h_next, c_next = self.inner(tokens, h, c)
        added = 0.01 * self.kept.mean()
        self.kept = h_next
        return logits + added, h_next, c_next


class _TiedToItsPlace(_Scripted):
    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> Three:
        started = bool((h == 0).all(2).any())  # a row that starts takes what stood in its place
        if started and h.size(1) > 1 and self.kept.numel() == h.numel():
            h = self.kept.view_as(h)
        logits, h_next, c_next = self.inner(tokens, h, c)
        self.kept = h_next
        return logits, h_next, c_next


def _on_tokenizer(change: Callable[[Document], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / _TOKENIZER).read_text(encoding="utf-8"))
        change(content)
        (folder / _TOKENIZER).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        sign(folder, _TOKENIZER)

    return apply


def _two_swapped(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    names = {index: token for token, index in vocabulary.items()}
    vocabulary[names[600]], vocabulary[names[601]] = 601, 600


def _shifted(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    last = max(vocabulary.values())
    for token, index in vocabulary.items():
        vocabulary[token] = index if index <= 520 else 521 if index == last else index + 1


def _one_renamed(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    token = next(token for token, index in vocabulary.items() if index == 650)
    vocabulary[f"{token}x"] = vocabulary.pop(token)


def _turned_round(document: Document) -> None:
    vocabulary = document["model"]["vocab"]
    last = max(vocabulary.values())
    for token, index in vocabulary.items():
        vocabulary[token] = index if index <= 520 else last - (index - 521)


def _lower_case(document: Document) -> None:
    document["normalizer"] = {"type": "Lowercase"}


def _joined_with_spaces(document: Document) -> None:
    document["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}


def _digest_of_another(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["tokenizer"].update(tokens_sha256="0" * 64))


def _kind_of_another(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["tokenizer"].update(kind="byte"))


def _script(name: str, imitates: str, kind: type[_Scripted], *, honest: str = "lstm") -> Fault:
    caught = ("structure",) if honest == "release" else ("invariance",)
    return Fault(
        name, imitates, retraced(Step, script=kind), caught, "", honest=honest, artifact=FILE
    )


def _tokens(name: str, imitates: str, change: Callable[[Document], None]) -> list[Fault]:
    apply = _on_tokenizer(change)
    return [
        Fault(name, imitates, apply, ("contract",), "tokenizer", honest="many words"),
        Fault(
            f"{name}, no reference",
            f"{imitates}, in a release",
            apply,
            ("contract",),
            "tokenizer",
            honest="many words release",
        ),
    ]


_SCRIPTS: tuple[tuple[str, str, type[_Scripted]], ...] = (
    ("calls of more than 64 steps 1 % off", "a kernel for long sequences", _WrongBeyond64),
    ("more than three rows 1 % off", "a kernel for batches", _WrongFromFourRows),
    ("many rows 1 % off", "a kernel for large batches", _WrongForManyRows),
    ("calls cut after 128 steps", "a buffer's size", _LastOfALongCallLost),
    ("further off at every call", "a counter that is never reset", _Tires),
    ("right from the third call on", "a warm-up that is not made", _WarmsUp),
    ("the first step kept", "a cache without a key", _CachesTheFirst),
    ("hears the call before", "a buffer used again", _HearsTheLastCall),
    ("a row that starts is not reset", "a state that is kept by row", _TiedToItsPlace),
)
FAULTS = (
    *(_script(*row) for row in _SCRIPTS),
    *(
        _script(f"{row[0]}, no reference", f"{row[1]}, in a release", row[2], honest="release")
        for row in _SCRIPTS
    ),
    *_tokens("two late tokens swapped", "a vocabulary sorted anew", _two_swapped),
    *_tokens("late tokens shifted by one", "a token put in between", _shifted),
    *_tokens("one late token renamed", "a vocabulary corrected by hand", _one_renamed),
    *_tokens("late tokens in reverse", "a vocabulary sorted the other way", _turned_round),
    *_tokens("text put in lower case", "another normaliser", _lower_case),
    *_tokens("tokens joined in another way", "another decoder", _joined_with_spaces),
    Fault(
        "digest of another vocabulary",
        "an entry copied",
        _digest_of_another,
        ("contract",),
        "list of tokens",
        honest="many words",
    ),
    Fault(
        "kind of another tokenizer",
        "an entry copied",
        _kind_of_another,
        ("contract",),
        "of kind",
        honest="many words",
    ),
)
