"""The table of formats, one row file each, and what each promises."""

from edgernn.formats.promise import Tolerance
from edgernn.formats.row import Format
from edgernn.formats.table import (
    FORMATS,
    OWN,
    PRECISIONS,
    REFERENCE,
    TRACED,
    YARDSTICK,
    by_name,
    default_rows,
    left_out,
    promised,
    resolve,
    run_by,
    select,
)

__all__ = [
    "FORMATS",
    "OWN",
    "PRECISIONS",
    "REFERENCE",
    "TRACED",
    "YARDSTICK",
    "Format",
    "Tolerance",
    "by_name",
    "default_rows",
    "left_out",
    "promised",
    "resolve",
    "run_by",
    "select",
]
