"""Whether this device computes what the model does: the recorded run, the sampler's vectors, the tokenizer's text.

See edgernn/bundle/README.md for how a difference is measured in each precision.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from manifest import InputError, first_line
from sampler import Options, sample, uniform_at
from session import Arrays, Graph, Session, read_tensors

LEAST_SCALE = 1e-3  # a tensor smaller than this in every value is as good as zero
COLUMNS, AT_COLUMNS, LARGEST_IDS, LARGEST, LOG_SUM = (
    f".{part}" for part in ("columns", "at_columns", "largest_ids", "largest", "log_sum")
)  # what stands for an output that is too wide to be recorded whole


@dataclass(frozen=True)
class Row:
    """What was checked, how far it is off (None: it could not be checked here), and how far it may be."""

    name: str
    worst: float | None
    tolerance: float
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is off by more than it may."""
        return self.worst is not None and not self.worst <= self.tolerance


def check(session: Session) -> list[Row]:
    """Make every check that the bundle has what is needed for."""
    missing = Row("golden", None, 0, "the bundle has no recorded run")
    rows = check_golden(session) if session.manifest["golden"] else [missing]
    rows += check_sampler(session) if session.manifest["sampler"] else []
    entry = session.manifest["tokenizer"]
    differing = session.tokenizer.differing(entry)
    rows.append(
        Row("tokenizer", differing, 0, "run: pip install tokenizers" if differing is None else "")
    )
    return rows


def check_golden(session: Session) -> list[Row]:
    """Replay the golden run: a row a tensor."""
    path = session.manifest["golden"]
    recorded = read_tensors(session.bundle.file(path), path)
    try:
        rows = []
        if session.encoder is not None:
            given = {tensor["name"]: recorded[tensor["name"]] for tensor in session.encoder.inputs}
            made = {name: array[None] for name, array in session.encoder.run(given).items()}
            rows += _compare(session.encoder, {name: recorded[name][None] for name in made}, made)
        steps = list(_replay(session, recorded))
        made = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
        return rows + _compare(session.stepper, recorded, made)
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not fit the contract ({first_line(error)}); export the bundle again"
        ) from error


def check_sampler(session: Session) -> list[Row]:
    """Replay the vectors: how many random numbers, and how many choices of a token, differ; infinite where there are none."""
    path = session.manifest["sampler"]
    try:
        vectors = json.loads(session.bundle.file(path))
        if vectors["version"] != 1 or vectors["generator"] != "splitmix64":
            raise ValueError(f"version {vectors['version']!a}, generator {vectors['generator']!a}")
        numbers = sum(
            uniform_at(group["seed"], group["position"] + index) != value
            for group in vectors["uniforms"]
            for index, value in enumerate(group["values"])
        )
        tokens = sum(_chosen(choice) != choice["token"] for choice in vectors["tokens"])
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} holds no sampler vectors ({first_line(error)}); export the bundle again"
        ) from error
    return [
        Row(
            "uniforms",
            numbers if any(group["values"] for group in vectors["uniforms"]) else math.inf,
            0,
        ),
        Row("sampler", tokens if vectors["tokens"] else math.inf, 0),
    ]


def _chosen(choice: dict[str, Any]) -> int:
    options = Options(1, choice["temperature"], choice["top_k"], choice["top_p"])
    return sample(
        np.array(choice["logits"], np.float32), options, choice["uniform"], choice["suppress"]
    )


def _replay(session: Session, recorded: Arrays) -> Iterator[Arrays]:
    """Yield step's outputs, the wide ones as they are recorded, and next states for each recorded input."""
    names, fresh = session.names("state"), session.names("input")
    contexts = {name: recorded[name] for name in session.names("context")}
    state = {name: recorded[name] for name in names}
    for step in range(len(recorded[fresh[0]])):
        made = session.stepper.run(
            {**{name: recorded[name][step] for name in fresh}, **contexts, **state}
        )
        yield _summarised(session.stepper, made, recorded, step)
        chained = not session.stepper.forced
        state = {
            name: made[f"{name}_next"] if chained else recorded[f"{name}_next"][step]
            for name in names
        }


def _summarised(graph: Graph, made: Arrays, recorded: Arrays, step: int) -> Arrays:
    """Return what was made at a step; of an output that is not recorded whole, its values at recorded ids and its log-sum."""
    parts = {}
    for name, values in made.items():
        if name + COLUMNS not in recorded:
            parts[name] = values
            continue
        columns, ids = recorded[name + COLUMNS], recorded[name + LARGEST_IDS][step]
        if min(columns.min(), ids.min()) < 0:
            raise ValueError(f"an id of {name} is below 0")
        top = values.max(-1, keepdims=True).astype(np.float64)
        parts[name + AT_COLUMNS] = values[..., columns]
        parts[name + LARGEST] = np.take_along_axis(values, ids, -1)
        parts[name + LOG_SUM] = (top[..., 0] + np.log(np.exp(values - top).sum(-1))).astype(
            values.dtype
        )
    return parts


def _compare(graph: Graph, recorded: Arrays, found: Arrays) -> list[Row]:
    """Measure every tensor ``[N steps, …]`` as its file promises; forced states layer by layer."""
    tolerance, rows = graph.tolerance, list[Row]()
    if tolerance is None:
        raise InputError(
            f"manifest.json gives {graph.path} no tolerance, expected how far its golden run may be "
            "off; export the bundle again"
        )
    states = {tensor["name"] for tensor in graph.outputs if tensor["role"] == "state"}
    for name, made in found.items():
        wanted = recorded[name]
        if wanted.shape != made.shape:
            raise ValueError(f"{name} is {list(wanted.shape)}, expected {list(made.shape)}")
        if not graph.forced:
            rows.append(Row(name, _largest_difference(wanted, made), tolerance))
        elif name in states:
            layers = range(wanted.shape[1])
            rows += [
                Row(f"{name}[{i}]", _relative_difference(wanted[:, i], made[:, i]), tolerance)
                for i in layers
            ]
        else:
            rows.append(Row(name, _relative_difference(wanted, made), tolerance))
    return rows


def _largest_difference(recorded: np.ndarray, found: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        worst = float(np.abs(found - recorded).max() / max(1.0, np.abs(recorded).max()))
    return worst if np.isfinite(worst) else float("inf")


def _relative_difference(recorded: np.ndarray, found: np.ndarray) -> float:
    """Return the worst step's root mean square of the difference, over the larger of that of its recording and of all."""
    axes = tuple(range(1, recorded.ndim))
    sizes = np.sqrt(np.square(recorded, dtype=np.float64).mean(axes))  # [N]
    differences = np.sqrt(np.square(found - recorded, dtype=np.float64).mean(axes))  # [N]
    scale = np.maximum(LEAST_SCALE, np.maximum(sizes, np.sqrt(np.square(sizes).mean())))  # [N]
    with np.errstate(divide="ignore", invalid="ignore"):
        curve = np.where(differences == 0, 0, differences / scale)
    return float(curve.max()) if np.isfinite(curve).all() else float("inf")
