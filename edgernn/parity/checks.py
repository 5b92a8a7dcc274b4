"""The checks, by name: each takes one artifact and gives one verdict with the numbers behind it.

A check that this machine cannot make is "not run", never "passed". A new check is one function and one row of ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from edgernn import formats
from edgernn.contract import file_problems
from edgernn.data.tokenizer import Tokenizer
from edgernn.decoding.generate import greedy_tokens
from edgernn.decoding.writer import open_tokenizer
from edgernn.errors import BundleError, ContractError, DataError, UnavailableError
from edgernn.parity import golden, invariance, rollout
from edgernn.parity.report import Check
from edgernn.parity.rollout import Drift
from edgernn.parity.subject import Subject
from edgernn.parity.text_loss import measure_text
from edgernn.sessions.base import Session
from edgernn.sessions.opening import read_first_state, session_class
from edgernn.tolerances import Tolerance

_SEED = 7
_INVARIANCE_STEPS = 48
_PROMPT_TOKENS = 32
_FEWEST_TEXT_TOKENS = 32


def run_check(subject: Subject, name: str) -> Check:
    """Make the check ``name``; what this machine lacks is not run, and a file that breaks on the way has failed."""
    try:
        if subject.artifact.format not in formats.FORMATS:
            known = "this edgernn does not know the format"
            raise UnavailableError(f"{known} {subject.artifact.format!r}; use the one that exported it")
        return CHECKS[name](subject)
    except UnavailableError as error:
        return Check(name=name, status="not run", detail=str(error))
    except ContractError as error:
        return Check(name=name, status="failed", detail=str(error))


def check_contract(subject: Subject) -> Check:
    """Names, axes, dtypes, target and metadata in the file itself, against the manifest; and the tokenizer's size."""
    artifact, bundle = subject.artifact, subject.bundle
    description = session_class(artifact.format).describe(bundle.path(artifact.path))
    problems = file_problems(description, bundle.file_contract(artifact))
    if description.target is not None and description.target != artifact.target:
        problems.append(f"the file is written for {description.target}, the manifest says {artifact.target}")
    try:
        open_tokenizer(bundle)
    except (BundleError, DataError) as error:
        problems.append(str(error))
    problems += [*_first_state_problems(subject), *_tokenizer_problems(subject)]
    interface = description.interface
    agreed = f"{len(interface.inputs)} inputs, {len(interface.outputs)} outputs, {len(interface.states)} kept states, metadata"
    return Check(name="contract", status="failed" if problems else "passed", detail="; ".join(problems) or agreed)


def _first_state_problems(subject: Subject) -> list[str]:
    """The bundle's learned first state must be the reference's, bit for bit, and the one the golden run starts from."""
    bundle, inner = subject.bundle, subject.bundle.manifest.initial_state
    if inner is None:
        return []
    found = read_first_state(bundle.path(inner), bundle.manifest.contract)
    judges = [] if subject.judge is None else [("the reference's", subject.judge.initial_state(1))]
    if bundle.manifest.golden is not None:
        judges.append(("the golden run's", golden.read(bundle.path(bundle.manifest.golden), bundle.manifest.contract)))
    return [
        f"the first state {name} is not {whose}"
        for whose, expected in judges
        for name, array in found.items()
        if not np.array_equal(array, expected[name])
    ]


def _tokenizer_problems(subject: Subject) -> list[str]:
    """The recorded text must give the recorded ids."""
    entry = subject.bundle.manifest.tokenizer
    try:
        ids = Tokenizer.load(subject.bundle.path(entry.path)).encode(entry.text, on_unknown="skip").tolist()
    except DataError:
        return []  # told above
    if ids == list(entry.ids):
        return []
    at = next((i for i, (a, b) in enumerate(zip(ids, entry.ids, strict=False)) if a != b), min(len(ids), len(entry.ids)))
    return [f"the tokenizer does not give the ids that were recorded for its text, from token {at} on: it is another one"]


def check_rollout(subject: Subject) -> Check:
    """Outputs and states of chained runs, each side on its own state, at every call."""
    limit, session = subject.limit, subject.session
    if subject.judge is None:
        return Check(name="rollout", status="not run", detail="there is no reference to roll out; see golden")
    found = rollouts(subject.judge, session, subject.steps)
    shapes = f"{len(found)} runs of {subject.steps} steps, batch {sorted({r.plan.batch for r in found})}"
    lengths = sorted({length for run in found for length in run.plan.lengths})
    return _judged("rollout", [drift for run in found for drift in run.drifts], limit, f"{shapes}, T {lengths}")


def rollouts(judge: Session, session: Session, steps: int) -> list[rollout.Rollout]:
    """Roll ``session`` out against ``judge`` over every plan that its file allows."""
    return [
        rollout.compare(judge, session, plan, seed=_SEED + index) for index, plan in enumerate(rollout.plans(session, steps))
    ]


def check_invariance(subject: Subject) -> Check:
    """What must not matter: cuts in time, company in the batch, a state that is saved, loaded and forked meanwhile."""
    limit, session = subject.limit, subject.session
    steps = min(subject.steps, _INVARIANCE_STEPS)
    found = {
        "chunks": invariance.chunks(session, steps),
        "rows": invariance.rows(session, steps),
        "state": invariance.state_is_data(session, steps),
    }
    made = {name: drifts for name, drifts in found.items() if drifts}
    broken = [name for name, drifts in made.items() if not max(d.scaled for d in drifts) <= limit.rollout]
    what = f"{', '.join(made)} over {steps} steps" + (f"; BROKEN: {', '.join(broken)}" if broken else "")
    return _judged("invariance", [drift for drifts in made.values() for drift in drifts], limit, what)


