"""edgernn: take a trained recurrent network to the edge, and prove that it arrived.

Light to import: the names below load what they need when they are first used. Exporting is
``edgernn.export``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgernn.errors import EdgernnError

if TYPE_CHECKING:
    from edgernn.bundle import Bundle
    from edgernn.decoding.caption_writer import CaptionWriter
    from edgernn.models.checkpoint import load
    from edgernn.parity.verify import verify_bundle
    from edgernn.sessions.opening import open_session
    from edgernn.testing.assertion import assert_parity

__version__ = "0.1.0"
__all__ = [
    "Bundle",
    "CaptionWriter",
    "EdgernnError",
    "__version__",
    "assert_parity",
    "load",
    "open_session",
    "verify_bundle",
]

_LAZY = {
    "Bundle": "edgernn.bundle",
    "CaptionWriter": "edgernn.decoding.caption_writer",
    "assert_parity": "edgernn.testing.assertion",
    "load": "edgernn.models.checkpoint",
    "open_session": "edgernn.sessions.opening",
    "verify_bundle": "edgernn.parity.verify",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edgernn' has no attribute {name!r}")
