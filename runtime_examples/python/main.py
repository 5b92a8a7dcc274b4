"""Write text or captions from a bundle folder, replay its golden run, time its steps: ``python main.py --help``."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from sampler import SEEDS, Options, generate
from session import DAMAGED, Arrays, Graph, InputError, Session, first_line, load, read_tensors

TOLERANCES = {"float32": 1e-4, "float16": 0.25, "int8": 0.15, "int4": 0.4, "smallest": 0.4}  # of the golden run
FLOATS = {"float32", "float16"}  # chained on their own state; integers start each step from the recorded one
WARM_UP_STEPS = 10
MAX_PIXELS = 80_000_000  # a small file that claims more is more likely an attack than a photograph


class Parser(argparse.ArgumentParser):
    """Flags; bad ones say so in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise ``InputError`` in place of the usage."""
        raise InputError(f"{message}; see --help")


def main(arguments: list[str] | None = None) -> int:
    """Run one mode; return 0, 1 where the check failed, 2 for bad input."""
    try:
        given = _parse(arguments)
        session = load(given.bundle, given.artifact)
        try:
            return _run(session, given)
        except DAMAGED as error:  # what manifest.json lacks shows where it is read
            raise InputError(
                f"{given.bundle} is damaged ({type(error).__name__}: {first_line(error)}); export the bundle again"
            ) from error
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def check(session: Session) -> list[tuple[str, float, float]]:
    """Replay the golden run; return each tensor's name, worst measure and tolerance. See the README of edgernn."""
    recorded = read_tensors(session.folder / session.manifest["golden"])
    lines = []
    if session.encoder is not None:
        given = {tensor["name"]: recorded[tensor["name"]] for tensor in session.encoder.inputs}
        found = {name: array[None] for name, array in session.encoder.run(given).items()}
        lines += _compare(session.encoder, {name: recorded[name][None] for name in found}, found)
    steps = list(_replay(session, recorded))
    names = [tensor["name"] for tensor in session.stepper.outputs]
    found = {name: np.stack([step[name] for step in steps]) for name in names}
    return lines + _compare(session.stepper, {name: recorded[name] for name in names}, found)


def read_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a picture upright, stretched to (height, width); uint8 ``[1, height, width, 3]``. Only a PPM of that size needs
    no Pillow."""
    try:
        head, _, rest = path.read_bytes().partition(b"\n255\n")
        fields = head.split()
        if fields[:1] == [b"P6"] and fields[1:] == [b"%d" % size[1], b"%d" % size[0]] and len(rest) == size[0] * size[1] * 3:
            return np.frombuffer(rest, np.uint8).reshape(1, *size, 3)
    except OSError as error:
        raise InputError(f"cannot read the picture {path}: {error.strerror}; expected a JPEG, PNG or PPM; give one") from error
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        only = f"expected a binary PPM (P6) of {size[1]} x {size[0]} without Pillow; run: pip install pillow"
        raise InputError(f"{path} is another kind of picture, {only}") from error
    Image.MAX_IMAGE_PIXELS = None  # the limit below says it in one line
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                pixels = opened.width * opened.height
                raise InputError(f"{path} has {pixels:,} pixels, expected {MAX_PIXELS:,} at most; shrink it")
            if opened.mode[0] in "IF":
                raise InputError(f"{path} has pixels of mode {opened.mode}, expected 8 bits a channel; save it so")
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")  # transparency lies on white
        square = Image.alpha_composite(white, picture).convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, RuntimeError, *DAMAGED) as error:
        raise InputError(f"{path} is no picture ({first_line(error)}); expected a JPEG, PNG or PPM; save it again") from error
    return np.asarray(square)[None]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="a bundle folder")
    parser.add_argument("--artifact", help="the path of a step file in the bundle; default its first ONNX file")
    parser.add_argument("--prompt", default="", help="the text to go on from")
    parser.add_argument("--length", type=_number(int, 0), default=200, help="the most tokens to write")
    parser.add_argument("--temperature", type=_number(float, 0), help="0 is greedy; default the bundle's")
    parser.add_argument("--top-k", type=_number(int, 0), help="keep the k most probable tokens; 0 keeps all")
    parser.add_argument("--top-p", type=_number(float, 0), help="keep tokens up to this probability; 1 keeps all")
    parser.add_argument("--seed", type=_number(int, 0), default=0, help="the same seed writes the same text")
    parser.add_argument("--image", type=Path, help="the picture that a captioner is to caption")
    parser.add_argument("--attention", action="store_true", help="print a caption as JSON with where the model looked")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of streaming")
    parser.add_argument("--check", action="store_true", help="replay the golden run")
    parser.add_argument("--time", type=_number(int, 1), metavar="N", help="time N steps")
    return parser.parse_args(arguments)


def _number(kind: type, least: int) -> Any:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} given, expected a number of {least} or more")
        return value

    return read


def _run(session: Session, given: argparse.Namespace) -> int:
    if given.check:
        lines = check(session)
        for name, worst, tolerance in lines:
            print(f"{name:16} {worst:.1e} {tolerance:g} {'ok' if worst <= tolerance else 'FAILED'}")
        return int(not all(worst <= tolerance for _, worst, tolerance in lines))
    if given.time:
        print(json.dumps({"artifact": session.stepper.path, "steps": given.time, "median_us": _median_us(session, given.time)}))
    elif given.image is not None:
        _caption(session, given)
    elif session.encoder is not None:
        raise InputError("the bundle is a captioner and no picture was given; expected --image FILE; add it")
    else:
        _write(session, given)
    return 0


def _options(session: Session, given: argparse.Namespace) -> Options:
    defaults = session.manifest["decoding"]
    chosen = {name: getattr(given, name) for name in ("temperature", "top_k", "top_p")}
    chosen = {name: defaults[name] if value is None else value for name, value in chosen.items()}
    if not 0 < chosen["top_p"] <= 1:
        raise InputError(f"--top-p is {chosen['top_p']}, expected above 0 and at most 1; 1 keeps all")
    if given.seed >= SEEDS:
        raise InputError(f"--seed is {given.seed}, expected 0 to {SEEDS - 1}; change it")
    return Options(given.length, seed=given.seed, **chosen)


def _write(session: Session, given: argparse.Namespace) -> None:
    """Write text: as it comes, or as JSON, without the prompt."""
    options = _options(session, given)
    session.tokenizer.encode(given.prompt)  # before anything is printed
    show = (lambda text: None) if given.json else (lambda text: print(text, end="", flush=True))
    show(given.prompt)
    tokens = []
    for token, _ in generate(session, given.prompt, options):
        tokens.append(token)
        show(session.tokenizer.decode([token]))
    show("\n")
    if given.json:
        text = session.tokenizer.decode(tokens)
        print(json.dumps({"artifact": session.stepper.path, "tokens": tokens, "text": text}, ensure_ascii=False))


def _caption(session: Session, given: argparse.Namespace) -> None:
    """Write a caption; with ``--attention`` where the model looked for each word, ``[N words, R regions]``."""
    if session.encoder is None:
        raise InputError("the bundle is a language model, which sees no pictures; expected a captioner; leave --image out")
    sizes = session.manifest["contract"]["sizes"]
    height, width = (sizes[axis] for axis in session.encoder.inputs[0]["axes"][1:3])
    image = read_picture(given.image, (height, width))
    ends = session.manifest["decoding"]["stop"]
    made = [(token, seen) for token, seen in generate(session, "", _options(session, given), image=image) if token not in ends]
    tokens = [token for token, _ in made]
    text, attention = session.tokenizer.decode(tokens), session.output("regions")
    record = {"artifact": session.stepper.path, "tokens": tokens, "text": text}
    if given.attention:
        if attention is None:
            raise InputError("the captioner has no attention, expected an output over regions; leave --attention out")
        record["attention"] = [[round(float(part), 6) for part in seen[attention]] for _, seen in made]
    print(json.dumps(record, ensure_ascii=False) if given.json or given.attention else text)


def _replay(session: Session, recorded: Arrays) -> Iterator[Arrays]:
    """Yield step's outputs and next states for each recorded input."""
    names, fresh = session.names("state"), session.names("input")
    contexts = {name: recorded[name] for name in session.names("context")}
    state = {name: recorded[name] for name in names}
    for step in range(len(recorded[fresh[0]])):
        made = session.stepper.run({**{name: recorded[name][step] for name in fresh}, **contexts, **state})
        yield made
        chained = session.stepper.precision in FLOATS
        state = {name: made[f"{name}_next"] if chained else recorded[f"{name}_next"][step] for name in names}


