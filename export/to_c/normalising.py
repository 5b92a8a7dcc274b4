"""Operators that norm, and reductions that are put together from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.products import reduce
from edgernn.export.to_c.program import Normalise
from edgernn.export.to_c.views import View


def batch_norm(call: Call) -> View:
    """Return ``γ (x − μ) / √(σ² + ε) + β`` of each channel, all four constant or given (Ioffe and
    Szegedy 2015), as it is after training.
    """
    if call.get("training_mode", 0):
        raise call.refusal("trains")
    apply, rank = call.build.pointwise, call[0].rank
    gain, shift, middle, variance = (_channels(call, call[at], rank) for at in range(1, 5))
    epsilon = call.build.constant(np.array(call.get("epsilon", 1e-5), np.float32))
    scale = apply("div", gain, apply("sqrt", apply("add", variance, epsilon)))
    shifted = apply("sub", shift, apply("mul", middle, scale))
    return apply("add", apply("mul", call[0], scale), shifted)


def instance_norm(call: Call) -> View:
    """Norm each channel over its places (Ulyanov et al. 2016)."""
    made = _normed(call, call[0], call[0].rank - 2)
    return _scaled(call, made, call[1], call[2])


def group_norm(call: Call) -> View:
    """Norm groups of channels over their places (Wu and He 2018)."""
    given, groups = call[0], int(call.get("num_groups"))
    parts = call.build.reshaped(
        given, [given.shape[0], groups, given.size // given.shape[0] // groups]
    )
    made = call.build.reshaped(_normed(call, parts, 1), given.shape)
    each = given.shape[1] // groups
    gain, shift = call[1], call[2]
    if gain.size == groups and each > 1:  # before opset 21 one of each group
        gain, shift = (
            call.build.reshaped(
                call.build.reshaped(own, [groups, 1]).broadcast([groups, each]), [groups * each]
            )
            for own in (gain, shift)
        )
    return _scaled(call, made, gain, shift)


def rms_norm(call: Call) -> View:
    """Return ``γ x / √(mean x² + ε)`` over an axis and all after it (Zhang and Sennrich 2019)."""
    given, apply, axis = call[0], call.build.pointwise, call.axis(-1, call[0].rank)
    squares = apply("mul", given, given)
    middle = _reduced(call, squares, list(range(axis, given.rank)), "mean")
    epsilon = call.build.constant(np.array(call.get("epsilon", 1e-5), np.float32))
    root = apply("sqrt", apply("add", middle, epsilon))
    return apply("mul", apply("div", given, root), call[1])


def sum_of_squares(call: Call) -> View:
    """Return the sum of squares along axes."""
    return _like(call, call.build.pointwise("mul", call[0], call[0]), "sum")


def length(call: Call) -> View:
    """Return the root of the sum of squares along axes."""
    return call.build.pointwise("sqrt", sum_of_squares(call))


def sum_of_magnitudes(call: Call) -> View:
    """Return the sum of magnitudes along axes."""
    return _like(call, call.build.pointwise("abs", call[0]), "sum")


def log_of_sum(call: Call) -> View:
    """Return the logarithm of the sum along axes."""
    return call.build.pointwise("log", _like(call, call[0], "sum"))


def log_of_sum_of_powers(call: Call) -> View:
    """Return ``ln Σ e^x`` along axes, the largest taken off first."""
    given, apply = call[0], call.build.pointwise
    axes = call.numbers(1, "axes") or list(range(given.rank))
    over = [axis % given.rank for axis in axes]
    most = _reduced(call, given, over, "max")
    powers = apply("exp", apply("sub", given, most))
    found = apply("add", apply("log", _reduced(call, powers, over, "sum")), most)
    kept = [size for axis, size in enumerate(given.shape) if axis not in over]
    return found if call.get("keepdims", 1) else call.build.reshaped(found, kept)


def summed(call: Call, given: View, axes: Sequence[int]) -> View:
    """Return the sum along ``axes``, which go."""
    kept = [size for axis, size in enumerate(given.shape) if axis not in axes]
    return call.build.reshaped(_reduced(call, given, axes, "sum"), kept)


def _like(call: Call, given: View, how: str) -> View:
    """Return a reduction with the axes and the form that the operator asks for."""
    return reduce(replace(call, given=[given, *call.given[1:]]), how)


def _reduced(call: Call, given: View, axes: Sequence[int], how: str) -> View:
    """Return a reduction along ``axes`` that keeps them with one element."""
    attributes = {"axes": list(axes), "keepdims": 1}
    node = replace(call.node, attributes=attributes)
    return reduce(replace(call, node=node, given=[given]), how)


def _normed(call: Call, given: View, axes: int) -> View:
    out = call.build.room("float32", given.shape)
    call.build.nodes.append(Normalise(out, given, axes, float(call.get("epsilon", 1e-5))))
    return out


def _channels(call: Call, view: View, rank: int) -> View:
    """Return one value of each channel, as it is put beside ``[batch, channels, ...]``."""
    return call.build.reshaped(view, [view.size] + [1] * (rank - 2))


def _scaled(call: Call, made: View, gain: View, shift: View) -> View:
    gain, shift = (_channels(call, own, made.rank) for own in (gain, shift))
    return call.build.pointwise("add", call.build.pointwise("mul", made, gain), shift)
