"""What a complete bundle has and this one lacks: what is not there cannot be checked, and the
report must say so.
"""

from __future__ import annotations

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import ENCODE, STEP


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
    if manifest.contract.encode is not None:
        missing += [
            f"an encode file of {family}"
            for family in _families(bundle, STEP)
            if family not in _families(bundle, ENCODE)
        ]
    return tuple(missing)


def _families(bundle: Bundle, graph: str) -> list[str]:
    """Return the families that have an artifact of a graph, each once."""
    found = [
        a for a in bundle.manifest.artifacts if a.graph == graph and a.format in formats.FORMATS
    ]
    return list(dict.fromkeys(formats.by_name(artifact.format).family for artifact in found))
