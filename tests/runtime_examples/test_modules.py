"""WebAssembly modules of a bundle in the JavaScript examples: they run without a runtime, and one
that is damaged, or is not what the contract says, is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hosts import EXAMPLES, Command

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.sessions import compiler
from edgernn.writing.text import write_text

if shutil.which("node") is None or compiler.lacking() is not None or compiler.zig() is None:
    pytest.skip("node, a C compiler or ziglang is not installed", allow_module_level=True)
MODULE = "c/lib/wasm/step.wasm"
PROMPT = "the quick "


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The Node.js example without its packages."""
    place = tmp_path_factory.mktemp("node")
    shutil.copytree(EXAMPLES / "web" / "src", place / "web" / "src")
    shutil.copytree(
        EXAMPLES / "node", place / "node", ignore=shutil.ignore_patterns("node_modules")
    )
    return Command(("node", str(place / "node" / "main.mjs")))


@pytest.fixture(scope="module")
def made(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM with modules. Read only."""
    out = tmp_path_factory.mktemp("modules") / "bundle"
    precision, target = ["float32", "int8"], ["wasm", "wasm-relaxed"]
    export_bundle(
        checkpoint_folder, out, to=["onnx", "c"], precision=precision, target=target, steps=8
    )
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The bundle, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def put(folder: Path, content: bytes) -> None:
    """Put another module in, and what the manifest says of it."""
    (folder / MODULE).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    said = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"][MODULE] = said
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_module_is_checked_without_a_runtime(node: Command, made: Path) -> None:
    for arguments in ([], ["--artifact", "c/step-int8"]):
        rows = node.rows(made, *arguments)
        assert {"logits", "tokenizer"} < set(rows)
        assert {verdict for *_, verdict in rows.values()} == {"ok"}
    timed = json.loads(node.good(made, "--time", "50"))
    assert timed["artifact"] == "c/step"
    assert timed["median_us"] > 0


@pytest.mark.parametrize("sampled", [{"temperature": 0.0}, {"temperature": 0.8, "seed": 7}])
def test_a_module_writes_the_text_of_python(
    node: Command, made: Path, sampled: dict[str, Any]
) -> None:
    wanted = write_text(made, PROMPT, length=500, **sampled)["tokens"]
    flags = [part for name, value in sampled.items() for part in (f"--{name}", value)]
    found = json.loads(node.good(made, "--prompt", PROMPT, "--length", "500", "--json", *flags))
    assert found["artifact"] == "c/step"
    assert found["tokens"] == wanted


def test_a_file_for_the_runtime_says_what_brings_that(node: Command, made: Path) -> None:
    said = node.refusal(made, "--check", "--artifact", "onnx/step.onnx")
    assert "onnxruntime-node does not start" in said
    assert "npm ci" in said


def test_c_without_a_module_is_not_run(
    node: Command, checkpoint_folder: Path, tmp_path: Path
) -> None:
    export_bundle(checkpoint_folder, tmp_path / "plain", to=["onnx", "c"], steps=4)
    said = node.refusal(tmp_path / "plain", "--check", "--artifact", "c/step")
    assert "c/step is of format c and has no WebAssembly module" in said


def test_a_module_of_another_model_is_refused(
    node: Command, copy: Path, make_model: Callable[..., Any], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    other = Checkpoint(make_model(hidden=9), tokenizer, {}, {})
    export_bundle(other, tmp_path / "other", to="c", target="wasm", steps=4, release=True)
    put(copy, (tmp_path / "other" / MODULE).read_bytes())
    said = node.refusal(copy, "--check")
    assert f"the module {MODULE} cannot be used: it has the inputs" in said
    assert "and the contract" in said


def of_section(name: bytes, content: bytes) -> bytes:
    """An empty module with a custom section."""
    inner = bytes([len(name)]) + name + content
    return b"\0asm\1\0\0\0" + b"\0" + bytes([len(inner)]) + inner


IMPORTS = b"\0asm\1\0\0\0" + bytes([1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no module at all", "cannot be used"),
        (b"\0asm\1\0\0\0", "has 0 sections edgernn"),
        (of_section(b"edgernn", b"{"), "cannot be used"),
        (of_section(b"edgernn", b"null"), "it has the graph nothing"),
        (of_section(b"edgernn", b'{"graph":"encode"}'), 'it has the graph "encode"'),
        (IMPORTS, "it imports a.b, expected nothing"),
    ],
)
def test_what_is_no_such_module_is_refused(
    node: Command, copy: Path, content: bytes, says: str
) -> None:
    put(copy, content)
    assert says in node.refusal(copy, "--check")


def test_a_module_that_lacks_what_a_host_calls_is_refused(node: Command, copy: Path) -> None:
    whole = (copy / MODULE).read_bytes()
    section = whole.rindex(b"\x07edgernn{")
    put(copy, of_long_section(whole[section + 8 :]))
    assert "it exports no memory" in node.refusal(copy, "--check")


def of_long_section(content: bytes) -> bytes:
    """An empty module with a section of more than 127 bytes."""
    inner = b"\x07edgernn" + content
    length = bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7])
    return b"\0asm\1\0\0\0" + b"\0" + length + inner


def test_a_changed_module_is_refused_before_it_runs(node: Command, copy: Path) -> None:
    content = bytearray((copy / MODULE).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / MODULE).write_bytes(bytes(content))
    assert f"{MODULE} has the SHA-256" in node.refusal(copy, "--check")
    (copy / MODULE).write_bytes(b"")
    assert f"{MODULE} has 0 bytes" in node.refusal(copy, "--check")
    (copy / MODULE).unlink()
    assert f"{MODULE} is missing" in node.refusal(copy, "--check")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a["libraries"][0].update(path="../x"), "a path inside the bundle"),
        (lambda a: a["libraries"][0].update(path="c/none"), "a path that files lists"),
        (lambda a: a["libraries"][0].pop("target"), "libraries[0].target is missing"),
        (lambda a: a.update(libraries={}), "expected a list"),
    ],
)
def test_a_damaged_record_is_told(
    node: Command, copy: Path, change: Callable[[Any], Any], says: str
) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    change(next(a for a in manifest["artifacts"] if a["path"] == "c/step"))
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert says in node.refusal(copy, "--check")


def test_a_captioner_runs_as_modules(node: Command, captioner_folder: Path, tmp_path: Path) -> None:
    export_bundle(captioner_folder, tmp_path / "b", to="c", target="wasm", steps=4)
    with Bundle.open(tmp_path / "b") as opened:
        assert {artifact.graph for artifact in opened.manifest.artifacts} == {"encode", "step"}
    rows = node.rows(tmp_path / "b")
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