def _compare(graph: Graph, recorded: Arrays, found: Arrays) -> list[tuple[str, float, float]]:
    """Measure every tensor ``[N steps, …]`` by the rule of the file's precision; states in integers layer by layer."""
    if graph.precision not in TOLERANCES:
        known = f"expected one of {', '.join(TOLERANCES)}"
        raise InputError(f"{graph.path} has the precision {graph.precision}, {known}; choose another artifact")
    tolerance, lines = TOLERANCES[graph.precision], []
    for tensor in graph.outputs:
        name = tensor["name"]
        wanted, made = recorded[name], found[name]
        if wanted.shape != made.shape:
            seen = f"golden.safetensors has {name} {list(wanted.shape)}"
            raise InputError(f"{seen}, expected {list(made.shape)}; export the bundle again")
        if graph.precision in FLOATS:
            lines.append((name, _largest_difference(wanted, made), tolerance))
        elif tensor["role"] == "state":
            layers = range(wanted.shape[1])
            lines += [(f"{name}[{i}]", _relative_difference(wanted[:, i], made[:, i]), tolerance) for i in layers]
        else:
            lines.append((name, _relative_difference(wanted, made), tolerance))
    return lines


def _largest_difference(recorded: np.ndarray, found: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        worst = float(np.abs(found - recorded).max() / max(1.0, np.abs(recorded).max()))
    return worst if np.isfinite(worst) else float("inf")


def _relative_difference(recorded: np.ndarray, found: np.ndarray) -> float:
    """Return the worst step's root mean square of the difference, over the larger of that of its recording and of all."""
    axes = tuple(range(1, recorded.ndim))
    sizes = np.sqrt(np.square(recorded, dtype=np.float64).mean(axes))  # [N]
    differences = np.sqrt(np.square(found - recorded, dtype=np.float64).mean(axes))  # [N]
    scale = np.maximum(sizes, np.sqrt(np.square(sizes).mean()))  # [N]
    with np.errstate(divide="ignore", invalid="ignore"):
        curve = np.where(differences == 0, 0, differences / scale)
    return float(curve.max()) if np.isfinite(curve).all() else float("inf")


def _median_us(session: Session, steps: int) -> float:
    """Time single steps over the recorded inputs, chained; microseconds."""
    recorded = read_tensors(session.folder / session.manifest["golden"])
    contexts = {name: recorded[name] for name in session.names("context")}
    name, state, times = session.names("input")[0], {name: recorded[name] for name in session.names("state")}, []
    for step in range(WARM_UP_STEPS + steps):
        token = recorded[name][step % len(recorded[name])]  # [1, 1]
        start = time.perf_counter_ns()
        _, state = session.step({name: token, **contexts}, state)
        times.append((time.perf_counter_ns() - start) / 1000)
    return round(statistics.median(times[WARM_UP_STEPS:]), 1)


if __name__ == "__main__":
    sys.exit(main())
