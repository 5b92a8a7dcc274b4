"""``manifest.json``, read and held against what it must be, so that nothing that is used later can be missing or absurd."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

SCHEMA_VERSION = 1
DTYPES = {
    "F16": "float16",
    "F32": "float32",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
}  # of safetensors
KINDS = ("char", "byte", "word", "bpe", "caption")  # of tokens
MOST_BYTES = (1 << 31) - 1  # of one file: protobuf, and so ONNX, allows no more
MOST_ELEMENTS = 1 << 28  # of one tensor

Manifest = dict[str, Any]
Shape = Callable[[Any, str], None]  # a value and where it stands; raises InputError


class InputError(Exception):
    """What was wrong, the value seen, what was expected, what to do: one line."""


def read_manifest(content: bytes, place: str) -> Manifest:
    """Read the manifest of the bundle ``place``; raise ``InputError`` with the first field that is not as it must be."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        said = first_line(error)
        raise InputError(
            f"manifest.json of {place} is no JSON ({said}); copy or export the bundle again"
        ) from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:
        raise InputError(
            f"manifest.json of {place} has schema_version {_shown(version)}, expected {SCHEMA_VERSION}; "
            "export with a matching edgernn"
        )
    try:
        MANIFEST(manifest, "")
        _recall_promises(manifest)
        _check_contract(manifest["contract"])
        _check_references(manifest)
    except InputError as error:
        raise InputError(
            f"manifest.json of {place} is damaged: {error}; copy or export the bundle again"
        ) from error
    return manifest


def _recall_promises(manifest: Manifest) -> None:
    """Give each file the tolerance of its golden run where an older bundle has it in ``parity``."""
    for entry in manifest["artifacts"]:
        if entry["tolerance"] is None:
            entry["tolerance"] = entry["parity"].get("tolerance")
            entry["forced"] = not entry["precision"].startswith("float")


def first_line(error: BaseException) -> str:
    """Return the first line of an error, for a message of one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def is_inside(path: str) -> bool:
    """Whether a path of the manifest stays in the bundle, on every system."""
    parts = path.split("/")
    return (
        path.isprintable()
        and not re.search(r"[\\:]", path)
        and all(part not in {"", ".", ".."} for part in parts)
    )


def _expect(holds: bool, path: str, value: Any, wanted: str) -> None:
    if not holds:
        raise InputError(f"{path.lstrip('.') or 'it'} is {_shown(value)}, expected {wanted}")


def _shown(value: Any) -> str:
    """Return the beginning of a value, as ASCII."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _text(pattern: str = "", wanted: str = "text") -> Shape:
    found = re.compile(pattern, re.DOTALL)
    return lambda value, path: _expect(
        isinstance(value, str) and bool(found.match(value)), path, value, wanted
    )


def _whole(least: int = 0, most: int = (1 << 53) - 1) -> Shape:
    wanted = f"a whole number from {least} to {most}"
    return lambda value, path: _expect(
        type(value) is int and least <= value <= most, path, value, wanted
    )


def _number(least: float, most: float = math.inf) -> Shape:
    wanted = f"a number from {least:g} to {most:g}"

    def shape(value: Any, path: str) -> None:
        good = (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and least <= value <= most
        )
        _expect(good and value < math.inf, path, value, wanted)

    return shape


def _one_of(*values: Any) -> Shape:
    def shape(value: Any, path: str) -> None:
        good = any(type(value) is type(each) and value == each for each in values)
        _expect(good, path, value, f"one of {', '.join(map(str, values))}")

    return shape


def _list(item: Shape) -> Shape:
    def shape(value: Any, path: str) -> None:
        _expect(isinstance(value, list), path, value, "a list")
        for index, each in enumerate(value):
            item(each, f"{path}[{index}]")

    return shape


def _table(key: Shape, item: Shape) -> Shape:
    def shape(value: Any, path: str) -> None:
        _expect(isinstance(value, dict), path, value, "an object")
        for name, each in value.items():
            key(name, f"a key of {path.lstrip('.')}")
            item(each, f"{path}.{_shown(name)}")

    return shape


