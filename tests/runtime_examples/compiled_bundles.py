"""Bundles in C of small networks, and a weight that is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from amplifier import export_amplifier
from c_program import LOOSE

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel


def export_in_c(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, captioner: Path, folder: Path
) -> dict[str, Path]:
    """Export an LSTM, a GRU whose first state is stored and whose names in C begin with another
    word, the same over four streams, a captioner's step and a network of audio frames; return the
    bundle of each.
    """
    voice = ReducedOptions(prefix="voice")
    for name, chosen in (("lstm", None), ("gru", voice), ("streams", ReducedOptions(streams=4))):
        cell = "lstm" if name == "lstm" else "gru"
        model = make_model(cell=cell, learned_initial_state=cell == "gru")
        made = Checkpoint(model, tokenizer, {}, {})
        export_bundle(made, folder / name, to=["c"], steps=8, options=chosen, release=True)
    export_bundle(captioner, folder / "captioner", to=["c"], steps=4, release=True)
    export_amplifier(folder / "audio", to=("c",), precision=("float32",))
    return {path.name: path for path in folder.iterdir()}


def export_integers(run: Path, folder: Path) -> Path:
    """Export a run in float32 and in integers; return the bundle."""
    precision = ("float32", "int8", "int4")
    export_bundle(run, folder, to=["c"], precision=precision, steps=8, options=LOOSE, release=True)
    return folder


def change_weight(weights: Path) -> None:
    """Turn the sign of the float32 number with the largest exponent."""
    content = bytearray(weights.read_bytes())
    at = max(range(3, len(content), 4), key=lambda i: content[i] & 0x7F)
    content[at] ^= 0x80
    weights.write_bytes(content)
