"""What a method gives, by paths: keys, fields and places, the outermost first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.hoisting.call import Path
from edgernn.hoisting.forms import tensors_of, word


def take(made: Any, path: Path) -> Any:
    """Return what stands at a path."""
    for key in path:
        made = (
            made[key] if not isinstance(key, str) or isinstance(made, dict) else getattr(made, key)
        )
    return made


def _key(entry: Any) -> Any:
    """Return what one step of torch's path into a tree is as a key: a place, a key, a field."""
    return getattr(entry, "idx", getattr(entry, "key", getattr(entry, "name", None)))


def named(made: Any) -> list[tuple[Any, Path]]:
    """Return the path of each tensor, as torch's trees have it and as keys."""
    return [
        (keys, _path(made, keys))
        for keys, value in tree.tree_flatten_with_path(made)[0]
        if isinstance(value, Tensor)
    ]


def _path(made: Any, entries: Sequence[Any]) -> Path:
    keys: list[Any] = []
    for entry in entries:
        key = _key(entry)
        if isinstance(key, str) and isinstance(made, tuple):  # the field of a named one
            key = words(made).index(key)
        keys.append(key)
        made = take(made, (key,))
    return tuple(keys)


def parts(made: Any) -> list[tuple[Path, Tensor]]:
    """Return each tensor with its path."""
    return list(zip((path for _, path in named(made)), tensors_of(made), strict=True))


def inside(path: Path, used: Sequence[Path]) -> bool:
    """Whether a path leads into one of ``used``."""
    for start in used:
        if start and isinstance(start[-1], slice):
            depth, places = len(start) - 1, start[-1]
            if path[:depth] == start[:-1] and path[depth] >= places.start:
                return True
        elif path[: len(start)] == start:
            return True
    return False


def output_names(kept: Sequence[Any]) -> list[str]:
    """Return a name for each tensor that comes out: keys, fields, or places."""
    while len({keys[:1] for keys in kept}) == 1 and kept[0] and _is_place(kept[0][0]):
        kept = [keys[1:] for keys in kept]
    words = [word(tree.keystr(keys), "y") if keys else "y" for keys in kept]
    return [f"y_{text}" if text[0].isdigit() else text for text in words]


def _is_place(entry: Any) -> bool:
    return isinstance(_key(entry), int)


def words(value: Any) -> list[str]:
    """Return what the parts of a value are called, where they have names."""
    return [
        str(key) for key in (value if isinstance(value, dict) else getattr(value, "_fields", ()))
    ]


def offers(value: Any) -> str:
    """Return what a result may be called, in words."""
    if keys := words(value):
        return f"one of {', '.join(keys)}"
    if isinstance(value, (tuple, list)):
        return f"a place from 0 to {len(value) - 1}"
    return f"one {type(value).__name__}"


def key_of(value: Any, part: str) -> Any:
    """Return the key, or the place, that ``part`` names in a value; None where there is none."""
    if isinstance(value, dict):
        return next((key for key in value if str(key) == part), None)
    if part in words(value):
        return words(value).index(part)
    if isinstance(value, (tuple, list)) and part.lstrip("-").isdigit():
        return int(part) % len(value) if -len(value) <= int(part) < len(value) else None
    return None


def show(path: Path) -> str:
    """Return a path as a user says it."""
    if path and isinstance(path[-1], slice):
        return f"all from {path[-1].start} on"
    return ".".join(map(str, path)) or "all of it"
