"""Faults of ExecuTorch programs: python benchmarks/faults_executorch.py

The bytes of a written file are changed in place, or the file is lowered again from a step with one
thing made wrong. It needs the extra ``executorch``, and so is a suite of its own beside
``faults.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from _faulty import Fault, Workshop
from _faulty_executorch import (
    BYTES,
    FIRST,
    FLOATS,
    HEAD,
    SECOND,
    Apply,
    Draws,
    KeepsCell,
    another_gate,
    contract_swaps,
    in_torchs_order,
    lowered_again,
    no_bias,
    on_bytes,
    on_matrix,
    on_nodes,
    on_places,
    one_bit,
    other_precision,
    table_off_by_one,
    tanh_as_sigmoid,
    weights_of_another_layer,
    without_row,
)
from _report import table

_DRIFTS = ("rollout", "golden")
_ANY = r"worst [\w\[\]]+ .* at call \d+"


def _fault(
    name: str,
    imitates: str,
    apply: Apply,
    inner: str = FLOATS,
    caught: tuple[str, ...] = _DRIFTS,
    says: str = _ANY,
) -> Fault:
    return Fault(
        f"ExecuTorch: {name}", imitates, apply, caught, says, honest="executorch", artifact=inner
    )


FAULTS = (
    _fault(
        "gates in torch's order",
        "rows that are not reordered",
        on_matrix(FLOATS, SECOND, in_torchs_order),
    ),
    _fault(
        "gates in torch's order, int8",
        "rows that are not reordered",
        on_matrix(BYTES, SECOND, in_torchs_order),
        BYTES,
    ),
    _fault(
        "scales of the row before",
        "an index that is off by one",
        on_matrix(
            BYTES,
            SECOND,
            lambda s: np.roll(s * np.linspace(0.5, 1.5, len(s), dtype=np.float32), 1),
            part="scales",
        ),
        BYTES,
    ),
    _fault("a row of zeros", "a lane that is not filled", on_matrix(FLOATS, FIRST, without_row)),
    _fault("a bit of a weight", "a flash cell", on_matrix(FLOATS, HEAD, one_bit)),
    _fault("bias of the head dropped", "a converter that takes none", on_bytes(FLOATS, no_bias)),
    _fault(
        "weights of another layer",
        "a name for two constants",
        on_bytes(FLOATS, weights_of_another_layer),
    ),
    _fault(
        "table rows off by one",
        "a table packed from its second row on",
        on_bytes(FLOATS, table_off_by_one),
    ),
    _fault(
        "table rows off by one, int8",
        "a table packed from its second row on",
        on_bytes(BYTES, table_off_by_one),
        BYTES,
    ),
    _fault(
        "h and c come out swapped",
        "outputs in another order",
        on_places(4, lambda out, _: [out[0], out[2], out[1]]),
    ),
    _fault(
        "h and c go in swapped",
        "inputs in another order",
        on_places(3, lambda _, given: [given[0], given[2], given[1]]),
    ),
    _fault(
        "c comes out as it went in",
        "a state that is not fed back",
        on_places(4, lambda out, given: [*out[:2], given[2]]),
    ),
    _fault(
        "names swapped in the contract",
        "metadata of another order",
        on_bytes(FLOATS, contract_swaps),
        caught=("contract",),
        says=".",
    ),
    _fault(
        "tanh computed as sigmoid",
        "a wrong number of the union",
        on_nodes(FLOATS, tanh_as_sigmoid),
    ),
    _fault(
        "a gate reads another gate's numbers",
        "a slice that begins elsewhere",
        on_nodes(FLOATS, another_gate),
    ),
    _fault(
        "a state kept in a buffer",
        "a port of a stateful module",
        lowered_again(KeepsCell),
        caught=("structure", "rollout"),
        says="a state|worst",
    ),
    _fault(
        "it draws random numbers",
        "dropout that was left in training",
        lowered_again(Draws),
        caught=("structure",),
        says="draws random numbers",
    ),
    _fault(
        "int8 sold as float32",
        "files that were mixed up",
        other_precision,
        caught=("structure",),
        says="is float32|stored as",
    ),
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edgernn-") as scratch:
        workshop = Workshop(Path(scratch))
        alarms = [
            f"{inner} {check.name}: {check.detail}"
            for inner in (FLOATS, BYTES)
            for check in workshop.honest_report("executorch", inner).checks
            if check.status == "failed"
        ]
        verdicts = [(fault, workshop.judge(fault)) for fault in FAULTS]
    rows = [
        (f.name, v.outcome, ", ".join(v.caught_by), v.message.replace("|", "/")[:120])
        for f, v in verdicts
    ]
    table(("fault", "outcome", "by", "message"), rows)
    caught = sum(verdict.outcome == "caught" for _, verdict in verdicts)
    print(f"{caught} of {len(FAULTS)} faults caught, {len(alarms)} false alarms")
    for line in alarms:
        print(f"FALSE ALARM: {line}")
    raise SystemExit(caught < len(FAULTS) or bool(alarms))


if __name__ == "__main__":
    main()
