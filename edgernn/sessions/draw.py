"""Random tensors for a run, made from the contract alone: from dtype, ``below`` and axes.

Floats of inputs are normal, ids lie evenly below their axis, uint8 evenly from 0 to 255, and other
integers and bools are 0 or 1. A uint8 tensor with height, width and channels is pictures: coarse
patches, as objects are, under fine noise; the first is black and the second white. States and
contexts are floats from (-0.5, 0.5), and everything else as inputs are.

The inputs of a run lie in one array each. Where a graph has time, they lie along it:
``step_frames`` frames a step; an input without time is drawn once. Where it has none, one value
per call lies along a first axis of its own: ``[calls, *axes]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from edgernn.contract import (
    BATCH,
    CHANNELS,
    HEIGHT,
    TIME,
    WIDTH,
    Contract,
    FileContract,
    GraphSpec,
    TensorSpec,
)
from edgernn.sessions.base import State

Sizes = Mapping[str, int]  # open axis → size
OPEN_SIZES = (2, 12)  # of an axis that encode chooses: one number of this range is drawn
_CALLS = "calls"  # the axis along which the values of a run lie where there is no time
_BEFORE = 2  # pictures before the one that is drawn where a run needs one: a black and a white
_Random = np.random.Generator
Seed = int | tuple[int, ...]


def is_cut(graph: GraphSpec) -> bool:
    """Return whether a run of ``graph`` lies along time, and can be cut into calls there: what runs
    once per sequence is run in separate calls.
    """
    return graph.has_time and not graph.once


def open_sizes(file_contract: FileContract, *, seed: int) -> dict[str, int]:
    """Return a size for each axis that the contract leaves open, but for batch and time; the file's
    own where it takes one size only.
    """
    random = np.random.default_rng((seed, len(OPEN_SIZES)))
    low, high = OPEN_SIZES
    drawn = {axis: int(random.integers(low, high + 1)) for axis in file_contract.contract.open_axes}
    return {axis: file_contract.axis_size(axis) or size for axis, size in drawn.items()}


def shape_of(spec: TensorSpec, contract: Contract, sizes: Sizes, **own: int) -> tuple[int, ...]:
    """Return the shape of ``spec`` with the sizes of the contract, the open ones, and ``own``."""
    known = {**contract.sizes, **sizes, **own}
    return tuple(known[axis] for axis in spec.axes)


def values(
    random: _Random, spec: TensorSpec, shape: tuple[int, ...], contract: Contract
) -> np.ndarray:
    """Return an input's values of ``shape`` in the dtype of ``spec``."""
    if spec.below is not None:
        return random.integers(0, contract.sizes[spec.below], shape, np.int64).astype(spec.dtype)
    if spec.kind == "f":
        return np.asarray(random.normal(size=shape)).astype(spec.dtype)
    high = 256 if spec.dtype == "uint8" else 2
    return np.asarray(random.integers(0, high, shape)).astype(spec.dtype)


def drawn_inputs(
    graph: GraphSpec, contract: Contract, sizes: Sizes, *, batch: int, steps: int, seed: Seed
) -> dict[str, np.ndarray]:
    """Return the fresh inputs of ``graph`` for a run of ``steps`` steps, or calls where it has no
    time; in the layout of the module.
    """
    random, made = np.random.default_rng(seed), {}
    cut, frames = is_cut(graph), steps * contract.step_frames
    for spec in graph.fresh_inputs:
        once = cut and TIME not in spec.axes
        lead = () if cut else (steps,)
        time = frames if cut else sizes.get(TIME, contract.step_frames)
        own = {BATCH: batch, TIME: time}
        shape = (*lead, *shape_of(spec, contract, sizes, **own))
        if spec.is_picture:
            labels = spec.axes if cut else (_CALLS, *spec.axes)
            made[spec.name] = _pictures(random, labels, dict(zip(labels, shape, strict=True)), once)
        else:
            made[spec.name] = values(random, spec, shape, contract)
    return made


def _pictures(
    random: _Random, labels: tuple[str, ...], sizes: dict[str, int], once: bool
) -> np.ndarray:
    """Return pictures uint8 along the axes ``labels``; a single one, of noise, if ``once``."""
    height, width, channels = (sizes[axis] for axis in (HEIGHT, WIDTH, CHANNELS))
    leads = [axis for axis in (BATCH, _CALLS, TIME) if axis in sizes]
    rows = sizes.get(BATCH, 1)
    count = 1 + _BEFORE if once else math.prod(sizes.get(axis, 1) for axis in (_CALLS, TIME))
    coarse = random.uniform(0, 255, (rows, count, 4, 4, channels))
    across, along = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    patches = coarse[:, :, across][:, :, :, along]  # [B, count, height, width, channels]
    noisy = patches + random.normal(0, 24, patches.shape)
    noisy[:, :1], noisy[:, 1:2] = 0, 255
    whole = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    whole = whole[:, -1:] if once else whole
    order = [*leads, HEIGHT, WIDTH, CHANNELS]
    shaped = whole.reshape([sizes[axis] for axis in order])
    turned = shaped.transpose([order.index(axis) for axis in labels])
    return np.ascontiguousarray(turned)


def random_inputs(
    contract: Contract, *, batch: int, steps: int, seed: int, sizes: Sizes | None = None
) -> dict[str, np.ndarray]:
    """Return what ``step`` takes afresh over ``steps`` steps: ids ``[B, N]`` drawn evenly, and so
    on by dtype.
    """
    return drawn_inputs(contract.step, contract, sizes or {}, batch=batch, steps=steps, seed=seed)


def random_pictures(
    contract: Contract, *, batch: int, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Return ``count`` values of each input of the encode graph: ``[B, count, height, width,
    channels]`` uint8 of pictures.
    """
    graph = contract.encode or contract.step
    sizes = open_sizes(FileContract(contract=contract, graph=graph.name), seed=seed)
    made = drawn_inputs(graph, contract, sizes, batch=batch, steps=count, seed=seed)
    return {name: np.moveaxis(array, 0, 1) for name, array in made.items()}


def random_state(contract: Contract, *, batch: int, seed: int, sizes: Sizes | None = None) -> State:
    """Return a state drawn evenly from (-0.5, 0.5), every tensor and row its own values."""
    return drawn_once(contract.step.states, contract, sizes or {}, batch=batch, seed=seed)


def drawn_once(
    specs: Iterable[TensorSpec], contract: Contract, sizes: Sizes, *, batch: int, seed: int
) -> dict[str, np.ndarray]:
    """Return states or contexts: floats from (-0.5, 0.5), every tensor and row its own values."""
    random, made = np.random.default_rng(seed), {}
    for spec in specs:
        shape = shape_of(spec, contract, sizes, **{BATCH: batch})
        if spec.kind == "f":
            made[spec.name] = np.asarray(random.uniform(-0.5, 0.5, shape)).astype(spec.dtype)
        else:
            made[spec.name] = values(random, spec, shape, contract)
    return made
