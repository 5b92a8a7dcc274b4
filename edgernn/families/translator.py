"""Translators: a text read once, of any length, to the scores of each next id of another."""

from __future__ import annotations

from typing import ClassVar

from edgernn.contract import BATCH, TIME, Contract, TensorSpec
from edgernn.families.base import Sample
from edgernn.families.caption_rows import fed
from edgernn.families.language import ids_problem, layout_problem, step_problem
from edgernn.families.seen import SeenFamily
from edgernn.families.step import VOCAB


class TranslatorFamily(SeenFamily):
    """A translator. Its held-out sample is ``source [N, S]`` int64, 0 after the end of each, and
    the references ``translations [N, K, T]`` int64.
    """

    word = "translator"
    noun = "translator"
    layout = "source int64 [N, S] and translations int64 [N, K, T]"
    references = "translations"
    text = "translation"
    writes = "translations"
    command = "translate"
    arguments = " TEXT"
    about = "a translator, it writes what a text is in other words"
    task, metrics = "translation", ("exact_match",)
    sizes: ClassVar = {"vocabulary": VOCAB}

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        if contract.encode is None:
            return "the contract has no encode graph, by which a translator reads"
        given = contract.encode.fresh_inputs
        if len(given) != 1 or not _is_text(given[0]):
            return (
                f"encode takes {[tensor.name for tensor in given]}, expected one text, int64 "
                "[batch, ·] below an axis"
            )
        return step_problem(contract)

    def things(self, contract: Contract) -> str:
        """See ``SeenFamily.things``."""
        return "texts"

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        assert contract.encode is not None
        source = contract.encode.fresh_inputs[0]
        wanted = {source.name: ("int64", 2), self.references: ("int64", 3)}
        if problem := layout_problem(sample, wanted, self.layout):
            return problem
        rows, texts = sample[source.name], sample[self.references]
        if len(rows) != len(texts) or not texts.shape[1]:
            return f"{len(rows)} sources and {list(texts.shape)} {self.references}"
        problem = ids_problem(rows, contract)
        return problem or ids_problem(fed(texts), contract)


def _is_text(tensor: TensorSpec) -> bool:
    own = len(tensor.axes) == 2 and tensor.axes[0] == BATCH and TIME not in tensor.axes
    return own and tensor.is_ids and tensor.dtype == "int64"
