"""The Swift example, as far as it can be told without Apple's tools: its names, its package,
its promises.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import TOKEN_KINDS

ROOT = Path(__file__).resolve().parents[2] / "runtime_examples" / "ios"
FILES = sorted(ROOT.rglob("*.swift"))
SOURCES = sorted((ROOT / "Sources" / "EdgernnModel").glob("*.swift"))


def text() -> str:
    return "\n".join(path.read_text() for path in SOURCES)


@pytest.mark.parametrize(
    "name", ["load", "begin", "step", "setRow", "encode", "sample", "generate"]
)
def test_the_names_are_those_of_every_example(name: str) -> None:
    assert re.search(rf"public (static )?func {name}\(", text())


def test_the_package_lists_its_folders() -> None:
    package = (ROOT / "Package.swift").read_text()
    targets = set(re.findall(r'arget\(name: "([^"]+)"', package))
    assert targets == {
        path.name for folder in ("Sources", "Tests") for path in (ROOT / folder).iterdir()
    }


def test_no_tensor_name_is_written_in_the_code(
    bundle_folder: Path, captioner_bundle_folder: Path
) -> None:
    literals = set(re.findall(r'"([A-Za-z_]+)"', text()))
    for folder in (bundle_folder, captioner_bundle_folder):
        for graph in Bundle.open(folder).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}


def test_what_a_file_promises_is_read_from_the_manifest() -> None:
    """No precision is named in the code, so that no table of them can age."""
    golden = next(path for path in SOURCES if path.name == "Golden.swift").read_text()
    assert not re.findall(r'"(?:float\d+|int\d|palettized\d|smallest)"', golden)
    assert golden.count(".promise()") == 2


def parse_errors(source: bytes) -> list[str]:
    """Return the places where a text is no Swift, as the grammar that editors use sees it."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="needs tree-sitter: .[dev]")
    grammar = pytest.importorskip("tree_sitter_swift", reason="needs tree-sitter-swift: .[dev]")
    parser, places = tree_sitter.Parser(tree_sitter.Language(grammar.language())), []
    rest = [parser.parse(source).root_node]
    while rest:
        node = rest.pop()
        if node.is_error or node.is_missing:
            row, column = node.start_point
            places.append(f"{row + 1}:{column + 1} {node.type}")
        rest += [child for child in node.children if child.has_error]
    return places


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_parses(path: Path) -> None:
    """Not a compiler, but more than brackets."""
    assert parse_errors(path.read_bytes()) == []


@pytest.mark.parametrize("wrong", ["func one( { }", "let a = = 3", "struct S { var x: Int"])
def test_what_is_no_swift_does_not_parse(wrong: str) -> None:
    whole = SOURCES[0].read_bytes()
    assert parse_errors(whole) == []
    assert parse_errors(whole + b"\n" + wrong.encode()) != []


def test_what_swift_takes_of_the_c_is_declared_there() -> None:
    """The names of C in the Swift are those of the headers, and of the table that is written."""
    compiled = ROOT.parent / "compiled"
    swift = (ROOT / "Sources" / "CompiledNetwork" / "CompiledNetwork.swift").read_text()
    header = (compiled / "network.h").read_text()
    used = set(re.findall(r"\b(?:net|own)\.(\w+)|\b(NETWORK_\w+)|\b(network_tensor)\b", swift))
    names = {name for found in used for name in found if name}
    assert {"table", "step", "shape", "NETWORK_STATE", "network_tensor"} <= names
    for name in names:
        assert re.search(rf"\b{name}\b", header), name
    assert "the_network(void)" in (compiled / "network.py").read_text()
    module = (ROOT / "Sources" / "CNet" / "module.modulemap").read_text()
    assert set(re.findall(r'header "([^"]+)"', module)) == {"names.h", "replay.h"}


def test_random_numbers_are_made_as_in_the_library() -> None:
    numbers = {
        int(text.replace("_", ""), 16)
        for text in re.findall(r"0x([0-9A-F]{4}(?:_[0-9A-F]{4}){3})\b", text())
    }
    assert numbers == {0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB}
    assert re.search(r">> 30.*\n.*>> 27.*\n.*>> 31\)\) >> 11\) \* 0x1p-53", text())


def test_its_tokens_and_fields_are_those_of_the_kotlin_example() -> None:
    """What can be said without a compiler: the kinds, the spaces and the parts of a short
    recording are spelled alike.
    """
    kotlin = "\n".join(
        path.read_text()
        for path in (ROOT.parent / "android" / "core" / "src" / "main").rglob("*.kt")
    )
    for spelled in (*TOKEN_KINDS, "splitmix64", "top_k", "pretokenizers", "unk_token", "merges"):
        assert f'"{spelled}"' in text(), spelled
        assert f'"{spelled}"' in kotlin, spelled
    for part in ("columns", "at_columns", "largest_ids", "largest", "log_sum"):
        assert f").{part}" in text(), part
    spaces = r'"\\\\t-[^"]+u3000"'
    assert re.findall(spaces, text()) == re.findall(spaces, kotlin) != []


def test_brackets_close() -> None:
    for path in [
        *ROOT.glob("Sources/*/*.swift"),
        *ROOT.glob("Tests/*/*.swift"),
        ROOT / "Package.swift",
    ]:
        plain = re.sub(r"//.*", "", path.read_text())
        for opening, closing in ("()", "[]", "{}"):
            assert plain.count(opening) == plain.count(closing), (path.name, opening)


def test_it_builds_and_passes_the_golden_run(bundle_folder: Path, tmp_path: Path) -> None:
    swift = shutil.which("swift")
    if swift is None or platform.system() != "Darwin":
        pytest.skip("swift and Core ML are not here; this test needs a Mac with Xcode")
    command = [swift, "test", "--package-path", str(ROOT), "--scratch-path", str(tmp_path)]
    environment = {"EDGERNN_BUNDLE": str(bundle_folder), "PATH": str(Path(swift).parent)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
