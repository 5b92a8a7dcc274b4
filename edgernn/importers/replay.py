"""An imported network over a recorded run of the upstream code: step by step, on its own state.

Where a recording could lie in more than one way (rows first, or steps), each is tried, and the one
that comes nearest counts: none that is wrong comes near.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from edgernn.contract import TensorSpec
from edgernn.errors import CheckFailedError, UsageError
from edgernn.families.loss import log_probabilities
from edgernn.importers.compared import Compared, away, compare, worst_of
from edgernn.importers.invariances import session_model
from edgernn.importers.recorded_run import (
    ROWS,
    Named,
    RecordedRun,
    fitted,
    laid_out,
    paired,
    read_run,
    stacked,
)
from edgernn.importers.recorded_ways import GREEDY, LEADS, Way, typed, ways_of
from edgernn.models.family import RecurrentModel
from edgernn.sessions.model import Model

_SCORES = frozenset({"logits", "scores", "out", "output", "outputs", "log_probs", "logprobs"})
_LOGS = frozenset({"log_probs", "logprobs", "log_softmax"})
_PROBABILITIES = frozenset({"probs", "probabilities", "softmax"})


def replayed(
    model: RecurrentModel,
    given: Path | str,
    *,
    tolerance: float,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Compared, ...]:
    """Run ``model`` over a recorded run; return what came out beside what was recorded.

    Args:
        model: the network, in evaluation mode.
        given: the recording; see ``recorded_run``.
        tolerance: the largest scaled difference.
        tell: hears which recorded tensors nothing was compared with.

    Raises:
        CheckFailedError: a tensor is further off; says which, how far, and where.
        UsageError: the recording is of a network with other inputs or outputs.
        DataError: it cannot be read.
    """
    opened = session_model(model)
    run = read_run(given, opened.contract)
    ways = [_compare(opened, run, way) for way in [*ways_of(opened, run)]]
    if not any(ways):
        raise UsageError(_unlike(opened, run))
    best = min(
        (way for way in ways if way),
        key=lambda way: (not worst_of(way).worst <= tolerance, -len(way), *away(way)),
    )
    worst = worst_of(best)
    if not worst.worst <= tolerance:
        raise CheckFailedError(
            f"the recorded run {run.path} does not come out: {worst.name} is {worst.worst:.1e} off "
            f"at step {worst.step}, row {worst.row} (allowed {tolerance:g}); nothing was written. "
            "Record it from the same checkpoint in evaluation mode, or give the part that was, as "
            "FILE:PART"
        )
    if unmatched := _unmatched(run, best):
        tell(f"not compared: {', '.join(unmatched)}, which no output or state of the network is")
    return best


def _unmatched(run: RecordedRun, compared: tuple[Compared, ...]) -> list[str]:
    """Return the recorded outputs and states that were compared with nothing; ids that were fed
    back are none.
    """
    names = {*(each.name for each in compared), f"whole/{GREEDY}"}
    recorded = [(role, name) for role in ("out", "whole", "state") for name in run.of(role)]
    return [f"{role}/{name}" for role, name in recorded if f"{role}/{name}" not in names]


def _unlike(opened: Model, run: RecordedRun) -> str:
    contract = opened.contract
    sizes = contract.sizes
    specs = [*contract.step.fresh_inputs, *contract.step.read_outputs, *contract.step.states]
    wanted = "; ".join(f"{s.name} {s.dtype} {[sizes.get(a, a) for a in s.axes]}" for s in specs)
    found = [
        f"{role}/{name} {array.dtype} {list(array.shape)}"
        for role, named in run.arrays.items()
        for name, array in named.items()
    ]
    return (
        f"the recorded run {run.path} has {', '.join(found[:8]) or 'nothing'}, which does not fit "
        f"the network's {wanted}; expected arrays by these names, as in/NAME, state0/NAME, out/NAME"
    )


def _compare(opened: Model, run: RecordedRun, way: Way) -> tuple[Compared, ...]:
    """Run one way; return what can be compared, nothing where the first state or an input of encode
    has other rows.
    """
    begun = _begun(opened, run, way)
    if begun is None:
        return ()
    contexts, first = begun
    made = _run(opened, way, contexts, first)
    found = [*_outputs(opened, run, way, made), *_states(opened, run, way, made)]
    if opened.contract.encode is not None:
        found += _first(opened, run, way, first)
    return tuple(found)


def _begun(opened: Model, run: RecordedRun, way: Way) -> tuple[Named, Named] | None:
    """Return the contexts, and the state before the first step."""
    contract = opened.contract
    if contract.encode is not None:
        source = run.of("ctx", "in")
        found = _laid(source, contract.encode.fresh_inputs, opened, way.rows)
        if len(found) < len(contract.encode.fresh_inputs):
            return None
        return opened.begin(typed(found, contract.encode.fresh_inputs))
    state = opened.step.initial_state(way.rows)
    source = run.of("state0")
    found = _laid(source, contract.step.states, opened, way.rows)
    zeros = all(not array.any() for array in source.values())
    if len(found) < len(source) and not (zeros and not found):
        return None
    state |= {n: found[n].astype(state[n].dtype) for n in found}
    return {}, state


def _laid(source: Named, specs: tuple[TensorSpec, ...], opened: Model, rows: int) -> Named:
    contract = opened.contract
    shaped = {n: {s.name: laid_out(a, s, contract, rows) for s in specs} for n, a in source.items()}
    fits = {n: {k: v is not None for k, v in by.items()} for n, by in shaped.items()}
    return {s.name: cast(np.ndarray, shaped[n][s.name]) for s, n in paired(source, specs, fits)}


def _run(opened: Model, way: Way, contexts: Named, state: Named) -> Named:
    """Return every output and state of every step, ``[N, *axes]``."""
    made: dict[str, list[np.ndarray]] = {}
    for at in range(len(next(iter(way.inputs.values())))):
        fresh = {name: array[at] for name, array in way.inputs.items()}
        outputs, state = opened.step({**fresh, **contexts}, state)
        for name, array in {**outputs, **state}.items():
            made.setdefault(name, []).append(array)
    return {name: np.stack(arrays) for name, arrays in made.items()}


def _outputs(opened: Model, run: RecordedRun, way: Way, made: Named) -> Iterator[Compared]:
    contract, specs = opened.contract, opened.contract.step.read_outputs
    for role in ("out", "whole"):
        source = {n: a for n, a in run.of(role).items() if a.dtype.kind == "f"}
        leads = [(lead, False) for lead in LEADS]
        leads += [((ROWS,), True)] if role == "whole" else []  # of its last step alone
        for lead, last in leads:
            shaped = {
                n: {
                    s.name: _beside(fitted(a, s, contract, lead), made[s.name], way, last)
                    for s in specs
                }
                for n, a in source.items()
            }
            fits = {n: {k: v is not None for k, v in by.items()} for n, by in shaped.items()}
            named = {n: _meant(n, specs, opened) for n in source}
            fits = {
                n: {k: v and named[n] in (k, None) for k, v in by.items()} for n, by in fits.items()
            }
            for spec, name in paired(source, specs, fits):
                array, mine = source.pop(name), _as_called(name, made[spec.name])
                found = [  # a square array fits in two ways
                    compare(f"{role}/{name}", both[1], both[0], spec, late)
                    for each, of_last in leads
                    if (laid := fitted(array, spec, contract, each)) is not None
                    and (both := _beside(laid, mine, way, of_last)) is not None
                    for late in [len(mine) - 1 if of_last else way.late]
                ]
                yield min(found, key=lambda each: away((each,)))


def _as_called(name: str, mine: np.ndarray) -> np.ndarray:
    """Return the network's outputs ``[…, V]`` as log-probabilities or probabilities, where the
    recorded ones are called so; they may be that already.
    """
    if name not in _LOGS | _PROBABILITIES:
        return mine
    if name in _PROBABILITIES and mine.min() >= 0 and np.allclose(mine.sum(-1), 1, atol=1e-3):
        return mine
    logs = log_probabilities(mine.reshape(-1, mine.shape[-1])).reshape(mine.shape)
    return logs if name in _LOGS else np.exp(logs)


def _beside(
    theirs: np.ndarray | None, mine: np.ndarray, way: Way, last: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return ``_aligned``; with ``last`` of the last step alone, which is what one call
    gives of a network that tells one thing of a sequence.
    """
    if not last:
        return _aligned(theirs, mine, way)
    return None if theirs is None else _aligned(theirs[None], mine[-1:], replace(way, late=0))


