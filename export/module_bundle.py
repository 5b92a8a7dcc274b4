"""A trained network of any kind to a bundle: its step is taken out, proved and exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions, Tell
from edgernn.families.table import family_of
from edgernn.hoisting.explain import NO_STATE, warmup_words
from edgernn.hoisting.hoisted import Hoisted, hoist
from edgernn.hoisting.model import HoistedModel
from edgernn.hoisting.proof import prove
from edgernn.hoisting.recorded import read_sample
from edgernn.models.checkpoint import Checkpoint
from edgernn.parity.subject import DEFAULT_STEPS

_SEED = 0  # of a sample that is drawn where none was recorded


def export_module(
    net: nn.Module,
    example: Mapping[str, Any] | Tensor,
    out: Path | str,
    *,
    method: str = "forward",
    fixed: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    start: str | None = None,
    context: str | Sequence[str] = (),
    pairs: Mapping[str, str | int] | None = None,
    sample: Mapping[str, np.ndarray] | Path | str | None = None,
    to: Iterable[str] | str = "onnx",
    precision: Iterable[str] | str | None = None,
    target: Iterable[str] | str | None = None,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    options: ReducedOptions | None = None,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export a trained network to a bundle, with its state in and out wherever it keeps it.

    The step is proved against the network itself, over whole sequences, before anything is written;
    the bundle carries it as traced graphs, which judge the artifacts without the network's code.

    Args:
        net, example, method, fixed, state, start, context, pairs: see ``edgernn.hoist``.
        out: a folder, or a file ending in ``.edgernn``.
        sample: recorded inputs, or a file of them; see ``read_sample``. Reduced precisions are
            calibrated and measured on them, and the bundle carries them as its evaluation sample;
            without them it carries drawn inputs, and says so.
        to, precision, target, release, steps, options, tell: see ``export_bundle``.

    Returns:
        The bundle, opened.

    Raises:
        UsageError, ContractError: see ``edgernn.hoist``; the step does not give what the network
            gives.
        UnavailableError: see ``export_bundle``.
    """
    hoisted = hoist(
        net, example, method=method, fixed=fixed, state=state, start=start,
        context=context, pairs=pairs,
    )  # fmt: skip
    return export_hoisted(
        hoisted, out, sample=sample, to=to, precision=precision, target=target,
        release=release, steps=steps, options=options, tell=tell,
    )  # fmt: skip


def export_hoisted(
    hoisted: Hoisted,
    out: Path | str,
    *,
    sample: Mapping[str, np.ndarray] | Path | str | None = None,
    to: Iterable[str] | str = "onnx",
    precision: Iterable[str] | str | None = None,
    target: Iterable[str] | str | None = None,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    options: ReducedOptions | None = None,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export what ``hoist`` returned; see ``export_module``."""
    contract, source = hoisted.contract, "recorded"
    evaluation = read_sample(sample, contract)
    if sample is None:
        family = family_of(HoistedModel.family)
        evaluation, source = dict(family.drawn(contract, seed=_SEED) or {}), f"drawn, seed {_SEED}"
    _refuse_double(hoisted)
    proof = prove(hoisted)
    tell(f"the step equals the network: {proof}")
    for words in warmup_words(hoisted.warmup_frames):
        tell(words)
    if not contract.step.states:
        tell(f"warning: {NO_STATE}")
    return export_bundle(
        Checkpoint(HoistedModel(hoisted, source).eval(), None, {}, evaluation),
        out,
        to=to,
        precision=precision,
        target=target,
        release=release,
        steps=steps,
        options=options,
        tell=tell,
    )


def _refuse_double(hoisted: Hoisted) -> None:
    """Raise UsageError for a network that computes in float64, which no format's kernels all do."""
    step = hoisted.contract.step
    for tensor in (*step.inputs, *step.outputs):
        if tensor.dtype == "float64":
            raise UsageError(
                f"{tensor.name} is float64, and files are written in float32; give the network as "
                "net.float(), and float32 inputs"
            )
