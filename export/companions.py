"""What a bundle holds beside its artifacts and its manifest: the golden run, the tokenizer, first
values, the reference, held-out data.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import safetensors.numpy

from edgernn import bundle as bundles
from edgernn import formats, storage
from edgernn.bundle import digest
from edgernn.bundle.records import FileDigest, TokenizerEntry
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.data.text.vocabulary_digest import rules_sha256, tokens_sha256
from edgernn.decoding.sampler_vectors import write_vectors
from edgernn.export.reference import write_reference
from edgernn.export.source import Source
from edgernn.models import checkpoint
from edgernn.parity import golden

_RECORDED_TOKENS = 512


def tokenizer_entry(tokenizer: Tokenizer) -> TokenizerEntry:
    """Describe the tokenizer: digests of the whole, and a text with the ids that every host's
    tokenizer must give for it.
    """
    size = tokenizer.vocabulary_size
    text = tokenizer.decode(range(min(size, _RECORDED_TOKENS)))
    ids = tokenizer.encode(text, on_unknown="skip")
    return TokenizerEntry(
        kind=tokenizer.kind,
        vocabulary_size=size,
        text=text,
        ids=tuple(ids.tolist()),
        tokens_sha256=tokens_sha256(tokenizer),
        rules_sha256=rules_sha256(tokenizer),
    )


def write_companions(folder: Path, source: Source, *, release: bool) -> dict[str, FileDigest]:
    """Write all but artifacts and manifest; return the digest of each file."""
    loaded, model = source.loaded, source.reference
    reference = model.step
    sizes = source.options.axes
    golden.record(reference, folder / bundles.GOLDEN, encoder=model.encode, sizes=sizes)
    names = [bundles.GOLDEN]
    if loaded.tokenizer is not None:
        loaded.tokenizer.save(folder / bundles.TOKENIZER)
        names.append(bundles.TOKENIZER)
    if source.decoding is not None:
        write_vectors(folder / bundles.SAMPLER)
        names.append(bundles.SAMPLER)
    if stored := reference.stored_state():
        storage.write_bytes(folder / bundles.INITIAL_STATE, safetensors.numpy.save(stored))
        names.append(bundles.INITIAL_STATE)
    if not release:
        write_reference(folder, source)
        names += [
            f"{bundles.REFERENCE}/{file.name}"
            for file in sorted((folder / bundles.REFERENCE).iterdir())
        ]
        if loaded.evaluation:
            names.append(f"{bundles.EVALUATION}/{checkpoint.EVALUATION}")
            checkpoint.save_evaluation(folder / names[-1], loaded.evaluation)
    return {name: digest(folder / name) for name in names}


def write_text_files(
    folder: Path, source: Source, steps: Iterable[tuple[formats.Format, str]]
) -> dict[str, FileDigest]:
    """Write what formats have beside their steps to write texts with, where a step takes one row;
    return the digest of each file.

    Args:
        folder: the bundle's.
        source: what the artifacts were made from.
        steps: the format and the path in the bundle of each step that was written.
    """
    names: list[str] = []
    if source.options.streams > 1:
        return {}
    for row, path in {row.family: (row, path) for row, path in steps if row.companions}.values():
        generate = formats.resolve(
            row.companions or "", needed_for=f"exporting {row.name}", extra=row.export_extra
        )
        stored, tokenizer = source.reference.step.stored_state(), source.loaded.tokenizer
        made = generate(source.contract, source.decoding, tokenizer, stored, folder / path)
        for name, content in made.items():
            names.append(f"{row.companion_folder}/{name}")
            storage.write_bytes(folder / names[-1], content)
    return {name: digest(folder / name) for name in names}
