"""Write text or captions from a bundle, replay its golden run, time its steps: ``python main.py
--help``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from check import check, recorded_steps
from errors import BundleError, first_line
from features import read_features
from model import Model, load
from pictures import read_picture
from sampler import SEEDS, Options, generate, require_text
from tensors import Arrays, read_tensors
from tokenizer import TextStream

WARM_UP_STEPS = 10
PICTURE_AXES = {"batch", "height", "width", "channels"}
CHANNELS = 3


class Parser(argparse.ArgumentParser):
    """Flags; bad ones say so in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise ``BundleError`` in place of the usage."""
        raise BundleError(f"{message}; see --help")


def main(arguments: list[str] | None = None) -> int:
    """Run one mode; return 0, 1 where the check failed, 2 for bad input."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # what the terminal has no sign for
    try:
        given = _parse(arguments)
        return _run(load(given.bundle, given.artifact), given)
    except BundleError as error:
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
        "--features",
        type=Path,
        help="an npz file of what encode takes, of a captioner that sees features of a picture",
    )
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


def _run(model: Model, given: argparse.Namespace) -> int:
    if given.check:
        return _check(model)
    if given.time:
        median = _median_us(model, given.time)
        _print_json(artifact=model.stepper.path, steps=given.time, median_us=median)
        return 0
    require_text(model)
    if given.image is not None or given.features is not None:
        _caption(model, given)
    elif model.encoder is not None:
        _refuse_no_features(model)
        _picture_input(model)
        raise BundleError(
            "the bundle is a captioner and no picture was given; expected --image FILE; add it"
        )
    else:
        _write(model, given)
    return 0


def _check(model: Model) -> int:
    rows = check(model)
    for row in rows:
        worst = "-" if row.worst is None else f"{row.worst:.1e}"
        print(f"{row.name:16} {worst} {row.tolerance:g} {row.verdict}")
    return int(any(row.failed for row in rows))


def _print_json(**record: Any) -> None:
    print(json.dumps(record))


def _options(model: Model, given: argparse.Namespace) -> Options:
    defaults = model.manifest["decoding"]
    chosen = {name: getattr(given, name) for name in ("temperature", "top_k", "top_p")}
    chosen = {name: defaults[name] if value is None else value for name, value in chosen.items()}
    if not 0 < chosen["top_p"] <= 1:
        raise BundleError(
            f"--top-p is {chosen['top_p']}, expected above 0 and at most 1; 1 keeps all"
        )
    if given.seed >= SEEDS:
        raise BundleError(f"--seed is {given.seed}, expected 0 to {SEEDS - 1}; change it")
    return Options(given.length, seed=given.seed, **chosen)


def _write(model: Model, given: argparse.Namespace) -> None:
    """Write text: as it comes, or as JSON, without the prompt."""
    options, tokenizer = _options(model, given), model.tokenizer
    show = (lambda text: None) if given.json else (lambda text: print(text, end="", flush=True))
    tokens, stream = [], TextStream(tokenizer)
    show("".join(map(stream.push, tokenizer.encode(given.prompt))))  # as the model reads it
    for token, _ in generate(model, given.prompt, options):
        tokens.append(token)
        show(stream.push(token))
    show(stream.flush() + "\n")
    if given.json:
        _print_json(artifact=model.stepper.path, tokens=tokens, text=tokenizer.decode(tokens))


def _caption(model: Model, given: argparse.Namespace) -> None:
    """Write a caption; with ``--attention`` where the model looked for each word, ``[N words, R
    regions]``.
    """
    if given.features is not None:
        inputs = _read_features(model, given.features)
    else:
        inputs = _read_image(model, given.image)
    attention = model.attention
    if given.attention and attention is None:
        raise BundleError(
            "the captioner has no attention, expected an output over regions; leave --attention out"
        )
    ends = model.manifest["decoding"]["stop"]
    written = generate(model, "", _options(model, given), inputs=inputs)
    made = [(token, outputs) for token, outputs in written if token not in ends]
    tokens = [token for token, _ in made]
    record = {
        "artifact": model.stepper.path,
        "tokens": tokens,
        "text": model.tokenizer.decode(tokens),
    }
    if given.attention:
        seen = [np.ravel(outputs[attention["name"]]) for _, outputs in made]
        record["attention"] = [[round(float(part), 6) for part in each] for each in seen]
    print(json.dumps(record) if given.json or given.attention else record["text"])


def _picture_input(model: Model) -> dict[str, Any]:
    """Return the input of encode that is a picture; raise ``BundleError`` where there is none."""
    if model.encoder is None:
        raise BundleError(
            "the bundle is a language model, which sees no pictures; expected a captioner; leave "
            "--image out"
        )
    first, *others = model.encoder.inputs
    sizes = model.contract["sizes"]
    good = not others and first["dtype"] == "uint8" and {*first["axes"]} == PICTURE_AXES
    good = good and len(first["axes"]) == len(PICTURE_AXES) and sizes.get("channels") == CHANNELS
    if not good or not {"height", "width"} <= sizes.keys():
        raise BundleError(
            f"encode takes {first['name']} {first['axes']}, expected a picture in this example; "
            "begin the model from Python, or --check it"
        )
    return first


def _read_image(model: Model, path: Path) -> Arrays:
    """Return encode's input of a picture file."""
    picture, sizes = _picture_input(model), model.contract["sizes"]
    image = read_picture(path, (sizes["height"], sizes["width"]))  # [1, height, width, 3]
    places = [["batch", "height", "width", "channels"].index(axis) for axis in picture["axes"]]
    return {picture["name"]: image.transpose(places)}


def _sees_features(model: Model) -> bool:
    specs = [] if model.encoder is None else model.encoder.inputs
    return bool(specs) and all(
        spec["dtype"] == "float32" and spec["axes"][:1] == ["batch"] and "time" not in spec["axes"]
        for spec in specs
    )


def _refuse_no_features(model: Model) -> None:
    if _sees_features(model):
        names = ", ".join(spec["name"] for spec in model.encoder.inputs)
        raise BundleError(
            f"the bundle is a captioner and no features were given; expected --features FILE.npz "
            f"with {names}; add it"
        )


def _read_features(model: Model, path: Path) -> Arrays:
    """Return encode's inputs of a file of features."""
    if not _sees_features(model):
        raise BundleError(
            "encode takes no features, expected floats with a row a picture; leave --features out"
        )
    return read_features(path, model.encoder.inputs, model.contract["sizes"])


def _median_us(model: Model, steps: int) -> float:
    """Time single steps over the recorded inputs, chained; microseconds."""
    path = model.manifest["golden"]
    if path is None:
        raise BundleError(
            "the bundle has no recorded run, expected one to take inputs from; export the bundle "
            "again"
        )
    recorded = read_tensors(model.bundle.file(path), path)
    try:
        fresh, contexts, state = (
            {name: recorded[name] for name in model.names(role)}
            for role in ("input", "context", "state")
        )
        count, times = recorded_steps(model, recorded), []
        for step in range(WARM_UP_STEPS + steps):
            inputs = {name: array[step % count] for name, array in fresh.items()}
            start = time.perf_counter_ns()
            _, state = model.step({**inputs, **contexts}, state)
            times.append((time.perf_counter_ns() - start) / 1000)
    except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BundleError(
            f"{path} does not fit the contract ({first_line(error)}); export the bundle again"
        ) from error
    return round(statistics.median(times[WARM_UP_STEPS:]), 1)


if __name__ == "__main__":
    sys.exit(main())
