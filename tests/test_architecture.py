"""The map of the folders in ARCHITECTURE.md against the tree and the layers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([^`]+/)` \| (.+?) \|(?: (.+?) \|)?$", MAP, flags=re.MULTILINE)


def _layers() -> list[str]:
    """LAYERS of tests/test_imports.py, read without running it."""
    module = ast.parse((ROOT / "tests/test_imports.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    ]
    (layers,) = values
    return list(ast.literal_eval(layers))


def _layer(folder: str) -> str:
    return folder.removeprefix("edgernn/").split("/")[0]


def test_every_folder_with_python_is_on_the_map() -> None:
    found = {
        f"{path.parent.relative_to(ROOT).as_posix()}/"
        for room in ("edgernn", "export")
        for path in (ROOT / room).rglob("*.py")
    }
    told = [folder for folder, _, _ in ROWS]
    assert found == {folder for folder in told if folder.startswith(("edgernn/", "export/"))}
    assert len(set(told)) == len(told)


def test_what_is_on_the_map_is_there() -> None:
    for folder, _, _ in ROWS:
        assert (ROOT / folder).is_dir(), folder


def test_the_order_is_that_of_the_imports() -> None:
    (block,) = re.findall(r"^```\n(errors <.*?)^```", MAP, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\w+", block) == _layers()


def test_folders_stand_in_that_order_each_with_the_layer_below_it() -> None:
    layers = _layers()
    rooms = [(_layer(folder), below) for folder, _, below in ROWS if _layer(folder) in layers]
    assert [layer for layer, _ in rooms] == sorted((room for room, _ in rooms), key=layers.index)
    for layer, below in rooms:
        assert below == f"`{layers[layers.index(layer) - 1]}`", layer
