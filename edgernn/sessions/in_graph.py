"""Files that decode in the graph: a whole text or a whole caption in one call, whatever runs it.

Such a file has no step, so what is opened here is no session: it generates or captions and does
nothing else. What it writes is what ``Generation`` and ``beam_search`` write over the step file
that it was made of. A runtime adds ``describe``, ``open`` and ``_run``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgernn.contract import (
    BATCH,
    ENCODE,
    STEP,
    TOKENS,
    FileContract,
    GraphWord,
    Narrowing,
    next_name,
)
from edgernn.contract.in_graph import (
    BEAM,
    CAPTION,
    DECODERS,
    FINISHED,
    GENERATE,
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
    further_outputs,
)
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Arrays, State
from edgernn.sessions.file import OpenedFile

if TYPE_CHECKING:
    from edgernn.decoding.sampling import Sampler


@dataclass(frozen=True, eq=False)
class Generated:
    """A text that was written in one call.

    Attributes:
        tokens: int64 ``[N]``; a stop token that ended it is the last.
        log_probabilities: float32 ``[N]``, natural logarithms, by the model, whatever the sampler
            left out.
        state: by name, each ``[L, 1, H]``; it has seen all but the last token, which is what to
            feed next.
    """

    tokens: np.ndarray
    log_probabilities: np.ndarray
    state: State


@dataclass(frozen=True, eq=False)
class Captioned:
    """A caption that was written in one call; the attributes are those of ``Hypothesis``."""

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool
    outputs: dict[str, np.ndarray]


class Decoder(OpenedFile):
    """A file of which one call is a whole decoding.

    Attributes:
        graph: the graph of the contract by whose tensors, for one row, arguments are checked.
        computes: what the file computes.
    """

    graph: ClassVar[GraphWord]
    computes: ClassVar[GraphWord]

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        one_row = {"graph": self.graph, "narrowing": Narrowing(axes={BATCH: 1})}
        super().__init__(file_contract.model_copy(update=one_row), first_state)

    def decode(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the file once on what nobody has checked.

        Args:
            feeds: every input of the file by name; see ``contract.in_graph.file_interface``.

        Returns:
            Every output of the file by name.

        Raises:
            ContractError: the runtime could not run it, or it does not return what it promises.
        """
        made = self._run(feeds)
        if lacking := [name for name in self._promised if name not in made]:
            raise ContractError(
                f"the file does not return {lacking}, which its contract promises; export it again"
            )
        return made

    @cached_property
    def _promised(self) -> tuple[str, ...]:
        return tuple(tensor.name for tensor in DECODERS[self.computes](self.contract).outputs)


class Generator(Decoder):
    """Writes texts with a ``generate`` file; see ``generate_interface``."""

    graph = STEP
    computes = GENERATE

    def generate(
        self,
        prompt: np.ndarray,
        state: Arrays | None = None,
        *,
        length: int,
        sampler: Sampler,
        seed: int = 0,
        position: int = 0,
        uniforms: np.ndarray | None = None,
        stop: Collection[int] | None = None,
    ) -> Generated:
        """Write up to ``length`` tokens after ``prompt``.

        Args:
            prompt: int64 ``[N]``, at least one; when going on from an earlier call, its last token.
            state: the state before the prompt, each ``[L, 1, H]``; None is the first state.
            length: 1 or more.
            sampler: how to choose.
            seed: of the random numbers, as ``Generation`` takes it.
            position: how many numbers of the seed were used before.
            uniforms: the numbers themselves, float64 ``[length]``, each in [0, 1), in place of a
                seed.
            stop: ids that end the text; None takes those of the decoding defaults.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape; names it.
            UsageError: the length, a number or a stop token out of its range.
        """
        _at_least_one(LENGTH, length)
        numbers = (
            uniform_numbers(seed, length, position=position)
            if uniforms is None
            else _checked(uniforms, length)
        )
        stops = self._stops(self.file_contract.decoding_defaults.stop if stop is None else stop)
        ids = self.spec.text_ids.name
        feeds = self._checked_feeds(
            {ids: np.asarray(prompt)[None]}, self.initial_state() if state is None else state
        )
        feeds |= {
            PROMPT: feeds.pop(ids)[0],
            LENGTH: np.array(length, np.int64),
            UNIFORMS: numbers,
            STOP: stops,
        }
        made = self.decode(feeds | _settings(sampler))
        after = {spec.name: made[next_name(spec.name)] for spec in self.spec.states}
        return Generated(made[TOKENS], made[LOG_PROBABILITIES], after)

    def _stops(self, ids: Collection[int]) -> np.ndarray:
        stops, size = np.array(sorted(ids), np.int64), self.contract.vocabulary
        outside = stops[(stops < 0) | (stops >= size)]
        if outside.size:
            raise UsageError(f"a stop token has the id {outside[0]}, expected 0 to {size - 1}")
        return stops


class Captioner(Decoder):
    """Writes captions with a ``caption`` file; see ``caption_interface``."""

    graph = ENCODE
    computes = CAPTION

    def caption(
        self, seen: np.ndarray | Arrays, *, beam: int = 1, length: int | None = None
    ) -> Captioned:
        """Write the caption of what is ``seen``, one row.

        Args:
            seen: the array of encode's only input, as one upright picture ``[1, S, S, 3]`` uint8,
                or its inputs by name.
            beam: the width of the search; 1 is greedy.
            length: the most words; None takes that of the decoding defaults.

        Raises:
            ContractError: what is seen is of another dtype or shape, or the model gives numbers
                that are not finite.
            UsageError: the beam or the length is less than 1.
        """
        length = self.file_contract.decoding_defaults.length if length is None else length
        _at_least_one(BEAM, beam)
        _at_least_one(LENGTH, length)
        named = {self.spec.fresh_inputs[0].name: seen} if isinstance(seen, np.ndarray) else seen
        feeds = self._checked_feeds(dict(named), {})
        made = self.decode(
            feeds | {BEAM: np.array(beam, np.int64), LENGTH: np.array(length, np.int64)}
        )
        score = float(made[SCORE])
        if not np.isfinite(score):
            raise ContractError(
                f"{SCORE} is {score}, expected a finite number; verify the file and its inputs"
            )
        return Captioned(
            tuple(made[TOKENS].tolist()),
            float(made[LOG_PROBABILITY]),
            score,
            bool(made[FINISHED]),
            {spec.name: made[spec.name] for spec in further_outputs(self.contract)},
        )


def _settings(sampler: Sampler) -> dict[str, np.ndarray]:
    return {
        TEMPERATURE: np.array(sampler.temperature, np.float64),
        TOP_K: np.array(sampler.top_k, np.int64),
        TOP_P: np.array(sampler.top_p, np.float64),
    }


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"the {name} is {value}, expected 1 or more")


def _checked(uniforms: np.ndarray, length: int) -> np.ndarray:
    if uniforms.dtype != np.float64 or uniforms.shape != (length,):
        raise ContractError(
            f"{UNIFORMS} is {uniforms.dtype} {list(uniforms.shape)}, expected float64 [{length}]"
        )
    outside = uniforms[~((uniforms >= 0) & (uniforms < 1))]
    if outside.size:
        raise UsageError(f"{UNIFORMS} has the value {outside[0]}, expected 0 or more and below 1")
    return uniforms
