"""Fuzz every reader with seeded damage: ``python tests/fuzz/fuzz.py --count 10000 --seed 0 [--only
bundles]``.

A case is right when it ends in an EdgernnError of one line or in the same data as the good file.
Anything else is printed with its seed and what was done, and makes the exit code 1: another
exception, a file written outside, more than five seconds, other data taken for good. ``--case N``
runs one case again.
"""

from __future__ import annotations

import argparse
import collections
import logging
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent))

from targets import TARGETS, EdgernnError, Target, WrongError, make_goods

_MOST_SECONDS = 5
_SHOWN = 20


class HungError(Exception):
    """A case took too long."""


@dataclass
class Tally:
    """What came of the cases of one target."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_target(target: Target, *, cases: Iterator[int] | range, seed: int, root: Path) -> Tally:
    """Run cases ``cases`` of ``seed``; each has a generator of its own, so any of them can be run
    again alone.
    """
    tally, before = Tally(), _listing(root)
    started = time.monotonic()
    for number in cases:
        luck = random.Random(f"{seed} {target.name} {number}")
        outcome, told = _outcome(target, luck)
        after = _listing(root)
        if after != before:
            outcome, told = "wrote outside", f"{sorted(after ^ before)}; {told}"
            before = after
        tally.counts[outcome] += 1
        if outcome not in {"refused", "accepted"}:
            tally.failures.append(f"{target.name} --seed {seed} --case {number}: {outcome}: {told}")
    tally.seconds = time.monotonic() - started
    return tally


def _outcome(target: Target, luck: random.Random) -> tuple[str, str]:
    try:
        with _deadline():
            return "accepted", target.case(luck)
    except EdgernnError as error:
        line = str(error)
        return ("refused" if line and "\n" not in line else "no line"), line
    except WrongError as error:
        return "wrong data", str(error)
    except HungError:
        return "hung", traceback.format_exc(limit=-6)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "traceback", traceback.format_exc(limit=-6)


@contextmanager
def _deadline() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _listing(root: Path) -> set[str]:
    """Return what stands at ``root`` and in the temporary folder below it, where nothing may be
    left; not the box.
    """
    return {
        str(path.relative_to(root))
        for place in (root, root / "scratch")
        for path in place.iterdir()
    }


def run_all(
    names: list[str], *, count: int, seed: int, case: int | None, root: Path
) -> dict[str, Tally]:
    """Run ``count`` cases of each target, or one of them."""
    for name in ("box", "scratch"):
        (root / name).mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(root / "scratch")
    try:
        goods = make_goods(root / "box")
        chosen = range(count) if case is None else [case]
        return {
            name: run_target(TARGETS[name](goods), cases=chosen, seed=seed, root=root)
            for name in names
        }
    finally:
        tempfile.tempdir = before


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Fuzz every reader with seeded damage.")
    parser.add_argument("--count", type=int, default=10_000, help="cases of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this case alone")
    parser.add_argument(
        "--only",
        choices=sorted(TARGETS),
        action="append",
        help="this target alone; may be repeated",
    )
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        tallies = run_all(
            given.only or list(TARGETS),
            count=given.count,
            seed=given.seed,
            case=given.case,
            root=Path(root),
        )
    for name, tally in tallies.items():
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(tally.counts.items()))
        print(f"{name}: {sum(tally.counts.values()):,} cases in {tally.seconds:.0f} s: {told}")
    failures = [failure for tally in tallies.values() for failure in tally.failures]
    for failure in failures[:_SHOWN]:
        print(f"\n{failure}")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
