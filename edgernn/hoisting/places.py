"""Where in the user's own code something stands: for every message about their network."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import fx

from edgernn.hoisting.nodes import operator_of

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in [^\n]*\n\s*([^\n]*)')
_NOT_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")


def line_of(node: fx.Node) -> str:
    """Return where a node came from, as ``net.py:12 (y = self.rnn(x))``, or its operator where that
    is not known.
    """
    for path, line, text in reversed(_FRAME.findall(node.meta.get("stack_trace") or "")):
        if not path.startswith(_NOT_USERS):
            return f"{Path(path).name}:{line} ({text.strip()})"
    return str(operator_of(node))


def place_of(error: BaseException, folder: Path | None = None) -> str:
    """Return the innermost line of an error's traceback that is neither torch's nor ours, as
    ``net.py:12``; of those in ``folder``, where it is given and any are.
    """
    place, trace = "the network", error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        inside = folder is None or Path(path).resolve().is_relative_to(folder)
        if not path.startswith(_NOT_USERS) and (inside or place == "the network"):
            place = f"{Path(path).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
