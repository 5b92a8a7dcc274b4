"""Models of Keras: Sequential and functional ones, of Keras 1, 2 and 3, in ``.keras``, whole
``.h5`` files, or weights beside an architecture in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgernn.contract import TOKENS
from edgernn.errors import CheckpointError, UsageError
from edgernn.families.step import LOGITS, VOCAB
from edgernn.importers.base import Imported, Opened
from edgernn.importers.keras.architecture import Architecture, KerasLayer, read_architecture
from edgernn.importers.keras.layers import first_problem, put
from edgernn.importers.keras.task import Task
from edgernn.importers.keras.variables import variables_of
from edgernn.importers.sketch import Sketch
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of


def read_network(opened: Opened) -> Imported:
    """Return the network of a file of Keras; raises what ``Importer.read`` raises."""
    tree = opened.content.tree
    model, version = read_architecture(_config(opened)), _version(opened)
    if problem := first_problem(model.layers):
        raise CheckpointError(problem)
    variables = variables_of(tree, model)
    sketch, text = Sketch(), opened.wishes.vocabulary is not None
    values = _ports(model, variables, sketch)
    if text:
        _refuse_no_text(model, variables, sketch)
    for layer in model.layers:
        if layer.kind == "InputLayer":
            continue
        scores = text and layer.name == model.outputs[0]
        values[layer.name] = put(
            Task(
                layer,
                variables.get(layer.name, ()),
                tuple(values[name] for name in layer.inputs),
                sketch,
                version,
                width=VOCAB if scores else None,
            )
        )
    if text:
        return _language(sketch, values[model.outputs[0]], opened)
    outputs = {sketch.free(name): values[name] for name in model.outputs}
    if any("below" in port for port in sketch.inputs):
        sketch.told.append(
            "it takes ids; give their words with --vocabulary FILE to write text with it"
        )
    config = sketch.config("module", outputs)
    return Imported(config, sketch.tensors, told=(*opened.content.told, *sketch.told))


def _config(opened: Opened) -> Any:
    """Return the architecture: of the file, or of a JSON file beside it."""
    config = opened.content.tree["config"]
    beside = [
        companion.tree
        for companion in opened.companions
        if isinstance(companion.tree, dict) and "class_name" in companion.tree
    ]
    if config is None and not beside:
        raise UsageError(
            f"{opened.content.path} has weights alone; give the architecture, as model.to_json() "
            "writes it, with --with FILE.json"
        )
    return beside[0] if config is None else config


def _version(opened: Opened) -> int:
    """Return the major version of Keras that wrote the file; 2 where it does not say."""
    said = opened.content.metadata.get("keras_version", "2").partition(".")[0]
    return int(said) if said.isdecimal() else 2


def _ports(
    model: Architecture, variables: Mapping[str, Sequence[np.ndarray]], sketch: Sketch
) -> dict[str, str]:
    """Name the inputs of the network; return input of Keras → the value that it is."""
    values = {}
    for place, name in enumerate(model.inputs):
        layer = next(each for each in model.layers if each.name == name)
        readers = [each for each in model.layers if name in each.inputs]
        tables = [each for each in readers if each.kind == "Embedding"]
        if tables:
            rows = {int(variables[each.name][0].shape[0]) for each in tables}
            if len(rows) > 1 or len(tables) != len(readers):
                raise CheckpointError(f"the input {name!r} of the Keras model is read in two ways")
            own = sketch.free(TOKENS if place == 0 else name)
            axis = VOCAB if place == 0 else f"{VOCAB}_{place}"
            values[name] = sketch.takes_ids(rows.pop(), name=own, below=axis)
        else:
            width, axis = _width(layer, model, sketch), sketch.free(f"{name}_width")
            values[name] = sketch.takes_frames(sketch.free(name), width, axis=axis)
    return values


def _width(layer: KerasLayer, model: Architecture, sketch: Sketch) -> int:
    """Return how many numbers a frame of an input has."""
    config = layer.config
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None and config.get("input_dim"):  # Keras 1
        shape = [None, config.get("input_length"), config["input_dim"]]
    if not isinstance(shape, list) or len(shape) != 3 or not isinstance(shape[2], int):
        raise CheckpointError(
            f"the input {layer.name!r} of the Keras model has the shape {shape}, expected [batch, "
            "time, width]: a network of frames in time"
        )
    carried = any(each.config.get("stateful") is True for each in model.layers)
    if isinstance(shape[1], int) and not carried:
        sketch.told.append(
            f"Keras gave it {shape[1]} frames a call, each call from a state of zeros; reset the "
            f"state every {shape[1]} frames to have what Keras had"
        )
    return int(shape[2])


def _refuse_no_text(
    model: Architecture, variables: Mapping[str, Sequence[np.ndarray]], sketch: Sketch
) -> None:
    """Raise UsageError where a vocabulary was given to a network that writes no text."""
    last = next(layer for layer in model.layers if layer.name == model.outputs[0])
    rows = [len(variables[layer.name][0]) for layer in model.layers if layer.kind == "Embedding"]
    scores = last.kind in ("Dense", "TimeDistributed") and len(model.outputs) == 1
    wide = variables[last.name][0].shape[-1] if variables.get(last.name) else 0
    ids = [port for port in sketch.inputs if "below" in port]
    if not len(sketch.inputs) == len(ids) == 1 or not scores or rows != [wide]:
        raise UsageError(
            "a vocabulary was given, but the Keras model is no language model, one that takes ids "
            "and ends in a Dense layer over as many; leave --vocabulary out"
        )


def _language(sketch: Sketch, scores: str, opened: Opened) -> Imported:
    """Return the network as one that writes text; ``scores`` is what its last layer gives."""
    if sketch.layers[-1]["kind"] == "activation":
        last = sketch.layers.pop()
        function = last["options"]["function"]
        if function != "softmax":
            raise CheckpointError(
                f"the Keras model ends in {function}, expected softmax: the scores of the next "
                "token"
            )
        (scores,) = last["inputs"]
        sketch.told.append("its softmax is left out: the output is the logits")
    vocabulary = find_vocabulary(opened.wishes.vocabulary, size=sketch.sizes[VOCAB])
    single = all(len(word) == 1 for word in vocabulary.words)
    tokenizer = tokenizer_of(vocabulary, "characters" if single else "words")
    told = (*opened.content.told, *sketch.told, *vocabulary.told)
    return Imported(
        sketch.config("language", {LOGITS: scores}), sketch.tensors, tokenizer, told=told
    )
