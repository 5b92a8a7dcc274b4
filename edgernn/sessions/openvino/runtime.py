"""The runtime OpenVINO on the CPU: opening a network, and calls over memory that stays bound.

It computes in float32. Left to itself it takes bfloat16 on processors that have it, and the state
drifts; no file can tell it otherwise, only who compiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import ContractError
from edgernn.sessions.openvino.ir import BIN, XML
from edgernn.sessions.openvino.package import openvino

DEVICE = "CPU"
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


@cache
def core() -> Any:
    """Return the one core of the process, which holds the plugins."""
    made = openvino.Core()
    made.set_property({"ENABLE_MMAP": False})  # a file that is cut while it is mapped kills
    return made


def read(path: Path) -> Any:
    """Return the network in the folder at ``path``, which was checked, as the runtime has it.

    Raises:
        ContractError: the runtime cannot read it.
    """
    try:
        return core().read_model(str(path / XML), str(path / BIN))
    except RuntimeError as error:
        raise ContractError(
            f"{path} is not a network that OpenVINO can open: {reason(error)}"
        ) from error


def compile_model(model: Any, *, threads: int, precision: Mapping[str, str] = PRECISION) -> Any:
    """Return ``model`` compiled for the CPU on so many threads.

    Raises:
        ContractError: the runtime cannot.
    """
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # two sessions would share a core
        **precision,
    }
    try:
        return core().compile_model(model, DEVICE, settings)
    except RuntimeError as error:
        raise ContractError(
            f"OpenVINO cannot compile the network: {reason(error)}; export it again"
        ) from error


def fixed(model: Any, shapes: Mapping[int, Sequence[int]]) -> Any:
    """Return ``model`` with the inputs at these places of these sizes.

    Raises:
        ContractError: its operators do not go with them.
    """
    made = model.clone()
    try:
        made.reshape({place: list(shape) for place, shape in shapes.items()})
    except RuntimeError as error:
        raise ContractError(
            f"OpenVINO cannot give the network its sizes: {reason(error)}; export it again"
        ) from error
    return made


def takes_bfloat16() -> bool:
    """Return whether a host that sets no precision computes in bfloat16 on this processor."""
    return "BF16" in core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")


def reason(error: RuntimeError) -> str:
    """Return what an error of OpenVINO says, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return (told or lines or ["no reason given"])[0]


class BoundCall:
    """Calls of a compiled network of fixed sizes over memory that stays bound to it.

    Args:
        compiled: the network.
        inputs: by name, in the network's order: what it reads.
    """

    def __init__(self, compiled: Any, inputs: Mapping[str, np.ndarray]) -> None:
        self.request = compiled.create_infer_request()
        self.inputs = dict(inputs)
        for place, array in enumerate(self.inputs.values()):
            self.request.set_input_tensor(place, _shared(array))

    def __call__(self) -> Iterable[np.ndarray]:
        """Return the outputs in the network's order, in memory of their own; raise ContractError
        where the runtime fails.
        """
        return _outputs(self.request)


def run_kept(
    request: Any, feeds: Sequence[np.ndarray], states: Mapping[str, np.ndarray]
) -> tuple[Iterable[np.ndarray], dict[str, np.ndarray]]:
    """Run a request of a network that keeps states from ``states`` on; return its outputs in order,
    and the states that it keeps then.
    """
    for place, array in enumerate(feeds):
        request.set_input_tensor(place, _shared(array))
    kept = {variable.name: variable for variable in request.query_state()}
    for name, array in states.items():
        kept[name].state = _shared(array)
    made = _outputs(request)
    return made, {name: kept[name].state.data.copy() for name in states}


def run_open(compiled: Any, feeds: Sequence[np.ndarray]) -> Iterable[np.ndarray]:
    """Run a compiled network of open sizes; return its outputs in order, in memory of their own."""
    request = compiled.create_infer_request()
    for place, array in enumerate(feeds):
        request.set_input_tensor(place, _shared(array))
    return _outputs(request)


def _outputs(request: Any) -> Iterable[np.ndarray]:
    try:
        made: Iterable[np.ndarray] = request.infer().values()  # copies
    except RuntimeError as error:
        raise ContractError(
            f"OpenVINO failed in a step: {reason(error)}; export the file again"
        ) from error
    return made


def _shared(array: np.ndarray) -> Any:
    own = array if array.flags.writeable else array.copy()  # it takes no memory that is read-only
    return openvino.Tensor(own, shared_memory=True)
