"""What a complete bundle has and this one lacks: what is not there cannot be checked, and the
report must say so.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgernn import formats
from edgernn.bundle import Bundle


def lacking(bundle: Bundle) -> tuple[str, ...]:
    """Return what the manifest names none of, each in a few words; a release bundle lacks reference
    and sample by intent.
    """
    manifest = bundle.manifest
    entry = manifest.tokenizer
    parts = {
        "a golden run": manifest.golden is not None,
        "the reference's weights": manifest.reference is not None,
        "a held-out sample": manifest.evaluation is not None,
    }
    if entry is not None:
        parts |= {
            "the tokenizer's recorded text": bool(entry.text and entry.ids),
            "digests of the tokenizer": None not in (entry.tokens_sha256, entry.rules_sha256),
        }
    if manifest.decoding is not None:
        parts["sampler vectors"] = manifest.sampler is not None
    missing = [name for name, there in parts.items() if not there]
    return (*missing, *_lacking_files(bundle))


def _lacking_files(bundle: Bundle) -> Iterator[str]:
    """Yield which graph of the contract no file computes in a format family that has another
    one's.
    """
    own = [graph.name for graph in bundle.manifest.contract.graphs]
    written = [
        (formats.by_name(artifact.format).family, artifact.graph)
        for artifact in bundle.manifest.artifacts
        if artifact.graph in own and artifact.format in formats.FORMATS
    ]
    for family in dict.fromkeys(family for family, _ in written):
        for graph in own:
            if (family, graph) not in written:
                yield f"the {graph} file of {family}"
