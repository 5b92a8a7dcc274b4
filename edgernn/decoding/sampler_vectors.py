"""``sampler.json``: random numbers and choices of tokens by which a host on a device checks its
own.

    {"version": 1, "generator": "splitmix64",
     "uniforms": [{"seed": 7, "position": 0, "values": [u, …]}, …], "tokens": [{"logits": [float32,
     …], "uniform": u, "temperature": t, "top_k": k, "top_p": p, "suppress": [ids],
                 "token": id}, …]}

The same in every bundle. Each choice is one that a correct sampler cannot miss: where a number lies
on the edge between two tokens, the logits are equal, so that every sum is exact; elsewhere it keeps
``_CLOSE`` away from every edge, much more than an exponential's last bit can move it and much less
than an error of float32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from edgernn import storage
from edgernn.contract import Record, first_line
from edgernn.contract.random_numbers import GENERATOR, uniform_numbers
from edgernn.decoding.sampling import Sampler
from edgernn.errors import BundleError

_LAST = 1 - 2.0**-53  # the largest number below 1
_CLOSE = 1e-12
_PLACES = (
    (0, 0),
    (1, 0),
    (7, 0),
    (7, 3),
    (42, 1000),
    (1234567, 0),
    (2**32 - 1, 0),
    (2**32, 5),
    (2**53 - 1, 10**9),
)
_NUMBERS = 5  # of each place
_DRAWN = 20  # logits of a case that is made of random numbers

Unit = Annotated[float, Field(ge=0, lt=1)]
Id = Annotated[int, Field(ge=0)]


class Numbers(Record):
    """Numbers of one seed, from a position on."""

    seed: Annotated[int, Field(ge=0, lt=2**53)]
    position: Annotated[int, Field(ge=0, lt=2**53)]
    values: Annotated[tuple[Unit, ...], Field(min_length=1)]


class Choice(Record):
    """One choice of a token: what decides it, and the token."""

    logits: Annotated[tuple[float, ...], Field(min_length=1)]
    uniform: Unit
    temperature: Annotated[float, Field(ge=0)]
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    suppress: tuple[Id, ...] = ()
    token: Id

    @property
    def sampler(self) -> Sampler:
        """The sampler that chooses."""
        return Sampler(self.temperature, self.top_k, self.top_p)

    def chosen(self) -> int:
        """Return what the library's own sampler chooses."""
        return self.sampler.pick(
            np.array(self.logits, np.float32), self.uniform, suppress=self.suppress
        )


class SamplerVectors(Record):
    """The whole of ``sampler.json``."""

    version: Literal[1] = 1
    generator: Literal["splitmix64"] = GENERATOR
    uniforms: Annotated[tuple[Numbers, ...], Field(min_length=1)]
    tokens: Annotated[tuple[Choice, ...], Field(min_length=1)]


def write_vectors(path: Path) -> None:
    """Write ``sampler.json``; about 40 KB, always the same."""
    numbers = [
        Numbers(
            seed=seed,
            position=at,
            values=tuple(uniform_numbers(seed, _NUMBERS, position=at).tolist()),
        )
        for seed, at in _PLACES
    ]
    made = SamplerVectors(uniforms=tuple(numbers), tokens=tuple(_choices()))
    storage.write_text(path, json.dumps(made.model_dump(), separators=(",", ":")) + "\n")


def read_vectors(path: Path) -> SamplerVectors:
    """Read ``sampler.json``; raise BundleError where it is damaged, naming what is wrong."""
    try:
        return SamplerVectors.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(
            f"{path} holds no sampler vectors ({first_line(error)}); export the bundle again"
        ) from error


def vector_problems(vectors: SamplerVectors) -> list[str]:
    """Replay the vectors with the library's own numbers and sampler; return what differs, in
    words.
    """
    problems = []
    for group in vectors.uniforms:
        found = uniform_numbers(group.seed, len(group.values), position=group.position).tolist()
        for at, (own, recorded) in enumerate(zip(found, group.values, strict=True), group.position):
            if own != recorded:
                problems.append(
                    f"number {at} of the seed {group.seed} is recorded as {recorded!r}, and it "
                    f"is {own!r}"
                )
                break
    for index, choice in enumerate(vectors.tokens):
        if any(id_ >= len(choice.logits) for id_ in choice.suppress):
            problems.append(
                f"choice {index} of the sampler suppresses an id above its "
                f"{len(choice.logits)} logits"
            )
        elif (token := choice.chosen()) != choice.token:
            problems.append(
                f"choice {index} of the sampler is recorded as token {choice.token}, and it is "
                f"{token}"
            )
    return problems


