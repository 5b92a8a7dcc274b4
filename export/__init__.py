"""Exporters: from a checkpoint to the files of a bundle. Imported as ``edgernn.export``.

What is here is imported when it is used: most of it needs torch, and what generates C does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgernn.export.foreign_file import export_onnx
    from edgernn.export.module_bundle import export_module
    from edgernn.export.pack import export_bundle
    from edgernn.export.step_bundle import export_step

__all__ = ["export_bundle", "export_module", "export_onnx", "export_step"]

_PLACES = {
    "export_bundle": "pack",
    "export_module": "module_bundle",
    "export_onnx": "foreign_file",
    "export_step": "step_bundle",
}


def __getattr__(name: str) -> Any:
    """Import what is public when it is used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
