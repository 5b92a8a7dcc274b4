"""Whether a file stores what its manifest says: a label decides which tolerance a file is held
to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

from edgernn.bundle.records import Artifact
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract.in_graph import DECODERS
from edgernn.formats import promised
from edgernn.formats.promise import NARROW, Tolerance

_FEW = 64  # values; in a float16 file a smaller constant stays float32
Kind = tuple[tuple[int, ...], str, int]  # shape, dtype, block size


def stored_problems(
    artifact: Artifact, found: Sequence[StoredWeight], step: Artifact | None = None
) -> list[str]:
    """Compare what a file stores with its precision and with the weights that the manifest lists.

    Args:
        artifact: the manifest's entry.
        found: what lies in the file.
        step: of a file that decodes in the graph the step file of its precision, whose weights it
            must have.

    Returns:
        One line per difference; none where all is as it is said to be.
    """
    matrices = [weight for weight in found if len(weight.shape) > 1]
    if step is not None:
        return [*_unlike_label(artifact, matrices), *_lacking(step, matrices)]
    return [*_unlike_label(artifact, matrices), *_unlike_list(artifact, matrices)]


def bytes_problems(artifact: Artifact, found: Sequence[StoredWeight]) -> list[str]:
    """Return of which matrices the manifest tells other bytes, or another use, than the file has;
    it lists all or none.

    It may list none where nothing is rounded to integers, and of a file that decodes, whose weights
    are its step file's.
    """
    matrices = [weight for weight in found if len(weight.shape) > 1]
    if not artifact.weights:
        rounded = [
            weight.dtype
            for weight in matrices
            if not weight.is_float and artifact.graph not in DECODERS
        ]
        return (
            [f"the manifest lists no weights, the file has {stored_words(found)}"]
            if rounded
            else []
        )
    wrong = Counter(weight for weight in artifact.weights if len(weight.shape) > 1) - Counter(
        matrices
    )
    return [
        f"the manifest says of {_whole(weight)}, the file has no such weight" for weight in wrong
    ]


def value_problems(found: Mapping[str, str], wanted: Mapping[str, str], path: str) -> list[str]:
    """Return which constants of the file at ``path`` a file that decodes with it has not, bit for
    bit; both by name.
    """
    held = set(found.values())
    return [
        f"{name} of {path} has other values in this file"
        for name, digest in wanted.items()
        if digest not in held
    ]


def stored_words(found: Sequence[StoredWeight]) -> str:
    """Say what the matrices of a file are stored as."""
    counts = Counter(weight.dtype for weight in found if len(weight.shape) > 1)
    return ", ".join(f"{count} in {dtype}" for dtype, count in sorted(counts.items())) or "none"


def _unlike_label(artifact: Artifact, matrices: Sequence[StoredWeight]) -> list[str]:
    promise = promised(artifact.format, artifact.precision)
    allowed = frozenset[str]() if promise is None else promise.stored
    # floats that the exporter was allowed to leave
    told = {_kind(weight) for weight in artifact.weights}
    # an image encoder may stay in floats beside integers of the step
    whole = artifact.graph in DECODERS
    if promise is not None and promise.half:
        matrices = [
            weight for weight in matrices if weight.dtype != "float32" or prod(weight.shape) >= _FEW
        ]
    fits = [w for w in matrices if w.dtype in allowed or (promise and _spared(w, promise))]
    if matrices and not fits:
        wanted = " or ".join(sorted(allowed)) or artifact.precision
        return [
            f"no matrix is stored as {wanted}, the precision is {artifact.precision}; there "
            f"are {stored_words(matrices)}"
        ]
    if promise is None:
        return []
    problems = []
    for weight in matrices:
        float_left = promise.integers and weight.is_float and (_kind(weight) in told or whole)
        if weight.dtype not in allowed and not (float_left or _spared(weight, promise)):
            problems.append(
                f"{weight.name} {list(weight.shape)} is stored as {weight.dtype}, the "
                f"precision is {artifact.precision}"
            )
    return problems


def _spared(weight: StoredWeight, promise: Tolerance) -> bool:
    """Return whether a matrix may be stored as ``tables`` has it: one row of it is read, or it has
    few.
    """
    small = weight.touched_bytes < weight.bytes or weight.shape[0] <= NARROW
    return small and weight.dtype in promise.tables


def _unlike_list(artifact: Artifact, matrices: Sequence[StoredWeight]) -> list[str]:
    listed = Counter(_kind(weight) for weight in artifact.weights if len(weight.shape) > 1)
    if not listed:
        return []
    stored = Counter(map(_kind, matrices))
    return [
        *(
            f"the manifest lists {_words(kind)}, the file does not have it"
            for kind in (listed - stored)
        ),
        *(f"the manifest lists no {_words(kind)}, the file has it" for kind in (stored - listed)),
    ]


def _lacking(step: Artifact, matrices: Sequence[StoredWeight]) -> list[str]:
    stored = set(map(_kind, matrices))
    listed = {_kind(weight) for weight in step.weights if len(weight.shape) > 1}
    return [
        f"{step.path} has {_words(kind)}, this file does not" for kind in sorted(listed - stored)
    ]


def _kind(weight: StoredWeight) -> Kind:
    return tuple(weight.shape), weight.dtype, weight.block_size


def _whole(weight: StoredWeight) -> str:
    use = "multiplies the state" if weight.recurrent else "does not multiply the state"
    return (
        f"{weight.name} that it takes {weight.bytes} bytes ({weight.touched_bytes} read a step) "
        f"and {use}"
    )


def _words(kind: Kind) -> str:
    shape, dtype, block = kind
    return f"{dtype} {list(shape)}" + (f" in blocks of {block}" if block else "")
