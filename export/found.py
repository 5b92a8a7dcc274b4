"""What was found in a hoisted network, for ``edgernn explain``: what a format can carry is tried
with its exporter, in its first precision.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgernn import formats, storage
from edgernn.contract import Contract, Narrowing, TensorSpec
from edgernn.errors import EdgernnError
from edgernn.export.base import Exporter
from edgernn.hoisting.explain import Found, FoundState, FoundTensor
from edgernn.hoisting.hoisted import Hoisted
from edgernn.hoisting.model import HoistedModel
from edgernn.hoisting.proof import prove


def explain_hoisted(hoisted: Hoisted, source: str) -> Found:
    """Return what ``hoist`` found, how near its step is to the network, and which formats carry it.

    Args:
        hoisted: what ``hoist`` returned.
        source: the network, in words.

    Raises:
        ContractError: the step does not give what the network gives.
    """
    contract, spec = hoisted.contract, hoisted.contract.step
    encode = () if contract.encode is None else contract.encode.inputs
    written = {row.name: _tried(hoisted, row) for row in formats.FORMATS.values()}
    return Found(
        source=f"{source}, {hoisted.found.how}",
        states=tuple(
            FoundState(_tensor(own, contract), _first(hoisted, own.name), state.where)
            for own, state in zip(spec.states, hoisted.found.states, strict=True)
        ),
        inputs=tuple(_tensor(own, contract) for own in spec.fresh_inputs),
        outputs=tuple(_tensor(own, contract) for own in spec.read_outputs),
        contexts=tuple(_tensor(own, contract) for own in spec.contexts),
        encode_inputs=tuple(_tensor(own, contract) for own in encode),
        step_frames=contract.step_frames,
        latency_frames=contract.latency_frames,
        warmup_frames=hoisted.warmup_frames,
        open_time=hoisted.found.open_time and spec.has_time,
        formats={_label(name): why for name, (why, _) in written.items()},
        takes={_label(name): words for name, (_, words) in written.items() if words},
        promised=tuple(
            f"{row.name} {', '.join(row.precisions[1:])}"
            for row in formats.FORMATS.values()
            if row.precisions[1:] and not written[row.name][0]
        ),
        proof=f"the same as the network over {prove(hoisted)}",
    )


def _label(name: str) -> str:
    return f"{name} {formats.by_name(name).precisions[0]}"


def _tensor(spec: TensorSpec, contract: Contract) -> FoundTensor:
    axes = (f"{a}={contract.sizes[a]}" if a in contract.sizes else a for a in spec.axes)
    return FoundTensor(spec.name, spec.dtype, tuple(axes))


def _first(hoisted: Hoisted, name: str) -> str:
    source = hoisted.contract.initial_state.get(name)
    if source is None:
        return "zeros"
    if source == "encode":
        return "what encode gives"
    value = hoisted.first_state[name]
    return f"a stored value from {float(value.min()):.3g} to {float(value.max()):.3g}"


def _tried(hoisted: Hoisted, row: formats.Format) -> tuple[str, str]:
    """Write every graph in a format; return why that failed, and what a call of the step takes."""
    model, step = HoistedModel(hoisted).eval(), Narrowing()
    try:
        kind: type[Exporter] = formats.resolve(
            row.exporter or "", needed_for=f"exporting {row.name}", extra=row.export_extra
        )
        with storage.scratch() as scratch:
            for graph in hoisted.contract.graphs:
                if graph.name in row.graphs:
                    precision = row.precision_of(graph.name, row.precisions[0])
                    path = scratch / row.path(precision, graph.name)
                    step = (
                        kind()
                        .export(model, path, precision=precision, decoding=None, graph=graph.name)
                        .narrowing
                    )
    except EdgernnError as error:
        return str(error), ""
    return "", _takes(step.axes)


def _takes(axes: Mapping[str, int]) -> str:
    return ", ".join(f"{axis}={size}" for axis, size in axes.items())