def _object(
    required: dict[str, Shape], optional: dict[str, tuple[Shape, Any]] | None = None
) -> Shape:
    """An object; what is optional comes with its default, which is filled in where it is absent."""

    def shape(value: Any, path: str) -> None:
        _expect(isinstance(value, dict), path, value, "an object")
        for name, item in required.items():
            _expect(name in value, f"{path}.{name}", None, "a value")
            item(value[name], f"{path}.{name}")
        for name, (item, default) in (optional or {}).items():
            if value.get(name) is None:
                value[name] = default
            else:
                item(value[name], f"{path}.{name}")

    return shape


def _inner(value: Any, path: str) -> None:
    _expect(isinstance(value, str) and is_inside(value), path, value, "a path inside the bundle")


_NAME = _text(r"[A-Za-z][A-Za-z0-9_]*\Z", "a name")
_IDS = _list(_whole())
_SIZES = _table(_NAME, _whole(1, (1 << 31) - 1))
_DIGEST = {
    "bytes": _whole(0, MOST_BYTES),
    "sha256": _text(r"[0-9a-f]{64}\Z", "64 hexadecimal digits"),
}
_TENSOR = _object(
    {
        "name": _NAME,
        "role": _one_of("input", "context", "state", "output"),
        "dtype": _one_of(*DTYPES.values()),
        "axes": _list(_NAME),
    },
    {"below": (_NAME, None)},
)
_GRAPH = _object(
    {"name": _one_of("encode", "step"), "inputs": _list(_TENSOR), "outputs": _list(_TENSOR)}
)
_NARROWING = _object(
    {},
    {
        "axes": (_SIZES, {}),
        "dtypes": (_table(_NAME, _text()), {}),
        "runtime_state": (_one_of(True, False), False),
    },
)
_VERSION = _text(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}\Z", "a version such as 1.23")
_ARTIFACT = _object(
    {"path": _inner, "format": _text(), "precision": _text(), **_DIGEST},
    {
        "graph": (_text(), "step"),
        "narrowing": (_NARROWING, {"axes": {}, "dtypes": {}, "runtime_state": False}),
        "requires": (_table(_text(), _VERSION), {}),
        "tolerance": (_number(0), None),
        "forced": (_one_of(True, False), False),
        "parity": (_object({}, {"tolerance": (_number(0), None)}), {}),
    },
)
_DECODING = _object(
    {},
    {
        "start": (_IDS, [0]),
        "temperature": (_number(0), 0.8),
        "top_k": (_whole(), 0),
        "top_p": (_number(5e-324, 1), 1.0),
        "stop": (_IDS, []),
        "suppress": (_IDS, []),
        "length": (_whole(), 0),
    },
)
_TOKENIZER = _object(
    {"kind": _text(), "vocabulary_size": _whole(1)},
    {"path": (_inner, "tokenizer.json"), "text": (_text(), ""), "ids": (_IDS, [])},
)
MANIFEST = _object(
    {
        "contract": _object(
            {"graphs": _list(_GRAPH), "sizes": _SIZES},
            {"initial_state": (_one_of("zeros", "learned", "encode"), "zeros")},
        ),
        "decoding": _DECODING,
        "artifacts": _list(_ARTIFACT),
        "tokenizer": _TOKENIZER,
        "files": _table(_inner, _object(_DIGEST)),
    },
    {"golden": (_inner, None), "initial_state": (_inner, None), "sampler": (_inner, None)},
)


