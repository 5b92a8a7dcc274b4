"""Where in the user's own code something stands: for every message about their network."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import fx
from torch.nn.utils.rnn import PackedSequence

from edgernn.contract import first_line
from edgernn.errors import ContractError, EdgernnError
from edgernn.hoisting.nodes import operator_of

NOWHERE = "the network"  # where no line of the user's own is known
USERS_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)  # that a network may raise on inputs that are not its own
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*\n\s*([^\n]*)')
_NOT_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent.parent), "<")
_STANDARD = sysconfig.get_path("stdlib")


def _is_users(path: str) -> bool:
    installed = path.startswith(_STANDARD) and "site-packages" not in path
    return not (installed or path.startswith(_NOT_USERS))


def line_of(node: fx.Node) -> str:
    """Return where a node came from, as ``net.py:12 (y = self.rnn(x))``, or its operator where that
    is not known.
    """
    for path, line, text in reversed(_FRAME.findall(node.meta.get("stack_trace") or "")):
        if _is_users(path):
            return f"{Path(path).name}:{line} ({text.strip()})"
    return str(operator_of(node))


def place_of(error: BaseException, folder: Path | None = None) -> str:
    """Return the innermost line of an error's traceback that is neither torch's nor ours, as
    ``net.py:12``; of those in ``folder``, where it is given and any are.
    """
    place, trace = NOWHERE, error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        inside = folder is None or Path(path).resolve().is_relative_to(folder)
        if _is_users(path) and (inside or place == NOWHERE):
            place = f"{Path(path).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def refuse_packing(error: BaseException) -> None:
    """Raise ContractError where packing sequences raised ``error``."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        packed = any(isinstance(value, PackedSequence) for value in frame.f_locals.values())
        if packed or frame.f_code.co_name in ("pack_padded_sequence", "pack_sequence"):
            raise ContractError(
                f"{place_of(error)} packs sequences of several lengths, which a step of one frame "
                "for each row does not have; call the recurrent layer on the padded sequences"
            ) from error
        trace = trace.tb_next


@contextmanager
def told_by_place(method: str) -> Iterator[None]:
    """Tell of what the user's own code raises, while ``method`` is run, by its file and line."""
    try:
        yield
    except (EdgernnError, MemoryError):
        raise
    except Exception as error:
        place = place_of(error)
        if place == NOWHERE:
            raise
        raise ContractError(
            f"{place} raised {type(error).__name__} when {method} was run on what it is said to "
            f"take: {first_line(error)}"
        ) from error
