"""From a chain of blocks to a model of edgernn: the plain language model where it is one, else a
network described by layers.
"""

from __future__ import annotations

import numpy as np

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.importers.base import Imported
from edgernn.importers.grammar.blocks import Matrix
from edgernn.importers.grammar.chain import Chain, same
from edgernn.importers.grammar.describe import block_of, described
from edgernn.importers.sketch import Tensors
from edgernn.wording import counted

_NO_TEXT = (
    "no vocabulary was given, so it is taken as a network that token ids go into and logits come "
    "out of, without text; give --vocabulary for a model that writes"
)


def assemble(chain: Chain, tokenizer: Tokenizer | None) -> Imported:
    """Return the model that computes what ``chain`` does.

    Args:
        chain: checked.
        tokenizer: of a model of text. Where ids go in and there is none, it is a network of the
            family ``module``, ids in and scores out, without text; it is told.

    Raises:
        UsageError: the tokenizer has another number of ids than the table has rows.
    """
    ends, table = chain.links[-1], chain.embedding
    if table is None:
        return Imported(*described(chain, "module"), told=chain.told)
    if not isinstance(ends, Matrix) or ends.rows != table.rows:
        scoreless = (
            f"what comes out is no score for each of the {table.rows} ids, so nothing can write "
            "text with it"
        )
        return Imported(*described(chain, "module"), told=(*chain.told, scoreless))
    if tokenizer is None:
        return Imported(*described(chain, "module"), told=(*chain.told, _NO_TEXT))
    _refuse_other_size(table, tokenizer)
    if chain.uniform() and len(chain.layers) <= _most_layers():
        return _language(chain, tokenizer)
    return Imported(*described(chain, "language"), tokenizer, chain.told)


def _refuse_other_size(table: Matrix, tokenizer: Tokenizer) -> None:
    if tokenizer.vocabulary_size != table.rows:
        raise UsageError(
            f"the vocabulary has {counted(tokenizer.vocabulary_size, 'token')} and "
            f"{table.name}.weight {counted(table.rows, 'row')}: it is not the "
            "one that the network was trained with; give that one as --vocabulary"
        )


def _most_layers() -> int:
    from edgernn.models.recurrent import MAX_LAYERS

    return MAX_LAYERS


def _language(chain: Chain, tokenizer: Tokenizer) -> Imported:
    """Return a chain of a table, one plain stack and a head as a ``LanguageModel``."""
    from edgernn.models.cells.blocks import stack_tensors
    from edgernn.models.language import LanguageConfig

    table, head, layers = chain.embedding, chain.links[-1], chain.layers
    assert table is not None and isinstance(head, Matrix)
    tied = table.columns == layers[0].hidden and same(table.weight, head.weight)
    config = LanguageConfig(
        vocabulary=table.rows,
        cell=layers[0].cell,
        embedding=table.columns,
        hidden=layers[0].hidden,
        layers=len(layers),
        tied=tied,
    )
    bias = np.zeros(head.rows, np.float32) if head.bias is None else head.bias
    tensors: Tensors = {"embedding.weight": table.weight, "head.bias": bias}
    if not tied:
        tensors["head.weight"] = head.weight
    stack = stack_tensors(config.cell, [block_of(layer) for layer in layers])
    tensors |= {f"recurrent.{name}": array for name, array in stack.items()}
    return Imported(config, tensors, tokenizer, chain.told)
