"""Figures that are invented: in a manifest, a golden run, or a record of sampling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _faulty import Fault, edit_manifest, on_arrays, sign

_ONNX, _INT4 = "onnx/step.onnx", "onnx/step-int4.onnx"


def _said(change: Callable[[dict[str, Any]], Any], inner: str = _ONNX) -> Callable[[Path], None]:
    """Change what the manifest says of one artifact."""

    def on_manifest(manifest: dict[str, Any]) -> None:
        change(next(artifact for artifact in manifest["artifacts"] if artifact["path"] == inner))

    return lambda folder: edit_manifest(folder, on_manifest)


def _said_of_model(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit_manifest(
        folder, lambda manifest: manifest["provenance"]["model"].update(fields)
    )


def _each_weight(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def change(artifact: dict[str, Any]) -> None:
        for listed in artifact["weights"]:
            listed.update(fields)

    return change


def _of_int4(name: str, change: Callable[[dict[str, Any]], Any], check: str, says: str) -> Fault:
    apply = _said(change, _INT4)
    return Fault(
        name,
        "a figure made up, or of another export",
        apply,
        (check,),
        says,
        honest="int4",
        artifact=_INT4,
    )


def _golden(change: Callable[[str, np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return on_arrays(
        "golden.safetensors",
        lambda arrays: {name: change(name, array) for name, array in arrays.items()},
    )


def _sampler_emptied(folder: Path) -> None:
    path = folder / "sampler.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), "tokens": []}), encoding="utf-8"
    )
    sign(folder, path.name)


_LOSS = {
    "perplexity": 2.0,
    "nats": 0.7,
    "reference_perplexity": 2.0,
    "reference_nats": 0.7,
    "mean_kl": 0.0,
}


FAULTS = (
    _of_int4(
        "a loss made up",
        lambda entry: entry["loss"].update(_LOSS),
        "text",
        "the manifest says perplexity 2",
    ),
    _of_int4(
        "a divergence made up", lambda entry: entry["loss"].update(mean_kl=9.0), "text", "KL 9"
    ),
    _of_int4(
        "tokens of a loss made up",
        lambda entry: entry["loss"].update(tokens=99),
        "text",
        "over 99 tokens",
    ),
    _of_int4(
        "the error of a step made up",
        lambda entry: entry["parity"].update(worst=1e-4),
        "rollout",
        "off at worst",
    ),
    _of_int4("bytes of weights made up", _each_weight(bytes=1), "structure", "takes 1 bytes"),
    _of_int4(
        "use of weights made up",
        _each_weight(recurrent=True),
        "structure",
        "and multiplies the state",
    ),
    _of_int4(
        "weights in integers not listed",
        lambda entry: entry.update(weights=[]),
        "structure",
        "lists no weights",
    ),
    _of_int4(
        "an older runtime than the file needs",
        lambda entry: entry.update(requires={"onnxruntime": "1.18"}),
        "contract",
        "needs onnxruntime 1.23, the manifest says 1.18",
    ),
    Fault(
        "a parity beyond its tolerance",
        "a figure of an export that failed",
        _said(lambda entry: entry["parity"].update(worst=1.0)),
        ("contract",),
        "a parity of 1.0e[+]00, and 0.0001 is promised",
    ),
    Fault(
        "a tolerance made up",
        "a limit set after the fact",
        _said(lambda entry: entry["parity"].update(tolerance=9.0)),
        ("contract",),
        "a tolerance of 9, and 0.0001 is promised",
    ),
    Fault(
        "a model of other sizes",
        "a card copied",
        _said_of_model(hidden=999),
        ("contract",),
        "hidden 999, the contract says 8",
    ),
    Fault(
        "a model of another cell",
        "a card copied",
        _said_of_model(cell="gru"),
        ("contract",),
        "the model has cell 'gru', the reference has 'lstm'",
    ),
    Fault(
        "parameters made up",
        "a card copied",
        lambda folder: edit_manifest(
            folder, lambda manifest: manifest["provenance"].update(parameters=7)
        ),
        ("contract",),
        "7 parameters, the reference has 1730",
    ),
    Fault(
        "golden run of two steps",
        "recorded for a quick test",
        _golden(lambda name, array: array[:2] if len(array) > 2 else array),
        ("golden",),
        "has 2 steps, expected 34",
        honest="release",
    ),
    Fault(
        "golden run of one id",
        "a feed of padding",
        _golden(lambda name, array: 0 * array if name == "tokens" else array),
        ("golden",),
        "meets 1 ids of tokens, expected 34",
        honest="release",
    ),
    Fault(
        "golden run with one number changed",
        "a bit that fell over on a disk",
        _golden(
            lambda name, array: (
                array + (np.arange(len(array)) == 20)[:, None, None, None]
                if name == "logits"
                else array
            )
        ),
        ("golden",),
        "34 recorded steps; worst logits",
    ),
    Fault(
        "sampler vectors emptied",
        "a file cut short by a tool",
        _sampler_emptied,
        ("contract",),
        "no sampler vectors",
    ),
)
