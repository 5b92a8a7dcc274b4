"""Whether a bundle's tokenizer is the one that the model learned with: every token, every rule, and
a recorded text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.data.text.vocabulary_digest import rules_sha256, tokens_sha256
from edgernn.errors import BundleError, DataError
from edgernn.writing.text import open_tokenizer

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

TOKENIZER = "tokenizer.json"


def tokenizer_problems(subject: Subject) -> list[str]:
    """Return what is wrong with the tokenizer, each a sentence; nothing where it is right."""
    if subject.bundle.manifest.tokenizer is None:
        return []
    try:
        tokenizer = open_tokenizer(subject.bundle)
    except (BundleError, DataError) as error:
        return [str(error)]
    problems = list(_against_the_manifest(subject, tokenizer))
    inner = subject.bundle.manifest.reference
    folder = subject.checkpoint or (subject.bundle.path(inner) if inner else None)
    if folder is not None:
        problems += _against_another(tokenizer, folder / TOKENIZER)
    return problems


def vouched_for(subject: Subject) -> str:
    """Say how many ids are vouched for, and by what."""
    entry, manifest = subject.bundle.manifest.tokenizer, subject.bundle.manifest
    if entry is None:
        return "no tokenizer: the model reads and writes no text"
    size = entry.vocabulary_size
    if entry.tokens_sha256 or manifest.reference or subject.checkpoint:
        return f"all {size} tokens vouched for"
    return (
        f"{len(set(entry.ids))} of {size} tokens vouched for (the manifest has no digest of the "
        "whole list)"
    )


def _against_the_manifest(subject: Subject, tokenizer: Tokenizer) -> Iterator[str]:
    entry = subject.bundle.manifest.text_tokenizer
    if tokenizer.kind != entry.kind:
        yield f"the tokenizer is of kind {tokenizer.kind}, the manifest says {entry.kind}"
    if entry.tokens_sha256 and tokens_sha256(tokenizer) != entry.tokens_sha256:
        yield (
            "the tokenizer's list of tokens is not the one that was recorded: ids stand for other "
            "tokens"
        )
    if entry.rules_sha256 and rules_sha256(tokenizer) != entry.rules_sha256:
        yield (
            "the tokenizer's rules are not those that were recorded: it cuts, joins or normalises "
            "text in another way"
        )
    ids = tokenizer.encode(entry.text, on_unknown="skip").tolist()
    if ids != list(entry.ids):
        pairs = enumerate(zip(ids, entry.ids, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(ids), len(entry.ids)))
        yield (
            f"the tokenizer does not give the ids that were recorded for its text, from token {at} "
            "on: it is another one"
        )


def _against_another(tokenizer: Tokenizer, path: Path) -> Iterator[str]:
    """Compare with the tokenizer beside the reference's weights, token by token."""
    try:
        other = Tokenizer.load(path)
    except DataError as error:
        yield f"the reference's tokenizer cannot be read: {error}"
        return
    if tokens_sha256(tokenizer) != tokens_sha256(other):
        at = next(
            (
                i
                for i in range(tokenizer.vocabulary_size)
                if _token(tokenizer, i) != _token(other, i)
            ),
            0,
        )
        theirs = _token(other, at)
        yield (
            f"token {at} of the tokenizer is {_token(tokenizer, at)!r}, the reference's tokenizer "
            f"has {theirs!r} there"
        )
    elif rules_sha256(tokenizer) != rules_sha256(other):
        yield (
            "the tokenizer cuts, joins or normalises text in another way than the reference's "
            "tokenizer"
        )


def _token(tokenizer: Tokenizer, token_id: int) -> str | None:
    try:
        return tokenizer.token(token_id)
    except DataError:
        return None
