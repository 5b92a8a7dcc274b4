"""Language models: token ids to the scores of the next one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from edgernn.contract import BATCH, LAYERS, TIME, TOKENS, Contract, Decoding
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.loss import TextLoss, compare, part_rows
from edgernn.families.step import CELL_STATES, HIDDEN, LOGITS, VOCAB, text_states, text_step
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.draw import random_inputs
from edgernn.sessions.model import Model

_CALIBRATION, _FEWEST_CALIBRATION = 1024, 128  # tokens; more of them change nothing worth the time
_PROMPT = 32
_RANDOM = 4096  # tokens that are drawn where there is no sample


class LanguageFamily(Family):
    """A language model. Its held-out sample is ``tokens [N]`` int64."""

    word = "language"
    model = "edgernn.models.language:LanguageModel"
    noun = "language model"
    layout = "tokens int64 [N]"
    predicts = True
    writes = "text"
    in_examples = True
    command = "generate"
    about = "a language model, it sees no pictures"
    task, metrics = "text-generation", ("perplexity",)
    sizes: ClassVar = {"hidden": HIDDEN, "layers": LAYERS, "vocabulary": VOCAB}
    cells: ClassVar = CELL_STATES

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        if contract.encode is not None:
            return "the contract has an encode graph, which a language model has not"
        return step_problem(contract)

    def writes_with(self, contract: Contract) -> bool:
        """See ``Family.writes_with``: a prompt is all that ``generate`` feeds."""
        step = contract.step
        fed = contract.encode is None and step.caller_inputs == (step.ids,)
        return fed and step.scores is not None

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        return layout_problem(sample, {TOKENS: ("int64", 1)}, self.layout) or ids_problem(
            sample[TOKENS], contract
        )

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return len(sample[TOKENS])

    def read(self, sample: Sample | None) -> np.ndarray | None:
        """See ``Family.read``."""
        return None if sample is None else sample[TOKENS]

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``."""
        tokens = sample[TOKENS]
        if len(tokens) < 2 * _FEWEST_CALIBRATION:
            return None
        return {TOKENS: tokens[-min(_CALIBRATION, len(tokens) // 2) :]}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``."""
        return text_feeds(model.step, sample[TOKENS])

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``."""
        return measure_text(reference.step, candidate.step, sample[TOKENS])

    def prompts(self, decoding: Decoding, sample: Sample | None) -> list[np.ndarray]:
        """See ``Family.prompts``: the start tokens, and held-out text from two places."""
        prompts = [np.array(decoding.start, np.int64)]
        tokens = prompts[0] if sample is None else sample[TOKENS]
        if len(tokens) > 2 * _PROMPT:
            middle = len(tokens) // 2
            prompts += [tokens[:_PROMPT], tokens[middle : middle + _PROMPT]]
        return prompts

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        source, tokens = "the bundle's held-out tokens", None if sample is None else sample[TOKENS]
        if tokens is None:
            drawn = random_inputs(contract, batch=1, steps=_RANDOM, seed=seed)
            tokens = drawn[contract.step.text_ids.name][0]  # [N]
            source = f"random tokens, seed {seed}"
        return Feed({}, {contract.step.text_ids.name: tokens[:, None, None]}, source)  # [N, 1, 1]


def language_contract(
    states: tuple[str, ...],
    *,
    layers: int,
    hidden: int,
    vocabulary: int,
    initial_state: Literal["zeros", "learned"] = "zeros",
) -> Contract:
    """Build the contract of a language model: ``tokens [B,T]`` and the named ``states [L,B,H]`` to
    ``logits [B,T,V]`` and states.
    """
    step = text_step(contexts=(), states=text_states(states), read=())
    return Contract(
        graphs=(step,),
        sizes={LAYERS: layers, HIDDEN: hidden, VOCAB: vocabulary},
        initial_state={name: "stored" for name in states if initial_state == "learned"},
    )


def step_problem(contract: Contract) -> str:
    """Say why the step of ``contract`` is none of a model of text."""
    step = contract.step
    fresh = [(t.name, t.dtype, t.axes, t.below) for t in step.fresh_inputs]
    if fresh != [(TOKENS, "int64", (BATCH, TIME), VOCAB)]:
        return (
            f"step takes {[t.name for t in step.fresh_inputs]}, expected tokens [batch, time], "
            "int64 below vocab"
        )
    first, *others = step.read_outputs
    if (first.name, first.dtype, first.axes) != (LOGITS, "float32", (BATCH, TIME, VOCAB)):
        return (
            f"step gives {[t.name for t in step.read_outputs]}, expected logits [batch, time, "
            "vocab], float32, first"
        )
    strange = next((t.name for t in others if t.axes[:2] != (BATCH, TIME)), None)
    strange = strange or next(
        (t.name for t in (*step.states, *step.contexts) if t.axes.count(BATCH) != 1), None
    )
    return f"{strange} has other axes than those of a row for each text" if strange else ""


def layout_problem(sample: Sample, wanted: dict[str, tuple[str, int]], layout: str) -> str:
    """Say how the names, dtypes and dimensions of ``sample`` are others than ``wanted``."""
    if {name: (str(array.dtype), array.ndim) for name, array in sample.items()} == wanted:
        return ""
    told = (f"{name} {array.dtype} {list(array.shape)}" for name, array in sorted(sample.items()))
    return f"{', '.join(told) or 'nothing'}, expected {layout}"


def ids_problem(ids: np.ndarray, contract: Contract) -> str:
    """Say which of ``ids`` the vocabulary has not."""
    size = contract.vocabulary
    outside = ids[(ids < 0) | (ids >= size)]
    return f"the id {int(outside[0])}, the vocabulary has {size} ids from 0" if outside.size else ""


def measure_text(
    reference: Session, candidate: Session, tokens: np.ndarray, *, limit: int = 2048
) -> TextLoss:
    """Let both predict each next token of ``tokens``, int64 ``[N]``, N at least 2; at most
    ``limit`` positions are read.

    Raises:
        ContractError: a prediction is not finite.
    """
    tokens, rows = tokens[: limit + 1], part_rows(reference.contract)
    predicted = (text_logits(session, tokens[:-1], rows=rows) for session in (reference, candidate))
    wanted = (tokens[1:][at : at + rows] for at in range(0, len(tokens) - 1, rows))
    return compare(zip(*predicted, wanted, strict=True))


def text_logits(session: Session, tokens: np.ndarray, *, rows: int) -> Iterator[np.ndarray]:
    """Yield the logits of what follows each of ``tokens``, int64 ``[N]``, from the first state on:
    ``rows`` at a time.
    """
    ids, scores = session.spec.text_ids.name, session.spec.text_scores.name
    state, time = session.initial_state(1), session.file_contract.axis_size(TIME)
    width = time or rows
    for at in range(0, len(tokens), rows):
        part = tokens[at : at + rows]
        logits = np.empty((len(part), session.contract.vocabulary), np.float32)
        for start in range(0, len(part), width):
            outputs, state = session.step({ids: part[None, start : start + width]}, state)
            logits[start : start + width] = outputs[scores][0]
        yield logits


def text_feeds(step: Session, tokens: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of ``step`` at each of ``tokens``, int64 ``[N]``, on the reference's own
    state.
    """
    ids, state = step.spec.text_ids.name, step.initial_state(1)
    for token in tokens:
        inputs = {ids: np.array([[token]], np.int64)}  # [1, 1]
        yield {**inputs, **state}
        _, state = step.step(inputs, state)
