"""Files with rows in them: cut into parts, every row is read once, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgernn.batch.places import Place
from edgernn.batch.rows import Row, kind_of
from edgernn.errors import DataError

CSV = b'\xef\xbb\xbfid,text\n1,one\n2,"two\nlines, ""quoted"""\n\n3,\xc3\xa9\n4,\xff\n5\n6,six\n'
CSV_ROWS = [
    Row({"id": "1", "text": "one"}),
    Row({"id": "2", "text": 'two\nlines, "quoted"'}),
    Row({"id": "3", "text": "\u00e9"}),
    Row(problem="its text is not UTF-8"),
    Row(problem="it has 1 fields, expected 2"),
    Row({"id": "6", "text": "six"}),
]
LINES = b'{"text": "one", "n": 1}\n[1]\n\n{"text": null}\n{"text": \n{"n": [2], "text": "\xff"}\n'
JSON_ROWS = [
    Row({"text": "one", "n": "1"}),
    Row(problem="it is a JSON list, expected an object"),
    Row({"text": None, "n": None}),
    "it is damaged JSON (",
    "it is damaged JSON (",
]
TEXT = "one\r\n\ntw\u2028o".encode() + b"\n\xff\nend"
TEXT_ROWS = [
    Row({"text": "one"}),
    Row({"text": ""}),
    Row({"text": "tw\u2028o"}),
    Row(problem="its text is not UTF-8"),
    Row({"text": "end"}),
]
CASES = {
    "a.csv": (CSV, CSV_ROWS),
    "a.TSV": (CSV.replace(b",", b"\t"), [*CSV_ROWS]),
    "a.jsonl": (LINES, JSON_ROWS),
    "a.txt": (TEXT, TEXT_ROWS),
}
CASES["a.TSV"][1][1] = Row({"id": "2", "text": 'two\nlines\t "quoted"'})


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_every_row_is_read_once(name: str, size: int, tmp_path: Path) -> None:
    content, wanted = CASES[name]
    (tmp_path / name).write_bytes(content)
    place = Place.of(str(tmp_path / name))
    kind = kind_of(place.path)
    assert kind is not None
    parts = list(kind.parts(place, size))
    assert [count for *_, count in parts[:-1]] == [size] * (len(parts) - 1)
    found = [row for part in parts for row in kind.read(place, *part)]
    assert len(found) == len(wanted)
    for row, right in zip(found, wanted, strict=True):
        assert row.problem.startswith(right) if isinstance(right, str) else row == right


def test_a_quote_that_is_never_closed_is_one_row(tmp_path: Path) -> None:
    place = Place.of(str(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,one\n2,"two\n3,three\n')
    kind: Any = kind_of(place.path)
    (part,) = kind.parts(place, 10)
    one, rest = kind.read(place, *part)
    assert one == Row({"id": "1", "text": "one"})
    assert rest.problem == "it is damaged CSV (unexpected end of data)"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", r"a.csv begins with \[\], expected the names of its columns$"),
        ("a.csv", b"a,a\n1,2\n", r"a.csv begins with \['a', 'a'\], expected the names"),
        ("a.jsonl", b"1\n", r"a.jsonl has no line that is a JSON object$"),
        ("a.parquet", b"PAR1 nonsense", r"^cannot read .*a.parquet \("),
    ],
)
def test_a_file_without_columns_is_refused(
    name: str, content: bytes, line: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    place = Place.of(str(tmp_path / name))
    kind: Any = kind_of(place.path)
    with pytest.raises(DataError, match=line):
        kind.columns(place)
