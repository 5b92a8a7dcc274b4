"""Exporters: from a checkpoint to the files of a bundle. Imported as ``edgernn.export``."""

from edgernn.export.export_step import export_step
from edgernn.export.pack import export_bundle

__all__ = ["export_bundle", "export_step"]
