"""A bundle in the packages of npm: the same numbers, a report that names the runtime, and faults of
a runtime that are found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.node import child
from edgernn.sessions.node.session import NodeSession, OrtNodeSession, OrtWebSession
from edgernn.sessions.opening import open_artifact

from .conftest import real

FAULTS = {
    "h_is_not_moved_on": "made.h_next = feeds.h;",
    "c_is_not_moved_on": "made.c_next = feeds.c;",
    "states_swapped": "[made.h_next, made.c_next] = [made.c_next, made.h_next];",
    "logits_too_large": "made.logits.data.forEach((v, i, a) => { a[i] = v * 1.01; });",
    "state_too_large": "made.c_next.data.forEach((v, i, a) => { a[i] = v + v / 64; });",
    "state_begins_anew": "made.h_next.data.fill(0);",
    "kept_between_calls": "if (kept) made.h_next.data.set(kept); kept = made.h_next.data.slice();",
    "rows_meet": "const d = made.logits.data; d[0] += 0.01 * d[d.length - 1];",
    "late_by_a_call": "[kept, made.logits] = [made.logits, kept ?? made.logits];",
}

_FALSE = """
const ort = require(PLACE);
let kept = null;
const create = async (...all) => {
  const inner = await ort.InferenceSession.create(...all);
  const run = async (feeds) => {
    const made = { ...(await inner.run(feeds)) };
    FAULT
    return made;
  };
  return { inputNames: inner.inputNames, outputNames: inner.outputNames, run };
};
module.exports = { env: ort.env, Tensor: ort.Tensor, InferenceSession: { create } };
"""


@pytest.fixture(scope="module")
def onnx_bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("node") / "b"
    return export_bundle(checkpoint_folder, out, to=["onnx", "torchscript"], steps=8)


@pytest.mark.parametrize("kind", [OrtWebSession, OrtNodeSession])
def test_it_computes_what_pythons_runtime_does(
    onnx_bundle: Bundle, kind: type[NodeSession]
) -> None:
    package = real(kind.package)
    artifact = onnx_bundle.artifact("onnx")
    session = open_artifact(onnx_bundle, artifact, kind.at(None))
    reference = open_artifact(onnx_bundle, artifact)
    assert session.runtime.startswith(f"{kind.package} {package.version} in node ")
    states = [each.initial_state(batch=2) for each in (reference, session)]
    for length in (1, 1, 5, 2):
        tokens = {"tokens": np.full((2, length), 3, np.int64)}
        made = [each.step(tokens, s) for each, s in zip((reference, session), states, strict=True)]
        states = [state for _, state in made]
        np.testing.assert_allclose(made[1][0]["logits"], made[0][0]["logits"], atol=1e-5)
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, atol=1e-5)


def test_verify_runs_its_checks_on_it(onnx_bundle: Bundle) -> None:
    package = real(OrtWebSession.package)
    told: list[str] = []
    report = verify_bundle(onnx_bundle, steps=8, seed=1, runtime=package.name, tell=told.append)
    assert report.passed
    (artifact,) = report.artifacts
    assert artifact.runtime.startswith(f"onnxruntime-web {package.version} in node ")
    assert told[0].startswith("left out, as onnxruntime-web does not run them here")
    assert "torchscript/step.pt" in told[0]
    assert {c.name for c in artifact.checks if c.status == "passed"} >= {
        "contract", "structure", "rollout", "invariance", "golden", "greedy",
    }  # fmt: skip


def test_what_says_nothing_is_refused(onnx_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown runtime 'onnxruntime-wob'"):
        verify_bundle(onnx_bundle, runtime="onnxruntime-wob")
    with pytest.raises(UsageError, match="say which by --runtime"):
        verify_bundle(onnx_bundle, runtime_path=tmp_path)
    real(OrtWebSession.package)
    with pytest.raises(UsageError, match="no artifact"):
        verify_bundle(onnx_bundle, to="torchscript", runtime="onnxruntime-web")


@pytest.fixture
def false_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make a package that runs files as onnxruntime-node does, and then does ``fault``."""
    monkeypatch.setattr(child, "_permissions", lambda *_: [])  # it reads the real package
    package = real(OrtNodeSession.package)

    def make(fault: str) -> Path:
        place = tmp_path / "node_modules"
        if not place.exists():
            place.mkdir()
            for other in package.place.iterdir():
                if other.name != package.name:
                    (place / other.name).symlink_to(other)
        own = place / package.name
        own.mkdir()
        told = {"name": package.name, "version": "0.0.1", "main": "index.js"}
        (own / "package.json").write_text(json.dumps(told))
        (own / "index.js").write_text(
            _FALSE.replace("PLACE", json.dumps(str(package.place / package.name))).replace(
                "FAULT", fault
            )
        )
        return place

    return make


@pytest.mark.parametrize("fault", FAULTS)
def test_a_runtime_that_computes_otherwise_is_found(
    onnx_bundle: Bundle, false_runtime: Callable[[str], Path], fault: str
) -> None:
    folder = false_runtime(FAULTS[fault])
    report = verify_bundle(
        onnx_bundle, steps=4, seed=1, runtime="onnxruntime-node", runtime_path=folder
    )
    assert not report.passed


def test_the_false_runtime_without_a_fault_passes(
    onnx_bundle: Bundle, false_runtime: Callable[[str], Path]
) -> None:
    report = verify_bundle(
        onnx_bundle, steps=4, seed=1, runtime="onnxruntime-node", runtime_path=false_runtime("")
    )
    assert report.passed
