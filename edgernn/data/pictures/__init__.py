"""Pictures and captions in, pixels and ids out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgernn.data.pictures.pictures import load_picture

__all__ = ["load_picture"]


def __getattr__(name: str) -> Any:
    if name == "load_picture":  # on first use: captions alone need no pictures
        from edgernn.data.pictures.pictures import load_picture

        return load_picture
    raise AttributeError(f"module 'edgernn.data.pictures' has no attribute {name!r}")