def _choices() -> Iterator[Choice]:
    yield from _greedy()
    yield from _equal()
    yield from _extremes()
    yield from _drawn()


def _choice(
    logits: Sequence[float], uniform: float, sampler: Sampler, suppress: tuple[int, ...] = ()
) -> Choice:
    """Return a choice with the token that is right."""
    token = sampler.pick(np.array(logits, np.float32), uniform, suppress=suppress)
    return Choice(
        logits=tuple(logits),
        uniform=uniform,
        temperature=sampler.temperature,
        top_k=sampler.top_k,
        top_p=sampler.top_p,
        suppress=suppress,
        token=token,
    )


def _greedy() -> Iterator[Choice]:
    """Temperature 0: the largest, the lower id of equal ones, whatever else is asked for."""
    logits = [1.0, 3.5, -2.0, 3.5, 0.0, 3.25]
    for suppress in ((), (1,), (1, 3)):
        for sampler in (Sampler(0), Sampler(0, top_k=2, top_p=0.5)):
            yield _choice(logits, _LAST, sampler, suppress)


def _equal() -> Iterator[Choice]:
    """Equal logits: every share is exact, so numbers and top-p may lie on the very edges."""
    for size in (1, 2, 3, 7, 10):
        logits = [0.25] * size
        edges = (
            np.arange(1, size + 1) / size
        ).tolist()  # as summing ones and dividing by the last sum gives them
        for edge in edges[: 3 if size < 10 else 1]:
            for uniform in (0.0, edge if edge < 1 else _LAST, float(np.nextafter(edge, 0))):
                yield _choice(logits, uniform, Sampler(0.7))
            yield _choice(logits, _LAST, Sampler(1.0, top_p=edge))
            yield _choice(logits, _LAST, Sampler(1.0, top_p=float(np.nextafter(edge, 0))))
        for top_k in (1, size - 1 or 1, size, size + 5):
            yield _choice(logits, _LAST, Sampler(1.3, top_k=top_k))
    two_levels = [-900.0, 2.0, -900.0, 2.0, 2.0, 2.0]  # the lower one has no probability at all
    for uniform in (0.0, 0.25, 0.5, 0.75, _LAST):
        for sampler in (
            Sampler(1.0),
            Sampler(1.0, top_p=0.5),
            Sampler(1.0, top_k=3),
            Sampler(1.0, top_k=5, top_p=0.75),
        ):
            yield _choice(two_levels, uniform, sampler)
        yield _choice(two_levels, uniform, Sampler(1.0), (1, 4))


def _extremes() -> Iterator[Choice]:
    """The smallest and the largest temperatures, logits and top-p."""
    logits = [-3.0, 4.0, 1.5, 4.0, float(np.finfo(np.float32).min), -0.5]
    for temperature in (1e-300, 1e-3, 1e6, 1e300):
        for uniform in (0.0, 0.4, 0.6, _LAST):
            yield _choice(logits, uniform, Sampler(temperature))
    for uniform in (0.0, 0.4, _LAST):
        yield _choice(logits, uniform, Sampler(1.0, top_p=1e-300))
        yield _choice([*logits, 9.0], uniform, Sampler(1.0, top_k=2), (6, 1))


def _drawn() -> Iterator[Choice]:
    """Logits of no pattern, in full float32 and in quarters with many ties; numbers and top-p just
    beside the edges.
    """
    for seed, temperature in enumerate((0.7, 1.0, 2.5)):
        drawn = (uniform_numbers(seed, _DRAWN) * 12 - 6).astype(np.float32)
        for logits in (drawn, np.round(drawn * 4) / 4):
            suppress = (int(np.argmax(logits)), 3) if seed % 2 else ()
            kept = _choice(logits.tolist(), 0.0, Sampler(0), suppress)
            open_logits = np.array(kept.logits, np.float32)
            open_logits[list(suppress)] = -np.inf
            for top_k in (0, 5, 40):
                free = Sampler(temperature, top_k)
                ends = free.shares(open_logits)[1]
                edge = float(ends[len(np.unique(ends)) // 3])
                for uniform in (edge - _CLOSE, edge + _CLOSE, _LAST):
                    yield _choice(logits.tolist(), uniform, free, suppress)
                for top_p in (edge - _CLOSE, edge + _CLOSE):
                    yield _choice(
                        logits.tolist(), _LAST, Sampler(temperature, top_k, top_p), suppress
                    )
