"""The operators that coremltools is told how to convert: what torch's own cells are made of, which
it does not know (``findings/torch-cells-to-core-ml.sh``), and torch's layers over a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgernn.export.to_coreml.recurrent import ADVANCE, unrolled
from edgernn.models.family import OperatorSet


@contextmanager
def taught() -> Iterator[None]:
    """Within it coremltools knows how ``aten::unsafe_chunk`` is converted, as ``nn.LSTMCell`` and
    ``nn.GRUCell`` cut their gates; and each recurrent layer, see ``recurrent``. What a program
    converts itself, beside edgernn, is left to coremltools.
    """
    from coremltools.converters.mil import Builder, register_torch_op
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    def unsafe_chunk(context: Any, node: Any) -> None:
        x, count, axis = (context[name] for name in node.inputs)
        place = 0 if axis is None else int(axis.val)
        total = int(x.shape[place])
        size = math.ceil(total / int(count.val))
        sizes = [min(size, total - at) for at in range(0, total, size)]
        parts = Builder.split(x=x, split_sizes=sizes, axis=place, name=node.name)
        context.add(parts, torch_name=node.name)

    known = _TORCH_OPS_REGISTRY.name_to_func_mapping
    before = dict(known)
    try:
        register_torch_op(unsafe_chunk, override=True)
        for kind in ADVANCE:
            register_torch_op(unrolled(kind, before[kind]), override=True)
        yield
    finally:
        known.clear()
        known.update(before)


def _has(kind: str) -> bool:
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    own = ("aten::chunk", "aten::unsafe_chunk")
    known = kind in own or _TORCH_OPS_REGISTRY.get_func(kind) is not None
    return kind.startswith("aten::") and known


# what it translates for some arguments alone, or with sizes that hang on data
_BITWISE = "__and__ __or__ __xor__ bitwise_and bitwise_or bitwise_xor"
_AVOIDED = f"{_BITWISE} diagonal floor_divide hardtanh nan_to_num"
OPERATORS = OperatorSet("Core ML", _has, frozenset(f"aten::{name}" for name in _AVOIDED.split()))
