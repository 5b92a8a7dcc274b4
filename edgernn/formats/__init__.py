"""The table of formats, one row file each, and what each promises."""

from edgernn.formats.table import (
    FORMATS,
    PRECISIONS,
    REFERENCE,
    Format,
    by_name,
    left_out,
    resolve,
    select,
)

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "REFERENCE",
    "Format",
    "by_name",
    "left_out",
    "resolve",
    "select",
]
