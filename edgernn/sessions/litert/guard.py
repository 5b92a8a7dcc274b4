"""What a ``.tflite`` file must be before a runtime is given it: interpreters trust what they read,
and some files end the process.

The graph is one of plain operators of fixed sizes, each of which reads what was made before it.
"""

from __future__ import annotations

from pathlib import Path

from edgernn.errors import ContractError
from edgernn.sessions.litert.model_file import ModelFile, Operator, Tensor, parse
from edgernn.sessions.litert.operators import PLAIN, REFUSED, SIZES

_PRODUCT, _TABLE = "FULLY_CONNECTED", "EMBEDDING_LOOKUP"


def refuse_foreign(data: bytes, path: Path) -> ModelFile:
    """Return the file of which ``data`` are the bytes.

    Raises:
        ContractError: it is damaged, or does what edgernn never writes; says what.
    """
    model = parse(data, str(path))
    if (found := problem(model)) is not None:
        raise ContractError(
            f"{path} is no file that edgernn writes, and is not run: {found}; export it again"
        )
    return model


def problem(model: ModelFile) -> str | None:
    """Return what a runtime may not be given; None where it may."""
    made = set(model.inputs) | {n for n, t in enumerate(model.tensors) if t.data is not None}
    for place, operator in enumerate(model.operators):
        what = f"its operator {place}, {operator.kind},"
        found = _kind_problem(operator) or _size_problem(operator, model)
        if found is not None:
            return f"{what} {found}"
        lacking = [at for at in operator.inputs if at >= 0 and at not in made]
        if lacking:
            return f"{what} reads {model.tensors[lacking[0]].name!r} before it is made"
        if twice := [at for at in operator.outputs if at in made]:
            return f"{what} writes {model.tensors[twice[0]].name!r}, which is there already"
        if (found := _shape_problem(operator, model)) is not None:
            return f"{what} {found}"
        made |= set(operator.outputs)
    if any(at not in made for at in model.outputs):
        return "an output of it is never made"
    return next((found for t in model.tensors if (found := _tensor_problem(t, model))), None)


def _kind_problem(operator: Operator) -> str | None:
    if operator.kind in REFUSED:
        return REFUSED[operator.kind]
    if operator.kind not in PLAIN:
        return "is none that edgernn knows"
    return "keeps a state that is not the contract's" if operator.keeps else None


def _size_problem(operator: Operator, model: ModelFile) -> str | None:
    for place in SIZES.get(operator.kind, ()):
        at = operator.inputs[place] if place < len(operator.inputs) else -1
        if at >= 0 and model.tensors[at].data is None:
            return "has a result whose size depends on data"
    return None


def _shape_problem(operator: Operator, model: ModelFile) -> str | None:
    """Return what a product or a lookup reads beyond; the kernels themselves check the others."""
    if operator.kind not in (_PRODUCT, _TABLE):
        return None
    if len(operator.inputs) < 2 or len(operator.outputs) != 1 or min(operator.inputs[:2]) < 0:
        return f"has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs"
    (given, weight), made = (
        (model.tensors[at].shape for at in operator.inputs[:2]),
        model.tensors[operator.outputs[0]].shape,
    )
    if operator.kind == _TABLE:
        right = len(given) == 1 and len(weight) > 1 and made == (*given, *weight[1:])
    else:
        bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
        right = (
            len(weight) == 2
            and given[-1:] == weight[1:]
            and made[-1:] == weight[:1]
            and (bias < 0 or model.tensors[bias].shape in {weight[:1], (1, *weight[:1])})
        )
    return None if right else f"has weights {list(weight)} for {list(given)} to {list(made)}"


def _tensor_problem(tensor: Tensor, model: ModelFile) -> str | None:
    if tensor.variable:
        return f"{tensor.name!r} is kept between calls"
    if tensor.block_size or tensor.scales_in >= 0:
        return _blocks_problem(tensor, model)
    count = len(tensor.scales)
    along = tensor.shape[tensor.axis] if 0 <= tensor.axis < len(tensor.shape) else 1
    if count not in {0, 1, along} or len(tensor.zeros) not in {0, 1, count}:
        return f"{tensor.name!r} has {count} scales, expected 1 or {along}"
    return None


def _blocks_problem(tensor: Tensor, model: ModelFile) -> str | None:
    size, at = tensor.block_size, tensor.scales_in
    columns = tensor.shape[-1] if len(tensor.shape) == 2 else 0
    if not 0 <= at < len(model.tensors) or size < 1 or not columns or columns % size:
        return f"{tensor.name!r} has blocks of {size} of {columns} values"
    found, wanted = model.tensors[at], (tensor.shape[0], columns // size)
    if found.shape != wanted or found.data is None:
        return f"{tensor.name!r} has scales {list(found.shape)}, expected {list(wanted)}"
    return None