def _meant(name: str, specs: tuple[TensorSpec, ...], opened: Model) -> str | None:
    """Return the output that a recorded name certainly means; None where shapes decide."""
    scores = opened.contract.step.scores
    if any(spec.name == name for spec in specs):
        return name
    return scores.name if scores is not None and name in _SCORES else None


def _aligned(
    theirs: np.ndarray | None, mine: np.ndarray, way: Way
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the network's outputs and those recorded, of the same steps."""
    if theirs is None or theirs.ndim != mine.ndim or theirs.shape[1:] != mine.shape[1:]:
        return None
    late = 1 if len(theirs) == len(mine) + 1 else way.late
    theirs = theirs[late:]
    count = min(len(theirs), len(mine))
    whole = len(theirs) == len(mine) or way.part
    return (mine[:count], theirs[:count]) if count and whole else None


def _first(opened: Model, run: RecordedRun, way: Way, first: Named) -> Iterator[Compared]:
    """Compare the state that encode gives."""
    specs = opened.contract.step.states
    laid = _laid(run.of("state0"), specs, opened, way.rows)
    for spec in specs:
        if spec.name in laid:
            theirs, mine = laid[spec.name][None], first[spec.name][None]
            yield compare(f"state0/{spec.name}", theirs, mine, spec, 0)


def _states(opened: Model, run: RecordedRun, way: Way, made: Named) -> Iterator[Compared]:
    contract, specs = opened.contract, opened.contract.step.states
    source = run.of("state")
    shaped = {
        n: {s.name: _aligned(stacked(a, s, contract, way.rows), made[s.name], way) for s in specs}
        for n, a in source.items()
    }
    fits = {n: {k: v is not None for k, v in by.items()} for n, by in shaped.items()}
    left = {*source}
    for spec, name in paired(source, specs, fits):
        mine, theirs = cast("tuple[np.ndarray, np.ndarray]", shaped[name][spec.name])
        left.discard(name)
        yield compare(f"state/{name}", theirs, mine, spec, way.late)
    for name in sorted(left):
        yield from _joined(name, source[name], specs, made, way)


def _joined(
    name: str, theirs: np.ndarray, specs: tuple[TensorSpec, ...], made: Named, way: Way
) -> Iterator[Compared]:
    """Compare what upstream keeps in one array ``[N, L, B, H]`` with the states of several layers
    ``LAYER_NAME``, in their order.
    """
    parts = [spec for spec in specs if spec.name.endswith(f"_{name}")]
    if len(parts) < 2 or len({made[part.name].shape for part in parts}) > 1:
        return
    both = _aligned(theirs, np.concatenate([made[part.name] for part in parts], 1), way)
    if both is not None:
        yield compare(f"state/{name}", both[1], both[0], parts[0], way.late)
