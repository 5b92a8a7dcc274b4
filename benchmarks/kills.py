"""Kills: training, export and packing are killed at every write and rename and at random moments;
nothing may be lost.

    python benchmarks/kills.py [--kills 200] [--seed 0] [--only text,captions,folder,file,pack]

A work runs in a process of its own, whose calls of the operating system that change files are
counted; just before or just after one of them it is sent SIGKILL. Then the folder is started or
resumed by the command that the message names, and must come to its end; a bundle must be whole, or
absent where none was before. Ends with 1 where one kill led into a dead end.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _killing import Work, forked, kill_once, points_of

os.environ["OMP_NUM_THREADS"] = "1"  # a process that forks must have no threads
_TEXT = "".join(f"{i} green bottles hanging on the wall.\n" for i in range(60))
_SMALL = "--hidden 8 --layers 1 --batch 4 --mixed off --steps 6 --evaluations 3"
_OURS = (
    "edgernn.training.run_text",
    "edgernn.training.run_captions",
    "edgernn.export.pack",
    "edgernn.parity.verify",
)
_TRIES = 4  # commands that a message may lead to, one after the other


def _train(kind: str) -> Work:
    from edgernn.models import checkpoint

    more = {
        "text": ["--embedding", "4", "--chunk", "8"],
        "captions": ["--embedding", "4", "--keys", "4"],
    }[kind]
    more += {
        "text": [],
        "captions": ["--image-size", "32", "--length", "4", "--minimum-count", "1"],
    }[kind]

    def start(folder: Path) -> list[str]:
        data = str(folder / "text.txt") if kind == "text" else "scenes"
        return ["train", kind, "--data", data, "--out", str(folder / "run"), *_SMALL.split(), *more]

    def judge(folder: Path, chance: random.Random) -> str:
        resume = ["train", kind, "--out", str(folder / "run"), "--resume"]
        command, said = chance.choice([start(folder), resume]), ""
        for _ in range(_TRIES):
            code, said = _told(command)
            if code == 0:
                break
            command = (
                start(folder)
                if "without --resume" in said
                else resume
                if "add --resume" in said
                else []
            )
            if not command:
                return f"no command in: {said}"
        else:
            return f"round in a circle: {said}"
        left = [path.name for path in (folder / "run").rglob(".*")]
        if left:
            return f"left over: {left}"
        checkpoint.load(folder / "run")
        return ""

    def prepare(folder: Path) -> None:
        (folder / "text.txt").write_text(_TEXT)

    return Work(kind, prepare, lambda folder: _command(start(folder)), judge)


def _export(name: str, out: str) -> Work:
    from edgernn.bundle import Bundle
    from edgernn.errors import EdgernnError

    def command(folder: Path) -> list[str]:
        return ["export", str(_checkpoint()), "--out", str(folder / out), "--to", "torchscript"]

    def prepare(folder: Path) -> None:
        if name != "new":
            _copy(_bundle(), folder / out)

    def judge(folder: Path, chance: random.Random) -> str:
        try:
            with Bundle.open(folder / out):
                pass
        except EdgernnError as error:
            if name != "new" or (folder / out).exists():
                return f"the bundle that was there is lost: {error}"
        code, said = _told(command(folder))
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        return said if code else f"left over: {left}" if left else ""

    return Work(
        f"export to a {name} {'file' if '.' in out else 'folder'}",
        prepare,
        lambda f: _command(command(f)),
        judge,
    )


def _pack() -> Work:
    from edgernn import bundle

    def run(folder: Path) -> None:
        bundle.pack(_bundle(), folder / "packed.edgernn")

    def judge(folder: Path, chance: random.Random) -> str:
        if (folder / "packed.edgernn").exists():
            with bundle.Bundle.open(folder / "packed.edgernn"):
                pass
        run(folder)
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        return f"left over: {left}" if left else ""

    return Work("pack", lambda folder: None, run, judge)


_MADE: dict[str, Path] = {}


def _checkpoint() -> Path:
    return _MADE["checkpoint"]


def _bundle() -> Path:
    return _MADE["bundle"]


def _copy(source: Path, target: Path) -> None:
    if target.suffix:
        from edgernn.bundle import pack

        pack(source, target)
    else:
        shutil.copytree(source, target)


def _command(arguments: list[str]) -> None:
    from edgernn.cli.app import main

    sys.argv = ["edgernn", *arguments]
    main()


def _told(arguments: list[str]) -> tuple[int, str]:
    """Run a command here; return its exit code and what it said on stderr."""
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
        try:
            _command(arguments)
        except SystemExit as leaving:
            return int(leaving.code or 0), heard.getvalue()
    return 0, heard.getvalue()


def _succeeds(make: Callable[[], None]) -> None:
    def body() -> int:
        make()
        return 0

    assert os.waitpid(forked(body), 0)[1] == 0, "what is to be exported could not be made"


def works(scratch: Path) -> dict[str, tuple[Work, float]]:
    """Return what is killed, by short name, with its share of the kills; makes a checkpoint and a
    bundle first.
    """
    for name in (
        "matplotlib.pyplot",
        "pycocoevalcap.cider.cider",
        *_OURS,
    ):  # once, not in every process
        importlib.import_module(name)
    from edgernn.data.pictures import scenes

    scenes.SPLITS["train"], scenes.SPLITS["validation"] = 12, 4
    _MADE.update(checkpoint=scratch / "made" / "run", bundle=scratch / "bundle")
    text = _train("text")
    (scratch / "made").mkdir()
    text.prepare(scratch / "made")
    _succeeds(lambda: text.run(scratch / "made"))
    _succeeds(
        lambda: _command(
            ["export", str(_checkpoint()), "--out", str(_bundle()), "--to", "torchscript"]
        )
    )
    return {
        "text": (text, 0.4),
        "captions": (_train("captions"), 0.2),
        "new": (_export("new", "bundle"), 0.05),
        "folder": (_export("standing", "bundle"), 0.15),
        "file": (_export("standing", "bundle.edgernn"), 0.1),
        "pack": (_pack(), 0.1),
    }


def main() -> int:
    """Kill, judge, print a table; return 1 if there was a dead end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    chance, dead_ends, kills = random.Random(chosen.seed), 0, 0
    with tempfile.TemporaryDirectory(prefix="edgernn-kills-") as place:
        scratch = Path(place)
        for key, (work, share) in works(scratch).items():
            if chosen.only and key not in chosen.only.split(","):
                continue
            began, points = time.perf_counter(), points_of(work, scratch)
            count, wrong = max(1, round(share * chosen.kills)), []
            for number in range(count):
                at_random = number % 4 == 3
                point = None if at_random else (number * points) // count
                found = kill_once(
                    work,
                    scratch / "kill",
                    point=point,
                    seconds=chance.uniform(0, 0.6),
                    chance=chance,
                )
                wrong += [f"  point {point}: {found}"] if found else []
            kills, dead_ends = kills + count, dead_ends + len(wrong)
            spent = time.perf_counter() - began
            print(
                f"{work.name}: {points} points, {count} kills, {len(wrong)} dead ends, "
                f"{spent:.0f} s",
                flush=True,
            )
            print("\n".join(wrong), end="\n" if wrong else "", flush=True)
    print(f"{kills} kills, {dead_ends} dead ends")
    return int(dead_ends > 0)


if __name__ == "__main__":
    raise SystemExit(main())
