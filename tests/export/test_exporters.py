"""What every exporter keeps, in every row of the table and each precision: the contract in it,
the model as it was, what the precision promises; and that it refuses the rest by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from subjects import sessions_here

from edgernn import formats
from edgernn.contract import ENCODE, STEP, Decoding, FileContract, GraphWord, file_problems
from edgernn.errors import UnavailableError, UsageError
from edgernn.export import environments
from edgernn.export.base import Exporter, Written
from edgernn.formats import Format, Tolerance
from edgernn.models.eager import EagerSession
from edgernn.models.family import RecurrentModel
from edgernn.models.few_values import settle
from edgernn.parity import rollout
from edgernn.sessions.base import Session

DECODING = Decoding(start=(3,), temperature=0.5)
ROWS = tuple(formats.FORMATS.values())
FEW = {"int1", "int2"}  # of matrices that were trained to have two or three values a row
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Case = tuple[Format, str, str, GraphWord]  # a row, a precision, a model and a graph of it


def cases() -> Iterator[Case]:
    """Yield all that the table offers."""
    for row in ROWS:
        for precision in row.precisions:
            yield row, precision, "language", STEP
            if not FEW & row.promise(precision).stored:  # a captioner's widths are odd
                yield row, precision, "captioner", STEP
            if ENCODE in row.graphs and precision not in row.step_only:
                yield row, precision, "captioner", ENCODE


def called(case: Case) -> str:
    return f"{case[0].name}-{case[1]}-{case[2]}-{case[3]}"


def fingerprint(model: torch.nn.Module) -> dict[str, Any]:
    """All that an exporter could change in a model."""
    parameters = {
        name: (
            p.detach().numpy().tobytes(),
            p.data_ptr(),
            p.dtype,
            p.device,
            p.requires_grad,
            p.grad,
        )
        for name, p in model.named_parameters()
    }
    buffers = {name: b.numpy().tobytes() for name, b in model.named_buffers()}
    hooks = (*HOOKS, "_state_dict_hooks")
    modules = {
        name: (
            type(module),
            module.training,
            [len(getattr(module, kind)) for kind in hooks],
            sorted(vars(module)),
        )
        for name, module in model.named_modules()
    }
    return {"parameters": parameters, "buffers": buffers, "modules": modules}


def surroundings() -> dict[str, Any]:
    """What an exporter could change around a model."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "levels": [logging.getLogger(name).level for name in ("coremltools", "torch", "onnx")],
        "threads": torch.get_num_threads(),
    }


@dataclass(frozen=True)
class Exported:
    """One file, and what was so before and after it was written."""

    row: Format
    precision: str
    model: RecurrentModel
    path: Path
    written: Written
    file_contract: FileContract
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def promise(self) -> Tolerance:
        """What the precision promises."""
        return self.row.promise(self.precision)

    @property
    def reference(self) -> Session:
        """The model itself, in evaluation."""
        own = FileContract(contract=self.file_contract.contract, graph=self.file_contract.graph)
        return EagerSession(self.model, own)

    def open(self, path: Path | None = None) -> Session:
        """Open the file, or another of the same contract, in a session that runs it here."""
        target = next(target for row, target in sessions_here() if row == self.row)
        kind: type[Session] = formats.resolve(target, needed_for="a test", extra=None)
        return kind.open(path or self.path, self.file_contract)


def exporter_of(row: Format) -> Exporter:
    try:
        kind = formats.resolve(row.exporter or "", needed_for=row.name, extra=row.export_extra)
    except UnavailableError as error:
        pytest.skip(str(error))
    if row.environment is not None and environments.find(row.environment) is None:
        pytest.skip(f"{row.name} needs: {environments.by_name(row.environment).command}")
    made: Exporter = kind()
    return made