def check_greedy(subject: Subject) -> Check:
    """The most probable text, each token fed back, after the start tokens and after held-out text."""
    limit, session, steps = subject.limit, subject.session, subject.steps
    if subject.judge is None:
        return Check(name="greedy", status="not run", detail="there is no reference to write the same text; see golden")
    judge, identical = subject.judge, []
    for prompt in _prompts(subject):
        expected, found = _expected_text(judge, tuple(prompt.tolist()), steps), greedy_tokens(session, prompt, steps)
        agreed = next((i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b), steps)
        identical.append(agreed)
        if agreed < steps:
            break
    measured = {"identical": min(identical), "prompts": len(identical)}
    if min(identical) == steps:
        detail = f"{steps} tokens identical after each of {len(identical)} prompts"
        return Check(name="greedy", status="passed", detail=detail, measured=measured)
    at = min(identical)
    text = f"token {at} after prompt {len(identical)} is {found[at]}, the reference writes {expected[at]}"
    if limit.same_text:
        return Check(name="greedy", status="failed", detail=text, measured=measured)
    told = f"{text}; reduced precision is judged by what the text loses, see text"
    return Check(name="greedy", status="passed", detail=told, measured=measured)


@lru_cache(maxsize=16)
def _expected_text(judge: Session, prompt: tuple[int, ...], steps: int) -> list[int]:
    """The reference's greedy text: the same for every artifact, so it is written once."""
    return greedy_tokens(judge, np.array(prompt, np.int64), steps)


def _prompts(subject: Subject) -> list[np.ndarray]:
    prompts = [np.array(subject.bundle.manifest.decoding.start, np.int64)]
    if subject.sample is not None and len(subject.sample) > 2 * _PROMPT_TOKENS:
        middle = len(subject.sample) // 2
        prompts += [subject.sample[:_PROMPT_TOKENS], subject.sample[middle : middle + _PROMPT_TOKENS]]
    return prompts


def check_text(subject: Subject) -> Check:
    """What held-out text loses: perplexity, KL divergence and the most probable tokens, against the reference."""
    limit, session, sample = subject.limit, subject.session, subject.sample
    if subject.judge is None or sample is None or len(sample) < _FEWEST_TEXT_TOKENS:
        lacking = "reference" if subject.judge is None else "held-out text"
        return Check(name="text", status="not run", detail=f"the bundle carries no {lacking} to measure on")
    loss = measure_text(subject.judge, session, sample)
    good = loss.mean_kl <= limit.mean_kl and loss.top1 >= limit.top1 and loss.perplexity_change <= limit.perplexity
    detail = (
        f"{loss.tokens} tokens: perplexity {loss.reference_perplexity:.4f} to {loss.perplexity:.4f} "
        f"({loss.perplexity_change:+.3%}, at most {limit.perplexity:+.3%}), KL mean {loss.mean_kl:.1e} "
        f"(at most {limit.mean_kl:.0e}) worst {loss.worst_kl:.1e}, top-1 {loss.top1:.2%} (at least {limit.top1:.1%}), "
        f"top-5 {loss.top5:.2%}"
    )
    measured = {**asdict(loss), "perplexity_change": loss.perplexity_change}
    return Check(name="text", status="passed" if good else "failed", detail=detail, measured=measured)


def check_golden(subject: Subject) -> Check:
    """The recorded run, replayed from its own start: what a device does without a reference."""
    limit, session = subject.limit, subject.session
    inner = subject.bundle.manifest.golden
    if inner is None:
        return Check(name="golden", status="not run", detail="the bundle carries no golden run")
    found = golden.replay(session, subject.bundle.path(inner))
    return _judged("golden", found, limit, f"{len(found[0].curve)} recorded steps")


CHECKS: dict[str, Callable[[Subject], Check]] = {
    "contract": check_contract,
    "rollout": check_rollout,
    "invariance": check_invariance,
    "text": check_text,
    "greedy": check_greedy,
    "golden": check_golden,
}


def _judged(name: str, drifts: Sequence[Drift], limit: Tolerance, what: str) -> Check:
    worst = max(drifts, key=lambda drift: drift.scaled)
    absolute: dict[str, float] = {}
    for drift in drifts:
        absolute[drift.tensor] = max(absolute.get(drift.tensor, 0.0), drift.worst)
    good = worst.scaled <= limit.rollout
    return Check(
        name=name,
        status="passed" if good else "failed",
        detail=f"{what}; worst {worst.tensor} {worst.scaled:.1e} at call {worst.worst_call} (tolerance {limit.rollout:g})",
        measured={
            "tensor": worst.tensor,
            "worst_absolute": absolute,
            "worst_scaled": worst.scaled,
            "worst_call": worst.worst_call,
            "growth": worst.growth,
            "tolerance": limit.rollout,
        },
        curves=_curves(drifts),
    )


def _curves(drifts: Sequence[Drift]) -> dict[str, tuple[float, ...]]:
    """Return the curve of each tensor in the first run: single steps of one row."""
    curves: dict[str, tuple[float, ...]] = {}
    for drift in drifts:
        curves.setdefault(drift.tensor, tuple(drift.curve.tolist()))
    return curves
