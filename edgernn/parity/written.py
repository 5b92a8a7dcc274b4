"""What an artifact writes, against what the reference writes: greedy text, greedy captions,
captions of a beam search.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from edgernn.bundle import Bundle
from edgernn.decoding.generate import greedy_tokens, prefill
from edgernn.families.samples import sample_of
from edgernn.families.seen import SeenFamily
from edgernn.families.table import family_of
from edgernn.parity.reordered import FEED_SEED, Forced, Reordered, parts_as_far
from edgernn.parity.report.data import Check
from edgernn.parity.rollout import Plan, compare
from edgernn.parity.subject import Subject
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model


def check_text(subject: Subject, reference: Model) -> Check:
    """Compare the most probable text after the start tokens and after held-out text, each token fed
    back.
    """
    steps, identical, notes = subject.steps, [], dict[str, None]()
    prompts = subject.family.prompts(subject.bundle.manifest.decoding_defaults, subject.sample)
    for prompt in prompts:
        expected = _expected_text(reference.step, tuple(prompt.tolist()), steps)
        expected, found, note = _judged_text(subject, reference.step, prompt, expected)
        notes |= {note: None} if note else {}
        identical.append(_agreed(expected, found))
        if identical[-1] < steps:
            break
    at, measured = min(identical), {"identical": min(identical), "prompts": len(identical)}
    if at == steps:
        detail = "; ".join(
            [f"{steps} tokens identical after each of {len(identical)} prompts", *notes]
        )
        return Check(name="greedy", status="passed", detail=detail, measured=measured)
    text = (
        f"token {at} after prompt {len(identical)} is {found[at]}, the reference writes "
        f"{expected[at]}"
    )
    return _other(subject, text, measured)


def _agreed(expected: list[int], found: list[int]) -> int:
    """Return how many tokens are the same from the beginning on."""
    return next(
        (i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b), len(expected)
    )


def _judged_text(
    subject: Subject, judge: Session, prompt: np.ndarray, expected: list[int]
) -> tuple[list[int], list[int], str]:
    """Return what is to be written and what the file writes, and a note where another text is no
    fault of the file's.

    Where two logits of the reference are as near as the tolerance, a file may take either: the
    reference's choice is then forced on it. Where the reference itself writes another text with its
    sums in another order, its state is chaotic, and each step of the file starts from the
    reference's.
    """
    session, steps = subject.model.step, subject.steps
    found = greedy_tokens(session, prompt, steps)
    if found == expected or not subject.limit.same_text:
        return expected, found, ""
    at = _agreed(expected, found)
    if _is_tie(subject, judge, prompt, expected, found[at], at):
        rest = np.concatenate([prompt, expected[: at + 1]])
        more = greedy_tokens(session, rest, steps - at - 1) if at + 1 < steps else []
        note = f"token {at} is a tie of the reference's"
        return expected, [*expected[: at + 1], *more], note
    own = compare(judge, Reordered(judge), Plan(1, (1,) * steps), seed=FEED_SEED).worst.scaled
    if not parts_as_far(own, subject.limit.rollout):
        return expected, found, ""
    note = (
        f"led by the reference, which parts from itself by {own:.1e} when its sums come in another "
        "order"
    )
    expected, found = (
        greedy_tokens(Forced(judge, which), prompt, steps) for which in (judge, session)
    )
    return expected, found, note


def _is_tie(
    subject: Subject, judge: Session, prompt: np.ndarray, expected: list[int], other: int, at: int
) -> bool:
    """Tell whether the reference's logits of its own token and of another are as near as two files
    may be apart.
    """
    fed = np.concatenate([prompt, np.array(expected[:at], np.int64)])
    outputs, _ = prefill(judge, fed[None], judge.initial_state(1))
    logits = outputs[judge.spec.text_scores.name][0].astype(np.float64)  # [V]
    near = 2 * subject.limit.rollout * max(1.0, float(np.abs(logits).max()))
    return bool(logits[expected[at]] - logits[other] <= near)


@lru_cache(maxsize=16)
def _expected_text(judge: Session, prompt: tuple[int, ...], steps: int) -> list[int]:
    """The reference's greedy text: the same for every artifact, so it is written once."""
    return greedy_tokens(judge, np.array(prompt, np.int64), steps)


def check_seen(subject: Subject, reference: Model) -> Check:
    """Compare what is written about what was held out, as captions of pictures: greedy texts of
    all, and those of a beam search of the first.
    """
    contract, family = subject.bundle.manifest.contract, subject.family
    assert isinstance(family, SeenFamily)
    things, texts = family.things(contract), family.references
    seen = family.shown(subject.sample, contract, seed=FEED_SEED)
    rows = len(next(iter(seen.values()))) if seen else 0
    if not rows:
        detail = f"the bundle carries no held-out {things} to {family.command}"
        return Check(name="greedy", status="not run", detail=detail)
    decoding = subject.bundle.manifest.decoding_defaults
    expected = _expected_texts(reference, subject.bundle)
    found = family.written(subject.model, seen, decoding)
    wrong = [what for what, tokens in found.items() if tokens != expected[what]]
    measured = {"identical": len(found) - len(wrong), texts: len(found)}
    if not wrong:
        first, searched = next(reversed(found)).partition(f" {family.text}")[0], len(found) - rows
        what = f"{'held-out' if subject.sample is not None else 'drawn'} {things}"
        detail = f"greedy {texts} of {rows} {what} identical, {first} {texts} of {searched}"
        return Check(name="greedy", status="passed", detail=detail, measured=measured)
    at = wrong[0]
    other = f"the {at} is {found[at]}, the reference writes {expected[at]}"
    return _other(subject, f"{len(wrong)} of {len(found)} {texts} differ; {other}", measured)


@lru_cache(maxsize=2)
def _expected_texts(reference: Model, bundle: Bundle) -> dict[str, list[int]]:
    """The reference's texts: the same for every artifact, so they are written once."""
    manifest = bundle.manifest
    family = family_of(manifest.family)
    seen = family.shown(sample_of(bundle), manifest.contract, seed=FEED_SEED)
    return family.written(reference, seen, manifest.decoding_defaults)


def _other(subject: Subject, text: str, measured: dict[str, int]) -> Check:
    """Judge an artifact that writes something else: wrong where its precision promises the same,
    else told.
    """
    if subject.limit.same_text:
        return Check(name="greedy", status="failed", detail=text, measured=measured)
    told = f"{text}; reduced precision is judged by what the text loses, see text"
    return Check(name="greedy", status="passed", detail=told, measured=measured)


COMPARED: dict[str, Callable[[Subject, Model], Check]] = {
    "text": check_text,
    "captions": check_seen,
    "translations": check_seen,
}
