"""Exporters: from a checkpoint to the files of a bundle. Imported as ``edgernn.export``."""

from typing import Any

from edgernn.export.export_module import export_module
from edgernn.export.export_step import export_step
from edgernn.export.pack import export_bundle

__all__ = ["export_bundle", "export_module", "export_onnx", "export_step"]


def __getattr__(name: str) -> Any:
    """Import what reads ONNX files of other programs when it is used: it needs the onnx package."""
    if name != "export_onnx":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edgernn.export.foreign_file import export_onnx

    return export_onnx
