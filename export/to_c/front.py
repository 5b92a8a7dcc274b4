"""From an ONNX graph of fixed sizes to a program: operator by operator, by the table here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

from edgernn.contract import FileContract, first_line
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_c import choosing, convolutions, integers, moves, normalising, products
from edgernn.export.to_c.activations import PUT_TOGETHER
from edgernn.export.to_c.builder import Builder, known_dtype
from edgernn.export.to_c.call import Call
from edgernn.export.to_c.einsum import einsum
from edgernn.export.to_c.pointwise import EACH
from edgernn.export.to_c.program import Move, Node, Program
from edgernn.export.to_c.recurrent import recurrent
from edgernn.export.to_c.views import INPUT, OUTPUT, STATE, Storage, View, all_of
from edgernn.sessions.ort.graph import OnnxGraph, OnnxNode

Handler = Callable[[Call], View | list[View]]
OPERATORS: dict[str, Handler] = {
    **EACH,
    "Constant": moves.constant,
    "ConstantOfShape": moves.filled,
    "Shape": moves.shape_of,
    "Range": moves.count_up,
    "Identity": moves.same,
    "Dropout": moves.same,
    "Cast": moves.cast,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Transpose": moves.transpose,
    "Expand": moves.expand,
    "Concat": moves.concat,
    "Split": moves.split,
    "Slice": moves.cut,
    "Gather": moves.gather,
    "Pad": moves.pad,
    "MatMul": products.matmul,
    "Gemm": products.gemm,
    "ReduceSum": partial(products.reduce, how="sum"),
    "ReduceMean": partial(products.reduce, how="mean"),
    "ReduceMax": partial(products.reduce, how="max"),
    "ReduceMin": partial(products.reduce, how="min"),
    "Softmax": partial(products.softmax, logarithm=False),
    "LogSoftmax": partial(products.softmax, logarithm=True),
    "LayerNormalization": products.layer_norm,
    "Conv": convolutions.convolve,
    "AveragePool": partial(convolutions.pool, how="mean"),
    "GlobalAveragePool": partial(convolutions.pool, how="mean"),
    "MaxPool": partial(convolutions.pool, how="max"),
    **PUT_TOGETHER,
    "ArgMax": partial(choosing.arg, largest=True),
    "ArgMin": partial(choosing.arg, largest=False),
    "TopK": choosing.top,
    "CumSum": choosing.cumulate,
    "Trilu": choosing.triangle,
    "OneHot": choosing.one_hot,
    "Tile": choosing.tile,
    "BatchNormalization": normalising.batch_norm,
    "InstanceNormalization": normalising.instance_norm,
    "GroupNormalization": normalising.group_norm,
    "RMSNormalization": normalising.rms_norm,
    "ReduceSumSquare": normalising.sum_of_squares,
    "ReduceL1": normalising.sum_of_magnitudes,
    "ReduceL2": normalising.length,
    "ReduceLogSum": normalising.log_of_sum,
    "ReduceLogSumExp": normalising.log_of_sum_of_powers,
    "ConvTranspose": convolutions.convolve_transposed,
    "Einsum": einsum,
    "LSTM": recurrent,
    "GRU": recurrent,
    "RNN": recurrent,
}
_STANDARD = ("", "ai.onnx")
_OTHERS: dict[tuple[str, str], Handler] = {  # by domain and name
    ("com.microsoft", "MatMulNBits"): integers.product,
    ("com.microsoft", "GatherBlockQuantized"): integers.rows_of_table,
}


def handler_of(node: OnnxNode) -> Handler | None:
    """Return what turns an operator into nodes; None where nothing does."""
    if node.domain in _STANDARD:
        return OPERATORS.get(node.op)
    return _OTHERS.get((node.domain, node.op))


def program_of(graph: OnnxGraph, file_contract: FileContract) -> Program:
    """Return the program of ``graph``.

    Raises:
        ContractError: an operator, or a use of one, that c does not take; names it.
        UsageError: an axis has no fixed size.
    """
    refuse_unknown(graph)
    build, spec = Builder(), file_contract.spec
    interface = file_contract.interface()
    refuse_open((*interface.inputs, *interface.outputs))
    states = {state.name for state in spec.states}
    stores: dict[str, Storage] = {}
    for tensor in interface.inputs:
        kind = STATE if tensor.name in states else INPUT
        stores[tensor.name] = _storage(kind, tensor)
        build.values[tensor.name] = all_of(stores[tensor.name], _sizes(tensor))
    for name, constant in graph.constants.items():
        try:
            build.values[name] = build.constant(constant.values())
        except ValueError as error:
            raise ContractError(f"the constant {name} is damaged: {first_line(error)}") from error
    for node in graph.nodes:
        _add(build, node)
    after = {**{f"{name}_next": stores[name] for name in states}}
    outputs = {t.name: _storage(OUTPUT, t) for t in interface.outputs if t.name not in after}
    _write(build, interface.outputs, {**after, **outputs})
    sizes = file_contract.contract.sizes
    return Program(
        inputs={name: own for name, own in stores.items() if own.kind == INPUT},
        states={name: own for name, own in stores.items() if own.kind == STATE},
        outputs=outputs,
        checks=tuple((stores[t.name], sizes[t.below]) for t in spec.inputs if t.below is not None),
        nodes=tuple(build.nodes),
    )


def refuse_unknown(graph: OnnxGraph) -> None:
    """Raise ContractError for the operators that are not in the table."""
    if strange := sorted({node.op for node in graph.nodes if handler_of(node) is None}):
        raise ContractError(
            f"c does not have the operator {', '.join(strange)} of the graph; leave c out"
        )


def refuse_open(tensors: tuple[FileTensor, ...]) -> None:
    """Raise UsageError for a tensor with an axis of any size."""
    for tensor in tensors:
        if axes := [axis for axis in tensor.shape or () if isinstance(axis, str)]:
            raise UsageError(
                f"c files take fixed sizes, and {tensor.name} has the open axis {axes[0]}; say "
                f"its size with --axis {axes[0]}=20, or leave c out"
            )


def _storage(kind: str, tensor: FileTensor) -> Storage:
    return Storage(kind, known_dtype(tensor.dtype or ""), prod(_sizes(tensor)), tensor.name)


def _sizes(tensor: FileTensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape or () if isinstance(size, int))


def _add(build: Builder, node: OnnxNode) -> None:
    """Turn one operator into nodes."""
    lost = [name for name in node.inputs if name and name not in build.values]
    if lost:
        raise ContractError(f"the graph reads {lost[0]}, which nothing in it makes")
    call = Call(node, [build.values[name] if name else None for name in node.inputs], build)
    handler = handler_of(node)
    assert handler is not None  # see refuse_unknown
    try:
        made = handler(call)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        StopIteration,
        TypeError,
        ValueError,
    ) as error:
        raise call.refusal(f"cannot be followed ({first_line(error)})") from error
    for name, view in zip(node.outputs, made if isinstance(made, list) else [made], strict=False):
        build.values[name] = view


def _write(build: Builder, tensors: tuple[FileTensor, ...], stores: dict[str, Storage]) -> None:
    """Move every result to where it goes; states last, for until then the old ones are read."""
    last: list[Node] = []
    for tensor in tensors:
        found = build.values.get(tensor.name)
        if found is None or found.shape != _sizes(tensor) or found.dtype != tensor.dtype:
            shown = None if found is None else f"{found.dtype} {list(found.shape)}"
            raise ContractError(
                f"the graph makes {tensor.name} as {shown}, expected {tensor.dtype} "
                f"{list(_sizes(tensor))}"
            )
        if found.storage.kind == STATE and stores[tensor.name].kind == STATE:
            found = build.copied(found)
        move = Move(all_of(stores[tensor.name], found.shape), found)
        (last if move.out.storage.kind == STATE else build.nodes).append(move)
    build.nodes += last
