"""What an artifact writes, against what the reference writes: greedy text, greedy captions, captions of a beam search."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from edgernn.contract import ENCODE, IMAGE, STEP, Decoding
from edgernn.decoding.captions import CaptionSessions, greedy_captions, search_caption
from edgernn.decoding.generate import greedy_tokens
from edgernn.parity.report import Check
from edgernn.parity.subject import Subject
from edgernn.sessions.base import Session

_PROMPT_TOKENS = 32
_BEAM, _BEAM_PICTURES = 3, 32


def check_text(subject: Subject) -> Check:
    """Compare the most probable text after the start tokens and after held-out text, each token fed back."""
    session, steps = subject.session, subject.steps
    judge, identical = subject.judges[STEP], []
    for prompt in _prompts(subject):
        expected, found = _expected_text(judge, tuple(prompt.tolist()), steps), greedy_tokens(session, prompt, steps)
        agreed = next((i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b), steps)
        identical.append(agreed)
        if agreed < steps:
            break
    measured = {"identical": min(identical), "prompts": len(identical)}
    at = min(identical)
    if at == steps:
        detail = f"{steps} tokens identical after each of {len(identical)} prompts"
        return Check(name="greedy", status="passed", detail=detail, measured=measured)
    text = f"token {at} after prompt {len(identical)} is {found[at]}, the reference writes {expected[at]}"
    return _other(subject, text, measured)


@lru_cache(maxsize=16)
def _expected_text(judge: Session, prompt: tuple[int, ...], steps: int) -> list[int]:
    """The reference's greedy text: the same for every artifact, so it is written once."""
    return greedy_tokens(judge, np.array(prompt, np.int64), steps)


def _prompts(subject: Subject) -> list[np.ndarray]:
    prompts = [np.array(subject.bundle.manifest.decoding.start, np.int64)]
    tokens = next(iter(subject.sample.values())) if subject.sample else prompts[0]
    if len(tokens) > 2 * _PROMPT_TOKENS:
        middle = len(tokens) // 2
        prompts += [tokens[:_PROMPT_TOKENS], tokens[middle : middle + _PROMPT_TOKENS]]
    return prompts


def check_captions(subject: Subject) -> Check:
    """Compare the captions of held-out pictures: greedy ones of all, and those of a beam search of the first."""
    if subject.sample is None or not len(subject.sample[IMAGE]):
        return Check(name="greedy", status="not run", detail="the bundle carries no held-out pictures to caption")
    images, decoding = subject.sample[IMAGE], subject.bundle.manifest.decoding
    judge = CaptionSessions(subject.judges[ENCODE], subject.judges[STEP])
    expected = _expected_captions(judge.encode, judge.step, images.tobytes(), images.shape, decoding)
    found = _captions(subject.captioner, images, decoding)
    words = [f"greedy caption of picture {index}" for index in range(len(images))]
    words += [f"beam-{_BEAM} caption of picture {index}" for index in range(len(found) - len(images))]
    wrong = [index for index, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    measured = {"identical": len(found) - len(wrong), "captions": len(found)}
    if not wrong:
        searched = len(found) - len(images)
        detail = f"greedy captions of {len(images)} held-out pictures identical, beam-{_BEAM} captions of {searched}"
        return Check(name="greedy", status="passed", detail=detail, measured=measured)
    first = wrong[0]
    other = f"the {words[first]} is {found[first]}, the reference writes {expected[first]}"
    text = f"{len(wrong)} of {len(found)} captions differ; {other}"
    return _other(subject, text, measured)


def _captions(sessions: CaptionSessions, images: np.ndarray, decoding: Decoding) -> list[list[int]]:
    searched = [
        list(search_caption(sessions, images[at : at + 1], decoding, beam=_BEAM).tokens)
        for at in range(min(len(images), _BEAM_PICTURES))
    ]
    return [*greedy_captions(sessions, images, decoding), *searched]


@lru_cache(maxsize=2)
def _expected_captions(
    encode: Session, step: Session, images: bytes, shape: tuple[int, ...], decoding: Decoding
) -> list[list[int]]:
    """The reference's captions: the same for every artifact, so they are written once."""
    return _captions(CaptionSessions(encode, step), np.frombuffer(images, np.uint8).reshape(shape), decoding)


def _other(subject: Subject, text: str, measured: dict[str, int]) -> Check:
    """Judge an artifact that writes something else: wrong where its precision promises the same, else told."""
    if subject.limit.same_text:
        return Check(name="greedy", status="failed", detail=text, measured=measured)
    told = f"{text}; reduced precision is judged by what the text loses, see text"
    return Check(name="greedy", status="passed", detail=told, measured=measured)
