"""A run: exactly one row of output for each row of input, whatever stops it in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


from edgernn.batch.local import run_local
from edgernn.batch.part import Done, Failed
from edgernn.batch.plan import PLAN, SUMMARY, Part, Plan, _difference
from edgernn.batch.run import run_plan
from edgernn.batch.worker import Job, Worker
from edgernn.errors import DataError, UsageError
from edgernn.writing.classification import Classifier

from .conftest import TEXTS, WRONG
from .runs import here, planned

Rows = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def plan(classifier: Path, table: Path) -> Plan:
    return planned(classifier, table)


def test_each_row_has_its_answer_or_what_was_wrong(
    classifier: Path, plan: Plan, rows_of: Rows, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    made = run_plan(
        plan, classifier, str(tmp_path / "out"), engine=here, workers=1,
        progress=lambda done, rows: told.append((done, rows)),
    )  # fmt: skip
    assert (made.rows, made.refused, made.parts, made.found) == (57, 3, 4, 0)  # 20, 10, 20, 7
    assert told == [(0, 57), (20, 57), (30, 57), (50, 57), (57, 57)]
    found = rows_of(tmp_path / "out")
    columns = ["source", "row", "id", "text", "input_label", "label", "probability", "error"]
    assert [list(row) for row in found] == [columns] * 57
    assert [row["row"] for row in found] == [row["id"] for row in found] == list(range(57))
    assert [row["source"][-9:] for row in found] == ["a.parquet"] * 30 + ["b.parquet"] * 27
    with Classifier(classifier) as classified:
        for row, given in zip(found, TEXTS, strict=True):
            if row["row"] in WRONG:
                assert row["label"] is row["probability"] is None
                assert row["error"]
                assert "\n" not in row["error"]
                continue
            (wanted,) = classified.classify([classified.read(given).ids])
            assert (row["label"], row["error"]) == (wanted.label, None)
            assert row["probability"] == pytest.approx(wanted.probability, abs=1e-5)
    assert found[41]["error"] == "it is None, expected a text"
    assert json.loads((tmp_path / "out" / SUMMARY).read_text())["rows"] == 57


def test_processes_make_the_same(
    classifier: Path, plan: Plan, rows_of: Rows, tmp_path: Path
) -> None:
    for name, engine in (("here", here), ("local", run_local)):
        run_plan(plan, classifier, str(tmp_path / name), engine=engine, workers=2)
    assert rows_of(tmp_path / "local") == rows_of(tmp_path / "here")


def test_a_stopped_run_goes_on(classifier: Path, plan: Plan, rows_of: Rows, tmp_path: Path) -> None:
    out, ran = tmp_path / "out", list[int]()

    def stopped(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
        yield from here(job, parts[:2], workers)
        raise KeyboardInterrupt

    def counted(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
        ran.extend(part.number for part in parts)
        yield from here(job, parts, workers)

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, classifier, str(out), engine=stopped, workers=1)
    assert not (out / SUMMARY).exists()
    (out / "part-00001.parquet").write_bytes(b"PAR1 cut off")  # as a dying disk leaves it
    made = run_plan(plan, classifier, str(out), engine=counted, workers=1)
    assert (ran, made.found, made.rows, made.refused) == ([1, 2, 3], 1, 57, 3)
    assert [row["row"] for row in rows_of(out)] == list(range(57))
    again = run_plan(plan, classifier, str(out), engine=counted, workers=1)
    assert (ran, again.found, again.refused) == ([1, 2, 3], 4, 3)


class _DiesOnce(Worker):
    """A worker that is killed at part 1, the first time that one of them has it."""

    def run(self, part: Part) -> Done:
        mark = Path(f"{self._job.out}-{part.number}")
        if part.number == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(part)


class _DiesAtTwo(Worker):
    def run(self, part: Part) -> Done:
        if part.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(part)


def test_a_killed_worker_loses_and_repeats_nothing(
    classifier: Path, plan: Plan, rows_of: Rows, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    job, found = Job(classifier, plan, str(out)), list[int]()
    out.mkdir()
    for done in run_local(job, plan.parts, 2, worker=_DiesOnce):
        assert isinstance(done, Done)
        found.append(done.number)
    assert sorted(found) == [0, 1, 2, 3]
    assert [row["row"] for row in rows_of(out)] == list(range(57))


def test_rows_at_which_each_worker_dies_are_named(
    classifier: Path, plan: Plan, rows_of: Rows, tmp_path: Path
) -> None:
    def deadly(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
        return run_local(job, parts, workers, worker=_DiesAtTwo)

    line = r"^rows 30 to 49 of \S+b.parquet are not written: a worker died .*; 37 of 57 rows are$"
    with pytest.raises(DataError, match=line):
        run_plan(plan, classifier, str(tmp_path / "out"), engine=deadly, workers=2)
    assert [row["row"] for row in rows_of(tmp_path / "out")] == [*range(30), *range(50, 57)]
    made = run_plan(plan, classifier, str(tmp_path / "out"), engine=here, workers=1)
    assert (made.found, made.rows) == (3, 57)


def test_two_runs_never_mix(classifier: Path, table: Path, plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_plan(plan, classifier, str(out), engine=here, workers=1)
    other = planned(classifier, table, keep=["id"])
    with pytest.raises(UsageError, match=r"run: --keep was id,text,label and is id; give "):
        run_plan(other, classifier, str(out), engine=here, workers=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"mine is not empty and holds no run; give another"):
        run_plan(plan, classifier, str(tmp_path / "mine"), engine=here, workers=1)
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    (out / PLAN).write_text("{")
    with pytest.raises(UsageError, match=r"_plan.json is damaged \(.*; give another --output$"):
        run_plan(plan, classifier, str(out), engine=here, workers=1)


def test_of_two_runs_that_begin_at_once_one_goes_on(
    classifier: Path, table: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    run_plan(plan, classifier, str(tmp_path), engine=here, workers=1)
    other = planned(classifier, table, keep=["id"])
    monkeypatch.setattr(LocalFileSystem, "exists", lambda *a, **b: False)  # as the other one saw it
    with pytest.raises(UsageError, match=r"holds another run: --keep was "):
        run_plan(other, classifier, str(tmp_path), engine=here, workers=1)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"bundle": "a"}, {"bundle": "b"}, "of another bundle"),
        ({"artifact": None}, {"artifact": "x"}, "--artifact was not given and is x"),
        ({"options": {"top_k": 1}}, {"options": {"top_k": 2}}, "--top-k was 1 and is 2"),
        ({"sources": {"a": [1, ""]}}, {"sources": {"b": [1, ""]}}, "b is new in the input"),
        ({"sources": {"a": 1, "b": 2}}, {"sources": {"b": 2}}, "a is missing from the input"),
        ({"sources": 3}, {"sources": {"b": 2}}, "--sources was 3 and is {'b': 2}"),
        ({"parts": []}, {"parts": [1]}, "--rows is not the same"),
        ({"keep": ["a"]}, {"keep": ["a"]}, ""),
    ],
)
def test_what_differs_is_told(before: dict[str, Any], now: dict[str, Any], told: str) -> None:
    assert _difference(before, now) == told


def test_workers_end_with_a_run_that_is_killed(
    classifier: Path, plan: Plan, tmp_path: Path
) -> None:
    run = multiprocessing.get_context("spawn").Process(
        target=_run_that_beats, args=(Job(classifier, plan, str(tmp_path)), plan.parts)
    )
    run.start()
    beat = tmp_path / "beat"
    while not beat.exists():
        assert run.is_alive()
        time.sleep(0.05)
    run.kill()
    for _ in range(40):
        before = beat.read_text()
        time.sleep(0.5)
        if beat.read_text() == before:
            return
    pytest.fail("the worker outlived its run")


class _Beats(Worker):
    """A worker that is busy for a minute."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def run(self, part: Part) -> Done:
        for beat in range(600):
            Path(self._job.out, "beat").write_text(str(beat))
            time.sleep(0.1)
        return Done(part.number, part.count, 0)


