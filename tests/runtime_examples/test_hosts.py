"""What every host must do alike: each case here is tried on every row of ``hosts.HOSTS``."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dtype_bundle
import frame_bundle
import host_cases
import numpy as np
import pytest
import safetensors.numpy
from c_program import STEPS
from hosts import Command, Host, told

VERSION_1 = Path(__file__).resolve().parents[1] / "fixtures" / "version1"
Manifest = dict[str, Any]


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


@pytest.mark.parametrize("kind", host_cases.PROMISES)
def test_a_file_is_held_to_what_the_manifest_promises(
    command: Command, copy: Path, kind: str
) -> None:
    change, artifact, allowed, layers = host_cases.PROMISES[kind]
    host_cases.edit(copy, change)
    rows = command.rows(copy, "--artifact", artifact)
    name = "h_next[1]" if layers else "h_next"
    assert (name in rows, rows[name][1]) == (True, allowed)
    assert bool(command.failed(copy, "--artifact", artifact)) == (allowed < 1)


def test_a_file_without_a_tolerance_cannot_be_judged(command: Command, copy: Path) -> None:
    host_cases.edit(copy, host_cases.promise())
    said = command.refusal(copy, "--check", "--artifact", STEPS[0])
    assert "export the bundle again" in said
    assert "tolerance" in said
    assert STEPS[0] in said
    command.good(copy, "--length", 3)


@pytest.mark.parametrize("artifact", [STEPS[0], STEPS[2]])
@pytest.mark.parametrize("value", [40.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["logits", "c_next"])
def test_a_run_that_differs_fails(
    command: Command, copy: Path, artifact: str, value: float, name: str
) -> None:
    wrong_golden(copy, name, value)
    layer = "[1]" if name == "c_next" and "int8" in artifact else ""
    ((found, (step, steps, _)),) = command.partings(copy, "--artifact", artifact).items()
    assert (found, step) == (name + layer, steps - 1)


def test_rounded_files_start_each_step_from_the_recorded_state(
    command: Command, copy: Path
) -> None:
    """And the step at which each tensor is off first is told, with how far it is there."""
    tensors = safetensors.numpy.load_file(copy / "golden.safetensors")
    tensors["c_next"][3] += 9  # what the next step starts from, in rounded files alone
    tensors["c_next"][5] += 18
    host_cases.replace(copy, "golden.safetensors", safetensors.numpy.save(tensors))
    steps = len(tensors["c_next"])
    worst = command.rows(copy, "--artifact", STEPS[0])["c_next"][0] or 0
    ((name, (step, count, by)),) = command.partings(copy, "--artifact", STEPS[0]).items()
    assert (name, step, count) == ("c_next", 3, steps)
    assert by == pytest.approx(worst / 2, rel=0.2)
    found = {name: at[:2] for name, at in command.partings(copy, "--artifact", STEPS[2]).items()}
    assert (found.pop("c_next[0]"), found.pop("c_next[1]")) == ((3, steps), (3, steps))
    assert "logits" in found
    assert set(found.values()) == {(4, steps)}


@pytest.mark.parametrize("kind", ["text", "captioner_bundle_folder"])
def test_steps_are_timed(
    host: Host, command: Command, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind != "text" and not host.captions:
        pytest.skip(f"{host.name} takes no captioner")
    record = json.loads(command.good(request.getfixturevalue(kind), "--time", 30))
    assert (record.keys(), record["steps"]) == ({"artifact", "steps", "median_us"}, 30)
    assert 0 < record["median_us"] < 1e6


def test_a_stored_first_state_and_a_captioner_pass(
    host: Host, command: Command, learned: Path, captioner_bundle_folder: Path
) -> None:
    assert command.failed(learned) == []
    if host.captions:
        rows = command.rows(captioner_bundle_folder)
        tensors = ["features", "feature_keys", "h", "c", "logits", "attention", "h_next", "c_next"]
        assert [*rows][: len(tensors)] == tensors
        assert {verdict for _, limit, verdict in rows.values() if limit} == {"ok"}


@pytest.fixture(scope="module", params=["frames", "encoded", "pairs"])
def frames(request: pytest.FixtureRequest, host: Host, tmp_path_factory: Any) -> Path:
    """A bundle without a tokenizer: of frames, with an encode graph, of two frames a step. Read
    only.
    """
    if not host.general:
        pytest.skip(f"{host.name} takes no general network yet")
    return frame_bundle.write_frame_bundle(
        tmp_path_factory.mktemp("frames"),
        encode=request.param == "encoded",
        step_frames=2 if request.param == "pairs" else 1,
    )


@pytest.fixture
def frames_copy(frames: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(frames, tmp_path / "frames")
    return tmp_path / "frames"


@pytest.mark.parametrize("artifact", [frame_bundle.STEP, frame_bundle.ROUNDED])
def test_a_network_without_a_tokenizer_passes_its_golden_run(
    command: Command, frames: Path, artifact: str
) -> None:
    rows = command.rows(frames, "--artifact", artifact)
    encoded = (frames / frame_bundle.ENCODE).exists()
    states = ["h_next", "memory_next", "count_next"]
    looks = ["weights"] if encoded else []
    names = [*(["keys", "h"] if encoded else []), "sample", "late", *looks, *states]
    assert [*rows] == names
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    allowed = {name: rows[name][1] for name in ("sample", *states)}
    assert allowed == dict.fromkeys(allowed, 1e-4 if artifact == frame_bundle.STEP else 0.15)


@pytest.mark.parametrize("artifact", [frame_bundle.STEP, frame_bundle.ROUNDED])
@pytest.mark.parametrize("name", ["sample", "late", "h_next", "memory_next", "count_next"])
def test_a_network_that_differs_fails(
    command: Command, frames_copy: Path, artifact: str, name: str
) -> None:
    wrong_golden(frames_copy, name, 0.0 if name == "late" else 40.0)
    assert command.failed(frames_copy, "--artifact", artifact) == [name]


def test_a_recording_of_another_network_is_refused(command: Command, frames_copy: Path) -> None:
    path = frames_copy / "golden.safetensors"
    whole = safetensors.numpy.load_file(path)
    for name, wrong in {
        "gate": whole["gate"].astype(np.uint8),
        "offset": whole["offset"][:, :, :2],
        "frame": whole["frame"][:-1],
        "memory": whole["memory"][0],
        "count_next": whole["count_next"].astype(np.int64),
    }.items():
        tensors = {**whole, name: np.ascontiguousarray(wrong)}
        host_cases.replace(frames_copy, path.name, safetensors.numpy.save(tensors))
        assert "golden" in command.refusal(frames_copy, "--check")
    for name in ("shift", "h", "late"):
        tensors = {key: array for key, array in whole.items() if key != name}
        host_cases.replace(frames_copy, path.name, safetensors.numpy.save(tensors))
        assert name in command.refusal(frames_copy, "--check")


def test_a_network_without_a_tokenizer_writes_no_text(command: Command, frames: Path) -> None:
    assert "no tokenizer" in command.refusal(frames, "--prompt", "a")
    assert "no tokenizer" in command.refusal(frames)


def test_a_network_without_a_tokenizer_is_timed(command: Command, frames: Path) -> None:
    record = json.loads(command.good(frames, "--time", 3, "--artifact", frame_bundle.ROUNDED))
    assert (record["artifact"], record["steps"]) == (frame_bundle.ROUNDED, 3)
    assert record["median_us"] > 0


def test_a_tensor_of_every_dtype_comes_out_as_it_went_in(command: Command, tmp_path: Path) -> None:
    rows = command.rows(dtype_bundle.write_dtype_bundle(tmp_path))
    names = {f"{name}_{dtype}{end}" for dtype in dtype_bundle.DTYPES for name, end in _ENDS}
    assert {name: rows[name] for name in names} == dict.fromkeys(names, (0, 0, "ok"))
    assert rows.keys() == names


_ENDS = (("y", ""), ("h", "_next"))
GENERAL: dict[str, Callable[[Manifest], object]] = {
    "a state of nobody": lambda m: m["contract"]["initial_state"].update(nobody="encode"),
    "a state from an encode that is none": lambda m: m["contract"]["initial_state"].update(
        memory="encode"
    ),
    "stored, but not in the file": lambda m: m["contract"]["initial_state"].update(memory="stored"),
    "no such start": lambda m: m["contract"]["initial_state"].update(h="learned"),
    "a word for every state": lambda m: m["contract"].update(initial_state="zeros"),
    "no frames": lambda m: m["contract"].update(step_frames=0),
    "other frames than the file": lambda m: m["contract"].update(step_frames=7),
    "earlier than now": lambda m: m["contract"].update(latency_frames=-1),
    "an axis without a size": lambda m: m["contract"]["sizes"].pop("hidden"),
    "another size": lambda m: m["contract"]["sizes"].update(taps=9),
    "a state of another dtype": lambda m: _tensor(m, "outputs", "count_next").update(dtype="int64"),
    "a state with other axes": lambda m: _tensor(m, "outputs", "h_next").update(axes=["batch"]),
    "no such dtype": lambda m: _tensor(m, "inputs", "gate").update(dtype="bit"),
    "two batches": lambda m: _tensor(m, "inputs", "frame").update(axes=["batch", "batch", "width"]),
    "another rank": lambda m: _tensor(m, "inputs", "shift").update(axes=["batch", "channels_out"]),
    "a tolerance that is none": lambda m: m["artifacts"][0].update(tolerance="wide"),
    "a tolerance below 0": lambda m: m["artifacts"][0].update(tolerance=-1),
    "forced by a word": lambda m: m["artifacts"][0].update(forced="yes"),
    "no files": lambda m: m.pop("files"),
}


def _tensor(manifest: Manifest, side: str, name: str) -> dict[str, Any]:
    """Return a tensor of step in a contract."""
    (step,) = (each for each in manifest["contract"]["graphs"] if each["name"] == "step")
    (found,) = (tensor for tensor in step[side] if tensor["name"] == name)
    made: dict[str, Any] = found
    return made


@pytest.mark.parametrize("name", GENERAL)
def test_a_contract_that_does_not_hold_is_refused(
    command: Command, host: Host, tmp_path: Path, name: str
) -> None:
    if not host.general:
        pytest.skip(f"{host.name} takes no general network yet")
    folder = frame_bundle.write_frame_bundle(tmp_path)
    command.good(folder, "--check")
    host_cases.edit(folder, GENERAL[name])
    command.refusal(folder, "--check")


@pytest.mark.parametrize("name", ["language_first", "language_last", "captioner_last"])
def test_a_bundle_of_version_1_opens(
    command: Command, host: Host, tmp_path: Path, name: str
) -> None:
    if "captioner" in name and not host.captions:
        pytest.skip(f"{host.name} takes no captioner")
    with zipfile.ZipFile(VERSION_1 / f"{name}.edgernn") as file:
        file.extractall(tmp_path)
    for path in sorted((tmp_path / "onnx").glob("step*.onnx")):
        rows = command.rows(tmp_path, "--artifact", f"onnx/{path.name}")
        assert {verdict for _, limit, verdict in rows.values() if limit} == {"ok"}
    if "language" in name:
        assert command.good(tmp_path, "--length", 20, "--temperature", 0, "--seed", 3)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("encode", [False, True])
def test_any_network_begins_and_steps(
    host: Host, as_library: Command, tmp_path: Path, encode: bool, rows: int
) -> None:
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=encode, rows=rows)
    golden = safetensors.numpy.load_file(folder / "golden.safetensors")
    (begun, *steps), found = told(host, as_library, folder, rows)
    assert found in (None, [None, None, "weights" if encode else None])
    stored = {n: np.repeat(a, rows, 0) for n, a in frame_bundle.stored(encode).items()}
    contexts, first = {}, {"memory": np.zeros((rows, 4, 2)), "count": np.zeros(rows), **stored}
    if encode:
        contexts, first["h"] = frame_bundle.run_encode(golden["source"])
    assert begun.keys() == {*contexts, *first}
    for name, array in {**contexts, **first}.items():
        np.testing.assert_allclose(begun[name], array, atol=1e-6)
    state = {name: array.astype(golden[name].dtype) for name, array in first.items()}
    for at, (outputs, after) in enumerate(steps):
        fresh = {name: golden[name][at] for name in ("frame", "gate", "offset", "shift")}
        wanted, state = frame_bundle.run_step({**fresh, **contexts}, state)
        assert (outputs.keys(), after.keys()) == (wanted.keys(), state.keys())
        for name, array in {**wanted, **state}.items():
            np.testing.assert_allclose({**outputs, **after}[name], array, atol=1e-5)
    assert len(steps) == 4
