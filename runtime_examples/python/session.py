"""A bundle folder, opened and checked: the model's step, and a captioner's encode, with state that goes in and comes out.

Needs numpy and onnxruntime. Every name, shape, id and limit is read from ``manifest.json``. Bad input raises ``InputError``.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

SCHEMA_VERSION = 1
DTYPES = {"F16": "float16", "F32": "float32", "I32": "int32", "I64": "int64", "U8": "uint8"}  # of safetensors
DAMAGED = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)  # what JSON of another shape raises

Arrays = dict[str, np.ndarray]


class InputError(Exception):
    """What was wrong, the value seen, what was expected, what to do: one line."""


class Tokenizer:
    """Text to token ids and back, for characters, and for the words of captions.

    Args:
        vocabulary: the id of each token.
        kind: ``char`` or ``caption``.
    """

    def __init__(self, vocabulary: dict[str, int], kind: str) -> None:
        if kind not in {"char", "caption"}:
            raise InputError(
                f"the tokenizer is of kind {kind}, expected char or caption; use the tokenizers library for others"
            )
        self.ids, self.kind = vocabulary, kind
        self.tokens = {token_id: token for token, token_id in vocabulary.items()}

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; raise ``InputError`` with the first character or word that there is no token for."""
        pieces = self.split(text)
        for place, piece in enumerate(pieces):
            if piece not in self.ids:
                known = f"expected any of its {len(self.ids)} tokens"
                raise InputError(f"the tokenizer has no {piece!r}, at place {place} of the prompt; {known}; leave it out")
        return [self.ids[piece] for piece in pieces]

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids; words are joined by a space."""
        return ("" if self.kind == "char" else " ").join(self.tokens[token_id] for token_id in ids)

    def split(self, text: str) -> list[str]:
        """Cut a text into characters, or into lower-case words of letters, marks and digits, joined by ' or -."""
        if self.kind == "char":
            return list(text)
        text = unicodedata.normalize("NFKC", text).lower()
        spaced = "".join(c if unicodedata.category(c)[0] in "LMN" or c in "'’‐-" else " " for c in text)
        return [word for word in (piece.strip("'’‐-") for piece in spaced.split()) if word]


