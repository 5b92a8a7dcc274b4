"""What every host must do alike: each case here is tried on every row of ``hosts.HOSTS``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host_cases
import numpy as np
import pytest
import safetensors.numpy
from hosts import HOSTS, Command, Host

from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions

STEPS = ["onnx/step.onnx", "onnx/step-float16.onnx", "onnx/step-int8.onnx", "onnx/step-int4.onnx"]
LOOSE = ReducedOptions(budget=Budget(perplexity="900%"))  # the weights are untrained
Manifest = dict[str, Any]


@pytest.fixture(scope="module", params=HOSTS, ids=lambda host: host.name)
def host(request: pytest.FixtureRequest) -> Host:
    """One row of the table."""
    row: Host = request.param
    return row


@pytest.fixture(scope="module")
def command(host: Host, request: pytest.FixtureRequest) -> Command:
    """The host, ready to be started."""
    return host.start(request)


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every ONNX precision. Read only."""
    folder = tmp_path_factory.mktemp("hosts") / "text"
    precision = ["float32", "float16", "int8", "int4"]
    export_bundle(
        checkpoint_folder, folder, to=["onnx"], precision=precision, steps=8, options=LOOSE
    )
    return folder


@pytest.fixture
def copy(text: Path, tmp_path: Path) -> Path:
    """A copy of the text bundle, to be changed."""
    shutil.copytree(text, tmp_path / "copy")
    return tmp_path / "copy"


def of_version_1(manifest: Manifest) -> None:
    """Say in a text bundle's manifest what version 1 says of it: a word for the first state, and of
    the tolerances nothing but what was allowed when the bundle was packed.
    """
    manifest["schema_version"] = 1
    if not isinstance(manifest["contract"].get("initial_state", ""), str):
        manifest["contract"]["initial_state"] = "zeros"
    for key in ("step_frames", "latency_frames"):
        manifest["contract"].pop(key, None)
    for entry in manifest["artifacts"]:
        for key in ("tolerance", "forced"):
            entry.pop(key, None)


def promise(tolerance: float, *, forced: bool = False) -> Callable[[Manifest], None]:
    """Return an edit that gives every file this tolerance."""

    def change(manifest: Manifest) -> None:
        for entry in manifest["artifacts"]:
            entry.update(tolerance=tolerance, forced=forced)

    return change


def wrong_golden(folder: Path, name: str, value: float = 40.0) -> None:
    """Change the last recorded value of a tensor: the last step, so that no other is led astray."""
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    tensors[name].flat[-1] = value
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))


@pytest.mark.parametrize("artifact", STEPS)
def test_a_version_1_bundle_passes_what_it_was_packed_with(
    command: Command, copy: Path, artifact: str
) -> None:
    host_cases.edit(copy, of_version_1)
    rows = command.rows(copy, "--artifact", artifact)
    allowed = [1e-4, 0.25, 0.15, 0.4][STEPS.index(artifact)]
    layers = [""] if artifact in STEPS[:2] else ["[0]", "[1]"]
    names = ["logits", *(f"{name}_next{layer}" for name in "hc" for layer in layers)]
    assert {name: rows[name][1] for name in names} == dict.fromkeys(names, allowed)
    assert [*rows][: len(names)] == names
    assert {verdict for _, limit, verdict in rows.values() if limit} == {"ok"}


def test_the_tolerance_is_that_of_the_manifest(command: Command, copy: Path) -> None:
    host_cases.edit(copy, promise(1e-12))
    assert command.failed(copy, "--artifact", STEPS[0])
    host_cases.edit(copy, promise(0.5))
    rows = command.rows(copy, "--artifact", STEPS[2])  # rounded, and here on its own state
    assert (rows["h_next"][1], "h_next[0]" in rows) == (0.5, False)
    host_cases.edit(copy, promise(0.5, forced=True))
    assert "h_next[1]" in command.rows(copy, "--artifact", STEPS[0])


def test_a_file_without_a_tolerance_cannot_be_judged(command: Command, copy: Path) -> None:
    host_cases.edit(copy, of_version_1)
    host_cases.edit(copy, lambda manifest: [each.pop("parity") for each in manifest["artifacts"]])
    said = command.refusal(copy, "--check")
    assert "export the bundle again" in said
    assert "tolerance" in said
    command.good(copy, "--length", 3)


@pytest.mark.parametrize("artifact", [STEPS[0], STEPS[2]])
@pytest.mark.parametrize("value", [40.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["logits", "c_next"])
def test_a_run_that_differs_fails(
    command: Command, copy: Path, artifact: str, value: float, name: str
) -> None:
    wrong_golden(copy, name, value)
    layer = "[1]" if name == "c_next" and "int8" in artifact else ""
    assert command.failed(copy, "--artifact", artifact) == [name + layer]
