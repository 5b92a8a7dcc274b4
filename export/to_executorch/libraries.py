"""The converter's libraries, imported without what they print: torchao tells of kernels for other
machines that it could not load, and ExecuTorch of functions that it deprecates.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Hide what the converter prints, logs below an error, and warns of; what was set before is put
    back.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


with silence():
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
