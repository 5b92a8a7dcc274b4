"""A text from a bundle in one call: open, encode the prompt, generate, stream, and keep the state
if asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract.in_graph import GENERATE
from edgernn.contract.random_numbers import checked_seed
from edgernn.data.text.tokenizer import OnUnknown, Tokenizer
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.in_graph import InGraphGeneration
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.saved_state import load_snapshot, refuse_foreign_file, save_snapshot
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import BundleError, UsageError
from edgernn.sessions.file import OpenedFile
from edgernn.sessions.opening import first_that_runs, open_artifact, open_generator
from edgernn.writing.command import refuse_other


def write_text(
    source: Path | str | Bundle,
    prompt: str,
    *,
    length: int,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: str | None = None,
    artifact: str | None = None,
    threads: int | None = None,
    trust: bool = False,
    on_unknown: OnUnknown = "error",
    load_state: Path | None = None,
    save_state: Path | None = None,
    show: Callable[[str], None] = lambda piece: None,
) -> dict[str, Any]:
    """Write up to ``length`` tokens after ``prompt``.

    Args:
        source: the path of a bundle, or an opened one, which stays open.
        prompt: may be empty: then the bundle's start tokens are fed, or nothing when going on from
            ``load_state``.
        length: tokens to write.
        temperature, top_k, top_p: see ``Sampler``; None takes the bundle's defaults.
        seed: of the sampling, 0 to 2^64 - 1.
        stop: end after a token that decodes to this text.
        artifact, threads, trust: see ``open_session``.
        on_unknown: see ``Tokenizer.encode``.
        load_state, save_state: files to go on from and to leave behind.
        show: is given the prompt as the model reads it, then each piece of text as soon as it is
            whole.

    Returns:
        ``artifact``, ``seed``, ``text`` (without the prompt) and ``tokens``.

    Raises:
        BundleError, DataError, UsageError, UnavailableError: see errors.py.
    """
    opened_bundle = Bundle.open(source, trust=trust)
    with nullcontext(opened_bundle) if isinstance(source, Bundle) else opened_bundle as bundle:
        refuse_other(bundle, "generate")
        tokenizer = open_tokenizer(bundle)
        chosen, opened, write_on = _open(bundle, artifact, threads=threads)
        defaults = bundle.manifest.decoding_defaults
        sampler = Sampler.from_defaults(defaults, temperature=temperature, top_k=top_k, top_p=top_p)
        checked_seed(seed)  # before anything is shown
        ends = _stop_tokens(tokenizer, stop)
        if save_state is not None:
            refuse_foreign_file(save_state)
        before = load_snapshot(load_state, contract=opened.contract) if load_state else None
        ids = tokenizer.encode(prompt, on_unknown=on_unknown)
        decoder = StreamDecoder(tokenizer)
        prompt_read = "".join(decoder.push(int(token)) for token in ids)  # what follows goes on it
        if not len(ids) and before is None:
            ids = np.array(defaults.start, np.int64)
        show(prompt_read)
        generation = write_on(begin(opened, ids, after=before), sampler=sampler, seed=seed)
        tokens: list[int] = []
        for token in generation.write(length, stop=ends):
            tokens.append(token)
            show(decoder.push(token))
        show(decoder.flush())
        if save_state is not None:
            save_snapshot(save_state, generation.snapshot, contract=opened.contract)
    return {
        "artifact": chosen.path,
        "seed": seed,
        "text": tokenizer.decode(tokens),
        "tokens": tokens,
    }


def _open(
    bundle: Bundle, artifact: str | None, *, threads: int | None
) -> tuple[Artifact, OpenedFile, Callable[..., Generation | InGraphGeneration]]:
    """Open the file to write with; its graph says how: token by token, or all in one call.

    Returns:
        The artifact, its opened file, and what makes a generation of a ``Snapshot``.
    """
    chosen = None if artifact is None else bundle.artifact(artifact)
    if chosen is not None and chosen.graph == GENERATE:
        generator = open_generator(bundle, chosen, threads=threads)
        return chosen, generator, partial(InGraphGeneration, generator)
    if chosen is None:
        chosen, session = first_that_runs(bundle, threads=threads)
    else:
        session = open_artifact(bundle, chosen, threads=threads)
    return chosen, session, partial(Generation, session)


def open_tokenizer(bundle: Bundle) -> Tokenizer:
    """Load a bundle's tokenizer and make sure that it belongs to the model."""
    entry = bundle.manifest.text_tokenizer
    tokenizer = Tokenizer.load(bundle.path(entry.path))
    rows = bundle.manifest.contract.vocabulary
    if not tokenizer.vocabulary_size == entry.vocabulary_size == rows:
        raise BundleError(
            f"{bundle.source}: the tokenizer has {tokenizer.vocabulary_size} tokens, the "
            "manifest says "
            f"{entry.vocabulary_size}, the model has {rows}; they do not belong together. "
            "Export the bundle again"
        )
    return tokenizer


def _stop_tokens(tokenizer: Tokenizer, stop: str | None) -> frozenset[int]:
    if stop is None:
        return frozenset()
    ids = tokenizer.encode(stop)
    if len(ids) != 1:
        raise UsageError(
            f"the stop text {stop!r} is {len(ids)} tokens of this model, expected exactly one"
        )
    return frozenset(ids.tolist())
