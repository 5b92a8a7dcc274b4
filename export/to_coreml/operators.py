"""The operators that torch's own cells are made of and coremltools does not know; see
``findings/torch-cells-to-core-ml.sh``.
"""

from __future__ import annotations

import math
from typing import Any


def teach_coremltools() -> None:
    """Tell coremltools how ``aten::unsafe_chunk`` is converted: as ``nn.LSTMCell`` and
    ``nn.GRUCell`` cut their gates.
    """
    from coremltools.converters.mil import Builder, register_torch_op

    def unsafe_chunk(context: Any, node: Any) -> None:
        x, count, axis = (context[name] for name in node.inputs)
        place = 0 if axis is None else int(axis.val)
        total = int(x.shape[place])
        size = math.ceil(total / int(count.val))
        sizes = [min(size, total - at) for at in range(0, total, size)]
        parts = Builder.split(x=x, split_sizes=sizes, axis=place, name=node.name)
        context.add(parts, torch_name=node.name)

    register_torch_op(unsafe_chunk, override=True)
