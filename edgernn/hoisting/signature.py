"""What a method says of itself: the arguments that it asks for, the names of what it returns."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Iterable
from typing import Any

from edgernn.errors import UsageError
from edgernn.hoisting.call import Call, Path
from edgernn.wording import expected_one_of

_AFFIXES = re.compile(r"^(new|next|last|final|prev|previous|init|initial)_|_(new|next|last|out|t)$")
_STATE = "h|c|s|hx|cx|hc|h0|c0|hiddens?|states?|carry|caches?|past|prev|mem|memory|core"
STATE_NAME = re.compile(rf"(?:\w+_)?(?:{_STATE})(?:_?\d+)?(?:_\w+)?")


def parameters_of(call: Call) -> dict[str, inspect.Parameter]:
    """Return the parameters of the step method, by name."""
    return dict(inspect.signature(getattr(call.net, call.method)).parameters)


def check_names(call: Call, pairs: Iterable[str] = ()) -> None:
    """See that the method takes every input and constant, and every argument that is a state.

    Raises:
        UsageError: it does not; names the parameters that it has.
    """
    parameters = parameters_of(call)
    strange = [name for name in (*call.inputs, *call.fixed, *pairs) if name not in parameters]
    if strange and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise UsageError(
            f"{call.method} takes no {strange[0]!r}; {expected_one_of(strange[0], parameters)}"
        )


def asked_by(call: Call, started: Iterable[Any]) -> list[str]:
    """Return the arguments that may be state: not inputs, and without a value or with None."""
    parameters, known = parameters_of(call), [name for name in started if isinstance(name, str)]
    asked = [
        name
        for name, p in parameters.items()
        if name not in call.inputs
        and name not in call.fixed
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and (p.default is p.empty or p.default is None or name in known)
    ]
    return [*asked, *(name for name in known if name not in parameters)]  # of **arguments


def needed_by(call: Call, started: Collection[Any] = ()) -> list[str]:
    """Return those that the method does not run without."""
    parameters = parameters_of(call)
    return [
        name
        for name in asked_by(call, started)
        if name not in started and parameters[name].default is inspect.Parameter.empty
    ]


def normal(name: str) -> str:
    """Return what a state is called before and after a step alike: ``hx`` and ``hn`` are ``h``."""
    bare = re.sub(r"\d+$", "", _AFFIXES.sub("", name)).strip("_")
    return bare[:-1] if re.fullmatch(r".[xnt]|\w+_[xnt]", bare) else bare


def returned_names(method: Callable[..., Any], made: Any) -> dict[Path, str]:
    """Return path → name of what a method gives: keys, fields, or what its last ``return`` says."""
    if isinstance(made, dict):
        return {(key,): str(key) for key in made}
    if hasattr(made, "_fields"):
        return {(at,): name for at, name in enumerate(made._fields)}
    if not isinstance(made, (tuple, list)):
        return {}
    try:
        source = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[Path, str] = {}
    returns = [node for node in ast.walk(source) if isinstance(node, ast.Return)]
    for node in returns:
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) == len(made):
            found = {}
            _walk(node.value, (), found)
    return found


def _walk(node: ast.expr, path: Path, found: dict[Path, str]) -> None:
    if isinstance(node, (ast.Tuple, ast.List)):
        for at, part in enumerate(node.elts):
            _walk(part, (*path, at), found)
    elif isinstance(node, ast.Name):
        found[path] = node.id
    elif isinstance(node, ast.Attribute):
        found[path] = node.attr
