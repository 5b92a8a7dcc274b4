"""The file of a golden run: which tensors it has, of which shapes, and how it is read.

golden.safetensors    N steps of one row, tensors under their contract names
  NAME        [N, *axes]    every fresh input of step, per step: one row, ``step_frames`` frames;
                            an input without time is the same in all N, where another has time
  STATE       [*axes]       every state before the first step; not zeros, and each state different
  OUTPUT      [N, *axes]    every output, per step
  STATE_next  [N, *axes]    every state after each step
and of a model with an encode graph, whose run starts there:
  NAME        [*axes]       every input of encode
  CONTEXT     [*axes]       what encode makes of it, and every step takes
  OUTPUT      [*axes]       what else encode gives
The states before the first step are then encode's, where it gives them. An axis that the contract
leaves open has one size throughout.

A file has at most ``MOST_BYTES``. Where the run would need more, an output whose last axis has more
than 512 values, such as the logits of a large vocabulary, is not in it; in its place are five
tensors (see ``summary.py``), here of an output ``[B, T, V]``:
  OUTPUT.columns      int64 [C]           ids, ascending
  OUTPUT.at_columns   [N, B, 1, C]        the values at them
  OUTPUT.largest_ids  int64 [N, B, 1, K]  the ids of the largest values of each step
  OUTPUT.largest      [N, B, 1, K]        those values
  OUTPUT.log_sum      [N, B, 1]           the logarithm of the sum of exp over all values
A device compares its own values at ``columns`` with ``at_columns``, those at ``largest_ids`` with
``largest``, and its own log-sum with ``log_sum``, each as any recorded output. Where that does not
suffice (a wide state), the run has fewer steps, but at least 8: a picture and what encode makes of
it are whole at any size.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgernn.bundle import summary
from edgernn.bundle.summary import AT_COLUMNS, LARGEST_IDS, LARGEST_VALUES, LOG_SUM, NAME_COLUMNS
from edgernn.contract import BATCH, TIME, Contract, TensorSpec
from edgernn.errors import BundleError
from edgernn.sessions.draw import Sizes, is_cut
from edgernn.storage import tensor_files

MOST_BYTES = 4_000_000
_HEADER_BYTES = 4096  # more than the names and shapes of a run take in its file
_FEWEST_STEPS = 8

Arrays = dict[str, np.ndarray]
Layout = dict[str, tuple[str, tuple[int, ...]]]  # name → dtype and shape
# an output that is not whole → how many columns and largest values are kept
Kept = dict[str, tuple[int, int]]


def plan(contract: Contract, steps: int, sizes: Sizes) -> tuple[int, Kept]:
    """Return how many of ``steps`` fit into a golden run, and which outputs are not whole in it."""
    if _size_bytes(contract, steps, {}, sizes) <= MOST_BYTES:
        return steps, {}
    wide = [
        tensor.name
        for tensor in contract.step.read_outputs
        if width(contract, tensor.name) > summary.WIDEST and tensor.kind == "f"
    ]
    kept = dict.fromkeys(wide, (summary.COLUMNS, summary.LARGEST))
    fixed = _size_bytes(contract, 0, kept, sizes)
    fitting = (MOST_BYTES - fixed) // (_size_bytes(contract, 1, kept, sizes) - fixed)
    return min(steps, max(_FEWEST_STEPS, fitting)), kept


def read(path: Path, contract: Contract) -> Arrays:
    """Read a golden run and make sure that it has every tensor of the contract.

    Raises:
        BundleError: the file is damaged or belongs to another contract.
    """
    golden = tensor_files.read(
        path, what="golden run", remedy="export the bundle again", error=BundleError
    )
    kept = kept_of(golden, contract)
    first = golden.get(compared(contract.step.outputs[0], kept)[0])
    steps = first.shape[0] if first is not None and first.ndim else 0
    wanted = _layout(contract, steps, kept, recorded_sizes(golden, contract))
    found = {name: (str(array.dtype), array.shape) for name, array in golden.items()}
    if found != wanted or steps == 0:
        wrong = sorted(
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        raise BundleError(
            f"{path} does not fit the contract in {', '.join(wrong) or 'its steps'}; export "
            "the bundle again"
        )
    for spec in constant_inputs(contract):
        if (golden[spec.name] != golden[spec.name][:1]).any():
            raise BundleError(
                f"{path}: {spec.name} has no time, but is not the same at every step; export the "
                "bundle again"
            )
    for name in kept:
        _check_ids(golden, name, width(contract, name), path)
    return golden


def constant_inputs(contract: Contract) -> tuple[TensorSpec, ...]:
    """Return the inputs of step that are the same over a run: those without time, where another has
    it.
    """
    if not is_cut(contract.step):
        return ()
    return tuple(tensor for tensor in contract.step.fresh_inputs if TIME not in tensor.axes)


def recorded_sizes(golden: Arrays, contract: Contract) -> dict[str, int]:
    """Return the sizes that a golden run has along the axes that the contract leaves open; time is
    that of encode's inputs.
    """
    sizes = dict.fromkeys((*contract.open_axes, TIME), 1)
    for spec in reversed(_once(contract)):
        shape = golden[spec.name].shape if spec.name in golden else ()
        if len(shape) == len(spec.axes):
            sizes |= {a: n for a, n in zip(spec.axes, shape, strict=True) if a in sizes}
    return sizes


def _check_ids(golden: Arrays, name: str, width: int, path: Path) -> None:
    """Raise BundleError where the recorded ids of the output ``name`` are not below ``width``, or
    columns come twice.
    """
    for part in (NAME_COLUMNS, LARGEST_IDS):
        ids = golden[f"{name}.{part}"]
        outside = ids.size == 0 or ids.min() < 0 or ids.max() >= width
        if outside or (part == NAME_COLUMNS and (np.diff(ids) <= 0).any()):
            order = "ascending ids" if part == NAME_COLUMNS else "ids"
            raise BundleError(
                f"{path}: {name}.{part} must be {order} from 0 to {width - 1}; export the "
                "bundle again"
            )


def kept_of(golden: Arrays, contract: Contract) -> Kept:
    """Return the outputs that a golden run does not hold whole, with how many columns and largest
    values it has of each.
    """
    found = {}
    for tensor in contract.step.read_outputs:
        columns, ids = (golden.get(f"{tensor.name}.{part}") for part in (NAME_COLUMNS, LARGEST_IDS))
        if columns is not None and ids is not None and columns.ndim and ids.ndim:
            found[tensor.name] = (columns.shape[0], ids.shape[-1])
    return found


def width(contract: Contract, name: str) -> int:
    """Return how long the last axis of the output ``name`` of step is; 1 where it is open."""
    (tensor,) = (tensor for tensor in contract.step.read_outputs if tensor.name == name)
    return contract.sizes.get(tensor.axes[-1], 1) if tensor.axes else 1


def compared(tensor: TensorSpec, kept: Kept) -> tuple[str, ...]:
    """Return the names under which a step's output is recorded and compared."""
    parts = (AT_COLUMNS, LARGEST_VALUES, LOG_SUM)
    return (
        tuple(f"{tensor.name}.{part}" for part in parts) if tensor.name in kept else (tensor.name,)
    )


