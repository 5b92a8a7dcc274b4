"""Each session of each row in turn, with the tiny models of ``tests/conftest.py``."""

from __future__ import annotations

import pytest
from subjects import CASES, Drive, Subject, called

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import ENCODE, FileContract
from edgernn.errors import UnavailableError
from edgernn.sessions.base import Session
from edgernn.sessions.opening import encoder_of

BUNDLES = {"language": "bundle_folder", "captioner": "captioner_bundle_folder"}
CHECKPOINTS = {"language": "checkpoint_folder", "captioner": "captioner_folder"}


@pytest.fixture(scope="module", params=CASES, ids=called)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Each row, session and model in turn."""
    row, target, model = request.param
    try:
        kind = formats.resolve(target, needed_for=f"running {row.name}", extra=row.run_extra)
    except UnavailableError as error:
        pytest.skip(str(error))
    bundle = Bundle.open(request.getfixturevalue(BUNDLES[model]))
    if row.exporter is None:
        folder, contract = request.getfixturevalue(CHECKPOINTS[model]), bundle.manifest.contract
        specs = [graph.name for graph in contract.graphs]
        files = {name: (folder, FileContract(contract=contract, graph=name)) for name in specs}
        return Subject(row, kind, files)
    if not row.by_default:
        pytest.importorskip("torch")
        from edgernn.export.pack import export_bundle

        run = request.getfixturevalue(CHECKPOINTS[model])
        out = tmp_path_factory.mktemp(row.name) / "bundle"
        try:
            bundle = export_bundle(run, out, to=row.name, steps=4)
        except UnavailableError as error:  # what writes the format is not here
            pytest.skip(str(error))
    step = bundle.artifact(row.name)
    artifacts = (
        [step] if bundle.manifest.contract.encode is None else [encoder_of(bundle, step), step]
    )
    return Subject(
        row, kind, {a.graph: (bundle.path(a.path), bundle.file_contract(a)) for a in artifacts}
    )


@pytest.fixture(scope="module")
def drive(subject: Subject) -> Drive:
    """The session of the subject's step file."""
    return Drive(subject.open())


@pytest.fixture(scope="module")
def encode(subject: Subject) -> Session:
    """The session of the subject's encode file."""
    return subject.open(ENCODE)
