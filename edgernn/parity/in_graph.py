"""What a file writes in one call, against the host's own decoder over the step file beside it:
every output of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgernn.bundle.records import Artifact
from edgernn.contract import STEP, TOKENS, Decoding, next_name
from edgernn.contract.in_graph import (
    BEAM,
    CAPTION,
    FINISHED,
    LENGTH,
    LOG_PROBABILITIES,
    LOG_PROBABILITY,
    PROMPT,
    SCORE,
    STOP,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    UNIFORMS,
)
from edgernn.decoding.beam import log_softmax
from edgernn.decoding.captions import search_caption
from edgernn.decoding.generate import prefill
from edgernn.errors import ContractError
from edgernn.parity.in_graph_cases import Case, cases
from edgernn.parity.report.data import Check
from edgernn.sessions.base import Session
from edgernn.sessions.draw import random_pictures
from edgernn.sessions.in_graph import Decoder
from edgernn.sessions.model import Model, open_model, rows_of
from edgernn.sessions.opening import open_artifact

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

# of log-probabilities, scores, attention and states: the same sums, in a loop; as of two float32
# files
TOLERANCE = 1e-4
_NEAR, _TRIES = 1e-5, 64  # of logits, within which a draw may fall on either side of an edge
_PICTURES, _BEAMS, _WIDEST = 8, (2, 5, 10), 16
Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Compared:
    """One decoding: what it was, what the host makes of it and what the file does, by output; the
    tokens first.
    """

    what: str
    expected: dict[str, np.ndarray]
    found: dict[str, np.ndarray]


def check(subject: Subject) -> Check:
    """Let the file and the host write the same texts, or caption the same pictures; every output
    must agree.
    """
    captions = subject.artifact.graph == CAPTION
    count, worst, beside = 0, dict[str, float](), step_beside(subject).path
    for made in _captions(subject) if captions else _texts(subject):
        count += 1
        problem = _tokens_problem(made, beside) or _numbers_problem(made, beside, worst)
        if problem:
            return Check(
                name="decoding",
                status="failed",
                detail=problem,
                measured={"compared": count, "worst": worst},
            )
    told = f"{count} {'captions' if captions else 'texts'} as the host writes them with {beside}"
    numbers = ", ".join(f"{name} {far:.1e}" for name, far in worst.items())
    detail = f"{told}; every output of them: {numbers} (tolerance {TOLERANCE:g})"
    return Check(
        name="decoding",
        status="passed",
        detail=detail,
        measured={"compared": count, "worst": worst},
    )


def _tokens_problem(made: _Compared, beside: str) -> str | None:
    expected, found = made.expected[TOKENS].tolist(), np.atleast_1d(made.found[TOKENS]).tolist()
    if expected == found:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b),
        min(len(expected), len(found)),
    )
    return (
        f"{made.what}: token {at} is {found[at : at + 1]}, the host writes {expected[at : at + 1]} "
        f"with {beside}"
    )


def _numbers_problem(made: _Compared, beside: str, worst: dict[str, float]) -> str | None:
    """Compare all outputs but the tokens; note in ``worst`` how far each is, divided by the larger
    of 1 and its largest.
    """
    for name, expected in made.expected.items():
        found = made.found[name]
        if name == TOKENS:
            continue
        if found.shape != expected.shape:
            return (
                f"{made.what}: {name} has shape {list(found.shape)}, the host gives "
                f"{list(expected.shape)} with {beside}"
            )
        away = np.abs(np.asarray(expected, np.float64) - np.asarray(found, np.float64))
        far = float(away.max(initial=0.0)) / max(1.0, float(np.abs(expected).max(initial=0.0)))
        worst[name] = max(worst.get(name, 0.0), far)
        if not far <= TOLERANCE:
            return (
                f"{made.what}: {name} is {far:.1e} from what the host gives with {beside} "
                f"(tolerance {TOLERANCE:g})"
            )
    return None


def step_beside(subject: Subject) -> Artifact:
    """Return the step artifact of the same format and precision; raise ContractError where the
    bundle has none.
    """
    own = subject.artifact
    for artifact in subject.bundle.manifest.artifacts:
        if (artifact.graph, artifact.format, artifact.precision) == (
            STEP,
            own.format,
            own.precision,
        ):
            return artifact
    raise ContractError(
        f"the bundle has no step file of {own.format} in {own.precision} to compare with; "
        "export it again"
    )


def _texts(subject: Subject) -> Iterator[_Compared]:
    """Yield every case twice: once in order, and the first few again at the end, when much has been
    written.
    """
    step, decoding = (
        open_artifact(subject.bundle, step_beside(subject)),
        subject.bundle.manifest.decoding_defaults,
    )
    sample = subject.family.read(subject.sample)
    asked = list(cases(step, decoding, sample=sample, seed=subject.seed))
    for case in (*asked, *reversed(asked[:4])):
        yield _text(subject.decoder, step, case, decoding)


def _text(generator: Decoder, step: Session, case: Case, decoding: Decoding) -> _Compared:
    """Write one text twice; where a draw may fall on either side, what comes after it is not
    compared.
    """
    feeds = {
        PROMPT: case.prompt,
        **case.state,
        LENGTH: np.array(case.length, np.int64),
        UNIFORMS: case.uniforms,
    }
    feeds |= {
        STOP: np.array(sorted(case.stop), np.int64),
        TEMPERATURE: np.array(case.sampler.temperature, np.float64),
    }
    feeds |= {
        TOP_K: np.array(case.sampler.top_k, np.int64),
        TOP_P: np.array(case.sampler.top_p, np.float64),
    }
    found = generator.decode(feeds)
    state, scores = case.state, step.spec.text_scores.name
    for token in case.prompt[:-1]:
        _, state = prefill(step, np.array([[token]]), state)
    tokens, logs, fed, written = (
        list[int](),
        list[float](),
        int(case.prompt[-1]),
        np.atleast_1d(found[TOKENS]),
    )
    for place in range(case.length):
        outputs, state = prefill(step, np.array([[fed]]), state)
        logits = outputs[scores][0]  # [V]
        fed = _pick(case, logits, case.uniforms[place], decoding)
        if (
            place < len(written)
            and written[place] != fed
            and _is_on_edge(case, logits, place, int(written[place]), decoding)
        ):
            cut = {TOKENS: written[:place], LOG_PROBABILITIES: found[LOG_PROBABILITIES][:place]}
            return _Compared(
                case.name, {TOKENS: np.array(tokens), LOG_PROBABILITIES: np.array(logs)}, cut
            )
        tokens.append(fed)
        logs.append(float(log_softmax(logits[None])[0, fed]))
        if fed in case.stop:
            break
    after = {next_name(name): array for name, array in state.items()}
    return _Compared(
        case.name,
        {TOKENS: np.array(tokens, np.int64), LOG_PROBABILITIES: np.array(logs), **after},
        found,
    )


def _pick(case: Case, logits: np.ndarray, uniform: float, decoding: Decoding) -> int:
    allowed = logits.copy()
    allowed[list(decoding.suppress)] = -np.inf
    return case.sampler.pick(allowed, uniform)


def _is_on_edge(case: Case, logits: np.ndarray, place: int, token: int, decoding: Decoding) -> bool:
    """Tell whether logits that differ by rounding alone would give ``token``."""
    random = np.random.default_rng(place)
    noise = (
        _NEAR
        * max(1.0, float(np.abs(logits).max()))
        * random.uniform(-1, 1, (_TRIES, len(logits))).astype(np.float32)
    )
    return any(
        _pick(case, logits + away, case.uniforms[place], decoding) == token for away in noise
    )


def _captions(subject: Subject) -> Iterator[_Compared]:
    """Yield of each picture: greedy, by 3 beams, and by other widths and lengths in turn."""
    beside, decoding = step_beside(subject), subject.bundle.manifest.decoding_defaults
    model = open_model(subject.bundle, beside.path)
    usual, widest = decoding.length or 1, min(_WIDEST, model.contract.vocabulary)
    lengths = (1, 2, usual + 3, usual)
    seen = _seen(subject)
    for index in range(len(next(iter(seen.values())))):
        beams, row = (*_BEAMS, widest), rows_of(seen, slice(index, index + 1))
        asked = [
            (1, usual),
            (3, usual),
            (beams[index % 4], usual),
            (beams[(index + 1) % 4], lengths[index % 4]),
        ]
        for beam, length in asked:
            yield _caption(subject, model, row, beam=beam, length=length, name=f"picture {index}")


def _seen(subject: Subject) -> dict[str, np.ndarray]:
    """Return what encode sees of the held-out sample, each ``[N, …]``, or made ones where the
    bundle carries none.
    """
    contract = subject.bundle.manifest.contract
    seen = subject.family.shown(subject.sample, contract, seed=subject.seed)
    if seen and len(next(iter(seen.values()))):
        return rows_of(seen, slice(_PICTURES))
    made = random_pictures(contract, batch=1, count=_PICTURES, seed=subject.seed)
    return {name: array[0] for name, array in made.items()}


def _caption(
    subject: Subject,
    model: Model,
    seen: Tensors,
    *,
    beam: int,
    length: int,
    name: str,
) -> _Compared:
    decoding = subject.bundle.manifest.decoding_defaults.model_copy(update={"length": length})
    best = search_caption(model, seen, decoding, beam=beam)
    feeds = {
        **seen,
        BEAM: np.array(beam, np.int64),
        LENGTH: np.array(length, np.int64),
    }
    found = subject.decoder.decode(feeds)
    expected = {TOKENS: np.array(best.tokens, np.int64), SCORE: np.array(best.score)}
    what = f"beam {beam} of {name}" + (
        "" if length == subject.bundle.manifest.decoding_defaults.length else f", length {length}"
    )
    tokens = np.atleast_1d(found[TOKENS]).tolist()
    if tokens != list(best.tokens) and abs(float(found[SCORE]) - best.score) <= _NEAR * max(
        1.0, abs(best.score)
    ):
        same = {
            TOKENS: expected[TOKENS],
            SCORE: found[SCORE],
        }  # two captions of one score: either is the best
        return _Compared(what, expected, same)
    told = {LOG_PROBABILITY: np.array(best.log_probability), FINISHED: np.array(best.finished)}
    return _Compared(what, {**expected, **told, **best.outputs}, found)
