"""A part: a row's trouble is its own, and a file's that of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


from edgernn.batch.answering import Answer, Answering, Options
from edgernn.batch.local import run_local
from edgernn.batch.part import run_part
from edgernn.batch.places import Place
from edgernn.batch.run import run_plan
from edgernn.bundle import Bundle
from edgernn.errors import DataError

from .runs import here, planned

Rows = Callable[[Path], list[dict[str, Any]]]


def test_what_the_vocabulary_lacks_can_be_left_out(
    classifier: Path, rows_of: Rows, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a\u2603b\nab\n", "utf-8")
    source = tmp_path / "a.txt"
    for told, refused in (("error", 1), ("skip", 0)):
        plan = planned(classifier, source, options={"on_unknown": told})
        out = tmp_path / told
        made = run_plan(plan, classifier, str(out), engine=here, workers=1)
        assert made.refused == refused
    one, other = rows_of(tmp_path / "skip")
    assert one["probability"] == pytest.approx(other["probability"])


def test_rows_that_cannot_be_read_leave_the_others(
    classifier: Path, rows_of: Rows, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("text\nab\nba\n")
    plan = planned(classifier, tmp_path)
    (tmp_path / "a.csv").write_text("text\nab\n")
    line = r"^rows 0 to 1 of \S+a.csv are not written: .* it changed: .*; 2 of 4 rows are$"
    with pytest.raises(DataError, match=line):
        run_plan(plan, classifier, str(tmp_path / "out"), engine=run_local, workers=1)
    assert [row["row"] for row in rows_of(tmp_path / "out")] == [2, 3]


class _Refuses(Answering):
    """Fails as a whole where ``no`` is among the values."""

    usual = ("text",)
    made: ClassVar[dict[str, str]] = {"label": "string"}

    def __init__(self, bundle: Bundle, artifact: str | None, options: Options) -> None:
        pass

    def answer(self, values: Sequence[Any], first: int) -> Iterator[Answer]:
        if "no" in values:
            raise DataError("the runtime failed")
        yield from ({"label": f"{value}{first + at}"} for at, value in enumerate(values))


def test_an_answer_that_fails_is_its_own_rows(
    classifier: Path, rows_of: Rows, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("text\nab\nno\nba\n")
    plan, out = planned(classifier, tmp_path / "a.csv"), tmp_path / "out"
    out.mkdir()
    with Bundle.open(classifier) as bundle:
        done = run_part(plan, plan.parts[0], _Refuses(bundle, None, {}), Place.of(str(out)))
    assert (done.rows, done.refused) == (3, 1)
    found = [(row["label"], row["error"]) for row in rows_of(out)]
    assert found == [("ab0", None), (None, "the runtime failed"), ("ba2", None)]
