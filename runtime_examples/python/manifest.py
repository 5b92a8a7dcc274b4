"""``manifest.json``, read and held against what it must be, so that nothing that is used later can
be missing or absurd. A manifest of version 1 is read as if it were of version 2.
"""

from __future__ import annotations

import json
from typing import Any

from contract import DTYPES, Contract, check_contract, graph_of, ids_of, of_role
from errors import BundleError, first_line
from shapes import Shape, expect, fields, inner_path, list_of, number, one_of, shown, table, text
from shapes import whole as whole_number

VERSIONS = (1, 2)  # of the schema
MOST_BYTES = (1 << 31) - 1  # of one file: protobuf, and so ONNX, allows no more

Manifest = dict[str, Any]

_NAME = text(r"[A-Za-z][A-Za-z0-9_]*\Z", "a name")
_IDS = list_of(whole_number())
_SIZES = table(_NAME, whole_number(1, (1 << 31) - 1))
_DIGEST: dict[str, Shape] = {
    "bytes": whole_number(0, MOST_BYTES),
    "sha256": text(r"[0-9a-f]{64}\Z", "64 hexadecimal digits"),
}
_TENSOR = fields(
    {
        "name": _NAME,
        "role": one_of("input", "context", "state", "output"),
        "dtype": one_of(*DTYPES.values()),
        "axes": list_of(_NAME),
    },
    {"below": (_NAME, None)},
)
_GRAPH = fields(
    {"name": one_of("encode", "step"), "inputs": list_of(_TENSOR), "outputs": list_of(_TENSOR)}
)
_NARROWING = fields(
    {},
    {
        "axes": (_SIZES, {}),
        "dtypes": (table(_NAME, text()), {}),
        "runtime_state": (one_of(True, False), False),
    },
)
_VERSION = text(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}\Z", "a version such as 1.23")
_ARTIFACT = fields(
    {"path": inner_path, "format": text(), "precision": text(), **_DIGEST},
    {
        "graph": (text(), "step"),
        "narrowing": (_NARROWING, {"axes": {}, "dtypes": {}, "runtime_state": False}),
        "requires": (table(text(), _VERSION), {}),
        "tolerance": (number(0), None),
        "forced": (one_of(True, False), False),
        "parity": (fields({}, {"tolerance": (number(0), None)}), {}),
    },
)
_DECODING = fields(
    {},
    {
        "start": (_IDS, [0]),
        "temperature": (number(0), 0.8),
        "top_k": (whole_number(), 0),
        "top_p": (number(5e-324, 1), 1.0),
        "stop": (_IDS, []),
        "suppress": (_IDS, []),
        "length": (whole_number(), 0),
    },
)
_TOKENIZER = fields(
    {"kind": text(), "vocabulary_size": whole_number(1)},
    {"path": (inner_path, "tokenizer.json"), "text": (text(), ""), "ids": (_IDS, [])},
)
_FIRST_VALUES = {
    1: (one_of("zeros", "learned", "encode"), "zeros"),  # a word for all states
    2: (table(_NAME, one_of("stored", "encode")), {}),  # zeros, where a state is not named
}


def _manifest(version: int) -> Shape:
    contract: dict[str, tuple[Shape, Any]] = {
        "initial_state": _FIRST_VALUES[version],
        "step_frames": (whole_number(1, (1 << 31) - 1), 1),
        "latency_frames": (whole_number(0, (1 << 31) - 1), 0),
    }
    of_text: dict[str, Shape] = {"decoding": _DECODING, "tokenizer": _TOKENIZER}
    paths: dict[str, tuple[Shape, Any]] = dict.fromkeys(
        ("golden", "initial_state", "sampler"), (inner_path, None)
    )
    required = {
        "contract": fields({"graphs": list_of(_GRAPH), "sizes": _SIZES}, contract),
        "artifacts": list_of(_ARTIFACT),
        "files": table(inner_path, fields(_DIGEST)),
    }
    if version == 1:
        return fields({**required, **of_text}, paths)
    return fields(required, {**paths, **{name: (of_text[name], None) for name in of_text}})


def read_manifest(content: bytes, place: str) -> Manifest:
    """Read the manifest of the bundle ``place``.

    Raises:
        BundleError: it is no JSON, of another version, or a field is not as it must be: the first.
    """
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        said = first_line(error)
        raise BundleError(
            f"manifest.json of {place} is no JSON ({said}); copy or export the bundle again"
        ) from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version not in VERSIONS:
        known = " or ".join(map(str, VERSIONS))
        raise BundleError(
            f"manifest.json of {place} has schema_version {shown(version)}, expected {known}; "
            "export with a matching edgernn"
        )
    try:
        _manifest(version)(manifest, "")
        _modernise(manifest)
        check_contract(manifest["contract"])
        _check_references(manifest)
    except BundleError as error:
        raise BundleError(
            f"manifest.json of {place} is damaged: {error}; copy or export the bundle again"
        ) from error
    return manifest


def _modernise(manifest: Manifest) -> None:
    """Say what version 1 says as version 2 does."""
    contract = manifest["contract"]
    if isinstance(contract["initial_state"], str):
        kind = {"learned": "stored", "encode": "encode"}.get(contract["initial_state"])
        step = graph_of(contract, "step") or {"inputs": []}
        states = of_role(step["inputs"], "state")
        contract["initial_state"] = {t["name"]: kind for t in states} if kind else {}
    for entry in manifest["artifacts"]:
        if entry["tolerance"] is None:
            entry["tolerance"] = entry["parity"].get("tolerance")
            entry["forced"] = not entry["precision"].startswith("float")
    if manifest["decoding"] is None:
        manifest["decoding"] = {}
        _DECODING(manifest["decoding"], "decoding")


def _check_references(manifest: Manifest) -> None:
    """Every file that is named is listed, and every id is one of the vocabulary."""
    files, entry = manifest["files"], manifest["tokenizer"]
    for key in ("golden", "initial_state", "sampler"):
        found = manifest[key]
        expect(found is None or found in files, key, found, "a path that files lists")
    stored = "stored" in manifest["contract"]["initial_state"].values()
    good = not stored or manifest["initial_state"] is not None
    expect(good, "initial_state", None, "the file of the stored first values")
    if entry:
        expect(entry["path"] in files, "tokenizer.path", entry["path"], "a listed path")
        _check_ids(manifest)


def _check_ids(manifest: Manifest) -> None:
    """Every recorded id, and every id of the decoding defaults, is one of the vocabulary."""
    entry, decoding = manifest["tokenizer"], manifest["decoding"]
    size = vocabulary_of(manifest["contract"])
    if size is None:
        return
    known = entry["vocabulary_size"]
    expect(known == size, "tokenizer.vocabulary_size", known, f"{size}, as the contract says")
    recorded = {f"decoding.{key}": decoding[key] for key in ("start", "stop", "suppress")}
    for path, ids in {**recorded, "tokenizer.ids": entry["ids"]}.items():
        outside = next((token for token in ids if token >= size), None)
        expect(outside is None, f"an id of {path}", outside, f"0 to {size - 1}")
    expect(decoding["start"] != [], "decoding.start", [], "an id at least to begin with")
    good = len(set(decoding["suppress"])) < size
    expect(good, "decoding.suppress", "every id", "one at least that may be written")


def vocabulary_of(contract: Contract) -> int | None:
    """Return how many ids there are, or None where step takes none."""
    ids = ids_of(contract)
    return int(contract["sizes"][ids["below"]]) if ids else None
