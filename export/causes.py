"""Why a trace of a module would be no copy of it: what the module does beside computing on tensors.

A trace holds what one call did. A value that is read into Python fixes the way that the graph goes,
a random number is drawn again or frozen, and what a call leaves in an attribute is lost. Each is
looked for where it happens, in calls of a copy of the module, so that the line can be named.
"""

from __future__ import annotations

import copy
import linecache
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.overrides import TorchFunctionMode

from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.export.graphs import FlatGraph
from edgernn.export.source import Tell
from edgernn.models.eager import EagerSession
from edgernn.models.module import ModuleModel
from edgernn.parity.feed import fixed_rows, fixed_steps, fresh_of, random_feed
from edgernn.sessions.torch_kernels import to_tensor

_BATCH, _STEPS, _SEEDS = 2, 3, (0, 1, 2, 3)  # of the calls that are made
_READS = frozenset(
    {"__bool__", "__int__", "__float__", "__index__", "item", "tolist", "numpy", "__array__"}
)
_TORCH = str(Path(torch.__file__).parent)


def refuse_more_than_computing(model: ModuleModel, tell: Tell) -> None:
    """Call every graph of ``model`` several times; the module is not changed.

    ``tell`` hears of a value that is read into Python and was the same in every call.

    Raises:
        ContractError: two calls alike give different values, or calls read different values into
            Python; names the cause.
    """
    for spec in model.config.contract().graphs:
        if cause := _differing(model, spec.name):
            raise ContractError(
                f"{spec.name} gives other values when it is called again: it {cause}; write it "
                "with tensor operations on its inputs alone"
            )
        calls = _reads(model, spec.name)
        for place in dict.fromkeys(place for read in calls for place in read):
            if len({read.get(place) for read in calls}) > 1:
                raise ContractError(
                    f"{spec.name} goes by a value that it computes, at {place}, where a trace goes "
                    "one way for ever; write it with tensor operations alone, as torch.where"
                )
            tell(f"{spec.name} reads a value at {place}; the files go the way it went here")


def cause_of(model: ModuleModel) -> str:
    """Say in words what in ``model`` may be why a file is no copy of it: what torch warns of while
    it traces, or what a call leaves in the module. Empty where nothing is known.
    """
    for spec in model.config.contract().graphs:
        if place := _warned(model, spec.name):
            return f"{spec.name} goes by a size or a value at {place}, which a trace fixes"
        if left := _left_behind(model, spec.name):
            return f"a call of {spec.name} changes {left} of the module, which a trace does not"
    return ""


def _inputs(model: ModuleModel, graph: str, seed: int) -> tuple[Tensor, ...]:
    """Return one call of ``graph``, drawn by ``seed``, in the contract's order."""
    session = EagerSession(model, FileContract(contract=model.config.contract(), graph=graph))
    rows, steps = fixed_rows(session) or _BATCH, fixed_steps(session) or _STEPS
    feed = random_feed(session, batch=rows, steps=steps, seed=seed)
    given = {**fresh_of(session, feed.inputs, 0, steps), **feed.contexts, **feed.state}
    return tuple(to_tensor(given[tensor.name]) for tensor in session.spec.inputs)


def _differing(model: ModuleModel, graph: str) -> str:
    """Say why two calls alike give different values; empty where they do not."""
    own, made = copy.deepcopy(model), []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            made.append(own.graph(graph, *_inputs(own, graph, 0)))
    first, again, other = made
    if not _same(first, again):
        left = _left_behind(model, graph)
        kept = f"changes {left} of the module" if left else "keeps something between calls"
        return f"{kept}, which the contract does not have as a state"
    return "" if _same(again, other) else "draws random numbers"


def _same(one: tuple[Tensor, ...], two: tuple[Tensor, ...]) -> bool:
    return all(
        torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(one, two, strict=True)
    )


def _reads(model: ModuleModel, graph: str) -> list[dict[str, tuple[str, ...]]]:
    """Return what each of several calls reads of tensors into Python: the place → the values."""
    own, found = copy.deepcopy(model), []
    for seed in _SEEDS:
        given, reader = _inputs(own, graph, seed), _Reader()
        with torch.no_grad(), reader:
            own.graph(graph, *given)
        found.append(reader.found)
    return found


class _Reader(TorchFunctionMode):
    """Hears what is read of tensors into Python, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[str, ...]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func``, and note what it gives where it is no tensor any more."""
        made = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _READS:
            place = _place(traceback.extract_stack(limit=32))
            value = made.tolist() if isinstance(made, np.ndarray) else made
            self.found[place] = (*self.found.get(place, ()), repr(value))
        return made


def _place(stack: traceback.StackSummary) -> str:
    """Return the innermost line that is neither torch's nor this file's."""
    outside = [f for f in stack if not f.filename.startswith(_TORCH) and f.filename != __file__]
    frame = (outside or stack)[-1]
    return _line(frame.filename, frame.lineno or 0)


def _line(filename: str, number: int) -> str:
    text = linecache.getline(filename, number).strip()
    return f"{Path(filename).name}:{number}" + (f" ({text})" if text else "")


def _left_behind(model: ModuleModel, graph: str) -> str:
    """Return the name of an attribute or buffer that a call changes; empty where none."""
    own = copy.deepcopy(model)
    module = own.module_of(graph)
    before = _attributes(module)
    with torch.no_grad():
        own.graph(graph, *_inputs(own, graph, 0))
    after = _attributes(module)
    return next((name for name, value in after.items() if before.get(name) != value), "")


def _attributes(module: nn.Module) -> dict[str, str]:
    """Return name → text of every attribute and buffer of a module and of its parts."""
    found = {}
    for path, part in module.named_modules():
        for name, value in {**vars(part), **dict(part.named_buffers(recurse=False))}.items():
            if not name.startswith("_"):
                known = value.detach().cpu().numpy().tobytes() if _is_plain(value) else value
                found[f"{path}.{name}".lstrip(".")] = repr(known)
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype != torch.bfloat16  # which numpy has not


def _warned(model: ModuleModel, graph: str) -> str:
    """Return the place of the first thing that torch warns of when it traces ``graph``."""
    own = copy.deepcopy(model)
    with warnings.catch_warnings(record=True) as heard, torch.no_grad():
        warnings.simplefilter("always")
        try:
            torch.jit.trace(FlatGraph(own, graph), _inputs(own, graph, 0), check_trace=False)
        except (RuntimeError, TypeError, ValueError):
            return ""
    for warning in heard:
        outside = not warning.filename.startswith(_TORCH)
        if issubclass(warning.category, TracerWarning) and outside:
            return _line(warning.filename, warning.lineno)
    return ""
