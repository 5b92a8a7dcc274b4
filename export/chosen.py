"""Which formats an export writes in which precisions: what was asked for, else all that can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgernn import formats
from edgernn.contract import Contract
from edgernn.errors import UsageError
from edgernn.export.operators import Operators
from edgernn.export.source import Tell
from edgernn.formats.onnx import ONNX
from edgernn.wording import did_you_mean

Chosen = list[tuple[formats.Format, str]]


def chosen_of(
    to: Iterable[str] | str | None, precision: Iterable[str] | str | None, tell: Tell
) -> Chosen:
    """Pair formats with precisions. What was asked for by name and cannot be had is an error, never
    left out.
    """
    named = [to] if isinstance(to, str) else None if to is None else list(to)
    if named is not None:
        rows = formats.select(named)
    else:
        unwritten = formats.left_out()
        for name, reason in unwritten.items():
            tell(f"{name} is left out: {reason}")
        rows = tuple(row for row in formats.default_rows() if row.name not in unwritten)
    if precision is None:
        return [(row, row.precisions[0]) for row in rows]
    wanted = [precision] if isinstance(precision, str) else list(dict.fromkeys(precision))
    chosen = [(row, name) for row in rows for name in wanted if name in row.precisions]
    unmet = [name for name in wanted if name not in {name for _, name in chosen}]
    unmet += [
        row.name
        for row in rows
        if row.name in (named or ()) and row not in {row for row, _ in chosen}
    ]
    if unmet or not chosen:
        offers = "; ".join(f"{row.name} offers {', '.join(row.precisions)}" for row in rows)
        meant = (
            did_you_mean(unmet[0], [name for row in rows for name in row.precisions])
            if unmet
            else ""
        )
        raise UsageError(f"cannot export {', '.join(unmet) or 'nothing'} as asked: {offers}{meant}")
    return chosen


def refuse_idle_prefix(prefix: str | None, chosen: Chosen) -> None:
    """Raise UsageError where a prefix is given and no file is written that has one."""
    if prefix is None or any(row.prefixed for row, _ in chosen):
        return
    offered = ", ".join(row.name for row in formats.FORMATS.values() if row.prefixed)
    raise UsageError(
        f"--prefix {prefix} says what the names of {offered} begin with, and no such file is "
        f"written; add --to {offered}, or leave --prefix out"
    )


def refuse_idle_operators(operators: Operators, chosen: Chosen, *, in_graph: bool) -> None:
    """Raise UsageError where something is said of the operators of ONNX files and none is written,
    or where portable ones are to decode in the graph.
    """
    if operators.asked and not any(row is ONNX for row, _ in chosen):
        raise UsageError(
            f"{operators.asked} says which operators files of {ONNX.name} have, and no such file "
            f"is written; add --to {ONNX.name}, or leave it out"
        )
    if operators.portable and in_graph:
        raise UsageError(
            "--portable does not go with --in-graph: a file that decodes in the graph has a loop, "
            "which some runtimes refuse; leave one of them out"
        )


def fitting(
    chosen: Chosen,
    contract: Contract,
    to: Iterable[str] | str | None,
    tell: Tell,
    *,
    axes: Mapping[str, int] | None = None,
) -> Chosen:
    """Leave out of ``chosen`` what cannot hold a model of ``contract`` and was not asked for by
    name; ``tell`` hears of it.

    Raises:
        UsageError: ``axes`` names one that is not open, or no file takes fixed sizes.
    """
    sizes = axes or {}
    _refuse_idle_axes(sizes, chosen, contract)
    return _kept(_sized(chosen, contract, to, tell, sizes), contract, to, tell)


def _refuse_idle_axes(axes: Mapping[str, int], chosen: Chosen, contract: Contract) -> None:
    unknown = next((axis for axis in axes if axis not in contract.open_axes), None)
    if unknown is not None:
        open_ones = ", ".join(contract.open_axes) or "none"
        raise UsageError(
            f"--axis {unknown}={axes[unknown]} names no axis that the contract leaves open; open "
            f"are: {open_ones}"
        )
    if axes and not any(row.fixed_sizes for row, _ in chosen):
        offered = ", ".join(row.name for row in formats.FORMATS.values() if row.fixed_sizes)
        raise UsageError(
            f"--axis says what files of fixed sizes take, which are those of {offered}, and none "
            "of them is written; leave it out"
        )


def _sized(
    chosen: Chosen,
    contract: Contract,
    to: Iterable[str] | str | None,
    tell: Tell,
    sizes: Mapping[str, int],
) -> Chosen:
    """Leave out the rows whose files take fixed sizes alone where an axis is open; what was asked
    for by its name its exporter refuses.
    """
    left = [row.name for row, _ in chosen if row.fixed_sizes]
    open_ones = [axis for axis in contract.open_axes if axis not in sizes]
    if to is not None or not left or not open_ones or len(left) == len(chosen):
        return chosen
    tell(
        f"{', '.join(dict.fromkeys(left))} is left out: it takes fixed sizes, and the axis "
        f"{open_ones[0]} is open; --axis {open_ones[0]}=20 says its size"
    )
    return [(row, precision) for row, precision in chosen if not row.fixed_sizes]


def _kept(chosen: Chosen, contract: Contract, to: Iterable[str] | str | None, tell: Tell) -> Chosen:
    """Leave out the rows whose runtime keeps the state itself where it cannot: a state is none of
    floats, or there is none. What was asked for by its name its exporter refuses.
    """
    named = {to} if isinstance(to, str) else set(to or ())
    states = contract.step.states
    whole = next((state for state in states if state.kind != "f"), None)
    left = [row.name for row, _ in chosen if row.keeps_state and row.name not in named]
    if (states and whole is None) or not left or len({row for row, _ in chosen}) == 1:
        return chosen
    why = (
        f"it keeps floats alone, and {whole.name} is {whole.dtype}"
        if whole
        else "there is no state to keep"
    )
    tell(f"{left[0]} is left out: {why}")
    return [(row, precision) for row, precision in chosen if row.name not in left]
