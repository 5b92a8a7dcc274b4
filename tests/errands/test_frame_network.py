"""A network that takes frames of floats and reads no text, given from Python as a step module with
a contract: no file of edgernn knows of it, and it goes the whole way.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from amplifier import HIDDEN, WIDTH, Amplifier, contract, export_amplifier, make_amplifier
from torch import Tensor

from edgernn import open_session, verify_bundle
from edgernn.bundle import Bundle
from edgernn.errors import ContractError
from edgernn.export import export_step


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_amplifier(tmp_path_factory.mktemp("frames") / "amplifier")


def edgernn(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgernn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_file_passes_every_check(bundle: Bundle) -> None:
    report = verify_bundle(bundle.folder, steps=32)
    assert report.passed and report.complete
    for artifact in report.artifacts:
        done = {check.name: check.status for check in artifact.checks}
        assert done["rollout"] == done["contract"] == done["structure"] == "passed"
        assert done["golden"] == done["invariance"] == done["text"] == "passed"


def test_it_steps_as_the_module_does(bundle: Bundle) -> None:
    module, session = make_amplifier(), open_session(bundle, "onnx/step.onnx")
    state = session.initial_state(2)
    assert np.allclose(state["h"][1], np.linspace(-0.4, 0.4, HIDDEN))
    assert not state["memory"].any()
    random, tensors = np.random.default_rng(0), [torch.from_numpy(a) for a in state.values()]
    for _ in range(16):
        frame = random.standard_normal((2, 1, WIDTH), np.float32)
        outputs, state = session.step({"frame": frame}, state)
        with torch.no_grad():
            sample, *tensors = module(torch.from_numpy(frame), *tensors)
        assert np.allclose(outputs["sample"], sample.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [["verify", "--steps", "8", "--strict"], ["bench", "--steps", "20"], ["inspect"], ["card"]],
    ids=lambda arguments: arguments[0],
)
def test_the_commands_take_it(bundle: Bundle, arguments: list[str]) -> None:
    command, *more = arguments
    done = edgernn(command, bundle.folder, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "None" not in done.stdout
    if command == "bench":
        assert "steps/s" in done.stdout
        assert not {"token", "prompt", "picture"} & set(done.stdout.replace("/", " ").split())


@pytest.mark.parametrize("command", ["generate", "caption"])
def test_what_writes_text_says_that_it_cannot(bundle: Bundle, command: str) -> None:
    done = edgernn(command, bundle.folder, *(["x.png"] if command == "caption" else []))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_module_that_breaks_its_contract_is_named(tmp_path: Path) -> None:
    class Wrong(Amplifier):
        def forward(self, frame: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
            sample, h, memory = super().forward(frame, h, memory)
            return sample, memory, h

    with pytest.raises(ContractError, match="h_next of step comes out as float32"):
        export_step(Wrong(), contract(), tmp_path / "b")