def _check_contract(contract: dict[str, Any]) -> None:
    """A step graph of one row that reads tokens, gives their logits, and returns every state that it takes."""
    graphs = {graph["name"]: graph for graph in contract["graphs"]}
    _expect(
        "step" in graphs and len(graphs) == len(contract["graphs"]),
        "contract.graphs",
        [*graphs],
        "step, once",
    )
    step, encode, sizes = graphs["step"], graphs.get("encode"), contract["sizes"]
    for name, graph in graphs.items():
        for side in ("inputs", "outputs"):
            names = [tensor["name"] for tensor in graph[side]]
            _expect(
                len(set(names)) == len(names) > 0,
                f"contract.{name}.{side}",
                names,
                "names, each once",
            )
    fresh = [tensor for tensor in step["inputs"] if tensor["role"] == "input"]
    good = (
        len(fresh) == 1 and fresh[0]["axes"] == ["batch", "time"] and fresh[0]["dtype"] == "int64"
    )
    _expect(
        good and fresh[0]["below"] in sizes,
        "contract.step.inputs",
        fresh,
        "one input of ids [batch, time]",
    )
    logits = [
        t
        for t in step["outputs"]
        if t["role"] == "output" and t["axes"] == ["batch", "time", fresh[0]["below"]]
    ]
    _expect(
        len(logits) == 1,
        "contract.step.outputs",
        [t["name"] for t in logits],
        "one output [batch, time, vocab]",
    )
    came, given = (
        {t["name"]: t for t in (graph["outputs"] if graph else [])} for graph in (step, encode)
    )
    for tensor in step["inputs"]:
        name, axes = tensor["name"], tensor["axes"]
        if tensor["role"] == "state":
            after = came.get(f"{name}_next")
            _expect(
                bool(after) and after["axes"] == axes,
                f"contract.step.outputs.{name}_next",
                after,
                f"axes {axes}",
            )
        if tensor["role"] == "context" or (
            tensor["role"] == "state" and contract["initial_state"] == "encode"
        ):
            _expect(name in given, f"contract.encode.outputs.{name}", None, "what step takes")
    for tensor in [
        tensor for graph in graphs.values() for tensor in (*graph["inputs"], *graph["outputs"])
    ]:
        open_axes = set(tensor["axes"]) - sizes.keys() - {"batch", "time"}
        _expect(
            not open_axes,
            f"contract.sizes, for {tensor['name']},",
            sorted(open_axes),
            "a size of every axis",
        )
        elements = math.prod(sizes.get(axis, 1) for axis in tensor["axes"])
        _expect(
            elements <= MOST_ELEMENTS,
            f"the size of {tensor['name']}",
            elements,
            f"at most {MOST_ELEMENTS} elements",
        )


def _check_references(manifest: Manifest) -> None:
    """Every file that is named is listed, and every id is one of the vocabulary."""
    for key in ("golden", "initial_state", "sampler"):
        _expect(
            manifest[key] in {None, *manifest["files"]},
            key,
            manifest[key],
            "a path that files lists",
        )
    _expect(
        manifest["tokenizer"]["path"] in manifest["files"],
        "tokenizer.path",
        manifest["tokenizer"]["path"],
        "a listed path",
    )
    learned = manifest["contract"]["initial_state"] == "learned"
    _expect(
        not learned or manifest["initial_state"] is not None,
        "initial_state",
        None,
        "the file of the learned state",
    )
    size, decoding = vocabulary_of(manifest), manifest["decoding"]
    _expect(
        manifest["tokenizer"]["vocabulary_size"] == size,
        "tokenizer.vocabulary_size",
        manifest["tokenizer"]["vocabulary_size"],
        f"{size}, as the contract says",
    )
    for path, ids in (
        *((f"decoding.{key}", decoding[key]) for key in ("start", "stop", "suppress")),
        ("tokenizer.ids", manifest["tokenizer"]["ids"]),
    ):
        outside = next((token for token in ids if token >= size), None)
        _expect(outside is None, f"an id of {path}", outside, f"0 to {size - 1}")
    _expect(
        len(set(decoding["suppress"])) < size,
        "decoding.suppress",
        "every id",
        "one at least that may be written",
    )


def vocabulary_of(manifest: Manifest) -> int:
    """Return how many token ids there are."""
    contract = manifest["contract"]
    step = next(graph for graph in contract["graphs"] if graph["name"] == "step")
    below = next(tensor["below"] for tensor in step["inputs"] if tensor["role"] == "input")
    return int(contract["sizes"][below])
