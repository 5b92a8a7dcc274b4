"""The package ``openvino``, imported without its telemetry: its import alone would send an event to
a web analytics service, unless the user has opted out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Let nothing that is imported within find the package that sends; what was imported before is
    left as it is.
    """
    absent = _TELEMETRY not in sys.modules
    if absent:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        yield
    finally:
        if absent:
            del sys.modules[_TELEMETRY]


with without_telemetry():
    import openvino
    from openvino import Core  # noqa: F401  a folder of that name has none

__all__ = ["openvino", "without_telemetry"]
