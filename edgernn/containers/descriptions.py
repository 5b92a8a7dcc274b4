"""JSON inside of a container that describes a network: its architecture, settings, versions. Read
as objects a text takes many times its bytes, so that its length is bounded.
"""

from __future__ import annotations

from typing import Any

from edgernn.containers.zip_entries import Archive
from edgernn.storage import strict_json

MOST_BYTES = 16 << 20  # those of large networks have less than one million


def description_in(archive: Archive, name: str) -> dict[str, Any]:
    """Return the JSON object that the entry ``name`` of an archive holds.

    Raises:
        ValueError: it is damaged, no object, or longer than ``MOST_BYTES``; a longer one is not
            unpacked.
    """
    return description(bytes(archive.read(name, most=MOST_BYTES)), name)


def description(text: Any, name: str) -> dict[str, Any]:
    """Return the JSON object of ``text``, which is called ``name``.

    Raises:
        ValueError: it is no text, no object, or longer than ``MOST_BYTES``.
    """
    if not isinstance(text, (str, bytes)):
        raise ValueError(f"its {name} is no text")
    if len(text) > MOST_BYTES:
        raise ValueError(f"its {name} has {len(text):,} bytes, expected at most {MOST_BYTES:,}")
    try:
        return strict_json.parse_object(text, allow_nan=True)
    except ValueError as error:
        raise ValueError(f"its {name}: {error}") from error
