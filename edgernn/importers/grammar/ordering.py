"""The order of a network's blocks, from their widths: each takes what the one before gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.grammar.blocks import Blocks, Matrix, Stack
from edgernn.importers.grammar.chain import widths
from edgernn.wording import expected_one_of

Block = Matrix | Stack
ORDER, ORDER_SAYS = "order", "the blocks in the order in which they run, with commas"
_MOST_WAYS = 64
_MOST_LOOKS = 5_000_000  # at a block, beside each one of an order that has begun
_NUMBERED = re.compile(r"(.*?)(\d{1,9})(\D*)")  # the last number of a name
_REMEDY = (
    "a network that is no such row is taken in from its Python: edgernn export FILE.py:NAME "
    "--weights FILE --inputs AXES --out BUNDLE"
)


def is_table(block: Block) -> bool:
    """Whether a block at the start is taken for a table of vectors: it has no bias, which linear
    layers have by default, and the file does not call it one.
    """
    return isinstance(block, Matrix) and block.bias is None and block.kind != "linear"


def ordered(blocks: Blocks, asked: str | None = None) -> tuple[Block, ...]:
    """Return all matrices and stacks in the one order in which they fit; the first one is a table
    where ``is_table`` says so. Blocks that are numbered alike, as ``fc1`` and ``fc2``, follow their
    numbers. Where what comes out is as wide as what goes in, blocks fit in a circle too: it is
    opened so that a linear layer ends it, and few stand side by side.

    Args:
        blocks: what was found.
        asked: the names in order, with commas, where the user gave it.

    Raises:
        UsageError: several orders fit, or ``asked`` does not name every block once.
        CheckpointError: none fits.
    """
    found: dict[str, Block] = {**blocks.stacks, **blocks.matrices}
    if asked is not None:
        names = [name.strip() for name in asked.split(",")]
        for name in names:
            if name not in found:
                raise UsageError(
                    f"--set {ORDER} names {name!r}, no block; {expected_one_of(name, found)}"
                )
        if sorted(names) != sorted(found):
            left = sorted(found.keys() - set(names))
            raise UsageError(
                f"--set {ORDER} leaves out {', '.join(left) or 'none'} or names one twice; "
                f"expected each of {', '.join(found)} once"
            )
        return tuple(found[name] for name in names)
    ways = _likeliest(_ways(list(found.values())))
    if not ways:
        told = ", ".join(
            f"{block.name or '(root)'} {' → '.join(map(str, widths(block)))}"
            for block in found.values()
        )
        raise CheckpointError(
            f"the blocks do not follow one another in any order: {told}; {_REMEDY}"
        )
    if len(ways) > 1:
        shown = [",".join(block.name for block in way) for way in ways[:2]]
        raise UsageError(
            f"the blocks fit one another in at least {len(ways)} orders; choose one, as --set "
            f"{ORDER}={shown[0]} or --set {ORDER}={shown[1]}"
        )
    return ways[0]


def _ways(blocks: Sequence[Block]) -> list[tuple[Block, ...]]:
    """Return up to ``_MOST_WAYS`` orders that fit, by trying each block after each."""
    ways: list[tuple[Block, ...]] = []
    looks = 0
    pending: list[tuple[Block, ...]] = [(block,) for block in reversed(blocks)]
    while pending and len(ways) < _MOST_WAYS:
        way = pending.pop()
        looks += len(blocks) * len(way)
        if looks > _MOST_LOOKS:
            raise UsageError(
                f"the {len(blocks)} blocks fit one another in too many orders to try; give it as "
                f"--set {ORDER}={','.join([*(block.name for block in blocks[:8]), '…'])}"
            )
        if not _in_turn(way):
            continue
        if len(way) == len(blocks):
            ways.append(way)
            continue
        gives = _given(way)
        used = {id(block) for block in way}
        rest = [block for block in blocks if id(block) not in used]
        pending += [(*way, block) for block in reversed(rest) if widths(block)[0] == gives]
    return ways


def _likeliest(ways: list[tuple[Block, ...]]) -> list[tuple[Block, ...]]:
    """Return those of ``ways`` that end in a linear layer, and of them those with the fewest linear
    layers side by side.
    """

    def unlikely(way: tuple[Block, ...]) -> tuple[bool, int]:
        linear = [isinstance(block, Matrix) for block in way]
        linear[0] = linear[0] and not is_table(way[0])
        return not linear[-1], sum(one and other for one, other in pairwise(linear))

    best = min(map(unlikely, ways), default=None)
    return [way for way in ways if unlikely(way) == best]


def _given(way: tuple[Block, ...]) -> int:
    """Return how many numbers come out of the last block of ``way``."""
    last = way[-1]
    if len(way) == 1 and isinstance(last, Matrix) and is_table(last):
        return last.columns
    return widths(last)[1]


def _in_turn(way: tuple[Block, ...]) -> bool:
    """Whether the last block has a higher number than those of the same stem before it."""
    *before, last = (_NUMBERED.fullmatch(block.name) for block in way)
    if last is None:
        return True
    alike = [each for each in before if each is not None and each.group(1, 3) == last.group(1, 3)]
    return all(int(each[2]) < int(last[2]) for each in alike)
