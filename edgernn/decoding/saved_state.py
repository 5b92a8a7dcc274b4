"""A generation's snapshot as a file: safetensors, so any host can read it, tied to the contract it
belongs to.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.contract import Contract
from edgernn.decoding.generate import Snapshot
from edgernn.errors import DataError, UsageError
from edgernn.storage import tensor_files
from edgernn.storage.identify import identify
from edgernn.wording import argument

PENDING = "pending_tokens"  # int64 [N], beside the states under their contract names
_MOST_DIGITS = 19
_CONTRACT, _POSITION = "edgernn.contract_sha256", "edgernn.position"


def save_snapshot(path: Path, snapshot: Snapshot, *, contract: Contract) -> None:
    """Write ``snapshot`` to ``path``, whole or not at all."""
    tensors = {**snapshot.state, PENDING: snapshot.pending}
    metadata = {_CONTRACT: _fingerprints(contract)[0], _POSITION: str(snapshot.position)}
    storage.write_bytes(path, tensor_files.save(tensors, metadata))


def refuse_foreign_file(path: Path) -> None:
    """Raise UsageError where a file of anything else stands at ``path``, told by its content."""
    kind = identify(path)
    if path.is_file() and kind.key not in {"empty", "saved-state", "unreadable"}:
        raise UsageError(
            f"{path} is there and is no saved state ({kind.name}); it was left as it is. Choose "
            "another --save-state, or remove it"
        )


def load_snapshot(path: Path, *, contract: Contract) -> Snapshot:
    """Read what ``save_snapshot`` wrote.

    Raises:
        DataError: missing, damaged, or of a model with another contract.
    """
    try:
        content = tensor_files.load(path)
        metadata, tensors = content.metadata, content.tensors()
    except FileNotFoundError as error:
        raise DataError(
            f"no saved state at {path}; write one with: edgernn generate BUNDLE --save-state "
            f"{argument(path)}"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read the saved state {path}: {storage.reason(error)}; give another file"
        ) from error
    except ValueError as error:
        raise DataError(f"{path} is not a saved state ({error}); save it again") from error
    expected = {PENDING, *(state.name for state in contract.step.states)}
    if metadata.get(_CONTRACT) not in _fingerprints(contract) or tensors.keys() != expected:
        raise DataError(
            f"{path} was saved by a model with another contract; continue with the bundle that "
            "wrote it"
        )
    pending, position = tensors.pop(PENDING), metadata.get(_POSITION, "")
    shapes = {
        s.name: tuple(contract.sizes.get(axis, 1) for axis in s.axes) for s in contract.step.states
    }
    fits = all(
        tensors[s.name].shape == shapes[s.name] and tensors[s.name].dtype == s.dtype
        for s in contract.step.states
    )
    counts = position.isascii() and position.isdecimal() and len(position) < _MOST_DIGITS
    if not (fits and counts and pending.ndim == 1 and pending.dtype == np.int64):
        raise DataError(
            f"{path} is a damaged saved state: a shape, a dtype or its position is wrong; save "
            "it again"
        )
    size = min(
        contract.sizes[tensor.below] for tensor in contract.step.fresh_inputs if tensor.below
    )
    if ((pending < 0) | (pending >= size)).any():
        raise DataError(
            f"{path} is a damaged saved state: {PENDING} has ids beyond the vocabulary; save "
            "it again"
        )
    return Snapshot(tensors, pending, int(position))


def _fingerprints(contract: Contract) -> list[str]:
    """Return the fingerprint of a contract, and those that version 1 of the schema gave it."""
    own = contract.model_dump_json()
    starts = ("zeros", "learned", "encode")
    older = (
        json.dumps(
            {
                **contract.model_dump(include={"graphs", "sizes"}, mode="json"),
                "initial_state": word,
            },
            separators=(",", ":"),
        )
        for word in starts
    )
    return [hashlib.sha256(text.encode()).hexdigest() for text in (own, *older)]
