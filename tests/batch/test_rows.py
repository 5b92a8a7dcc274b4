"""Files with rows in them: cut into parts, every row is read once, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from edgernn.batch.kinds import kind_of
from edgernn.batch.places import Place
from edgernn.errors import DataError

CSV = (
    b'\xef\xbb\xbfid, text\n1,one\n2,"two\nlines, ""quoted"""\n\n3,\xc3\xa9\n4,\xff\n5\n\xff,six\n'
)
CSV_ROWS = ["one", 'two\nlines, "quoted"', "\u00e9", "its text is not UTF-8"]
CSV_ROWS += ["it has 1 fields, expected 2", "six"]
LINES = b'\xef\xbb\xbf{"text": "one", "n": 1}\n[1]\n\n{"text": null}\n{"text": \n{"text": "\xff"}\n'
LINES += b'{"text": 1.5}\n{"text": "\\ud800"}\n{"n": "\\ud800", "text": "end"}\n'
LINES_ROWS = ["one", "it is a JSON list, expected an object", None, "it is damaged JSON ("]
LINES_ROWS += ["it is damaged JSON (", "1.5", "its text is not UTF-8", "end"]
TEXT = b"\xef\xbb\xbfone\r\n\ntw" + "\u2028o".encode() + b"\n\xff\nend"
CASES = {
    "a.csv": (CSV, CSV_ROWS),
    "b.csv": (CSV.replace(b",", b";"), ["one", CSV_ROWS[1].replace(",", ";"), *CSV_ROWS[2:]]),
    "a.TSV": (CSV.replace(b",", b"\t"), ["one", CSV_ROWS[1].replace(",", "\t"), *CSV_ROWS[2:]]),
    "a.jsonl": (LINES, LINES_ROWS),
    "a.txt": (TEXT, ["one", "", "tw\u2028o", "its text is not UTF-8", "end"]),
}


def taken(path: Path, *, rows: int = 100, keep: tuple[str, ...] = ()) -> tuple[list[Any], Any]:
    """Return the values of ``text``, what was wrong in its place, and the columns kept."""
    place = Place.of(str(path))
    kind: Any = kind_of(place.path)
    parts = list(kind.parts(place, rows))
    assert path.suffix == ".parquet" or {part.count for part in parts[:-1]} <= {rows}
    found = [kind.take(place, part, "text", keep) for part in parts]
    assert [len(each.values) for each in found] == [part.count for part in parts]
    return [value for each in found for value in each.values], [each.kept for each in found]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_every_row_is_read_once(name: str, size: int, tmp_path: Path) -> None:
    content, wanted = CASES[name]
    (tmp_path / name).write_bytes(content)
    found, _ = taken(tmp_path / name, rows=size)
    for value, right in zip(found, wanted, strict=True):
        if isinstance(value, DataError):
            assert str(value).startswith(str(right))
        else:
            assert value == right


def test_what_is_kept_must_be_utf8_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    found, (kept,) = taken(tmp_path / "a.csv", keep=("id",))
    assert str(found[-1]) == "its id is not UTF-8"
    assert kept.to_pydict() == {"id": ["1", "2", "3", None, None, None]}


def test_a_quote_that_is_never_closed_is_one_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,one\n2,"two\n3,three\n')
    found, _ = taken(tmp_path / "a.csv")
    assert [str(each) for each in found] == ["one", "it is damaged CSV (unexpected end of data)"]


def test_parquet_is_kept_as_it_is(tmp_path: Path) -> None:
    offsets = arrow.py_buffer(arrow.array([0, 3, 4], arrow.int32()).buffers()[1])
    damaged = arrow.Array.from_buffers(
        arrow.string(), 2, [None, offsets, arrow.py_buffer(b"abc\xff")]
    )
    columns = {
        "text": damaged,
        "nanoseconds": arrow.array([1, None], arrow.duration("ns")),  # of no type of Python's
        "nested": [{"a": [1]}, None],
        "other": arrow.array(["x", None]).dictionary_encode(),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    found, (kept,) = taken(tmp_path / "a.parquet", keep=tuple(columns))
    assert (found[0], str(found[1])) == ("abc", "its text is not UTF-8")
    assert kept["text"].to_pylist() == ["abc", "\ufffd"]
    assert kept.drop_columns(["text"]).equals(arrow.table(columns).drop_columns(["text"]))


@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "dictionary"])
def test_texts_of_parquet_have_many_types(kind: str, tmp_path: Path) -> None:
    texts = arrow.array(["a", None, "\u00e9"])
    column = texts.dictionary_encode() if kind == "dictionary" else texts.cast(kind)
    parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet")
    assert taken(tmp_path / "a.parquet")[0] == ["a", None, "\u00e9"]


TWICE = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], names=["x", "x"])


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", r"a.csv does not begin with the names of its columns$"),
        ("a.csv", b"a\rb\r", r"a.csv does not begin with .* columns: it is damaged CSV \(new-line"),
        ("a.csv", b"a,a\n1,2\n", r"a.csv has two columns 'a'; give each a name of its own$"),
        ("a.csv", b"a,\xe9\n1,2\n", r"a.csv begins with names that are not UTF-8; save it as"),
        ("a.jsonl", b"1\n{}\n", r"a.jsonl has no line that is a JSON object with fields$"),
        ("a.parquet", b"PAR1 nonsense", r"^cannot read .*a.parquet \("),
        ("a.parquet", TWICE, r"a.parquet has two columns 'x'; give each a name of its own$"),
    ],
)
def test_a_file_without_columns_is_refused(
    name: str, content: Any, line: str, tmp_path: Path
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        parquet.write_table(content, tmp_path / name)
    place = Place.of(str(tmp_path / name))
    kind: Any = kind_of(place.path)
    with pytest.raises(DataError, match=line):
        kind.columns(place)
