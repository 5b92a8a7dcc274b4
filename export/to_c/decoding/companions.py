"""The C that writes with a step in C, and stands beside it in a bundle: ``c/text``.

It is generated from the contract, the decoding defaults, the tokenizer and the stored first state
alone, so it goes with the step in every precision, and whoever has these can generate it again.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgernn.contract import BATCH, Contract, Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.to_c.decoding import captions, texts
from edgernn.export.to_c.options import PREFIX
from edgernn.sessions.base import Arrays
from edgernn.sessions.c_folder import contract_of, options_of

VERSION = 1  # of what is generated: raised with every change of a text, see test_version.py
_GENERATOR = "GENERATOR"
# not a member of a structure, which has a name of the model's
_OWN_NAME = re.compile(rf"(?<![.>])\b({PREFIX}|{PREFIX.upper()})_")


def companions(
    contract: Contract,
    decoding: Decoding | None,
    tokenizer: Tokenizer | None,
    stored: Arrays,
    step: Path | None = None,
) -> dict[str, bytes]:
    """Return the files of C that write with the step of ``contract``, by name: texts, or captions
    of what an encode graph sees. None where the step takes more than tokens, a state and what
    encode made, gives no scores in float32, or goes over several sequences in a call.

    Args:
        contract: of the model.
        decoding: how a host writes with the model; None where it writes nothing.
        tokenizer: the model's; of kind ``byte``, ``char`` or ``caption`` it becomes a table.
        stored: the first values of the states that the bundle stores, each with one row.
        step: the folder of the step; their names begin as its names do.

    Raises:
        ContractError: the folder is damaged.
    """
    if decoding is None or (step is not None and contract_of(step).axis_size(BATCH) != 1):
        return {}
    contract = contract if step is None else _in_sizes_of(contract, step)
    if texts.writes(contract):
        made = texts.files_of(contract, decoding, tokenizer, stored)
    elif captions.writes(contract, decoding):
        made = captions.files_of(contract, decoding, tokenizer, stored)
    else:
        return {}
    prefix = PREFIX if step is None else options_of(step).prefix
    made = {name: text.replace(_GENERATOR, f"generator {VERSION}") for name, text in made.items()}
    return {name: _renamed(text, prefix).encode("ascii") for name, text in made.items()}


def _in_sizes_of(contract: Contract, step: Path) -> Contract:
    """Return the contract with the sizes that the step's file takes along axes that it leaves
    open.
    """
    narrowed = contract_of(step).narrowing.axes
    sizes = {axis: narrowed[axis] for axis in contract.open_axes if axis in narrowed}
    return contract.model_copy(update={"sizes": {**contract.sizes, **sizes}})


def _renamed(text: str, prefix: str) -> str:
    """Return the text with names that begin with ``prefix``."""

    def own(found: re.Match[str]) -> str:
        return f"{prefix if found[1] == PREFIX else prefix.upper()}_"

    return _OWN_NAME.sub(own, text)
