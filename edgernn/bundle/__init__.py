"""The bundle: a folder or one file that holds a whole exported model, and its manifest."""

from edgernn.bundle.folder import (
    EVALUATION,
    GOLDEN,
    INITIAL_STATE,
    REFERENCE,
    REPORT,
    REPORT_PAGE,
    SAMPLER,
    TOKENIZER,
    Bundle,
    digest,
)
from edgernn.bundle.packed import SUFFIX, pack

__all__ = [
    "EVALUATION",
    "GOLDEN",
    "INITIAL_STATE",
    "REFERENCE",
    "REPORT",
    "REPORT_PAGE",
    "SAMPLER",
    "SUFFIX",
    "TOKENIZER",
    "Bundle",
    "digest",
    "pack",
]
