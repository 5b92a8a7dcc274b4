"""Any state dict whose blocks are a row: a table of vectors or none, recurrent and linear layers.

A file of tensors does not say in which order its blocks run, nor what is computed between them. The
order is the one in which the widths fit; everything else that is taken for granted is told.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.base import BY_BLOCKS, Imported, Importer, Match, Opened
from edgernn.importers.grammar.assemble import assemble
from edgernn.importers.grammar.blocks import Blocks, Matrix, Stack
from edgernn.importers.grammar.chain import Chain, Link, refuse_backwards, with_cell
from edgernn.importers.grammar.describe import FRAMES
from edgernn.importers.grammar.language import SETTINGS
from edgernn.importers.grammar.network import ROOT, averages_last, of_network, root_of
from edgernn.importers.grammar.ordering import ORDER, ORDER_SAYS, Block, is_table, ordered
from edgernn.importers.grammar.parse import functions_between, is_recurrent, parse, says_function
from edgernn.importers.grammar.words import held_out, words_of
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import Kind, tokenizer_of
from edgernn.wording import some

ACTIVATION, NONE = "activation", "none"
INPUT, IDS = "input", "ids"
_MOST_ONE_HOT = 4096
_SETTINGS = {
    **SETTINGS,
    INPUT: f"{FRAMES}, or {IDS} that the network sees as vectors of zeros and a one",
    ORDER: ORDER_SAYS,
    ACTIVATION: f"the function between linear layers, or {NONE}",
}
_FORWARD = (
    "a file of tensors does not show the network's forward: the gates are taken in torch's order, "
    "as the names are torch's, the first state as zeros, and nothing is computed between the "
    "blocks but what is said here"
)


class PlainStateDict(Importer):
    """A row of blocks, of which the names are torch's and the rest is guessed."""

    word = "plain"
    about = "a network of recurrent and linear layers in a row, told by its tensors alone"
    settings = _SETTINGS

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        recurrent = [name for name in of_network(opened) if is_recurrent(name)]
        if not recurrent:
            return None
        return Match(BY_BLOCKS, f"it has recurrent layers in torch's names, as {recurrent[0]}")

    def refusal(self, opened: Opened) -> str:
        """See ``Importer.refusal``: a direction without a step, or tensors of no known block."""
        try:
            _stepwise(opened)
        except CheckpointError as error:
            return str(error)
        return ""

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        blocks = _stepwise(opened)
        settings = opened.wishes.settings
        row = _in_a_row(blocks, opened)
        told = [_order_told(row, asked=ORDER in settings), _FORWARD]
        table = _table(row)
        links: list[Link] = []
        for block in row if table is None else row[1:]:
            if isinstance(block, Matrix) and links and isinstance(links[-1], Matrix):
                links += _between(links[-1], block, opened)
            if isinstance(block, Stack):
                said = says_function(block.name, opened.modules)
                said_so, guessed = with_cell(block, settings, said=said)
                told += guessed
                links.append(said_so)
            else:
                links.append(block)
        if table is not None:
            told.append(
                f"{table.name}.weight has no bias and comes first: taken for a table of "
                f"{table.rows} vectors that ids are looked up in"
            )
        return _assembled(opened, Chain(table, tuple(links), tuple(told)).checked())


def _stepwise(opened: Opened) -> Blocks:
    """Return the blocks; raise CheckpointError where they are known to have no step."""
    blocks = parse(of_network(opened), opened.modules)
    for stack in blocks.stacks.values():
        refuse_backwards(stack)
    _refuse_others(blocks)
    return blocks