class Graph:
    """One model file: named arrays in, named arrays out, in the contract's dtypes.

    Args:
        folder: the bundle.
        artifact: its entry in the manifest.
        contract: the manifest's, which has the graph's tensors.
    """

    def __init__(self, folder: Path, artifact: dict[str, Any], contract: dict[str, Any]) -> None:
        self.path, self.precision = artifact["path"], artifact["precision"]
        spec = next(graph for graph in contract["graphs"] if graph["name"] == artifact["graph"])
        self.inputs, self.outputs = spec["inputs"], spec["outputs"]
        narrowing = artifact["narrowing"]
        self.dtypes: dict[str, str] = narrowing["dtypes"]
        for name, dtype in self.dtypes.items():
            if dtype not in DTYPES.values():
                raise InputError(f"{self.path} takes {name} as {dtype}, expected a dtype of numpy; choose another artifact")
        if narrowing["runtime_state"]:
            raise InputError(f"{self.path} keeps the state itself, expected one that goes in and out; choose another artifact")
        self.open_time = "time" not in {**narrowing["axes"], **contract["sizes"]}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a step is too small to share: threads would wait for one another
        options.log_severity_level = 3  # errors alone
        try:
            self.runtime = onnxruntime.InferenceSession(str(folder / self.path), options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InputError(f"onnxruntime cannot open {self.path}: {first_line(error)}; update onnxruntime") from error

    def run(self, feed: Arrays) -> Arrays:
        """Return every output for every input of the graph."""
        names = [tensor["name"] for tensor in self.outputs]
        try:
            cast = {t["name"]: feed[t["name"]].astype(self.dtypes.get(t["name"], t["dtype"])) for t in self.inputs}
            made = self.runtime.run(names, cast)
        except Exception as error:  # as above
            raise InputError(f"{self.path} refuses its inputs: {first_line(error)}; give what the contract says") from error
        return {tensor["name"]: array.astype(tensor["dtype"]) for tensor, array in zip(self.outputs, made, strict=True)}


@dataclass(frozen=True, eq=False)
class Session:
    """An opened bundle. It remembers nothing between calls: state is a plain dict of arrays, yours to keep, copy or save.

    Attributes:
        folder, manifest: the bundle and its ``manifest.json``.
        stepper: the step file in use.
        encoder: a captioner's encode file, else None.
        tokenizer: made from the bundle's ``tokenizer.json``.
        learned: a learned first state by name, empty where the contract has none.
    """

    folder: Path
    manifest: dict[str, Any]
    stepper: Graph
    encoder: Graph | None
    tokenizer: Tokenizer
    learned: Arrays

    def names(self, role: str) -> list[str]:
        """Return the names of step's inputs of a role: ``input``, ``context`` or ``state``."""
        return [tensor["name"] for tensor in self.stepper.inputs if tensor["role"] == role]

    def output(self, axis: str) -> str | None:
        """Return the name of the output whose last axis is ``axis``, such as the logits' ``vocab``."""
        read = [tensor for tensor in self.stepper.outputs if tensor["role"] == "output"]
        return next((tensor["name"] for tensor in read if tensor["axes"][-1] == axis), None)

    def initial_state(self) -> Arrays:
        """Return the state before the first step, by name, each ``[L, 1, H]``; a captioner may take it from ``encode``."""
        sizes = {**self.manifest["contract"]["sizes"], "batch": 1}
        specs = [tensor for tensor in self.stepper.inputs if tensor["role"] == "state"]
        zeros = {tensor["name"]: np.zeros([sizes[axis] for axis in tensor["axes"]], tensor["dtype"]) for tensor in specs}
        return {**zeros, **self.learned}

    def step(self, inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        """Feed tokens int64 ``[1, T]``, and a captioner's contexts, under the names of the contract.

        Returns:
            The outputs, each ``[1, T, …]``, and the state after the last token, to be given to the next call.
        """
        made = self.stepper.run({**inputs, **state})
        after = {name: made.pop(f"{name}_next") for name in self.names("state")}
        return made, after

    def encode(self, image: np.ndarray) -> tuple[Arrays, Arrays]:
        """Look at a picture, uint8 ``[1, S, S, 3]``; return the contexts for every step, and the first state."""
        if self.encoder is None:
            raise InputError("the bundle is a language model, which sees no pictures; expected a captioner; leave --image out")
        made = self.encoder.run({self.encoder.inputs[0]["name"]: image})
        contexts = {name: made[name] for name in self.names("context")}
        state = {name: made.get(name, first) for name, first in self.initial_state().items()}
        return contexts, state


def load(folder: Path, artifact: str | None = None) -> Session:
    """Open a bundle folder; every file is held against the manifest first.

    Args:
        folder: the bundle.
        artifact: the path of a step file in the bundle; default the first that onnxruntime can run.

    Raises:
        InputError: the bundle is missing, damaged or of another version, or has no such artifact.
    """
    manifest = read_manifest(folder)
    try:
        chosen = _choose(manifest, artifact)
        encoder = _encoder_of(manifest, chosen)
        used = {entry["path"]: entry for entry in (chosen, encoder) if entry}
        _verify(folder, {**manifest["files"], **used})
        contract = manifest["contract"]
        return Session(
            folder,
            manifest,
            Graph(folder, chosen, contract),
            Graph(folder, encoder, contract) if encoder else None,
            _open_tokenizer(folder, manifest),
            _read_learned(folder, manifest),
        )
    except DAMAGED as error:
        raise InputError(
            f"{folder} is damaged ({type(error).__name__}: {first_line(error)}); export the bundle again"
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json``; raise ``InputError`` where it is missing, no JSON, or of a schema that is not known."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; expected a bundle folder; give one") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({first_line(error)}); expected a manifest; export the bundle again") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(f"{path} has schema_version {version!r}, expected {SCHEMA_VERSION}; export with a matching edgernn")
    return manifest


def read_tensors(path: Path) -> Arrays:
    """Read a safetensors file: the length of a JSON header in 8 bytes, the header, the data."""
    try:
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            values = np.frombuffer(content[start:][begin:end], np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<"))
            arrays[name] = values.reshape(entry["shape"])
    except (OSError, RecursionError, *DAMAGED) as error:
        raise InputError(f"{path} is no safetensors file ({first_line(error)}); export the bundle again") from error
    return arrays


def first_line(error: BaseException) -> str:
    """Return the first line of an error, for a message of one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _verify(folder: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Hold the files that are needed against their sizes and digests in the manifest."""
    for name, entry in entries.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise InputError(f"{path} is not there, and manifest.json names it; expected a whole bundle; copy it again")
        content = path.read_bytes()
        if len(content) != entry["bytes"]:
            raise InputError(f"{path} has {len(content)} bytes, expected {entry['bytes']}; copy the bundle again")
        if (digest := hashlib.sha256(content).hexdigest()) != entry["sha256"]:
            raise InputError(f"{path} has SHA-256 {digest}, expected {entry['sha256']}; copy the bundle again")


def _choose(manifest: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """Return the entry of the step file that is asked for, or of the first."""
    steps = [entry for entry in manifest["artifacts"] if entry["format"] == "onnx" and entry["graph"] == "step"]
    for entry in steps:
        if wanted in {None, entry["path"]}:
            return entry
    there = f"expected an ONNX step file; choose one of: {', '.join(entry['path'] for entry in steps) or '(there is none)'}"
    for entry in manifest["artifacts"]:
        if entry["path"] == wanted:
            raise InputError(f"{wanted} is of format {entry['format']} and graph {entry['graph']}; {there}")
    raise InputError(f"the bundle has no artifact {wanted or 'to run'}; {there}")


def _encoder_of(manifest: dict[str, Any], step: dict[str, Any]) -> dict[str, Any] | None:
    """Return the encode file that goes with a step file: of its precision where there is one; None for a language model."""
    if all(graph["name"] != "encode" for graph in manifest["contract"]["graphs"]):
        return None
    found = [entry for entry in manifest["artifacts"] if entry["format"] == "onnx" and entry["graph"] == "encode"]
    if not found:
        raise InputError(f"the bundle has no ONNX encode file for {step['path']}; expected one; export the bundle again")
    return next((entry for entry in found if entry["precision"] == step["precision"]), found[0])


def _open_tokenizer(folder: Path, manifest: dict[str, Any]) -> Tokenizer:
    """Open ``tokenizer.json`` and hold it against the text and the ids that the manifest records."""
    entry = manifest["tokenizer"]
    tokenizer = Tokenizer(json.loads((folder / entry["path"]).read_bytes())["model"]["vocab"], entry["kind"])
    found = [tokenizer.ids[piece] for piece in tokenizer.split(entry["text"]) if piece in tokenizer.ids]
    if found != entry["ids"] or len(tokenizer.tokens) != manifest["contract"]["sizes"]["vocab"]:
        wanted = f"expected the {len(entry['ids'])} ids that the manifest records"
        raise InputError(
            f"{entry['path']} makes {len(found)} other ids of the recorded text, {wanted}; export the bundle again"
        )
    return tokenizer


def _read_learned(folder: Path, manifest: dict[str, Any]) -> Arrays:
    learned = manifest["contract"]["initial_state"] == "learned"
    return read_tensors(folder / manifest["initial_state"]) if learned else {}