@pytest.fixture(scope="module", params=cases(), ids=called)
def exported(
    request: pytest.FixtureRequest,
    make_model: Callable[..., Any],
    make_captioner: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    """Every file of the table in turn, of a model that is in training here and in evaluation
    there.
    """
    row, precision, kind, graph = request.param
    exporter = exporter_of(row)
    options = {"dropout": 0.4, "tied": True, "embedding": 8, "learned_initial_state": True}
    if few := FEW & row.promise(precision).stored:
        options |= {"weights": precision, "embedding": 16, "hidden": 16}
    model = make_captioner() if kind == "captioner" else make_model(**options)
    if few:
        settle(model.recurrent, precision)
    model.train()
    frozen, *_ = model.parameters()
    frozen.requires_grad_(False)
    next(model.children()).eval()  # a mixture: every flag must be the one it was
    path = tmp_path_factory.mktemp("written") / "not" / "there" / Path(row.path(precision)).name
    before = {**fingerprint(model), **surroundings()}
    try:
        written = exporter.export(model, path, precision=precision, decoding=DECODING, graph=graph)
    except UnavailableError as error:
        pytest.skip(str(error))
    after = {**fingerprint(model), **surroundings()}
    own = FileContract(
        contract=model.config.contract(),
        graph=graph,
        narrowing=written.narrowing,
        decoding=DECODING,
    )
    return Exported(row, precision, model.eval(), path, written, own, before, after)


def test_exporting_changes_nothing(exported: Exported) -> None:
    assert exported.before.keys() == exported.after.keys()
    for part, was in exported.before.items():
        assert exported.after[part] == was, part


def test_the_file_keeps_the_contract_and_carries_it(exported: Exported) -> None:
    kind = formats.resolve(exported.row.session, needed_for="a test", extra=None)
    description = kind.describe(exported.path)
    assert file_problems(description, exported.file_contract) == []
    assert FileContract.from_metadata(description.metadata, source="it") == exported.file_contract
    assert description.target in {None, exported.written.target}


def test_it_tells_what_it_wrote(exported: Exported) -> None:
    written, spec = exported.written, exported.file_contract.spec
    assert written.target
    assert any(character.isdigit() for character in written.exporter), "the versions"
    sizes = exported.file_contract.contract.sizes
    axes = {axis for tensor in (*spec.inputs, *spec.outputs) for axis in tensor.axes}
    for axis, size in written.narrowing.axes.items():
        assert axis in axes
        assert size == sizes.get(axis, size)
    assert written.narrowing.dtypes.keys() <= {tensor.name for tensor in spec.inputs}
    assert written.narrowing.runtime_state == exported.row.keeps_state
    assert all(weight.bytes > 0 for weight in written.weights)
    assert [path.name for path in exported.path.parent.iterdir()] == [exported.path.name]


def test_it_computes_what_its_precision_promises(exported: Exported) -> None:
    session = exported.open()
    for plan in rollout.plans(session, 6, seed=1):
        found = rollout.compare(
            exported.reference, session, plan, seed=4, forced=exported.promise.forced
        )
        compared = {drift.tensor.split("[")[0] for drift in found.drifts}  # layers by themselves
        assert compared == {tensor.name for tensor in session.spec.outputs}
        assert found.worst.scaled < exported.promise.rollout, (plan, found.worst)


def test_the_same_model_is_the_same_file(exported: Exported, tmp_path_factory: Any) -> None:
    """It computes the same to the bit, in training or not; no row promises the same bytes."""
    path = tmp_path_factory.mktemp("again") / exported.path.name
    again = exporter_of(exported.row).export(
        exported.model,
        path,
        precision=exported.precision,
        decoding=DECODING,
        graph=exported.file_contract.graph,
    )
    assert again == exported.written
    first, second = exported.open(), exported.open(path)
    plan = rollout.plans(first, 3, seed=2)[-1]
    worst = rollout.compare(first, second, plan, seed=5).worst
    assert worst.scaled == 0, worst


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_not_offered_is_refused_by_name(
    make_model: Callable[..., Any], make_captioner: Callable[..., Any], tmp_path: Path, row: Format
) -> None:
    exporter, first = exporter_of(row), row.precisions[0]
    model, captioner = make_model(), make_captioner()
    strange = [p for p in (*formats.PRECISIONS, "int3", "") if p not in row.precisions]
    for precision in strange:
        offers = f"{row.name} does not offer '{precision}'; it offers {', '.join(row.precisions)}$"
        with pytest.raises(UsageError, match=f"^{offers}"):
            exporter.export(model, tmp_path / "file", precision=precision, decoding=DECODING)
    unwritten: list[tuple[str, Any]] = [(precision, ENCODE) for precision in row.step_only]
    known = (*row.graphs, *row.decoders)
    unwritten += [(first, graph) for graph in (ENCODE, "generate", "caption") if graph not in known]
    for precision, graph in unwritten:
        writes = f"{row.name} does not write {graph} in {precision}; it writes "
        with pytest.raises(UsageError, match=f"^{writes}{', '.join(row.graphs)} in {first}$"):
            exporter.export(
                captioner, tmp_path / "file", precision=precision, decoding=DECODING, graph=graph
            )
    assert list(tmp_path.iterdir()) == []
