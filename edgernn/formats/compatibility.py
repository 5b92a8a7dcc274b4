"""Where else ONNX files run, as ``benchmarks/compatibility.py`` found it: what other runtimes made
of the files of every cell, and what that says of any file by the operators that it needs.

``compatibility.json`` beside this file holds what was found, and ``COMPATIBILITY.md`` of the
benchmarks shows it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("compatibility.json")
RUNS, INEXACT, WRONG = "runs", "inexact", "wrong"
REFUSED, CRASHED, SLOW = "refused", "crashed", "slow"
# From the best to what is worst for a user, who would not notice it.
VERDICTS = (RUNS, INEXACT, REFUSED, SLOW, CRASHED, WRONG)
_GOOD = (RUNS, INEXACT)
_WORDS = {
    RUNS: "runs it",
    INEXACT: "computes it in fewer bits",
    WRONG: "computes something else without saying so",
    REFUSED: "refuses it",
    CRASHED: "ends the process",
    SLOW: "takes too long or too much memory",
    "": "not known",
}
_OPEN = "open sizes"  # what ``needs_of`` calls them


@dataclass(frozen=True)
class Result:
    """What a runtime made of one file: what the file needs, the verdict, whether every size had to
    be fixed first, and what to do.
    """

    needs: frozenset[str]
    verdict: str
    fixed: bool = False
    do: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """What one runtime makes of a file.

    Attributes:
        runtime: its name and version.
        verdict: one of ``VERDICTS``; empty where nothing that was run tells.
        why: what the file needs that this stands on, or that was never run; may be empty.
        fixed: whether every size has to be fixed first.
        do: what to do; may be empty.
    """

    runtime: str
    verdict: str
    why: tuple[str, ...] = ()
    fixed: bool = False
    do: str = ""

    @property
    def words(self) -> str:
        """The finding in one line."""
        never = "" if self.verdict else "never run with "
        why = f" ({never}{', '.join(self.why)})" if self.why else ""
        fixed = ", once every size is fixed" if self.fixed else ""
        do = f"; {self.do}" if self.do else ""
        return f"{self.runtime}: {_WORDS[self.verdict]}{fixed}{why}{do}"


@cache
def compatibility() -> dict[str, Any]:
    """Return what was found: the machine, what each file needs, and of each runtime its versions
    and what it made of the files.
    """
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def elsewhere(needs: Collection[str]) -> tuple[Elsewhere, ...]:
    """Return what every runtime of the table makes of a file.

    Args:
        needs: what ``edgernn.sessions.ort.operators.needs_of`` returns of it.
    """
    return tuple(
        judge(frozenset(needs), named(runtime), list(_results(runtime)))
        for runtime in compatibility()["runtimes"].values()
        if "results" in runtime
    )


def elsewhere_text(found: Iterable[Elsewhere]) -> list[str]:
    """Return in lines where a file runs: the runtimes that do it right in one, others one each."""
    found = list(found)
    right = [each for each in found if each.verdict == RUNS]
    lines = []
    for words, fixed in (("runs in", False), ("runs, once every size is fixed, in", True)):
        names = [each.runtime for each in right if each.fixed == fixed]
        lines += [f"{words} {', '.join(names)}"] if names else []
    return lines + [each.words for each in found if each not in right]


def as_data(found: Iterable[Elsewhere]) -> list[dict[str, Any]]:
    """Return what other runtimes make of a file as plain values, for JSON."""
    return [asdict(each) for each in found]


def named(runtime: Mapping[str, Any]) -> str:
    """Return a runtime's words with the version of what it is called after."""
    return f"{runtime['title']} {next(iter(runtime['versions'].values()), '')}".rstrip()


def columns() -> list[str]:
    """Return the kinds of files that were run: the precisions, and what else ``export`` writes."""
    return list(
        dict.fromkeys(column for own in compatibility()["needs"].values() for column in own)
    )


def summary() -> dict[str, dict[str, str]]:
    """Return runtime → kind of file → how many of the cells came out how."""
    return {
        named(runtime): {
            column: counted([r[column]["verdict"] for r in results.values() if column in r])
            for column in columns()
        }
        for runtime in compatibility()["runtimes"].values()
        if (results := runtime.get("results"))
    }


def counted(verdicts: Collection[str]) -> str:
    """Say how many verdicts there are of each kind: ``all`` of files that all run."""
    counts = {each: list(verdicts).count(each) for each in VERDICTS if each in verdicts}
    if len(counts) == 1:
        return next("all" if verdict == RUNS else verdict for verdict in counts)
    named = (f"{count} of {len(verdicts)}" if each == RUNS else f"{count} {each}"
             for each, count in counts.items())  # fmt: skip
    return ", ".join(named) or "-"


def judge(needs: frozenset[str], runtime: str, results: list[Result]) -> Elsewhere:
    """Judge a file by those with the same needs, the worst of them; else by what no file that came
    out right needs, and by what none needs at all.
    """
    same = [own for own in results if own.needs == needs]
    if same:
        own = max(same, key=lambda own: VERDICTS.index(own.verdict))
        return Elsewhere(runtime, own.verdict, fixed=own.fixed, do=own.do)
    good = [own for own in results if own.verdict in _GOOD]
    bad = [own for own in results if own.verdict not in _GOOD]
    proven = _together(good)
    for own in bad:
        if blamed := (own.needs - proven) & needs:
            return Elsewhere(runtime, own.verdict, tuple(sorted(blamed)), do=own.do)
    if unknown := needs - proven:
        return Elsewhere(runtime, "", tuple(sorted(unknown)))
    for own in bad:
        if own.needs <= needs:
            return Elsewhere(runtime, own.verdict, do=own.do)
    fixed = _OPEN in needs and not needs <= _together(own for own in good if not own.fixed)
    inexact = [own for own in good if own.verdict == INEXACT]
    if inexact and not needs <= _together(own for own in good if own.verdict == RUNS):
        return Elsewhere(runtime, INEXACT, fixed=fixed, do=inexact[0].do)
    return Elsewhere(runtime, RUNS, fixed=fixed)


def _results(runtime: Mapping[str, Any]) -> Iterable[Result]:
    needs = compatibility()["needs"]
    for cell, columns in runtime["results"].items():
        for column, told in columns.items():
            yield Result(
                frozenset(needs[cell][column]),
                told["verdict"],
                told.get("fixed", False),
                told.get("do", ""),
            )


def _together(results: Iterable[Result]) -> frozenset[str]:
    return frozenset().union(*(own.needs for own in results))