def _run_that_beats(job: Job, parts: Sequence[Part]) -> None:
    list(run_local(job, parts[:1], 1, worker=_Beats))


def test_an_input_that_changed_is_another_run(classifier: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("text\nab\nba\n")
    before = planned(classifier, source)
    run_plan(before, classifier, str(tmp_path / "out"), engine=here, workers=1)
    source.write_text("text\nab\n")
    with pytest.raises(
        UsageError, match=r"out holds another run: file://\S+a.csv was changed; give"
    ):
        run_plan(
            planned(classifier, source), classifier, str(tmp_path / "out"), engine=here, workers=1
        )
    with pytest.raises(DataError, match=r"a.csv has 1 rows where there were 2; it changed"):
        run_plan(before, classifier, str(tmp_path / "new"), engine=here, workers=1)


@pytest.mark.parametrize(
    ("content", "options", "line"),
    [
        ({"a.csv": "x,y\n"}, {}, r"^\S+ has the columns x, y, none of text, .*with --column$"),
        ({"a.csv": "text,review\n"}, {}, r"both 'text' and 'review'; name the one .* --column$"),
        ({"a.csv": "x,y\n"}, {"column": "z"}, r"has no column 'z' \(--column\); it has x, y$"),
        ({"a.csv": "text\n"}, {"keep": ["z"]}, r"has no column 'z' \(--keep\); it has text$"),
        ({"a.csv": "text,text\n"}, {}, r"a.csv has two columns 'text'; give each a name of its"),
        ({"a.csv": "text\n"}, {"options": {"on_unknown": "x"}}, r"^on-unknown is 'x', expected"),
        ({"a.csv": "text\n"}, {"options": {"beam": 2}}, r"^--beam is not of this model"),
        ({"a.csv": "text\n"}, {"artifact": "none.onnx"}, r"^no artifact 'none.onnx' in "),
        ({"a.csv": "text\n"}, {"rows": 0}, r"rows"),
        ({"a.csv": "text\n", "b.png": ""}, {}, r"holds tables and other files, .*by a pattern"),
        ({"a.doc": ""}, {}, r"holds no rows; expected a file or folder of \.parquet, "),
        ({}, {}, r"holds no rows"),
    ],
)
def test_what_cannot_be_planned(
    content: dict[str, str], options: dict[str, Any], line: str, classifier: Path, tmp_path: Path
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises((DataError, UsageError), match=line):
        planned(classifier, tmp_path, **options)


def test_what_is_missing_or_out_of_range_is_told(
    classifier: Path, plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"none.csv is missing; check the path$"):
        planned(classifier, tmp_path / "none.csv")
    with pytest.raises(UsageError, match=r"^workers is 0, expected "):
        run_plan(plan, classifier, str(tmp_path / "out"), engine=here, workers=0)
    assert not (tmp_path / "out").exists()


def test_a_memory_filesystem(classifier: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/in/a.csv", b"text\nab\nba\n")
    plan = planned(classifier, "memory://in/*.csv")
    made = run_plan(plan, classifier, "memory://out", engine=here, workers=1)
    assert (made.rows, made.refused) == (2, 0)
    names = sorted(each.rpartition("/")[2] for each in memory.ls("/out", detail=False))
    assert names == [SUMMARY, PLAN, "part-00000.parquet"]
    assert run_plan(plan, classifier, "memory://out", engine=here, workers=1).found == 1
    memory.rm("/in", recursive=True)
    memory.rm("/out", recursive=True)