def _in_a_row(blocks: Blocks, opened: Opened) -> tuple[Block, ...]:
    """Return the blocks in their order; where there is none, because the file holds several
    networks, say how one is chosen.
    """
    settings = opened.wishes.settings
    try:
        return ordered(blocks, settings.get(ORDER))
    except CheckpointError as error:
        roots = averages_last(name.partition(".")[0] for name in blocks.stacks if "." in name)
        if ROOT in settings or len(roots) < 2:
            raise
        raise UsageError(
            f"the blocks make no row, and there are recurrent layers under {some(roots)}: where "
            "one is a network by itself, as a decoder is or an average of the weights, choose it "
            f"by {root_of(roots)}"
        ) from error


def _table(row: tuple[Block, ...]) -> Matrix | None:
    """Return the table of vectors that a row begins with, where it does."""
    first = row[0]
    return first if isinstance(first, Matrix) and is_table(first) and len(row) > 1 else None


def _assembled(opened: Opened, chain: Chain) -> Imported:
    """Return the network; of text where it takes ids, and their words are known."""
    size = chain.takes
    given, guess = words_of(opened, size)
    asked = opened.wishes.settings.get(INPUT)
    if asked not in {None, IDS, FRAMES}:
        raise UsageError(f"--set {INPUT}={asked}, expected {IDS} or {FRAMES}")
    if chain.embedding is None and (asked == IDS or (asked is None and given is not None)):
        chain = _one_hot(chain, size)
    if given is None or chain.embedding is None:
        return assemble(chain, None)
    vocabulary = find_vocabulary(given, size=size)
    kind: Kind = "characters" if all(len(w) == 1 for w in vocabulary.words) else "words"
    told = (*chain.told, *filter(None, [guess]), *vocabulary.told)
    tokenizer = tokenizer_of(vocabulary, kind)
    evaluation = held_out(opened.wishes.vocabulary, tokenizer)
    return replace(assemble(replace(chain, told=told), tokenizer), evaluation=evaluation)


def _one_hot(chain: Chain, size: int) -> Chain:
    """Return ``chain`` over ids, each of which it sees as a vector of zeros and a one."""
    if size > _MOST_ONE_HOT:
        raise UsageError(
            f"the network takes {size} numbers a time step, expected up to {_MOST_ONE_HOT} for ids "
            f"as vectors of zeros and a one; say --set {INPUT}={FRAMES}"
        )
    told = (
        f"the {size} numbers that go in are taken for an id as a vector of zeros and a one; --set "
        f"{INPUT}={FRAMES} says otherwise"
    )
    table = Matrix("one_hot", np.eye(size, dtype=np.float32), kind="embedding")
    return replace(chain, embedding=table, told=(*chain.told, told))


def _refuse_others(blocks: Blocks) -> None:
    """Raise CheckpointError where there are tensors of which it is not known what they do."""
    others = [name for name, array in blocks.others.items() if array.ndim]
    if others:
        shown = [f"{name} {list(blocks.others[name].shape)}" for name in others]
        raise CheckpointError(
            f"{some(shown)} is of no table, recurrent or linear layer, and a file of tensors does "
            "not say what is computed with it; take the network in from its Python: edgernn export "
            "FILE.py:NAME --weights FILE --inputs AXES --out BUNDLE"
        )


def _order_told(row: tuple[Block, ...], *, asked: bool) -> str:
    names = " → ".join(block.name or "(root)" for block in row)
    why = "as was said" if asked else "in which their widths fit"
    return f"the blocks run in the order {names}, {why}"


def _between(below: Matrix, above: Matrix, opened: Opened) -> list[Link]:
    """Return the functions between two linear layers, which without one would be one layer: what
    the user said, else what a ``Sequential`` that the file holds as an object has there.
    """
    asked = opened.wishes.settings.get(ACTIVATION)
    if asked is not None:
        return [] if asked == NONE else [asked]
    said = functions_between(below.name, above.name, opened.modules)
    if said is None:
        raise UsageError(
            f"the file does not say which function stands between the linear layers {below.name} "
            f"and {above.name}; give it as --set {ACTIVATION}=relu, tanh, another, or {NONE}"
        )
    return [*said]
