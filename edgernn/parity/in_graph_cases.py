"""What a file that writes texts is asked: every input over the whole of its range, in as few tokens
as show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.contract import Decoding
from edgernn.decoding.sampling import Sampler
from edgernn.sessions.base import Session, State
from edgernn.sessions.draw import random_state

_SHORT, _LONG, _PROMPT = 12, 160, 24
_LONG_PROMPT = 300  # cut anywhere, it would leave another state, if a model remembers that long
_FAR = {2.0: "a full", 16.0: "a large"}  # times a state drawn from (-0.5, 0.5)
_LARGEST_UNIFORM = 1 - 2.0**-53


@dataclass(frozen=True, eq=False)
class Case:
    """One text to write: what it is called in a report, and what goes in.

    Attributes:
        name: in words.
        prompt: int64 ``[N]``, at least one id.
        state: before the prompt, each ``[L, 1, H]``.
        sampler, length, stop: how to write.
        uniforms: float64 ``[length]``, each in [0, 1).
    """

    name: str
    prompt: np.ndarray
    state: State
    sampler: Sampler
    length: int
    uniforms: np.ndarray
    stop: tuple[int, ...]


def cases(
    step: Session, decoding: Decoding, *, sample: np.ndarray | None, seed: int
) -> Iterator[Case]:
    """Yield the cases of a model: samplers, uniform numbers, lengths, stops, prompts and states.

    Args:
        step: a session of the model's step.
        decoding: what the model starts with, and where it stops.
        sample: held-out tokens int64 ``[N]``, where there are any.
        seed: of prompts, states and uniform numbers.
    """
    random, size = np.random.default_rng(seed), step.contract.vocabulary
    prompts = [np.array(decoding.start, np.int64)]
    prompts += [] if sample is None or len(sample) <= _PROMPT else [sample[:_PROMPT]]
    prompts += [random.integers(0, size, count, dtype=np.int64) for count in (1, 2, 65)]
    states = [step.initial_state(1), random_state(step.contract, batch=1, seed=seed)]

    def case(
        name: str,
        sampler: Sampler,
        place: int,
        *,
        length: int = _SHORT,
        uniforms: Sequence[float] = (),
        stop: Sequence[int] = (),
        state: State | None = None,
    ) -> Case:
        prompt, first = place % len(prompts), states[place % 2] if state is None else state
        numbers = np.array(uniforms or random.random(length), np.float64)
        return Case(
            f"{name} after prompt {prompt + 1}",
            prompts[prompt],
            first,
            sampler,
            length,
            numbers,
            tuple(stop),
        )

    for place, (name, sampler) in enumerate(_samplers(size).items()):
        yield case(name, sampler, place, stop=decoding.stop)
    plain, nucleus = Sampler(temperature=1.0), Sampler(temperature=1.0, top_k=size, top_p=0.9)
    for place, number in enumerate((0.0, _LARGEST_UNIFORM)):
        yield case(f"uniform numbers of {number:g}", plain, place, uniforms=[number] * _SHORT)
        yield case(
            f"uniform numbers of {number:g}, top-p 0.9",
            nucleus,
            place + 1,
            uniforms=[number] * _SHORT,
        )
    for length in (0, 1, 2, _LONG):
        yield case(
            f"greedy, length {length}",
            Sampler(temperature=0),
            1 + length % 2,
            length=length,
            stop=decoding.stop,
        )
        yield case(
            f"temperature 1, length {length}", plain, length % 2, length=length, stop=decoding.stop
        )
    for factor, far in _FAR.items():
        large = {name: (factor * array).astype(array.dtype) for name, array in states[1].items()}
        yield case(f"greedy from {far} state", Sampler(temperature=0), 2, state=large)
        yield case(f"temperature 1 from {far} state", plain, 2, length=1, state=large)
    long = Case(
        "greedy after a long prompt",
        random.integers(0, size, _LONG_PROMPT),
        states[0],
        Sampler(0),
        2,
        np.zeros(2),
        (),
    )
    yield long
    every = range(size)
    for place, stop in enumerate((every, every[: size // 2], every[size // 2 :])):
        yield case(f"{len(stop)} stop tokens", plain, place, stop=stop)
        yield case(f"greedy, {len(stop)} stop tokens", Sampler(temperature=0), place + 1, stop=stop)


def _samplers(size: int) -> dict[str, Sampler]:
    """Return samplers by name: temperatures from none to far above any use, top-k and top-p from
    one token to all.
    """
    made = {"greedy": Sampler(temperature=0)}
    made |= {f"temperature {t:g}": Sampler(temperature=t) for t in (0.8, 1e-3, 0.1, 5.0, 100.0)}
    made |= {
        f"top-k {k}": Sampler(temperature=1.0, top_k=k)
        for k in dict.fromkeys((8, 1, 2, size, size + 7))
    }
    made |= {f"top-p {p:g}": Sampler(temperature=1.2, top_p=p) for p in (0.9, 1e-6, 0.5, 0.999)}
    return made | {"top-k 5, top-p 0.7": Sampler(temperature=2.0, top_k=5, top_p=0.7)}
