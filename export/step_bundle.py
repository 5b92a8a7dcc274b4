"""A step module of one's own to a bundle: what ``export_bundle`` does for edgernn's own models."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.contract import TIME, Contract, Decoding, FileContract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, UsageError
from edgernn.export.causes import cause_of, refuse_more_than_computing
from edgernn.export.graphs import example_inputs
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions, Tell
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.module import ModuleModel, check_step
from edgernn.parity.latency import latency_problem
from edgernn.parity.subject import DEFAULT_STEPS

_BATCH, _STEPS = 2, 3  # of the call by which a module is compared with its contract


def export_step(
    step: nn.Module,
    contract: Contract,
    out: Path | str,
    *,
    encode: nn.Module | None = None,
    first_state: Mapping[str, Tensor | np.ndarray] | None = None,
    sample: Mapping[str, np.ndarray] | None = None,
    tokenizer: Tokenizer | None = None,
    decoding: Decoding | None = None,
    to: Iterable[str] | str = "onnx",
    precision: Iterable[str] | str | None = None,
    target: Iterable[str] | str | None = None,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    options: ReducedOptions | None = None,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export a step module to a bundle, each artifact checked against it over chained runs.

    The module is not changed. The bundle carries it as traced graphs, which judge the artifacts
    wherever the bundle is verified.

    Args:
        step: ``forward(*inputs, *contexts, *states) -> (*outputs, *next states)``, tensors in the
            order of the contract's step graph; what comes out follows from what goes in alone.
        contract: every tensor by name, role, dtype and named axes.
        out: a folder, or a file ending in ``.edgernn``.
        encode: what runs once per sequence, where the contract has an encode graph.
        first_state: state → first value with one row, for each that the contract says is stored.
        sample: recorded inputs by name, one row each, in the contract's axes with N frames: what
            reduced precisions are measured on. Without it they are measured on drawn inputs.
        tokenizer, decoding: of a module that reads and writes text.
        to, precision, target, release, steps, options, tell: see ``export_bundle``.

    Returns:
        The bundle, opened.

    Raises:
        ContractError: the module does not do what the contract says, or an artifact does not keep
            the contract or its tolerance; nothing is written.
        UsageError, UnavailableError: see ``export_bundle``.
    """
    if (encode is None) != (contract.encode is None):
        has = "has an" if contract.encode is not None else "has no"
        raise UsageError(f"the contract {has} encode graph; give encode exactly where it has one")
    values = {name: torch.as_tensor(value) for name, value in (first_state or {}).items()}
    given = ModuleModel(step, contract, encode=encode, first_state=values, decoding=decoding)
    model = copy.deepcopy(given).eval()
    _refuse_another(model, tell)
    try:
        return export_bundle(
            Checkpoint(model, tokenizer, {}, dict(sample or {})),
            out,
            to=to,
            precision=precision,
            target=target,
            release=release,
            steps=steps,
            options=options,
            tell=tell,
        )
    except ContractError as error:
        cause = cause_of(model)
        if not cause:
            raise
        raise ContractError(f"{error}. It may be that {cause}") from error


def _refuse_another(model: ModuleModel, tell: Tell) -> None:
    """Raise ContractError where ``model`` does something else than its contract says, or more; the
    cause is named.
    """
    contract, own = model.config.contract(), copy.deepcopy(model)
    try:
        check_step(own, _examples(contract, _STEPS))
    except ContractError:
        if not contract.step.has_time or TIME in contract.sizes:
            raise
        check_step(own, _examples(contract, 1))  # says what is wrong, but for the time
        frames = contract.step_frames
        raise ContractError(
            f"step takes one step a call, and not {_STEPS}, while time is open in the contract; "
            f"give it a size there, time={frames}"
        ) from None
    refuse_more_than_computing(model, tell)
    if late := latency_problem(EagerSession(own), contract.latency_frames):
        raise ContractError(f"{late}; give latency_frames as the module has it")


def _examples(contract: Contract, steps: int) -> dict[str, tuple[Tensor, ...]]:
    """Return one call of every graph, of so many steps where time is open."""
    return {
        graph.name: example_inputs(
            FileContract(contract=contract, graph=graph.name), batch=_BATCH, time=steps
        )
        for graph in contract.graphs
    }
