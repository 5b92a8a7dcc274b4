"""RecurrentPPO of sb3-contrib (``common/recurrent/policies.py``), a policy with an LSTM: its actor.

    observation → lstm_actor → mlp_extractor.policy_net (linear layers and a function) → action_net

The file is the zip of ``model.save``, or the ``policy.pth`` in it, which does not say the function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.base import BY_KEYS, Imported, Importer, Match, Opened
from edgernn.importers.grammar.blocks import Blocks, Matrix
from edgernn.importers.grammar.parse import parse
from edgernn.importers.sketch import Sketch
from edgernn.wording import expected_one_of, some

_ACTOR, _HEAD, _BETWEEN = "lstm_actor", "action_net", "mlp_extractor.policy_net."
_LEFT_OUT = ("lstm_critic.", "critic.", "value_net.", "mlp_extractor.value_net.", "log_std")
_FUNCTION = re.compile(r"torch\.nn\.modules\.(?:activation|linear)\.(\w+)")
_FUNCTIONS = {
    **{"Tanh": "tanh", "ReLU": "relu", "ELU": "elu", "SELU": "selu", "GELU": "gelu"},
    **{"SiLU": "silu", "LeakyReLU": "leaky_relu", "Sigmoid": "sigmoid", "Identity": ""},
}
_SETTING = "activation"
_SETTINGS = {_SETTING: f"the function between linear layers: {', '.join(_FUNCTIONS)}"}
_CRITIC = "the critic, which training alone needs, is left out"
_FLAT = (
    "observations go in as the policy's features: flat, of a discrete space a vector of zeros and "
    "a one; running means of VecNormalize are in a file of their own, so scale them before"
)
_MEAN = (
    "what comes out is the mean of the actions' distribution, as predict(deterministic=True) has "
    "it before it is clipped to the bounds of the environment"
)
_LOGITS = "what comes out are the scores of the actions; predict(deterministic=True) takes the best"


class RecurrentPpo(Importer):
    """The actor of a recurrent policy."""

    word = "recurrent-ppo"
    about = "RecurrentPPO of sb3-contrib, a policy with an LSTM"
    settings = _SETTINGS

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        found = _tensors(opened).keys()
        if {f"{_ACTOR}.weight_ih_l0", f"{_HEAD}.weight"} <= found:
            return Match(BY_KEYS, f"its tensors are those of {_ACTOR} and {_HEAD}")
        return None

    def refusal(self, opened: Opened) -> str:
        """See ``Importer.refusal``: an extractor of features that learns, as of pictures."""
        try:
            _refuse_others(parse(_tensors(opened)))
        except CheckpointError as error:
            return str(error)
        return ""

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        from edgernn.models.cells.blocks import Block

        blocks = parse(_tensors(opened))
        _refuse_others(blocks)
        function, told = _function(opened)
        actor = blocks.stack(_ACTOR)
        if actor.bidirectional:
            raise CheckpointError(f"{_ACTOR} runs in both directions of time: there is no step")
        sketch = Sketch()
        value = sketch.takes_frames("observation", actor.inputs, axis="observations")
        layers = [Block(each.w_ih, each.w_hh, each.b_ih, each.b_hh) for each in actor.layers]
        value = sketch.recurrent("actor", "lstm", layers, value)
        for matrix in _between(blocks):
            value = sketch.linear(sketch.numbered("linear"), value, matrix.weight, matrix.bias)
            if function:
                name = sketch.numbered("activation")
                value = sketch.add("activation", name, value, function=function)
        head = blocks.matrix(_HEAD)
        value = sketch.linear("head", value, head.weight, head.bias)
        continuous = "log_std" in _tensors(opened)
        output = "actions" if continuous else "logits"
        sketch.axes[output] = ("batch", "time", "choices" if output == "logits" else "action")
        told += [_CRITIC, _FLAT, _MEAN if continuous else _LOGITS, *_bounds(opened)]
        config = sketch.config("module", {output: value})
        return Imported(config, sketch.tensors, told=tuple(told))


def _tensors(opened: Opened) -> dict[str, np.ndarray]:
    """Return the tensors by the names that the policy gives them."""
    return {name.removeprefix("policy."): array for name, array in opened.tensors.items()}


def _between(blocks: Blocks) -> list[Matrix]:
    """Return the linear layers of ``policy_net`` in their order."""
    names = [name for name in blocks.matrices if name.startswith(_BETWEEN)]
    return [blocks.matrices[name] for name in sorted(names, key=_place)]


def _place(name: str) -> int:
    last = name.removeprefix(_BETWEEN)
    if not (last.isascii() and last.isdigit() and len(last) < 9):
        raise CheckpointError(f"{name} is no layer of a Sequential; the file is damaged")
    return int(last)


def _refuse_others(blocks: Blocks) -> None:
    """Raise CheckpointError where there is more than an actor and a critic."""
    known = (*_LEFT_OUT, _BETWEEN, f"{_HEAD}.", f"{_ACTOR}.")
    names = (*(f"{name}." for name in (*blocks.matrices, *blocks.stacks)), *blocks.others)
    others = [name for name in names if not name.startswith(known)]
    if others:
        raise CheckpointError(
            f"the policy has {some(others)} beside its actor and critic, as one that sees pictures "
            "has: take the network in from its Python: edgernn export FILE.py:NAME --weights FILE "
            "--inputs AXES --out BUNDLE"
        )


def _function(opened: Opened) -> tuple[str, list[str]]:
    """Return the function between linear layers, and what is to be told of it."""
    asked = opened.wishes.settings.get(_SETTING)
    if asked is not None:
        if asked not in _FUNCTIONS:
            raise UsageError(f"--set {_SETTING}={asked}; {expected_one_of(asked, _FUNCTIONS)}")
        return _FUNCTIONS[asked], []
    data = _data(opened)
    if data is None:
        guess = f"Tanh, upstream's own; say another with --set {_SETTING}=ReLU"
        return "tanh", [f"the file does not say the function between linear layers: {guess}"]
    said = data.get("policy_kwargs")
    word = said.get("activation_fn") if isinstance(said, Mapping) else None
    if word is None:
        return "tanh", []
    found = _FUNCTION.search(str(word)[:1000])
    if found is None or found[1] not in _FUNCTIONS:
        raise UsageError(
            f"the policy has the function {str(word)[:80]}, which is not known; give the nearest "
            f"with --set {_SETTING}=NAME: {', '.join(_FUNCTIONS)}"
        )
    return _FUNCTIONS[found[1]], []


def _data(opened: Opened) -> Mapping[str, Any] | None:
    """Return what the algorithm was made with; None of a bare ``policy.pth``."""
    tree = opened.content.tree
    found = tree.get("data") if isinstance(tree, dict) else None
    return found if isinstance(found, Mapping) else None


def _bounds(opened: Opened) -> list[str]:
    """Say the bounds of the environment's actions, where the file has them."""
    space = (_data(opened) or {}).get("action_space")
    ends = [space.get(key) for key in ("low", "high")] if isinstance(space, Mapping) else []
    words = [" ".join(end.split()) for end in ends if isinstance(end, str) and len(end) < 200]
    if len(words) == 2:
        low, high = words
        return [f"the environment's actions are from {low} to {high}"]
    return []
