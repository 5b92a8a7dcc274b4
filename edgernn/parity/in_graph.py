"""What a file writes in one call, against the host's own decoder over the step file beside it: token for token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgernn.contract import IMAGE, STEP, TOKENS
from edgernn.decoding.captions import CaptionSessions, search_caption
from edgernn.decoding.generate import Generation, Snapshot
from edgernn.decoding.sampling import Sampler
from edgernn.decoding_graphs import CAPTION
from edgernn.errors import ContractError
from edgernn.manifest import Artifact
from edgernn.parity.report import Check
from edgernn.sessions.opening import encoder_of, open_artifact

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

_TOKENS, _PROMPT = 128, 24
_PICTURES = 16
_BEAMS = (1, 3)
_SAMPLERS = {
    "greedy": Sampler(temperature=0),
    "temperature 0.8": Sampler(temperature=0.8),
    "top-k 8": Sampler(temperature=1.0, top_k=8),
    "top-p 0.9": Sampler(temperature=1.2, top_p=0.9),
}


def check(subject: Subject) -> Check:
    """Let the file and the host write the same texts, or caption the same pictures; every token must agree."""
    found = _captions(subject) if subject.artifact.graph == CAPTION else _texts(subject)
    count, beside = 0, step_beside(subject).path
    for what, expected, written in found:
        count += 1
        if expected != written:
            pairs = enumerate(zip(expected, written, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(written)))
            told = f"{what}: token {at} is {written[at : at + 1]}, the host writes {expected[at : at + 1]} with {beside}"
            return Check(name="decoding", status="failed", detail=told, measured={"identical": at})
    if not count:
        return Check(name="decoding", status="not run", detail="the bundle carries no held-out pictures to caption")
    told = f"{count} {'captions' if subject.artifact.graph == CAPTION else 'texts'} as the host writes them with {beside}"
    return Check(name="decoding", status="passed", detail=told)


def step_beside(subject: Subject) -> Artifact:
    """Return the step artifact of the same format and precision; raise ContractError where the bundle has none."""
    own = subject.artifact
    for artifact in subject.bundle.manifest.artifacts:
        if (artifact.graph, artifact.format, artifact.precision) == (STEP, own.format, own.precision):
            return artifact
    raise ContractError(f"the bundle has no step file of {own.format} in {own.precision} to compare with; export it again")


def _texts(subject: Subject) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield of each way to write: its name, the host's tokens, the file's."""
    generator, step = subject.session, open_artifact(subject.bundle, step_beside(subject))
    decoding = subject.bundle.manifest.decoding
    prompts = [np.array(decoding.start, np.int64)]
    if subject.sample is not None and len(subject.sample[TOKENS]) > _PROMPT:
        prompts.append(subject.sample[TOKENS][:_PROMPT])
    for index, prompt in enumerate(prompts):
        for seed, (name, sampler) in enumerate(_SAMPLERS.items()):
            state = step.initial_state(1)
            host = Generation(step, Snapshot(state, prompt), sampler=sampler, seed=seed, suppress=decoding.suppress)
            expected = list(host.write(_TOKENS, stop=decoding.stop))
            made = generator.generate(prompt, state, length=_TOKENS, sampler=sampler, seed=seed)  # type: ignore[attr-defined]
            yield f"{name} after prompt {index + 1}", expected, made.tokens.tolist()


def _captions(subject: Subject) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield of each held-out picture and beam: its name, the host's tokens, the file's."""
    beside = step_beside(subject)
    files = (encoder_of(subject.bundle, beside), beside)
    sessions = CaptionSessions(*(open_artifact(subject.bundle, artifact) for artifact in files))
    images = subject.sample[IMAGE][:_PICTURES] if subject.sample else np.zeros((0, 1, 1, 3), np.uint8)
    for index in range(len(images)):
        for beam in _BEAMS:
            image = images[index : index + 1]
            expected = search_caption(sessions, image, subject.bundle.manifest.decoding, beam=beam)
            made = subject.session.caption(image, beam=beam)  # type: ignore[attr-defined]
            yield f"beam {beam} of picture {index}", list(expected.tokens), list(made.tokens)
