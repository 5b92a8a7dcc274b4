"""Whether the operators of a program are given what they take: ExecuTorch's end the process where a
number stands in the place of a tensor.
"""

from __future__ import annotations

from typing import Any

from edgernn.sessions.pte.program import KERNEL, Method

_NOTHING, _INT, _BOOL, _DOUBLE, _TENSOR, _STRING = range(1, 7)  # kinds of values
_INTS, _DOUBLES, _BOOLS, _TENSORS, _SOME_TENSORS = range(7, 12)
_KINDS = {  # as torch's schemas write them
    "Tensor": {_TENSOR},
    "int": {_INT},
    "SymInt": {_INT},
    "bool": {_BOOL},
    "float": {_DOUBLE},
    "number": {_INT, _BOOL, _DOUBLE},
    "str": {_STRING},
    "List[int]": {_INTS},
    "List[SymInt]": {_INTS},
    "List[float]": {_DOUBLES},
    "List[bool]": {_BOOLS},
    "List[Tensor]": {_TENSORS},
    "List[Optional[Tensor]]": {_TENSORS, _SOME_TENSORS},
}
_OPTIONAL = "Optional["
_TO_DIM_ORDER = ("Tensor", "bool", "Optional[List[int]]", "Tensor")
_OWN = {  # of ExecuTorch's own operators, which torch does not know
    "dim_order_ops::_to_dim_order_copy.out": _TO_DIM_ORDER,
    "dim_order_ops::_clone_dim_order.out": _TO_DIM_ORDER,
}


def check_arguments(method: Method, operators: Any) -> None:
    """Raise ValueError for the first call of an operator with another number or kind of arguments
    than its schema has.

    Args:
        method: of a program.
        operators: ``torch.ops``.
    """
    for each in method.instructions:
        if each.kind != KERNEL:
            continue
        name = method.operators[each.index]
        wanted = _OWN.get(name) or _schema(operators, name)
        given = [method.values[place].kind for place in each.arguments]
        # an operator's results stand behind its arguments once more
        if wanted is None or len(given) < len(wanted):
            raise ValueError(f"{name} is called with {len(given)} arguments, or is not known")
        for place, (kind, word) in enumerate(zip(given, wanted, strict=False)):
            if kind not in _allowed(word):
                raise ValueError(f"{name} is given a value of kind {kind} as argument {place}")
        if any(kind not in (_TENSOR, _TENSORS) for kind in given[len(wanted) :]):
            raise ValueError(f"{name} returns what is no tensor")


def _allowed(word: str) -> set[int]:
    if word.startswith(_OPTIONAL):
        return {_NOTHING, *_allowed(word[len(_OPTIONAL) : -1])}
    return _KINDS.get(word, set())


def _schema(operators: Any, name: str) -> tuple[str, ...] | None:
    namespace, _, rest = name.partition("::")
    operator, _, overload = rest.partition(".")
    try:
        found = getattr(getattr(getattr(operators, namespace), operator), overload or "default")
    except AttributeError:
        return None
    return tuple(str(argument.type) for argument in found._schema.arguments)
