"""Faults in what stands beside the model files: manifest, digests, tokenizer, golden run, first
state, reference, sample.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from _faulty import OPENING, Arrays, Fault, edit_manifest, on_arrays, sign
from _faulty_bundles import make_model

from edgernn.contract import FileContract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.eager import EagerSession
from edgernn.parity import golden

_ONNX, _GOLDEN = "onnx/step.onnx", "golden.safetensors"
_TOKENIZER, _FIRST = "tokenizer.json", "initial_state.safetensors"
_SAMPLE = "evaluation/held_out.safetensors"


def _on_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda folder: edit_manifest(folder, change)


def _on_vocabulary(change: Callable[[dict[str, int]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / _TOKENIZER).read_text(encoding="utf-8"))
        change(content["model"]["vocab"])
        (folder / _TOKENIZER).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        sign(folder, _TOKENIZER)

    return apply


def _another_hidden_size(manifest: dict[str, Any]) -> None:
    manifest["contract"]["sizes"]["hidden"] = 16


def _another_cell(manifest: dict[str, Any]) -> None:
    step = manifest["contract"]["graphs"][0]
    step["inputs"], step["outputs"] = step["inputs"][:2], step["outputs"][:2]


def _narrowed_in_words_only(manifest: dict[str, Any]) -> None:
    manifest["artifacts"][0]["narrowing"]["axes"] = {"time": 1}


def _start_outside_the_vocabulary(manifest: dict[str, Any]) -> None:
    manifest["decoding"]["start"] = [10_000]


def _stale_digest(folder: Path) -> None:
    content = bytearray((folder / _ONNX).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / _ONNX).write_bytes(content)


def _cut_off(folder: Path) -> None:
    (folder / _ONNX).write_bytes((folder / _ONNX).read_bytes()[:-100])


def _cut_off_and_signed(folder: Path) -> None:
    _cut_off(folder)
    sign(folder, _ONNX)


def _missing(folder: Path) -> None:
    (folder / _ONNX).unlink()


def _swap_two_characters(vocabulary: dict[str, int]) -> None:
    vocabulary["a"], vocabulary["e"] = vocabulary["e"], vocabulary["a"]


def _one_token_more(vocabulary: dict[str, int]) -> None:
    vocabulary["\N{SNOWMAN}"] = len(vocabulary)


def _golden_of_another(folder: Path) -> None:
    model = make_model(Tokenizer.load(folder / _TOKENIZER), seed=99)
    golden.record(
        EagerSession(model, FileContract(contract=model.config.contract())), folder / _GOLDEN
    )
    sign(folder, _GOLDEN)


def _reference_of_another(folder: Path) -> None:
    inner = f"reference/{checkpoint.WEIGHTS}"
    weights = safetensors.torch.load_file(folder / inner)
    weights["head.weight"] = torch.flip(weights["head.weight"], dims=[0])
    safetensors.torch.save_file(weights, folder / inner)
    sign(folder, inner)


def _zeros(arrays: Arrays) -> Arrays:
    return {name: 0 * array for name, array in arrays.items()}


def _first_state_forgotten(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.pop("initial_state"))


def _damaged(inner: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / inner).write_bytes(b"scribble")
        sign(folder, inner)

    return apply


def _ids_of_another_vocabulary(arrays: Arrays) -> Arrays:
    return {name: array + 1000 for name, array in arrays.items()}


_OPENING = (OPENING,)
_OTHER_CONTRACT = "the reference .* has another contract"
FAULTS = (
    Fault(
        "contract of another hidden size",
        "two exports mixed",
        _on_manifest(_another_hidden_size),
        _OPENING,
        _OTHER_CONTRACT,
    ),
    Fault(
        "contract of another cell",
        "an LSTM driven as a GRU",
        _on_manifest(_another_cell),
        _OPENING,
        _OTHER_CONTRACT,
    ),
    Fault(
        "contract of another hidden size, no reference",
        "two exports mixed in a release",
        _on_manifest(_another_hidden_size),
        _OPENING,
        "golden.safetensors does not fit the contract in c, c_next, h, h_next",
        honest="release",
    ),
    Fault(
        "a narrowing that is not so",
        "the file takes any T, the manifest says 1",
        _on_manifest(_narrowed_in_words_only),
        ("contract",),
        r"tokens has shape \[batch, time\], expected \[batch, 1\]",
    ),
    Fault(
        "a start outside the vocabulary",
        "decoding defaults of another model",
        _on_manifest(_start_outside_the_vocabulary),
        _OPENING,
        "decoding.start has the id 10000, the vocabulary has 34 ids",
    ),
    Fault(
        "stale digest",
        "model replaced, nobody could tell (livekit/agents#3267)",
        _stale_digest,
        _OPENING,
        "SHA-256",
    ),
    Fault(
        "file cut off",
        "an upload broken off",
        _cut_off,
        _OPENING,
        "onnx/step.onnx has .* bytes, the manifest says",
    ),
    Fault(
        "file cut off before it was signed",
        "the same, inside the build",
        _cut_off_and_signed,
        ("contract",),
        "cannot|can open",
    ),
    Fault(
        "artifact missing", "an incomplete copy", _missing, _OPENING, "onnx/step.onnx is missing"
    ),
    Fault(
        "tokenizer permuted",
        "vocabulary built again in another order (textgenrnn#31)",
        _on_vocabulary(_swap_two_characters),
        (),
        "(?i)tokenizer",
    ),
    Fault(
        "tokenizer permuted, no reference",
        "the same in a release",
        _on_vocabulary(_swap_two_characters),
        (),
        "(?i)tokenizer",
        honest="release",
    ),
    Fault(
        "tokenizer with one token more",
        "vocabulary and weights did not belong together (textgenrnn#56)",
        _on_vocabulary(_one_token_more),
        ("contract",),
        "tokenizer has 35 tokens, the manifest says 34, the model has 34",
    ),
    Fault(
        "manifest of another vocabulary size",
        "the tokenizer's entry copied from another bundle",
        _on_manifest(lambda manifest: manifest["tokenizer"].update(vocabulary_size=999)),
        _OPENING,
        "the tokenizer has 999 tokens, or ids beyond them; the contract's vocabulary has 34",
    ),
    Fault(
        "golden run of another model",
        "recorded before the last training",
        _golden_of_another,
        ("golden",),
        "worst",
    ),
    Fault(
        "golden run with a NaN",
        "recorded on a broken machine",
        on_arrays(
            _GOLDEN, lambda arrays: {**arrays, "logits": np.full_like(arrays["logits"], np.nan)}
        ),
        ("golden",),
        "worst logits inf",
    ),
    Fault(
        "reference of another model",
        "weights of a later epoch",
        _reference_of_another,
        ("rollout",),
        "worst logits",
    ),
    Fault(
        "learned first state lost",
        "zeros where the model learned a start",
        on_arrays(_FIRST, _zeros),
        (),
        "(?i)(first|initial).state",
        honest="learned",
    ),
    Fault(
        "learned first state lost, no reference",
        "the same in a release",
        on_arrays(_FIRST, _zeros),
        (),
        "(?i)(first|initial).state",
        honest="learned release",
    ),
    Fault(
        "learned first state damaged",
        "scribbled over before it was signed",
        _damaged(_FIRST),
        (),
        "initial_state.safetensors",
        honest="learned",
    ),
    Fault(
        "learned first state of another size",
        "a first state of a wider model",
        on_arrays(_FIRST, lambda arrays: {name: array[..., :5] for name, array in arrays.items()}),
        (),
        r"\bh\b.*\[2, 1, 5\]",
        honest="learned",
    ),
    Fault(
        "learned first state not listed",
        "a bundle put together by hand",
        _first_state_forgotten,
        _OPENING,
        "the first values of h, c are stored, but initial_state is None",
        honest="learned",
    ),
    Fault(
        "held-out sample of another vocabulary",
        "ids of another tokenizer",
        on_arrays(_SAMPLE, _ids_of_another_vocabulary),
        ("text",),
        "has the id .*, the vocabulary has 34 ids",
    ),
    Fault(
        "held-out sample damaged",
        "scribbled over before it was signed",
        _damaged(_SAMPLE),
        (),
        "held_out.safetensors",
    ),
    Fault(
        "held-out sample of fractions",
        "probabilities saved in place of ids",
        on_arrays(_SAMPLE, lambda arrays: {name: array * 0.01 for name, array in arrays.items()}),
        (),
        "float64",
    ),
)
