"""A network from the user's own Python file, ``FILE.py:NAME``: running it is running their code.

Only the commands that were asked to do so come here, ``export`` and ``explain``; nothing that a
bundle or a weights file holds ever does.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from edgernn.contract import first_line
from edgernn.errors import UsageError
from edgernn.hoisting.places import place_of
from edgernn.hoisting.weights import load_weights
from edgernn.storage.identify import sentence
from edgernn.wording import did_you_mean

_SPEC = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[A-Za-z_]\w*)?)?")
_FORM = "expected FILE.py:NAME, NAME being a module, a class or a function without arguments"


def load_network(text: str, weights: Path | None = None) -> nn.Module:
    """Run ``FILE.py`` and return the network ``NAME`` of it, in evaluation mode.

    Args:
        text: ``FILE.py:NAME``; a module, a class of modules, or a function that returns one.
        weights: a file of tensors by name to put into it; see ``load_weights``.

    Raises:
        UsageError: the file or the name is not there, its code raised an error (told with the
            user's own file and line), or what it gave is no module.
        CheckpointError: the weights cannot be read or do not fit.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} names no network, {_FORM}")
    path = Path(found["file"])
    if not path.is_file():
        raise UsageError(f"{sentence(path)}; {_FORM}")
    with _importing_beside(path), _telling_of(path):
        module = _run(path)
        value = _named(module, path, found["name"])
        network = _made(value, path, found["name"])
    if weights is not None:
        load_weights(network, weights)
    return network.eval()


def _run(path: Path) -> ModuleType:
    """Run a file as a module that is none of those loaded, though it may have their name."""
    name = path.stem if path.stem.isidentifier() else "network"
    while name in sys.modules:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _named(module: ModuleType, path: Path, name: str | None) -> Any:
    if name is not None and hasattr(module, name):
        return getattr(module, name)
    known = [
        one
        for one, value in vars(module).items()
        if isinstance(value, nn.Module)
        or (
            not one.startswith("_")
            and (inspect.isfunction(value) or _is_class(value))
            and value.__module__ == module.__name__
        )
    ]
    there = f"it has {', '.join(known)}" if known else "it has no module, class or function"
    if name is None:
        raise UsageError(f"{path} is a file, {_FORM}; {there}")
    raise UsageError(f"{path} has no {name!r}; {there}{did_you_mean(name, known)}")


def _is_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _made(value: Any, path: Path, name: str) -> nn.Module:
    """Return the module that ``value`` is, or gives when it is called without arguments."""
    if isinstance(value, nn.Module):
        return value
    if not callable(value):
        raise UsageError(f"{name} of {path} is {type(value).__name__}, {_FORM}")
    if needed := _needed(value):
        raise UsageError(
            f"{name} of {path} needs {', '.join(needed)}; write a function without arguments "
            f"beside it, as: def make(): return {name}({needed[0]}=…)"
        )
    made = value()
    if not isinstance(made, nn.Module):
        inside = isinstance(made, (tuple, list)) and any(isinstance(m, nn.Module) for m in made)
        hint = "; return the module alone" if inside else ""
        raise UsageError(
            f"{name} of {path} returned {type(made).__name__}, expected a torch.nn.Module{hint}"
        )
    return made


def _needed(value: Any) -> list[str]:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """Let the file import what lies beside it, as Python does for a script; later on, too, but
    after every installed package.
    """
    folder = str(path.resolve().parent)
    known = folder in sys.path
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if not known:
            sys.path.append(folder)


@contextmanager
def _telling_of(path: Path) -> Iterator[None]:
    """Tell of whatever the user's own code raises by its file and line, without the rest of the
    traceback.
    """
    try:
        yield
    except UsageError:
        raise
    except SyntaxError as error:
        raise UsageError(
            f"{Path(error.filename or path).name}:{error.lineno} is no Python that runs: "
            f"{error.msg}"
        ) from error
    except SystemExit as error:
        raise UsageError(
            f"{place_of(error)} ended the program (exit code {error.code}); what runs when {path} "
            'is a script belongs below: if __name__ == "__main__":'
        ) from error
    except Exception as error:
        raise UsageError(
            f"{place_of(error, path.resolve().parent)} raised {type(error).__name__}: "
            f"{first_line(error)}; it is your code, correct it there"
        ) from error