def step_shape(tensor: TensorSpec, contract: Contract, sizes: Sizes) -> tuple[int, ...]:
    """Return the shape of a tensor of one recorded step: one row, the frames of a step."""
    known = {TIME: contract.step_frames, **contract.sizes}
    known = {**sizes, **known, BATCH: 1}
    return tuple(known[axis] for axis in tensor.axes)


def _once(contract: Contract) -> tuple[TensorSpec, ...]:
    encode = contract.encode
    return (
        *contract.step.states,
        *contract.step.contexts,
        *(encode.inputs if encode else ()),
        *told_once(contract),
    )


def told_once(contract: Contract) -> tuple[TensorSpec, ...]:
    """Return the outputs of encode that no step takes."""
    outputs = contract.encode.outputs if contract.encode else ()
    return tuple(tensor for tensor in outputs if tensor.role == "output")


def _size_bytes(contract: Contract, steps: int, kept: Kept, sizes: Sizes) -> int:
    """Return the size of a golden run's file, or a little more."""
    layout = _layout(contract, steps, kept, sizes).values()
    return _HEADER_BYTES + sum(
        np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout
    )


def _layout(contract: Contract, steps: int, kept: Kept, sizes: Sizes) -> Layout:
    """Return the dtype and shape of every tensor of a golden run."""
    spec = contract.step
    layout: Layout
    layout = {
        t.name: (t.dtype, (steps, *step_shape(t, contract, sizes)))
        for t in (*spec.fresh_inputs, *spec.outputs)
    }
    for name, (columns, largest) in kept.items():
        dtype, (*outer, _) = layout.pop(name)
        layout[f"{name}.{NAME_COLUMNS}"] = ("int64", (columns,))
        layout[f"{name}.{AT_COLUMNS}"] = (dtype, (*outer, columns))
        layout[f"{name}.{LARGEST_IDS}"] = ("int64", (*outer, largest))
        layout[f"{name}.{LARGEST_VALUES}"] = (dtype, (*outer, largest))
        layout[f"{name}.{LOG_SUM}"] = (dtype, tuple(outer))
    known = {**sizes, **contract.sizes, BATCH: 1}
    layout.update(
        {t.name: (t.dtype, tuple(known[axis] for axis in t.axes)) for t in _once(contract)}
    )
    return layout
