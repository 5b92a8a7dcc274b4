"""The manual's whole network: exported to every format as it says there, verified, measured, and
run in the hosts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hosts import HOSTS, Host

from edgernn.bench.run import bench_bundle
from edgernn.bundle import Bundle
from edgernn.parity.report.data import VerifyReport

PAGE = Path(__file__).parents[2] / "export" / "WHOLE_NETWORK.md"
STATES = ["front_past", "gru_h", "gru_past", "score_past"]
FILES = {
    "onnx/step.onnx",
    "onnx/step-int8.onnx",
    "torchscript/step.pt",
    "coreml/step-float32.mlpackage",
    "coreml/step-int8.mlpackage",
    "coreml/step_mlstate-int8.mlpackage",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VerifyReport]:
    """The manual's program, run in an empty folder: what it wrote, and what verify said."""
    pytest.importorskip("coremltools")
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    place, names = tmp_path_factory.mktemp("whole"), {"__name__": "manual"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        exec(compile(block, str(PAGE), "exec"), names)
    return place / "detector.edgernn", names["report"]


@pytest.fixture(scope="module")
def folder(made: tuple[Path, VerifyReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle as a folder, which every host opens."""
    import zipfile

    place = tmp_path_factory.mktemp("unpacked") / "detector"
    with zipfile.ZipFile(made[0]) as archive:
        archive.extractall(place)
    return place


def test_every_format_carries_it_and_no_check_fails(made: tuple[Path, VerifyReport]) -> None:
    path, report = made
    bundle = Bundle.open(path)
    assert [state.name for state in bundle.manifest.contract.step.states] == STATES
    assert {artifact.path for artifact in bundle.manifest.artifacts} == FILES
    assert report.passed
    failed = [c.name for a in report.artifacts for c in a.checks if c.status == "failed"]
    assert not failed and len(report.artifacts) == len(FILES)


def test_what_integers_lose_is_stated(made: tuple[Path, VerifyReport]) -> None:
    artifacts = {a.path: a for a in Bundle.open(made[0]).manifest.artifacts}
    rounded = artifacts["onnx/step-int8.onnx"]
    assert rounded.output_loss is not None
    assert {w.dtype for w in rounded.weights if len(w.shape) > 1} == {"int8"}
    assert {w.dtype for w in artifacts["coreml/step-int8.mlpackage"].weights if w.shape} == {"int8"}


def test_its_steps_are_measured(made: tuple[Path, VerifyReport]) -> None:
    report = bench_bundle(made[0], to=["onnx", "torchscript"], steps=40)
    assert len(report.artifacts) == 3


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
@pytest.mark.parametrize(
    "host", [h for h in HOSTS if h.name in ("python", "node", "c")], ids=lambda host: host.name
)
def test_a_host_passes_its_golden_run(
    host: Host, artifact: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    rows = host.start(request).rows(folder, "--artifact", artifact)
    assert all(verdict != "FAILED" for *_, verdict in rows.values())
    assert {f"{name}_next" for name in STATES} <= rows.keys()
