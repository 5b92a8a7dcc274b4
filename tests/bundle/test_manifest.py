"""manifest.json: what is written is read back, what is damaged or unsafe is named, and the shipped
schema is this one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgernn
from edgernn.bundle import Bundle
from edgernn.bundle.manifest import Manifest, json_schema, parse_manifest
from edgernn.bundle.records import (
    Artifact,
    FileDigest,
    LossRecord,
    ParityRecord,
    Provenance,
    TokenizerEntry,
)
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import Decoding, Narrowing
from edgernn.errors import BundleError
from edgernn.families.language import language_contract

LOSS = LossRecord(
    tokens=90, reference_perplexity=4.0, perplexity=4.1, mean_kl=0.01, top1=0.9, allowed=0.03
)
WEIGHTS = (
    StoredWeight("layers.0.joined", (8, 4), "int4", 128, 32, 32, recurrent=True, block_size=16),
    StoredWeight("biases and constants", (), "float32", 8, 8, 8),
)
FILES = (
    "tokenizer.json",
    "golden.safetensors",
    "initial_state.safetensors",
    "sampler.json",
    "reference/config.json",
    "reference/weights.safetensors",
    "reference/tokenizer.json",
    "evaluation/held_out.safetensors",
)
FULL = Manifest(
    contract=language_contract(
        ("h", "c"), layers=1, hidden=2, vocabulary=3, initial_state="learned"
    ),
    decoding=Decoding(start=(2,), temperature=0.5, top_k=1, top_p=0.5),
    artifacts=(
        Artifact(
            path="onnx/step.onnx",
            format="onnx",
            precision="float32",
            bytes=5,
            sha256="0" * 64,
            target="opset 17",
            exporter="torch, onnx",
            requires={"onnxruntime": "1.23"},
            narrowing=Narrowing(axes={"batch": 1}, dtypes={"tokens": "int32"}),
            parity=ParityRecord(steps=4, worst=1e-7, tensor="c_next", tolerance=1e-4),
            weights=WEIGHTS,
            loss=LOSS,
        ),
    ),
    tokenizer=TokenizerEntry(kind="char", vocabulary_size=3),
    labels={"vocab": ("no", "yes", "perhaps")},
    golden="golden.safetensors",
    initial_state="initial_state.safetensors",
    reference="reference",
    evaluation="evaluation/held_out.safetensors",
    sampler="sampler.json",
    files={name: FileDigest(bytes=1, sha256="a" * 64) for name in FILES},
    provenance=Provenance(
        edgernn="0.1.0", created="now", parameters=9, model={"cell": "lstm"}, training={"loss": 1.5}
    ),
)
LEAN = FULL.model_copy(
    update={
        "contract": language_contract(("h", "c"), layers=1, hidden=2, vocabulary=3),
        "initial_state": None,
        "reference": None,
        "evaluation": None,
        "sampler": None,
        "artifacts": (),
    }
)
PATHS = (
    "artifacts.0.path",
    "tokenizer.path",
    "golden",
    "initial_state",
    "reference",
    "evaluation",
    "sampler",
)

_PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])


def content() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(FULL.to_json())
    return raw


def put(raw: Any, place: str, value: object) -> None:
    *parents, last = place.split(".")
    for key in parents:
        raw = raw[int(key) if key.isdigit() else key]
    raw[last] = value


def refusal(text: str) -> str:
    with pytest.raises(BundleError) as caught:
        parse_manifest(text, source="my-bundle")
    message = str(caught.value)
    assert message.startswith("my-bundle: manifest.json ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("manifest", [FULL, LEAN], ids=["full", "lean"])
def test_round_trip(manifest: Manifest) -> None:
    assert parse_manifest(manifest.to_json(), source="x") == manifest


def test_a_bundle_without_a_golden_run_round_trips() -> None:
    manifest = FULL.model_copy(update={"golden": None})
    assert parse_manifest(manifest.to_json(), source="x") == manifest


def test_training_notes_round_trip_as_they_are() -> None:
    provenance = FULL.provenance.model_copy(
        update={"training": {"best": None, "losses": [1, 2.5], "text": "\u00e9"}}
    )
    manifest = FULL.model_copy(update={"provenance": provenance})
    assert parse_manifest(manifest.to_json(), source="x") == manifest


def test_a_written_manifest_round_trips(bundle: Bundle) -> None:
    text = (bundle.folder / "manifest.json").read_text(encoding="utf-8")
    assert parse_manifest(text, source="x").to_json() == text


def test_what_was_lost_is_told_as_shares() -> None:
    assert LOSS.increase == pytest.approx(0.025)
    assert LOSS.cider_drop is None
    scored = LOSS.model_copy(update={"reference_cider": 0.8, "cider": 0.6})
    assert scored.cider_drop == pytest.approx(0.25)
    assert scored.model_copy(update={"reference_cider": 0.0}).cider_drop == 0.0


def test_a_manifest_without_weights_and_losses_is_read() -> None:
    raw = content()
    del raw["artifacts"][0]["weights"], raw["artifacts"][0]["loss"]
    (artifact,) = parse_manifest(json.dumps(raw), source="x").artifacts
    assert (artifact.weights, artifact.loss) == ((), None)


def test_an_artifact_has_its_own_file_contract() -> None:
    file_contract = FULL.file_contract(FULL.artifacts[0])
    assert file_contract.contract == FULL.contract
    assert file_contract.decoding == FULL.decoding
    assert file_contract.narrowing == FULL.artifacts[0].narrowing


@pytest.mark.parametrize(
    "text", ["", "{", "not json", FULL.to_json()[:-20]], ids=["empty", "open", "text", "cut"]
)
def test_what_is_no_json_is_damaged(text: str) -> None:
    assert "is damaged" in refusal(text)


def test_json_that_is_nested_too_deeply_is_damaged() -> None:
    assert "is damaged" in refusal("[" * 100_000)


@pytest.mark.parametrize("version", [3, 0, "1", None, [1], True])
def test_another_schema_version_is_named(version: object) -> None:
    raw = content()
    raw["schema_version"] = version
    told = f"has schema version {version!r}; this edgernn reads versions 1 to 2. Export"
    assert told in refusal(json.dumps(raw))


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}"])
def test_no_schema_version_is_another_version(text: str) -> None:
    assert "has schema version None" in refusal(text)


@pytest.mark.parametrize("field", ["contract", "artifacts", "files", "provenance"])
def test_a_missing_field_is_named(field: str) -> None:
    raw = content()
    del raw[field]
    assert f"is damaged: {field}: Field required" in refusal(json.dumps(raw))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("artifacts.0.sha256", "0" * 63),
        ("artifacts.0.sha256", "G" * 64),
        ("artifacts.0.bytes", -1),
        ("artifacts.0.graph", "Other"),
        ("artifacts.0.surprise", 1),
        ("artifacts.0.loss.tokens", 0),
        ("artifacts.0.loss.top1", "all"),
        ("artifacts.0.weights.0.bytes", "few"),
        ("tokenizer.vocabulary_size", 0),
        ("decoding.top_p", 0),
        ("family", "A picture"),
    ],
)
def test_a_wrong_field_is_named(place: str, value: object) -> None:
    raw = content()
    put(raw, place, value)
    assert f"is damaged: {place}: " in refusal(json.dumps(raw))


def moved(path: str, to: str) -> dict[str, Any]:
    raw = content()
    raw["files"][to] = raw["files"].pop(path)
    return raw


def without(place: str) -> dict[str, Any]:
    raw = content()
    *parents, last = place.split(".")
    inner: Any = raw
    for key in parents:
        inner = inner[int(key) if key.isdigit() else key]
    del inner[int(last) if last.isdigit() else last]
    return raw


def edited(place: str, value: object) -> dict[str, Any]:
    raw = content()
    put(raw, place, value)
    return raw


TWICE = [FULL.artifacts[0].model_dump(mode="json")] * 2
PARTS_THAT_DO_NOT_FIT = {
    "sizes without hidden": (
        without("contract.sizes.hidden"),
        "sizes has no hidden, which h needs",
    ),
    "a size of 1e26": (
        edited("contract.sizes.hidden", 1e26),
        "contract.sizes.hidden: Input should be a valid integer",
    ),
    "a size in quotes": (
        edited("contract.sizes.hidden", "2"),
        "contract.sizes.hidden: Input should be a valid integer",
    ),
    "a size that is true": (
        edited("contract.sizes.layers", True),
        "contract.sizes.layers: Input should be a valid integer",
    ),
    "a size beyond 31 bits": (
        edited("contract.sizes.hidden", 1 << 31),
        "contract.sizes.hidden: Input should be less than",
    ),
    "sizes that ask for gigabytes": (
        edited("contract.sizes.hidden", 1 << 30),
        "expected 67,108,864 or fewer",
    ),
    "an output removed": (without("contract.graphs.0.outputs.0"), "step takes or gives nothing"),
    "a state output removed": (without("contract.graphs.0.outputs.1"), "every state must come in"),
    "an input removed": (without("contract.graphs.0.inputs.0"), "step takes or gives nothing"),
    "a tokenizer and no ids": (
        edited("contract.graphs.0.inputs.0.below", None),
        "step takes no ids",
    ),
    "decoding and no scores": (
        edited("contract.graphs.0.outputs.0.axes", ["batch", "time", "hidden"]),
        "gives no scores",
    ),
    "two graphs of a name": (
        edited("contract.graphs", content()["contract"]["graphs"] * 2),
        r"graphs are \['step', 'step'\]",
    ),
    "no graph": (edited("contract.graphs", []), r"graphs are \[\]"),
    "a start of 1e26": (
        edited("decoding.start", [1e26]),
        "decoding.start.0: Input should be a valid integer",
    ),
    "a start beyond the vocabulary": (
        edited("decoding.start", [3]),
        "decoding.start has the id 3, the vocabulary has 3 ids",
    ),
    "a stop beyond the vocabulary": (edited("decoding.stop", [4]), "decoding.stop has the id 4"),
    "every token suppressed": (edited("decoding.suppress", [0, 1, 2]), "leaves no token"),
    "an infinite temperature": (
        edited("decoding.temperature", 1e300 * 1e300),
        "Infinity, which is no JSON",
    ),
    "another vocabulary": (
        edited("tokenizer.vocabulary_size", 4),
        "the contract's vocabulary has 3",
    ),
    "an id of the tokenizer beyond it": (
        edited("tokenizer.ids", [3]),
        "the contract's vocabulary has 3",
    ),
    "no first state": (
        without("initial_state"),
        "the first values of h, c are stored, but initial_state is None",
    ),
    "a graph that is not there": (
        edited("artifacts.0.graph", "caption"),
        "computes caption, which this contract has not",
    ),
    "an axis narrowed to another size": (
        edited("artifacts.0.narrowing.axes", {"hidden": 9}),
        "narrows hidden to 9",
    ),
    "a tensor that is not there": (
        edited("artifacts.0.narrowing.dtypes", {"x": "int32"}),
        "the dtype of x",
    ),
    "an artifact twice": (edited("artifacts", TWICE), r"'onnx/step\.onnx' stands twice"),
    "an artifact among the files": (
        moved("sampler.json", "onnx/step.onnx"),
        "files does not list sampler",
    ),
    "names that differ in case": (
        edited("artifacts.0.path", "Golden.safetensors"),
        "are one file on some disks",
    ),
    "a file below an artifact": (
        edited("artifacts.0.path", "reference"),
        r"lies in 'reference'|are one file",
    ),
    "an unlisted tokenizer": (
        moved("tokenizer.json", "other.json"),
        r"files does not list tokenizer \(tokenizer.json\)",
    ),
    "an unlisted golden run": (edited("golden", "other.safetensors"), "files does not list golden"),
    "an unlisted first state": (
        edited("initial_state", "other"),
        "files does not list initial_state",
    ),
    "an unlisted held-out sample": (
        edited("evaluation", "other"),
        "files does not list evaluation",
    ),
    "an unlisted sampler": (edited("sampler", "other"), "files does not list sampler"),
    "an unlisted reference": (
        edited("reference", "other"),
        r"files does not list reference config\.json",
    ),
    "the manifest as a file": (
        moved("sampler.json", "manifest.json"),
        "files does not list sampler",
    ),
    "a version that is none": (
        edited("artifacts.0.requires", {"onnxruntime": "new"}),
        "requires.onnxruntime: String",
    ),
    "half a surrogate pair": (edited("provenance.created", "\ud800"), "half of a surrogate pair"),
}


@pytest.mark.parametrize(("raw", "says"), PARTS_THAT_DO_NOT_FIT.values(), ids=PARTS_THAT_DO_NOT_FIT)
def test_parts_that_do_not_fit_together_are_refused(raw: dict[str, Any], says: str) -> None:
    message = refusal(json.dumps(raw))
    assert re.search(says, message), message
    assert message.isprintable()


def test_a_key_that_stands_twice_is_named() -> None:
    text = FULL.to_json().replace('"top_k":', '"top_k": 3, "top_k":')
    assert "is damaged (the key 'top_k' stands twice in one object)" in refusal(text)


OUTSIDE = [
    "../x",
    "/etc/x",
    "a/../../b",
    "a/..",
    "..",
    ".",
    "",
    "C:\\x",
    "C:/x",
    "a\\..\\b",
    "\\\\host\\share",
    "//host/share",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leaves_the_bundle_is_refused_wherever_it_stands(path: str) -> None:
    for place in PATHS:
        raw = content()
        put(raw, place, path)
        message = refusal(json.dumps(raw))
        assert f"is damaged: {place}: " in message
        assert "does not stay inside the bundle" in message
    raw = content()
    raw["files"][path] = {"bytes": 0, "sha256": "0" * 64}
    assert "does not stay inside the bundle" in refusal(json.dumps(raw))


@pytest.mark.parametrize(
    "path", ["a\nb", "a\0b", "\x1b[2Jx", "\ud800"], ids=["line end", "nul", "escape", "surrogate"]
)
def test_a_path_that_would_garble_a_message_is_refused(path: str) -> None:
    raw = content()
    put(raw, "golden", path)
    message = refusal(json.dumps(raw))
    assert message.isprintable()


@settings(deadline=None)
@given(path=st.lists(st.sampled_from(["..", ".", "a", "b c", ""]), max_size=5).map("/".join))
def test_whatever_path_is_let_through_stays_inside(path: str) -> None:
    raw = content()
    put(raw, "golden", path)
    raw["files"][path] = raw["files"].pop("golden.safetensors")
    try:
        golden = parse_manifest(json.dumps(raw), source="x").golden
    except BundleError:
        return
    root = Path("/bundle")
    resolved = (root / str(golden)).resolve()
    assert resolved != root
    assert resolved.is_relative_to(root)


def test_paths_below_folders_are_welcome() -> None:
    raw = content()
    put(raw, "golden", "a/b.c/d-e_f.safetensors")
    raw["files"]["a/b.c/d-e_f.safetensors"] = raw["files"].pop("golden.safetensors")
    assert parse_manifest(json.dumps(raw), source="x").golden == "a/b.c/d-e_f.safetensors"


@pytest.mark.skipif(
    _PYDANTIC < (2, 12), reason="older pydantic writes the same schema in other words"
)
def test_the_shipped_schema_is_that_of_the_code() -> None:
    shipped = Path(edgernn.__file__).parent / "bundle" / "manifest.schema.json"
    assert shipped.read_text(encoding="utf-8") == json_schema(), (
        "write it again: "
        "Path('edgernn/bundle/manifest.schema.json').write_text(edgernn.bundle.manifest.json_schema())"
    )


def test_the_schema_names_what_a_reader_needs() -> None:
    schema = json.loads(json_schema())
    assert schema["additionalProperties"] is False
    assert {"contract", "artifacts", "files", "provenance"} <= set(schema["required"])
    assert set(content()) == set(schema["properties"])


@pytest.mark.parametrize("names", [["no", "yes"], ["no", "no", "yes"]])
def test_labels_name_each_place_once(names: list[str]) -> None:
    raw = content()
    raw["labels"]["vocab"] = names
    with pytest.raises(BundleError, match="labels names 2 places of vocab, whose size is 3"):
        parse_manifest(json.dumps(raw), source="a bundle")
