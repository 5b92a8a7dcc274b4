"""Seeded damage to bytes, JSON, safetensors files and zip files: what disks, networks, editors and
strangers do to them.
"""

from __future__ import annotations

import io
import json
import random
import warnings
import zipfile
from typing import Any

from edgernn.storage import tensor_files

Mutated = tuple[bytes, str]  # the bytes, and in words what was done to them
_DEEP: Any = 1
for _ in range(80):
    _DEEP = [_DEEP]
EXTREMES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**53 + 1,
    2**63,
    10**30,
    1e26,
    -1e300,
    1e-320,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "1",
    "../outside",
    "/etc/passwd",
    "CON",
    "a\0b",
    "\x1b[2J",
    "\ud800",
    "x" * 5000,
    "e\u0301",
    [],
    [1],
    ["x", None],
    {},
    {"a": 1},
    _DEEP,
)


_EVIL = (
    "../evil",
    "../../evil",
    "a/../../evil",
    "/evil",
    "onnx/../evil",
    "C:evil",
    "a\\..\\evil",
    "CON",
    "._x",
)


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a key may stand twice."""


def mutate_bytes(content: bytes, luck: random.Random) -> Mutated:
    """Flip, overwrite, cut, repeat, insert or move bytes."""
    changed = bytearray(content)
    at = (
        luck.randrange(len(changed) + 1)
        if luck.random() < 0.6
        else luck.randrange(min(len(changed), 400) + 1)
    )
    length = min(luck.choice((1, 1, 2, 4, 8, 64, 1000)), max(len(changed) - at, 0))
    kind = luck.choice(
        ("flip", "flip", "flip", "set", "cut", "remove", "repeat", "insert", "zero", "splice")
    )
    if kind == "flip" and at < len(changed):
        changed[at] ^= 1 << luck.randrange(8)
    elif kind == "set" and at < len(changed):
        changed[at] = luck.choice((0, 0xFF, 0x7F, 0x80, *b'"{}[],:0'))
    elif kind == "cut":
        del changed[at:]
    elif kind == "remove":
        del changed[at : at + length]
    elif kind == "repeat":
        changed[at:at] = changed[at : at + length]
    elif kind == "insert":
        changed[at:at] = luck.randbytes(max(length, 1))
    elif kind == "zero":
        changed[at : at + length] = bytes(length)
    elif kind == "splice":
        other = luck.randrange(len(changed) + 1)
        changed[at : at + length] = changed[other : other + length]
    return bytes(changed), f"{kind} at {at}, {length} bytes"


def mutate_json(content: bytes, luck: random.Random) -> Mutated:
    """Change one place of a JSON document: its type, its value, its presence, its name; or let a
    key stand twice.
    """
    document = json.loads(content, object_pairs_hook=Pairs)
    path: list[Any] = []
    place, steps = document, luck.randrange(1, 9)
    for _ in range(steps):
        inner = [
            item
            for item in (place if isinstance(place, list) else ())
            if isinstance(_value(item), list)
        ]
        if not inner or luck.random() < 0.1:
            break
        chosen = luck.choice(inner)
        path.append(chosen[0] if isinstance(place, Pairs) else place.index(chosen))
        place = _value(chosen)
    done = _change(place, luck)
    return render(document).encode(errors="surrogatepass"), f"{done} in {path}"


def mutate_tensors(content: bytes, luck: random.Random) -> Mutated:
    """Damage a safetensors file: its bytes, or its header's JSON with the length made right; at
    times the digest, too.
    """
    if luck.random() < 0.5:
        return mutate_bytes(content, luck)
    length = int.from_bytes(content[:8], "little")
    header, done = mutate_json(content[8 : 8 + length], luck)
    changed = len(header).to_bytes(8, "little") + header + content[8 + length :]
    if luck.random() < 0.4:
        try:
            return tensor_files.sealed(changed), f"{done}, sealed again"
        except (ValueError, TypeError, AttributeError):
            pass
    return changed, f"{done} of the header"


def mutate_zip(content: bytes, luck: random.Random) -> Mutated:
    """Damage a zip file: its bytes, or its structure: an entry twice, renamed, emptied, added,
    swapped, made a link.
    """
    if luck.random() < 0.5:
        return mutate_bytes(content, luck)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    at = luck.randrange(len(entries))
    name, own = entries[at]
    kinds = ("twice", "rename", "empty", "add", "swap", "link", "drop", "grow", "nest")
    kind = luck.choice(kinds)
    evil = luck.choice((*_EVIL, name))
    if kind == "twice":
        entries.append((name, luck.choice((own, b"", own + b"x"))))
    elif kind == "rename":
        entries[at] = (evil, own)
    elif kind == "empty":
        entries[at] = (name, b"")
    elif kind == "add":
        entries.append((evil, b"evil"))
    elif kind == "swap":
        entries[at] = (name, entries[luck.randrange(len(entries))][1])
    elif kind == "drop":
        del entries[at]
    elif kind == "grow":
        entries[at] = (name, own + bytes(1 << 20))
    elif kind == "nest":
        entries = [(f"inner/{inner}", raw) for inner, raw in entries]
    return _packed(entries, link=name if kind == "link" else None), f"{kind} of {name}, {evil}"


def _packed(entries: list[tuple[str, bytes]], *, link: str | None) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, content in entries:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            if name == link:
                entry.external_attr = 0o120777 << 16
                content = b"/etc/hostname"  # noqa: PLW2901
            archive.writestr(entry, content)
    return made.getvalue()


def render(document: Any) -> str:
    """Write JSON in which keys may stand twice and numbers may be none."""
    if isinstance(document, Pairs):
        return (
            "{" + ", ".join(f"{json.dumps(key)}: {render(value)}" for key, value in document) + "}"
        )
    if isinstance(document, list):
        return "[" + ", ".join(map(render, document)) + "]"
    return json.dumps(document)


def _value(item: Any) -> Any:
    return item[1] if isinstance(item, tuple) else item


def _change(place: Any, luck: random.Random) -> str:
    if not isinstance(place, list) or not place:
        if isinstance(place, Pairs):
            place.append(("surprise", luck.choice(EXTREMES)))
        elif isinstance(place, list):
            place.append(luck.choice(EXTREMES))
        return "added an entry"
    at = luck.randrange(len(place))
    item = place[at]
    kind = luck.choice(
        (
            "replace",
            "replace",
            "replace",
            "nudge",
            "delete",
            "duplicate",
            "rename",
            "add",
            "shuffle",
        )
    )
    extreme = luck.choice(EXTREMES)
    if kind == "replace":
        place[at] = (item[0], extreme) if isinstance(item, tuple) else extreme
    elif kind == "nudge":
        value = _nudged(_value(item), luck)
        place[at] = (item[0], value) if isinstance(item, tuple) else value
    elif kind == "delete":
        del place[at]
    elif kind == "duplicate":
        place.append(
            (item[0], extreme) if isinstance(item, tuple) and luck.random() < 0.5 else item
        )
    elif kind == "rename" and isinstance(item, tuple):
        place[at] = (luck.choice(("", "x", item[0].upper(), "../x", "\u001b")), item[1])
    elif kind == "add":
        place.append(("surprise", extreme) if isinstance(place, Pairs) else extreme)
    else:
        luck.shuffle(place)
    shown = item[0] if isinstance(item, tuple) else at
    return f"{kind} {shown!r} ({extreme!r:.40})"


def _nudged(value: Any, luck: random.Random) -> Any:
    """Return a value of the same type that is another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + luck.choice((-1, 1, 7, 1000, 1 << 20))
    if isinstance(value, float):
        return value * luck.choice((-1, 0, 1.001, 1e6))
    if isinstance(value, str) and value:
        at = luck.randrange(len(value))
        return value[:at] + luck.choice("aZ0_-/. ") + value[at + 1 :]
    return value
