"""The converter's libraries, imported without what they print: torchao tells of kernels for other
machines that it could not load, and ExecuTorch of functions that it deprecates.
"""

from __future__ import annotations

from edgernn.sessions.quiet import quiet

with quiet():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import ExecutorchProgramManager, to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

__all__ = [
    "ExecutorchProgramManager",
    "XNNPACKQuantizer",
    "XnnpackPartitioner",
    "convert_pt2e",
    "get_symmetric_quantization_config",
    "prepare_pt2e",
    "to_edge_transform_and_lower",
]
