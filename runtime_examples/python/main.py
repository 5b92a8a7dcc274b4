"""Write text or captions from a bundle folder, replay its golden run, time its steps: ``python main.py --help``."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from check import check
from manifest import InputError, first_line
from pictures import read_picture
from sampler import SEEDS, Options, generate
from session import Session, load, read_tensors
from tokenizer import TextStream

WARM_UP_STEPS = 10


class Parser(argparse.ArgumentParser):
    """Flags; bad ones say so in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise ``InputError`` in place of the usage."""
        raise InputError(f"{message}; see --help")


def main(arguments: list[str] | None = None) -> int:
    """Run one mode; return 0, 1 where the check failed, 2 for bad input."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # what the terminal has no sign for
    try:
        given = _parse(arguments)
        return _run(load(given.bundle, given.artifact), given)
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="a bundle: a folder or a .edgernn file")
    parser.add_argument(
        "--artifact", help="the path of a step file in the bundle; default its first ONNX file"
    )
    parser.add_argument("--prompt", default="", help="the text to go on from")
    parser.add_argument(
        "--length", type=_number(int, 0), default=200, help="the most tokens to write"
    )
    parser.add_argument(
        "--temperature", type=_number(float, 0), help="0 is greedy; default the bundle's"
    )
    parser.add_argument(
        "--top-k", type=_number(int, 0), help="keep the k most probable tokens; 0 keeps all"
    )
    parser.add_argument(
        "--top-p", type=_number(float, 0), help="keep tokens up to this probability; 1 keeps all"
    )
    parser.add_argument(
        "--seed", type=_number(int, 0), default=0, help="the same seed writes the same text"
    )
    parser.add_argument("--image", type=Path, help="the picture that a captioner is to caption")
    parser.add_argument(
        "--attention",
        action="store_true",
        help="print a caption as JSON with where the model looked",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON instead of streaming"
    )
    parser.add_argument(
        "--check", action="store_true", help="check this device: recorded run, sampler, tokenizer"
    )
    parser.add_argument("--time", type=_number(int, 1), metavar="N", help="time N steps")
    return parser.parse_args(arguments)


def _number(kind: type, least: int) -> Any:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(
                f"{text!r} given, expected a number of {least} or more"
            )
        return value

    return read


def _run(session: Session, given: argparse.Namespace) -> int:
    if given.check:
        rows = check(session)
        for row in rows:
            verdict = "FAILED" if row.failed else "ok"
            print(
                f"{row.name:16} {row.worst:.1e} {row.tolerance:g} {verdict}"
                if row.worst is not None
                else f"{row.name:16} - {row.tolerance:g} not run; {row.note}"
            )
        return int(any(row.failed for row in rows))
    if given.time:
        print(
            json.dumps(
                {
                    "artifact": session.stepper.path,
                    "steps": given.time,
                    "median_us": _median_us(session, given.time),
                }
            )
        )
    elif given.image is not None:
        _caption(session, given)
    elif session.encoder is not None:
        raise InputError(
            "the bundle is a captioner and no picture was given; expected --image FILE; add it"
        )
    else:
        _write(session, given)
    return 0


def _options(session: Session, given: argparse.Namespace) -> Options:
    defaults = session.manifest["decoding"]
    chosen = {name: getattr(given, name) for name in ("temperature", "top_k", "top_p")}
    chosen = {name: defaults[name] if value is None else value for name, value in chosen.items()}
    if not 0 < chosen["top_p"] <= 1:
        raise InputError(
            f"--top-p is {chosen['top_p']}, expected above 0 and at most 1; 1 keeps all"
        )
    if given.seed >= SEEDS:
        raise InputError(f"--seed is {given.seed}, expected 0 to {SEEDS - 1}; change it")
    return Options(given.length, seed=given.seed, **chosen)


def _write(session: Session, given: argparse.Namespace) -> None:
    """Write text: as it comes, or as JSON, without the prompt."""
    options = _options(session, given)
    heard = session.tokenizer.decode(
        session.tokenizer.encode(given.prompt)
    )  # as the model reads it
    show = (lambda text: None) if given.json else (lambda text: print(text, end="", flush=True))
    show(heard)
    tokens, stream = [], TextStream(session.tokenizer)
    for token, _ in generate(session, given.prompt, options):
        tokens.append(token)
        show(stream.push(token))
    show(stream.flush() + "\n")
    if given.json:
        print(
            json.dumps(
                {
                    "artifact": session.stepper.path,
                    "tokens": tokens,
                    "text": session.tokenizer.decode(tokens),
                }
            )
        )


def _caption(session: Session, given: argparse.Namespace) -> None:
    """Write a caption; with ``--attention`` where the model looked for each word, ``[N words, R regions]``."""
    if session.encoder is None:
        raise InputError(
            "the bundle is a language model, which sees no pictures; expected a captioner; leave --image out"
        )
    sizes = session.manifest["contract"]["sizes"]
    height, width = (sizes[axis] for axis in session.encoder.inputs[0]["axes"][1:3])
    image = read_picture(given.image, (height, width))
    ends = session.manifest["decoding"]["stop"]
    made = [
        (token, seen)
        for token, seen in generate(session, "", _options(session, given), image=image)
        if token not in ends
    ]
    tokens = [token for token, _ in made]
    text, attention = session.tokenizer.decode(tokens), session.attention
    record = {"artifact": session.stepper.path, "tokens": tokens, "text": text}
    if given.attention:
        if attention is None:
            raise InputError(
                "the captioner has no attention, expected an output over regions; leave --attention out"
            )
        record["attention"] = [
            [round(float(part), 6) for part in seen[attention]] for _, seen in made
        ]
    print(json.dumps(record) if given.json or given.attention else text)


def _median_us(session: Session, steps: int) -> float:
    """Time single steps over the recorded inputs, chained; microseconds."""
    path = session.manifest["golden"]
    if path is None:
        raise InputError(
            "the bundle has no recorded run, expected one to take inputs from; export the bundle again"
        )
    recorded = read_tensors(session.bundle.file(path), path)
    try:
        contexts, state = (
            {name: recorded[name] for name in session.names(role)} for role in ("context", "state")
        )
        tokens, times = recorded[session.tokens].reshape(-1, 1, 1), []  # [N, 1, 1]
        for step in range(WARM_UP_STEPS + steps):
            start = time.perf_counter_ns()
            _, state = session.step({session.tokens: tokens[step % len(tokens)], **contexts}, state)
            times.append((time.perf_counter_ns() - start) / 1000)
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{path} does not fit the contract ({first_line(error)}); export the bundle again"
        ) from error
    return round(statistics.median(times[WARM_UP_STEPS:]), 1)


if __name__ == "__main__":
    sys.exit(main())
