"""ruotianluo/ImageCaptioning.pytorch, also called self-critical.pytorch: captioners over features.

A checkpoint is two files: a state dict, ``model.pth``, and a pickle, ``infos.pkl``, with the words
and the options; the second is a companion. The picture encoder is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.contract import Decoding
from edgernn.errors import CheckpointError
from edgernn.families.step import VOCAB
from edgernn.importers.base import BY_CLASS, BY_KEYS, Imported, Importer, Match, Opened
from edgernn.importers.captioning import SETTINGS, CaptionerSketch, regions_of, words_of
from edgernn.importers.ruotianluo_networks import FORMS, Form, scores

_END = 0  # which begins, ends and pads a caption
_LONGEST = 20  # words, where the options are not given
_KNOWN = "show_tell, fc, newfc, att2in, att2in2 and updown"
_FEATURES = (
    "the picture encoder is not in the checkpoint: fc are the pooled features and att those of the "
    "regions, as upstream's scripts/prep_feats.py or bottom-up attention make them"
)


class RuotianluoCaptioner(Importer):
    """The captioners of upstream that are recurrent and have one core."""

    word = "ruotianluo"
    about = "a captioner of ruotianluo/ImageCaptioning.pytorch"
    options = "--with INFOS.pkl"
    settings = SETTINGS

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        form = _form(opened)
        if form is None:
            return None
        why = f"its tensors are those of {form.word}, as {form.keys[0]}"
        if _infos(opened) is None:
            return Match(BY_KEYS, why)
        return Match(BY_CLASS, f"{why}, and the infos are beside it")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        form, path = _form(opened), opened.content.path
        assert form is not None
        infos = _infos(opened)
        options = {} if infos is None else _options(infos)
        _refuse_others(form, options, path)
        regions, open_told = regions_of(opened)
        sketch = CaptionerSketch(_tensors(opened), path, regions)
        logits = scores(sketch, form.sketch(sketch))
        given: Any = opened.wishes.vocabulary
        if given is None and infos is not None:
            given = infos["vocab"]
        size = sketch.sizes[VOCAB]
        tokenizer, _, told = words_of(given, size=size, specials={"end": 0}, added={0: "<end>"})
        length = options.get("max_length") or options.get("seq_length") or _LONGEST
        decoding = Decoding(start=(_END,), stop=(_END,), temperature=0.0, length=int(length))
        missing = () if infos is not None else (_without_infos(form),)
        open_told = open_told if sketch.contexts else ()
        return Imported(
            sketch.captioner(decoding, logits),
            sketch.tensors,
            tokenizer,
            (_FEATURES, *missing, *open_told, *told, *sketch.unused()),
        )


def _tensors(opened: Opened) -> dict[str, np.ndarray]:
    """Return the tensors without the prefix that ``DataParallel`` puts before them."""
    return {name.removeprefix("module."): array for name, array in opened.tensors.items()}


def _form(opened: Opened) -> Form | None:
    """Return which model it is, by the tensors that it has."""
    names = _tensors(opened).keys()
    for form in FORMS:
        if names >= {*form.keys, *_logit(names)} and not names & {*form.lacks} and _logit(names):
            return form
    return None


def _logit(names: Any) -> list[str]:
    return [name for name in names if name.startswith("logit.") and name.endswith(".weight")]


def _infos(opened: Opened) -> Mapping[str, Any] | None:
    """Return what the pickle beside the tensors holds; None where it was not given."""
    return next((tree for content in opened.companions if (tree := _of_infos(content))), None)


def _of_infos(content: Content) -> Mapping[str, Any] | None:
    tree = content.tree
    return tree if isinstance(tree, dict) and {"vocab", "opt"} <= tree.keys() else None


def _options(infos: Mapping[str, Any]) -> Mapping[str, Any]:
    found = infos["opt"]
    return found.attributes if isinstance(found, Stub) else found if isinstance(found, dict) else {}


def _refuse_others(form: Form, options: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError where the options name another model than the tensors are of."""
    said = options.get("caption_model", form.word)
    same = {said, form.word} in ({"topdown", "updown"}, {"bottomup", "updown"})
    if said != form.word and not same:
        raise CheckpointError(
            f"{path} has the tensors of {form.word}, and its infos say {said!r}; expected one of "
            f"{_KNOWN}, and both files of one training; give the infos that were saved with it"
        )


def _without_infos(form: Form) -> str:
    return (
        f"the infos are missing, so the sizes are those of the tensors, the model is {form.word} "
        f"by their names, and a caption has at most {_LONGEST} words; give them with --with "
        "infos.pkl"
    )
