"""State that a network takes as arguments and gives back: which argument goes on as which result.

It is found by giving back what came out: the network must take it, give the same forms again, and
heed it. Where several results would do and no name tells them apart, the user is asked.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.errors import UsageError
from edgernn.hoisting.call import Call, forms, output_names, tensors
from edgernn.wording import did_you_mean, expected_one_of

_Path = tuple[Any, ...]  # keys and places, the outermost first; () is all that came out
_Pairing = tuple[list[str], list[_Path]]
_STATE = re.compile(r"(prev_?)?(h|c|s|hx|hc|h_?0|hidden|state|carry|memory_state)s?(_\w+)?")
_AFTER = re.compile(r"_(next|out|new)$|^(next|new)_|n$")


def find_arguments(
    call: Call,
    inputs: Sequence[Tensor],
    given: Mapping[str, Any],
    pairs: Mapping[str, str | int] | None = None,
) -> dict[str, Any]:
    """Find which arguments are state, and where the next one comes out; hold them.

    Args:
        call: without arguments held.
        inputs: an example.
        given: argument → a first value, where the user or a start method gave one.
        pairs: argument → where its next value comes out, as the user says it.

    Returns:
        Argument → the value to start from, None where the network makes it itself.

    Raises:
        UsageError: an argument has no value and is no state, or several results fit it.
    """
    asked = _asked(call, given, pairs or {})
    starts = {name: given.get(name) for name in asked}
    made = call.run_fresh([inputs], **{n: v for n, v in starts.items() if v is not None})[0]
    names: list[str] = []
    if pairs:
        found = _said(call, inputs, pairs, starts, made)
    else:
        found = _found(call, inputs, asked, starts, made)
    if found is not None:
        names, paths = found
        read = {name: _taker(path) for name, path in zip(names, paths, strict=True)}
        call.hold_arguments(
            {name: take(made) for name, take in read.items()}, made, read, _without(paths)
        )
    elif given:
        raise UsageError(
            f"nothing that {call.method} gives has the form of {', '.join(given)}; say which "
            "is the next one with --state ARGUMENT=RESULT"
        )
    call.output_names = output_names(call._read_outputs(made))
    return {name: starts[name] for name in names}


def _asked(call: Call, given: Mapping[str, Any], pairs: Mapping[str, Any]) -> list[str]:
    """Return the arguments that could be state."""
    parameters = inspect.signature(getattr(call.net, call.method)).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    strange = [name for name in (*call.inputs, *call.fixed, *pairs) if name not in parameters]
    if strange and not anything:
        raise UsageError(
            f"{call.method} takes no {strange[0]!r}; {expected_one_of(strange[0], parameters)}"
        )
    asked = [
        name
        for name, p in parameters.items()
        if name not in call.inputs
        and name not in call.fixed
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and (p.default is p.empty or p.default is None or name in given or name in pairs)
    ]
    needed = [
        n for n in asked if parameters[n].default is inspect.Parameter.empty and n not in given
    ]
    if needed:
        raise UsageError(
            f"{call.method} needs {', '.join(needed)}; give each as an input with its axes, as a "
            f"constant (--set {needed[0]}=…), or, where it is state, the method that makes the "
            "first one (--start METHOD)"
        )
    return asked


def _said(
    call: Call,
    inputs: Sequence[Tensor],
    pairs: Mapping[str, str | int],
    starts: Mapping[str, Any],
    made: Any,
) -> _Pairing | None:
    """Return the pairing that the user says; raise UsageError where it does not work."""
    found = (list(pairs), [_path(call, name, to, made) for name, to in pairs.items()])
    if not _works(call, inputs, found, starts, made):
        said = " ".join(f"--state {name}={to}" for name, to in pairs.items())
        raise UsageError(
            f"{said}: {call.method} does not take that back, gives other shapes after it, or heeds "
            f"it not; expected ARGUMENT=RESULT, RESULT being {_offers(made)}"
        )
    return found


def _found(
    call: Call,
    inputs: Sequence[Tensor],
    asked: Sequence[str],
    starts: Mapping[str, Any],
    made: Any,
) -> _Pairing | None:
    """Return the likeliest pairing that works, or None.

    Raises:
        UsageError: others work as well, and no name tells which is meant.
    """
    for pairing in _by_name(asked, made):
        if _works(call, inputs, pairing, starts, made):
            return pairing
    first: _Pairing | None = None
    for pairing in _by_place(asked, starts, made):
        if first is not None and (pairing[0] != first[0] or _same(made, pairing, first)):
            continue
        if not _works(call, inputs, pairing, starts, made):
            continue
        if first is None:
            first = pairing
            if isinstance(made, (tuple, list)) and len(made) == 1 + len(first[0]):
                return first  # what is read, and then the state
            continue
        if pairing[1][0] in ((0,), ()):  # what is read stands first
            continue
        one, other = (
            " ".join(f"--state {n}={path[0]}" for n, path in zip(*option, strict=True))
            for option in (first, pairing)
        )
        raise UsageError(
            f"several results of {call.method} could be the next {', '.join(first[0])}; say which "
            f"with {one}, or with {other}"
        )
    return first


def _by_name(asked: Sequence[str], made: Any) -> Iterator[_Pairing]:
    """Yield pairings of arguments with results of the same name, all of them at once first."""
    keys = list(made) if isinstance(made, dict) else list(getattr(made, "_fields", ()))
    if not keys:
        return
    places = {key: key if isinstance(made, dict) else at for at, key in enumerate(keys)}
    matches = [
        (name, places[key])
        for name in asked
        for key in keys
        if _AFTER.sub("", str(key)) in (name, name.rstrip("x"))
    ]
    if len(matches) > 1 and len(dict(matches)) == len(matches):
        yield [name for name, _ in matches], [(key,) for _, key in matches]
    for name, key in matches:
        yield [name], [(key,)]


def _by_place(asked: Sequence[str], starts: Mapping[str, Any], made: Any) -> Iterator[_Pairing]:
    """Yield pairings by where results stand, the likeliest first."""
    if isinstance(made, dict):
        for name in asked:
            for key in made:
                yield [name], [(key,)]
    elif isinstance(made, (tuple, list)) and len(made) > 1:
        given = [name for name in asked if starts[name] is not None] or list(asked)
        for names in [given] if given == list(asked) else [given, list(asked)]:
            count = len(names)
            if 1 <= count < len(made):
                yield names, [(len(made) - count + at,) for at in range(count)]
                yield names, [(at + 1,) for at in range(count)]
        for name in asked:
            if len(made) > 2:
                yield [name], [(slice(1, None),)]
            for at in range(len(made) - 1, -1, -1):
                yield [name], [(at,)]
    for name in asked:  # all that comes out is the state, and is read, too, as of a torch cell
        if starts[name] is not None or _STATE.fullmatch(name):
            yield [name], [()]


def _same(made: Any, one: _Pairing, other: _Pairing) -> bool:
    """Whether two pairings name the same values."""
    return all(
        _equal(_taker(a)(made), _taker(b)(made)) for a, b in zip(one[1], other[1], strict=True)
    )


def _path(call: Call, name: str, to: str | int, made: Any) -> _Path:
    """Return where ``to`` stands in what came out: keys, fields or places, joined by dots."""
    path, value = [], made
    for part in str(to).split("."):
        fields = list(getattr(value, "_fields", ()))
        keys = list(value) if isinstance(value, dict) else []
        if isinstance(value, dict):
            key = next((k for k in value if str(k) == part), None)
        elif part in fields:
            key = fields.index(part)
        elif isinstance(value, (tuple, list)) and part.lstrip("-").isdigit():
            key = int(part) % len(value) if -len(value) <= int(part) < len(value) else None
        else:
            key = None
        if key is None:
            raise UsageError(
                f"--state {name}={to}: {call.method} gives no {part!r} there; it gives "
                f"{_offers(value)}{did_you_mean(part, [*map(str, keys), *fields])}"
            )
        path.append(key)
        value = value[key]
    return tuple(path)


def _offers(value: Any) -> str:
    """Return what a result may be called, in words."""
    if isinstance(value, dict):
        return f"one of {', '.join(map(str, value))}"
    if fields := getattr(value, "_fields", ()):
        return f"one of {', '.join(fields)}"
    if isinstance(value, (tuple, list)):
        return f"a place from 0 to {len(value) - 1}"
    return f"one {type(value).__name__}"


def _taker(path: _Path) -> Callable[[Any], Any]:
    def take(made: Any) -> Any:
        for key in path:
            made = made[key]
        return made

    return take


def _without(paths: Sequence[_Path]) -> Callable[[Any], Any]:
    """Return what reads the results that are no state; what came out whole is read, too."""

    def rest(made: Any) -> Any:
        return _left(made, [path for path in paths if path])

    return rest


def _left(value: Any, paths: Sequence[_Path]) -> Any:
    if not paths:
        return value
    if isinstance(value, dict):
        return {
            key: _left(one, inner)
            for key, one in value.items()
            if () not in (inner := [path[1:] for path in paths if path[0] == key])
        }
    left = []
    for at, one in enumerate(value):
        inner = [path[1:] for path in paths if at in _places(path[0], len(value))]
        if () not in inner:
            left.append(_left(one, inner))
    return left[0] if len(left) == 1 else left


def _places(key: Any, count: int) -> range | tuple[int, ...]:
    return range(count)[key] if isinstance(key, slice) else (key % count,)


def _works(
    call: Call,
    inputs: Sequence[Tensor],
    pairing: _Pairing,
    starts: Mapping[str, Any],
    made: Any,
) -> bool:
    """Whether the network takes back what it gave there, gives the same forms, and heeds it."""
    back = {name: _taker(path)(made) for name, path in zip(*pairing, strict=True)}
    if any(not tensors(value) for value in back.values()):
        return False
    if any(
        starts.get(name) is not None and forms(starts[name]) != forms(value)
        for name, value in back.items()
    ):
        return False
    try:
        again = call.run_fresh(
            [inputs], **{**{n: v for n, v in starts.items() if v is not None}, **back}
        )[0]
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError):
        return False
    return bool(forms(again) == forms(made)) and not _equal(again, made)


def _equal(one: Any, other: Any) -> bool:
    ones, spec = tree.tree_flatten(one)
    others, other_spec = tree.tree_flatten(other)
    return spec == other_spec and all(
        a.shape == b.shape and torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(ones, others, strict=True)
    )
