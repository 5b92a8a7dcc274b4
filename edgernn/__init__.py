"""edgernn: take a trained recurrent network to the edge, and prove that it arrived.

Light to import: the names below load what they need when they are first used. Exporting is
``edgernn.export``.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgernn.errors import EdgernnError

if TYPE_CHECKING:
    from edgernn.bundle import Bundle
    from edgernn.hoisting.hoisted import hoist
    from edgernn.models.checkpoint import load
    from edgernn.parity.verify import verify_bundle
    from edgernn.sessions.opening import open_session
    from edgernn.sessions.streams import Streams
    from edgernn.testing.assertion import assert_parity
    from edgernn.writing.captions import CaptionWriter

__version__ = "0.1.0"
__all__ = [
    "Bundle",
    "CaptionWriter",
    "EdgernnError",
    "Streams",
    "__version__",
    "assert_parity",
    "hoist",
    "load",
    "open_session",
    "verify_bundle",
]

_LAZY = {
    "Bundle": "edgernn.bundle",
    "CaptionWriter": "edgernn.writing.captions",
    "Streams": "edgernn.sessions.streams",
    "assert_parity": "edgernn.testing.assertion",
    "hoist": "edgernn.hoisting.hoisted",
    "load": "edgernn.models.checkpoint",
    "open_session": "edgernn.sessions.opening",
    "verify_bundle": "edgernn.parity.verify",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edgernn' has no attribute {name!r}")


_MOVED = {  # modules that are documented under a name of their own: it goes on being one
    "edgernn.pytest_plugin": "edgernn.testing.pytest_plugin",
    "edgernn.tolerances": "edgernn.formats.table",
}


class _Moved:
    """Finds the modules of ``_MOVED``: the old name is another key of the one module.

    No ``importlib.abc.Loader``, whose import takes longer than that of all the rest.
    """

    def find_spec(
        self, name: str, path: object = None, target: object = None, /
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in _MOVED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # an empty one, until ``exec_module`` puts the module itself there

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(_MOVED[module.__name__])


sys.meta_path.append(_Moved())
