"""Which command writes with a model is said by its family, not by whether it has an encode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgernn.bundle import Bundle
from edgernn.contract import Contract
from edgernn.errors import UsageError
from edgernn.writing.command import refuse_other, writing_family

COMMANDS = ("generate", "caption")


def changed(bundle: Bundle, **manifest: Any) -> Bundle:
    return Bundle(Path("b"), bundle.folder, bundle.manifest.model_copy(update=manifest))


def of_other_inputs(contract: Contract) -> Contract:
    """Return a captioner's contract whose encode takes frames, as a speech recogniser's does."""
    encode = contract.graph("encode")
    frames = encode.inputs[0].model_copy(update={"name": "frames", "dtype": "float32"})
    graphs = (encode.model_copy(update={"inputs": (frames,)}), contract.step)
    return contract.model_copy(update={"graphs": graphs})


@pytest.mark.parametrize("word", ["", "module", "a-word-of-tomorrow"])
@pytest.mark.parametrize(
    ("kind", "command"), [("bundle", "generate"), ("captioner_bundle", "caption")]
)
def test_a_word_that_nobody_knows_writes_as_its_contract_can(
    kind: str, command: str, word: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(kind)
    bundle = changed(bundle, family=word or bundle.manifest.family)
    family = writing_family(bundle)
    assert family is not None
    assert family.command == command
    refuse_other(bundle, command)
    (other,) = set(COMMANDS) - {command}
    with pytest.raises(UsageError, match=f"b is a .*, it .*; use: edgernn {command} b"):
        refuse_other(bundle, other)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_encode_graph_alone_makes_no_captioner(captioner_bundle: Bundle, command: str) -> None:
    contract = of_other_inputs(captioner_bundle.manifest.contract)
    bundle = changed(captioner_bundle, family="recogniser", contract=contract)
    with pytest.raises(
        UsageError,
        match=r"b is a model of the family 'recogniser', with which no command writes; step it "
        r"with edgernn.open_session, or check it with: edgernn verify b$",
    ):
        refuse_other(bundle, command)


@pytest.mark.parametrize("part", ["tokenizer", "decoding"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_model_without_text(bundle: Bundle, command: str, part: str) -> None:
    with pytest.raises(UsageError, match="b reads and writes no text; step it with"):
        refuse_other(changed(bundle, **{part: None}), command)
