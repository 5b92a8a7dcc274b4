"""What was found in a hoisted network, for ``edgernn explain``: what a format can carry is tried
with its exporter, in its first precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgernn import formats, storage
from edgernn.contract import Contract, Narrowing, TensorSpec
from edgernn.errors import EdgernnError
from edgernn.export.base import Exporter
from edgernn.formats.compatibility import elsewhere
from edgernn.hoisting.explain import Found, FoundState, FoundTensor
from edgernn.hoisting.hoisted import Hoisted
from edgernn.hoisting.model import HoistedModel
from edgernn.hoisting.proof import prove
from edgernn.models import checkpoint
from edgernn.models.family import RecurrentModel
from edgernn.sessions.ort.operators import needs_of


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
        formats={_label(name): tried.why for name, tried in written.items()},
        takes={_label(name): tried.takes for name, tried in written.items() if tried.takes},
        promised=tuple(
            f"{row.name} {', '.join(row.precisions[1:])}"
            for row in formats.FORMATS.values()
            if row.precisions[1:] and not written[row.name].why
        ),
        proof=f"the same as the network over {prove(hoisted)}",
        elsewhere=elsewhere(needs) if (needs := written[formats.OWN.name].needs) else (),
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


@dataclass(frozen=True)
class _Tried:
    """Why a format does not carry a network; what a call of its step takes; of ONNX what the files
    need of a runtime.
    """

    why: str = ""
    takes: str = ""
    needs: frozenset[str] = frozenset()


def needs_of_run(folder: Path) -> dict[str, frozenset[str]]:
    """Return what the ONNX files of a run in float32 need of a runtime, by their paths in a bundle;
    raise as ``checkpoint.load``.
    """
    model, row = checkpoint.load(folder).model, formats.OWN
    with storage.scratch() as scratch:
        _write(model, row, scratch)
        paths = (path for path in scratch.rglob(f"*{row.suffix}"))
        return {path.relative_to(scratch).as_posix(): needs_of(path) for path in sorted(paths)}


def _tried(hoisted: Hoisted, row: formats.Format) -> _Tried:
    """Write every graph in a format, in its first precision."""
    try:
        with storage.scratch() as scratch:
            step = _write(HoistedModel(hoisted).eval(), row, scratch)
            needs = frozenset[str]()
            if row.name == formats.OWN.name:
                needs = needs.union(*map(needs_of, scratch.rglob(f"*{row.suffix}")))
    except EdgernnError as error:
        return _Tried(why=str(error))
    return _Tried(takes=_takes(step.axes), needs=needs)


def _write(model: RecurrentModel, row: formats.Format, folder: Path) -> Narrowing:
    """Write every graph of a model in a format, in its first precision; return what the last, which
    is the step, is bound to.
    """
    step = Narrowing()
    kind: type[Exporter] = formats.resolve(
        row.exporter or "", needed_for=f"exporting {row.name}", extra=row.export_extra
    )
    for graph in model.config.contract().graphs:
        if graph.name in row.graphs:
            precision = row.precision_of(graph.name, row.precisions[0])
            path = folder / row.path(precision, graph.name)
            made = kind().export(model, path, precision=precision, decoding=None, graph=graph.name)
            step = made.narrowing
    return step


def _takes(axes: Mapping[str, int]) -> str:
    return ", ".join(f"{axis}={size}" for axis, size in axes.items())
