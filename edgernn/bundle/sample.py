"""The held-out sample of a checkpoint or a bundle, on which exported models are measured.

Of a language model ``tokens [N]`` int64; of a captioner ``image [N, S, S, 3]`` uint8 and its
references ``captions [N, K, T]`` int64, each from <start> to <end>, then padded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgernn.contract import CAPTIONS, HEIGHT, IMAGE, TOKENS, VOCAB, WIDTH, Contract

LAYOUT = {
    False: "tokens int64 [N]",
    True: "image uint8 [N, S, S, 3] and captions int64 [N, K, T]",
}  # of a captioner?


def sample_problem(tensors: Mapping[str, np.ndarray], contract: Contract) -> str:
    """Say in one line why ``tensors`` are no held-out sample of a model of ``contract``; empty
    where they are.
    """
    captions = contract.encode is not None
    wanted = {IMAGE: ("uint8", 4), CAPTIONS: ("int64", 3)} if captions else {TOKENS: ("int64", 1)}
    found = {name: (str(tensor.dtype), tensor.ndim) for name, tensor in tensors.items()}
    counts = {len(tensor) for tensor in tensors.values()} if captions else {1}
    if found != wanted or len(counts) != 1 or (captions and not tensors[CAPTIONS].shape[1]):
        told = ", ".join(
            f"{name} {tensor.dtype} {list(tensor.shape)}"
            for name, tensor in sorted(tensors.items())
        )
        return f"{told or 'nothing'}, expected {LAYOUT[captions]}"
    if captions and tensors[IMAGE].shape[1:] != (
        side := (contract.sizes[HEIGHT], contract.sizes[WIDTH], 3)
    ):
        return f"pictures of {list(tensors[IMAGE].shape[1:])}, expected {list(side)}"
    ids, size = tensors[CAPTIONS if captions else TOKENS], contract.sizes[VOCAB]
    outside = ids[(ids < 0) | (ids >= size)]
    return f"the id {int(outside[0])}, the vocabulary has {size} ids from 0" if outside.size else ""
