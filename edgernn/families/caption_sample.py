"""What a captioner is shown: one picture, or features of it in any number of float arrays; and the
held-out sample that holds these with captions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgernn.contract import BATCH, CHANNELS, HEIGHT, TIME, WIDTH, Contract, GraphSpec, TensorSpec
from edgernn.families.base import Sample

CAPTIONS = "captions"  # of a held-out sample: the references of its pictures
_IMAGE = "image"


def seen_of(sample: Sample) -> dict[str, np.ndarray]:
    """Return what encode sees of a held-out sample by name, each ``[N, …]``."""
    return {name: array for name, array in sample.items() if name != CAPTIONS}


def encode_problem(encode: GraphSpec, sizes: Mapping[str, int]) -> str:
    """Say why ``encode`` is none of a captioner: it takes one picture, or features of it."""
    if features := _features(encode):
        time = sizes.get(TIME, 1)
        if any(tensor.name == CAPTIONS for tensor in features):
            return f"encode takes {CAPTIONS}, which a sample's references are called; rename it"
        return "" if time == 1 else f"a step takes {time} words, expected 1"
    image = [(t.name, t.dtype, t.axes) for t in encode.inputs]
    if image != [(_IMAGE, "uint8", (BATCH, HEIGHT, WIDTH, CHANNELS))]:
        return (
            f"encode takes {[t.name for t in encode.inputs]}, expected image [batch, height, "
            "width, channels], uint8, or features [batch, …], float32"
        )
    height, width, channels = (sizes.get(name) for name in (HEIGHT, WIDTH, CHANNELS))
    time = sizes.get(TIME, 1)
    if height != width or channels != 3 or time != 1:
        return (
            f"a picture is {height}x{width}x{channels} and a step {time} words, expected a square "
            "of 3 channels and 1 word"
        )
    return ""


def seen_problem(sample: Sample, contract: Contract, layout: str) -> str:
    """Say why ``sample`` does not hold what encode of ``contract`` sees, and captions of it."""
    specs = {tensor.name: tensor for tensor in (contract.encode or contract.step).fresh_inputs}
    wanted = {name: (spec.dtype, len(spec.axes)) for name, spec in specs.items()}
    wanted[CAPTIONS] = ("int64", 3)
    told = (f"{name} {array.dtype} {list(array.shape)}" for name, array in sorted(sample.items()))
    if {name: (str(array.dtype), array.ndim) for name, array in sample.items()} != wanted:
        return f"{', '.join(told) or 'nothing'}, expected {_layout(specs, contract, layout)}"
    if len({len(array) for array in sample.values()}) != 1 or not sample[CAPTIONS].shape[1]:
        return f"{', '.join(told)}, expected {_layout(specs, contract, layout)}"
    if sample[CAPTIONS].min(initial=0) < -1:
        return f"the id {int(sample[CAPTIONS].min())}, expected ids from 0, and -1 as padding"
    return _sizes_problem(seen_of(sample), specs, contract)


def _sizes_problem(seen: Sample, specs: Mapping[str, TensorSpec], contract: Contract) -> str:
    sizes = dict(contract.sizes)
    for name, array in seen.items():
        spec, found = specs[name], array.shape[1:]
        wanted = [sizes.setdefault(a, n) for a, n in zip(spec.axes[1:], found, strict=True)]
        if [*found] != wanted:
            return f"{'pictures' if spec.is_picture else name} of {[*found]}, expected {wanted}"
        if spec.kind == "f" and not np.isfinite(array).all():
            return f"{name} with a value that is not finite"
    return ""


def _layout(specs: Mapping[str, TensorSpec], contract: Contract, layout: str) -> str:
    if any(spec.is_picture for spec in specs.values()):
        return layout
    made = [
        f"{name} {spec.dtype} [{', '.join(['N', *(_size(a, contract) for a in spec.axes[1:])])}]"
        for name, spec in specs.items()
    ]
    return f"{', '.join(made)} and captions int64 [N, K, T]"


def _size(axis: str, contract: Contract) -> str:
    return str(contract.sizes.get(axis, axis))


def _features(encode: GraphSpec) -> tuple[TensorSpec, ...]:
    """Return the inputs of ``encode`` where they all are features: floats with a row for each
    picture.
    """
    fits = all(
        tensor.dtype == "float32" and tensor.axes[:1] == (BATCH,) and TIME not in tensor.axes
        for tensor in encode.inputs
    )
    return encode.inputs if fits else ()
