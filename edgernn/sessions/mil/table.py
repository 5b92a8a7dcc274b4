"""The table of operators that the interpreter knows: which function computes which.

A new operator is one function in the file of its kind and one row there; nothing else is edited.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from edgernn.errors import ContractError
from edgernn.sessions.mil.arithmetic import ARITHMETIC
from edgernn.sessions.mil.borrowed import BORROWED, COMPRESSED, borrow
from edgernn.sessions.mil.image import IMAGE, SAMPLING_MODES
from edgernn.sessions.mil.indexing import SCATTER_MODES, SCATTERS
from edgernn.sessions.mil.lists import LISTS
from edgernn.sessions.mil.movement import MOVEMENT
from edgernn.sessions.mil.recurrent import ACTIVATIONS, RECURRENT
from edgernn.sessions.mil.windows import PAD_TYPES, TRANSPOSED_PAD_TYPES, WINDOWS

COMPUTING = {**ARITHMETIC, **SCATTERS, **RECURRENT, **WINDOWS, **IMAGE}  # these get float16 widened
MOVING = {**MOVEMENT, **LISTS}
CONTROL = frozenset(("cond", "coreml_update_state", "read_state", "while_loop"))
KNOWN = frozenset(("const", *COMPUTING, *MOVING, *BORROWED, *COMPRESSED, *CONTROL))
_OPTIONS = {  # (operator, input) → the texts that the functions here know
    **{(name, "mode"): {"update", *SCATTER_MODES} for name in SCATTERS},
    **{(name, "activation"): set(ACTIVATIONS) for name in RECURRENT},
    **{(name, "recurrent_activation"): set(ACTIVATIONS) for name in ("gru", "lstm")},
    ("lstm", "cell_activation"): set(ACTIVATIONS),
    **{(name, "pad_type"): set(PAD_TYPES) for name in ("conv", "avg_pool", "l2_pool", "max_pool")},
    ("conv_transpose", "pad_type"): set(TRANSPOSED_PAD_TYPES),
    ("resize_bilinear", "sampling_mode"): set(SAMPLING_MODES),
}


def function_of(operation: Any) -> Callable[..., Any]:
    """Return the function that computes an operator from its inputs by name.

    Raises:
        ContractError: the operator, one of its inputs or the text of an option is not known; names
            it.
    """
    kind = operation.op_type
    what = f"the operator {kind!r} ({operation.name})"
    if kind in BORROWED:
        return borrow(operation)
    if kind not in COMPUTING and kind not in MOVING:
        raise ContractError(f"the interpreter does not know {what}")
    function: Callable[..., Any] = COMPUTING[kind] if kind in COMPUTING else MOVING[kind]
    parameters = inspect.signature(function).parameters
    anything = any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )
    for name, given in operation.inputs.items():
        if name not in parameters and not anything:
            raise ContractError(f"the interpreter does not know the input {name!r} of {what}")
        known = _OPTIONS.get((kind, name))
        if known is not None and given.val not in known:
            raise ContractError(
                f"{what} has {name} = {given.val!r}; the interpreter knows "
                f"{', '.join(sorted(known))}"
            )
    return function
