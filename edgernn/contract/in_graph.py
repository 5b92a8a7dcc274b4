"""Whole decodings as one graph: what a file takes and gives that writes a text or a caption in a
single call.

Beside ``encode`` and ``step`` a model may be written as ``generate`` (a prompt to tokens) or
``caption`` (a picture, or features of it, to tokens): the step graph inside a loop, the choice of
each token included. A host then makes one call for a text, not one for each token. This is the one
place that names what such a file has beyond the contract's own tensors.

Numbers that decide between tokens are float64, as in ``edgernn.decoding.sampling``: a temperature
of 0.8 that was rounded to float32 would be another temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edgernn.contract import (
    BATCH,
    TIME,
    TOKENS,
    Contract,
    FileContract,
    GraphWord,
    TensorSpec,
    next_name,
)
from edgernn.contract.interface import FileTensor, Interface
from edgernn.errors import ContractError

GENERATE: Literal["generate"] = "generate"  # what a file of each kind computes
CAPTION: Literal["caption"] = "caption"

PROMPT = "prompt"  # ids fed first, one step each
LENGTH = "length"  # the most tokens written
TEMPERATURE, TOP_K, TOP_P = "temperature", "top_k", "top_p"  # see Sampler
UNIFORMS = "uniforms"  # one number in [0, 1) for each token
STOP = "stop"  # ids that end the text; none is a tensor of no element
LOG_PROBABILITIES = (
    "log_probabilities"  # of each token, by the model, whatever the sampler left out
)
BEAM = "beam"  # the width of the search; 1 is greedy
SCORE, LOG_PROBABILITY, FINISHED = "score", "log_probability", "finished"  # see Hypothesis
FED, WRITTEN, NUMBERS, STOPS = "fed", "written", "numbers", "stops"  # open axes


def file_interface(file_contract: FileContract) -> Interface:
    """Return what a file takes and gives, whatever graph it computes."""
    made = DECODERS.get(file_contract.graph)
    return made(file_contract.contract) if made else file_contract.interface()


def decoder_of(contract: Contract) -> GraphWord | None:
    """Return which decoding can be written as one graph for a model of ``contract``.

    That is a text where step takes token ids alone, a caption where beside that encode sees one
    picture, or features of it with a row for each and no time, and None for any other model.
    """
    step, encode = contract.step, contract.encode
    if step.scores is None or step.fresh_inputs != (step.ids,):
        return None
    if encode is None:
        return GENERATE
    pictures = [tensor.is_picture for tensor in encode.inputs]
    features = [
        t.kind == "f" and t.axes[:1] == (BATCH,) and TIME not in t.axes for t in encode.inputs
    ]
    return CAPTION if pictures == [True] or all(features) else None


def generate_interface(contract: Contract) -> Interface:
    """Return what a ``generate`` file takes and gives.

    It takes the prompt, the states before it (``h [L, 1, H]``), and how to write; it gives the
    tokens ``int64 [n]``, the natural logarithm of the probability of each, float32 ``[n]``, and the
    states (``h_next``) that have seen all but the last token: a second call with that token as its
    prompt goes on as one long call would have. A stop token that came is the last of the tokens, as
    from ``Generation.write``.

    Raises:
        ContractError: the model is asked about something beside its tokens, so a prompt alone does
            not make a text.
    """
    step = contract.step
    ids = step.text_ids
    others = [tensor.name for tensor in step.caller_inputs if tensor != ids]
    if others:
        raise ContractError(
            f"the step graph takes {others} beside {ids.name}; only a {CAPTION} graph can be "
            "made of it"
        )
    asked = (
        FileTensor(LENGTH, "int64", ()),
        FileTensor(TEMPERATURE, "float64", ()),
        FileTensor(TOP_K, "int64", ()),
        FileTensor(TOP_P, "float64", ()),
        FileTensor(UNIFORMS, "float64", (NUMBERS,)),
        FileTensor(STOP, "int64", (STOPS,)),
    )
    states = tuple(one_row(contract, state) for state in step.states)
    after = tuple(FileTensor(next_name(state.name), state.dtype, state.shape) for state in states)
    told = (
        FileTensor(TOKENS, "int64", (WRITTEN,)),
        FileTensor(LOG_PROBABILITIES, "float32", (WRITTEN,)),
    )
    return Interface((FileTensor(PROMPT, "int64", (FED,)), *states, *asked), (*told, *after))


def caption_interface(contract: Contract) -> Interface:
    """Return what a ``caption`` file takes and gives.

    It takes what encode sees, one row (``image [1, S, S, 3]`` uint8), the beam and the most words;
    it gives the best
    caption that ``beam_search`` finds: its tokens without the start and the stop token, int64
    ``[n]``, its score and log-probability, whether it ended by itself, and whatever else each step
    gives of the chosen words (``attention [n, R]``).

    Raises:
        ContractError: the model has no encode graph.
    """
    if contract.encode is None:
        raise ContractError(
            f"the model has no encode graph; only a {GENERATE} graph can be made of it"
        )
    told = (
        FileTensor(TOKENS, "int64", (WRITTEN,)),
        FileTensor(SCORE, "float32", ()),
        FileTensor(LOG_PROBABILITY, "float32", ()),
        FileTensor(FINISHED, "bool", ()),
    )
    further = tuple(_for_each_word(contract, tensor) for tensor in further_outputs(contract))
    inputs = (
        *(one_row(contract, tensor) for tensor in contract.encode.inputs),
        FileTensor(BEAM, "int64", ()),
        FileTensor(LENGTH, "int64", ()),
    )
    return Interface(inputs, (*told, *further))


def further_outputs(contract: Contract) -> tuple[TensorSpec, ...]:
    """Return what a step gives beside logits and states; ``attention`` where the model has it."""
    return tuple(tensor for tensor in contract.step.read_outputs if tensor != contract.step.scores)


def one_row(contract: Contract, tensor: TensorSpec) -> FileTensor:
    """Return ``tensor`` as it is for one row and one time step."""
    sizes: dict[str, int | str] = {**contract.sizes, BATCH: 1, TIME: 1}
    return FileTensor(
        tensor.name, tensor.dtype, tuple(sizes.get(axis, axis) for axis in tensor.axes)
    )


def _for_each_word(contract: Contract, tensor: TensorSpec) -> FileTensor:
    if tensor.axes[:2] != (BATCH, TIME):
        raise ContractError(
            f"{tensor.name} has the axes {list(tensor.axes)}, expected {BATCH} and {TIME} first"
        )
    row = one_row(contract, tensor)
    return FileTensor(tensor.name, tensor.dtype, (WRITTEN, *(row.shape or ())[2:]))


DECODERS: dict[str, Callable[[Contract], Interface]] = {
    GENERATE: generate_interface,
    CAPTION: caption_interface,
}
