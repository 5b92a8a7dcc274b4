"""The page of networks of layers names every field of a description, every kind, every option."""

from __future__ import annotations

import re
from pathlib import Path

from edgernn.models.layered.description import Layer, NetworkConfig, Port
from edgernn.models.layered.table import KINDS, kind_class

PAGE = Path(__file__).resolve().parents[3] / "edgernn/models/layered/README.md"


def _rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line.strip("|").split(" | ") for line in lines if line.startswith("| `")]


def _quoted(text: str) -> set[str]:
    return {word for part in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", part)}


def test_every_kind_has_its_row_with_its_options() -> None:
    told = {kind: row[-1] for row in _rows() if len(row) == 4 for kind in _quoted(row[0])}
    assert told.keys() == KINDS.keys()
    for kind, options in told.items():
        fields = set(kind_class(kind).options_kind.model_fields)
        assert fields <= _quoted(options), (kind, fields)
        assert options.startswith("none") == (not fields), kind


def test_every_field_is_told() -> None:
    told = {word for row in _rows() if len(row) == 2 for word in _quoted(" ".join(row))}
    for part in (NetworkConfig, Port, Layer):
        assert set(part.model_fields) <= told, part
