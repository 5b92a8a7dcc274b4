"""Whether this device computes what the model does: the recorded run, the sampler's vectors, the
tokenizer's text.

How far a run may be off, and how that is measured, stands with each file in the manifest.
See edgernn/bundle/README.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from contract import BATCH, LAYERS, TIME, of_role
from errors import BundleError, first_line
from model import Model
from sampler import Options, sample, uniform_at
from session import Session
from tensors import Arrays, fits, read_tensors

LEAST_SCALE = 1e-3  # a tensor smaller than this in every value is as good as zero
COLUMNS, AT_COLUMNS, LARGEST_IDS, LARGEST, LOG_SUM = (
    f".{part}" for part in ("columns", "at_columns", "largest_ids", "largest", "log_sum")
)  # what stands for an output that is too wide to be recorded whole


@dataclass(frozen=True)
class Row:
    """What was checked, how far it is off (None: it could not be checked here), and how far it may
    be; ``steps`` how far at each step, where there are steps.
    """

    name: str
    worst: float | None
    tolerance: float
    note: str = ""
    steps: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is off by more than it may."""
        return self.worst is not None and not self.worst <= self.tolerance

    @property
    def verdict(self) -> str:
        """What is said of it; of one that failed, at which step it was off first, and how far."""
        if self.worst is None:
            return f"not run; {self.note}"
        off = (at for at, apart in enumerate(self.steps) if not apart <= self.tolerance)
        first = next(off, None)
        if first is None:
            return "FAILED" if self.failed else "ok"
        last = len(self.steps) - 1
        return f"FAILED: parts at step {first} of 0 to {last} by {self.steps[first]:.1e}"


def check(model: Model) -> list[Row]:
    """Make every check that the bundle has what is needed for."""
    missing = Row("golden", None, 0, "the bundle has no recorded run")
    rows = check_golden(model) if model.manifest["golden"] else [missing]
    rows += check_sampler(model) if model.manifest["sampler"] else []
    if model.tokenizer is not None:
        differing = model.tokenizer.differing(model.manifest["tokenizer"])
        note = "run: pip install tokenizers" if differing is None else ""
        rows.append(Row("tokenizer", differing, 0, note))
    return rows


def check_golden(model: Model) -> list[Row]:
    """Replay the golden run: a row a tensor."""
    path = model.manifest["golden"]
    recorded = read_tensors(model.bundle.file(path), path)
    try:
        _check_layout(model, recorded)
        rows = []
        if model.encoder is not None:
            given = {tensor["name"]: recorded[tensor["name"]] for tensor in model.encoder.inputs}
            made = {name: array[None] for name, array in model.encoder.run(given).items()}
            once = _compare(model.encoder, {name: recorded[name][None] for name in made}, made)
            rows += [replace(row, steps=()) for row in once]
        steps = list(_replay(model, recorded))
        made = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
        return rows + _compare(model.stepper, recorded, made)
    except (LookupError, TypeError, ValueError) as error:
        raise BundleError(
            f"{path} does not fit the contract ({first_line(error)}); export the bundle again"
        ) from error


def check_sampler(model: Model) -> list[Row]:
    """Replay the vectors: how many random numbers, and how many choices of a token, differ;
    infinite where there are none.
    """
    path = model.manifest["sampler"]
    try:
        vectors = json.loads(model.bundle.file(path))
        if vectors["version"] != 1 or vectors["generator"] != "splitmix64":
            raise ValueError(f"version {vectors['version']!a}, generator {vectors['generator']!a}")
        numbers = sum(
            uniform_at(group["seed"], group["position"] + index) != value
            for group in vectors["uniforms"]
            for index, value in enumerate(group["values"])
        )
        tokens = sum(_chosen(choice) != choice["token"] for choice in vectors["tokens"])
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise BundleError(
            f"{path} holds no sampler vectors ({first_line(error)}); export the bundle again"
        ) from error
    some = any(group["values"] for group in vectors["uniforms"])
    return [
        Row("uniforms", numbers if some else math.inf, 0),
        Row("sampler", tokens if vectors["tokens"] else math.inf, 0),
    ]


def _chosen(choice: dict[str, Any]) -> int:
    options = Options(1, choice["temperature"], choice["top_k"], choice["top_p"])
    return sample(
        np.array(choice["logits"], np.float32), options, choice["uniform"], choice["suppress"]
    )


def recorded_steps(model: Model, recorded: Arrays) -> int:
    """Return how many steps a golden run has."""
    names = [*model.names("input"), *(f"{name}_next" for name in model.names("state"))]
    return min(len(recorded[name]) for name in names)


