"""How much a compressed container may unfold to, as a multiple of its file."""

from __future__ import annotations

MOST_ENTRIES = 100_000  # of one HDF5 file
_ALLOWANCE_BYTES = 16 << 20
_MOST_RATIO = 20  # of the unfolded to the file: trained numbers hardly shrink at all


def budget(file_bytes: int) -> int:
    """Return the bytes that a file of ``file_bytes`` may unfold to."""
    return _ALLOWANCE_BYTES + _MOST_RATIO * file_bytes