def _check_layout(model: Model, recorded: Arrays) -> None:
    """Raise ``ValueError`` where what is fed is not as the contract has it, of one row."""
    sizes = {**model.contract["sizes"], BATCH: 1, TIME: model.contract["step_frames"]}
    once = [*(model.encoder.inputs if model.encoder else [])]
    once += [tensor for tensor in model.stepper.inputs if tensor["role"] != "input"]
    fresh = of_role(model.stepper.inputs, "input")
    sizes["steps"] = recorded_steps(model, recorded)
    stepwise = [{**tensor, "axes": ["steps", *tensor["axes"]]} for tensor in fresh]
    for tensor in [*once, *stepwise]:
        name, array = tensor["name"], recorded[tensor["name"]]
        if not fits(tensor, array, sizes):
            raise ValueError(f"{name} is {array.dtype} {list(array.shape)}")


def _replay(model: Model, recorded: Arrays) -> Iterator[Arrays]:
    """Yield step's outputs, the wide ones as they are recorded, and next states for each recorded
    input.
    """
    names, fresh = model.names("state"), model.names("input")
    contexts = {name: recorded[name] for name in model.names("context")}
    state = {name: recorded[name] for name in names}
    for step in range(recorded_steps(model, recorded)):
        inputs = {name: recorded[name][step] for name in fresh}
        made = model.stepper.run({**inputs, **contexts, **state})
        yield _summarised(made, recorded, step)
        forced = model.stepper.forced
        state = {
            name: recorded[f"{name}_next"][step] if forced else made[f"{name}_next"]
            for name in names
        }


def _summarised(made: Arrays, recorded: Arrays, step: int) -> Arrays:
    """Return what was made at a step; of an output that is not recorded whole, its values at
    recorded ids and its log-sum.
    """
    parts = {}
    for name, values in made.items():
        if name + COLUMNS not in recorded:
            parts[name] = values
            continue
        columns, ids = recorded[name + COLUMNS], recorded[name + LARGEST_IDS][step]
        if min(columns.min(), ids.min()) < 0:
            raise ValueError(f"an id of {name} is below 0")
        top = values.max(-1, keepdims=True).astype(np.float64)
        log_sum = top[..., 0] + np.log(np.exp(values - top).sum(-1))
        parts[name + AT_COLUMNS] = values[..., columns]
        parts[name + LARGEST] = np.take_along_axis(values, ids, -1)
        parts[name + LOG_SUM] = log_sum.astype(values.dtype)
    return parts


def _compare(session: Session, recorded: Arrays, found: Arrays) -> list[Row]:
    """Measure every tensor ``[N steps, …]`` as its file promises; forced states layer by layer."""
    tolerance, rows = session.tolerance, list[Row]()
    if tolerance is None:
        raise BundleError(
            f"manifest.json gives {session.path} no tolerance, expected how far its golden run may "
            "be off; export the bundle again"
        )
    layered = {
        tensor["name"]: 1 + tensor["axes"].index(LAYERS)
        for tensor in session.outputs
        if tensor["role"] == "state" and LAYERS in tensor["axes"]
    }
    for name, made in found.items():
        wanted = recorded[name]
        if (wanted.dtype, wanted.shape) != (made.dtype, made.shape):
            seen = f"{wanted.dtype} {list(wanted.shape)}"
            raise ValueError(f"{name} is {seen}, expected {made.dtype} {list(made.shape)}")
        pair = wanted.astype(np.float64), made.astype(np.float64)
        if not session.forced:
            rows.append(_row(name, _differences(*pair), tolerance))
        elif name in layered:
            layers = zip(*(np.moveaxis(each, layered[name], 0) for each in pair), strict=True)
            rows += [
                _row(f"{name}[{index}]", _relative_differences(*layer), tolerance)
                for index, layer in enumerate(layers)
            ]
        else:
            rows.append(_row(name, _relative_differences(*pair), tolerance))
    return rows


def _row(name: str, apart: np.ndarray, tolerance: float) -> Row:
    """Return the row of a tensor that is this far off at each step ``[N]``."""
    steps = tuple(float(each) if math.isfinite(each) else math.inf for each in apart)
    return Row(name, max(steps), tolerance, steps=steps)


def _differences(recorded: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return each step's largest difference, over the largest recorded value where that is above 1,
    ``[N]``.
    """
    largest = np.abs(np.where(np.isfinite(recorded), recorded, 0)).max()
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - recorded).reshape(len(recorded), -1).max(1)
    return apart / max(1.0, largest)


def _relative_differences(recorded: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return each step's root mean square of the difference, over the larger of that of its
    recording and of all, ``[N]``.
    """
    axes = tuple(range(1, recorded.ndim))
    sizes = np.sqrt(np.square(recorded).mean(axes))  # [N]
    sizes = np.where(np.isfinite(sizes), sizes, 0)
    with np.errstate(invalid="ignore"):
        differences = np.sqrt(np.square(found - recorded).mean(axes))  # [N]
    scale = np.maximum(LEAST_SCALE, np.maximum(sizes, np.sqrt(np.square(sizes).mean())))  # [N]
    return differences / scale
