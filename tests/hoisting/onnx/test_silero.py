"""The files that silero-vad ships (extra ``foreign``), against what its wrapper computes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgernn import verify_bundle
from edgernn.contract import next_name
from edgernn.errors import UsageError
from edgernn.export.foreign_file import export_onnx
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.step import ForeignStep, Wishes, read_step

_FOUND = importlib.util.find_spec("silero_vad")
if _FOUND is None or _FOUND.origin is None:
    pytest.skip("needs the package silero-vad (extra foreign)", allow_module_level=True)
DATA = Path(_FOUND.origin).parent / "data"
SAMPLES = ("input: float32[batch, samples=512]",)
RATE = {"sr": "16000"}
FILES = {  # name → what is said of it
    "silero_vad.onnx": Wishes(SAMPLES, RATE, left_context={"input": 64}),
    "silero_vad_16k_op15.onnx": Wishes(SAMPLES, RATE, left_context={"input": 64}),
    "silero_vad_half.onnx": Wishes(SAMPLES, left_context={"input": 64}),
    "silero_vad_op18_ifless.onnx": Wishes(SAMPLES, RATE, left_context={"input": 64}),
    "silero_vad_openvino_16k.onnx": Wishes(left_context={"input": 64}),
}


def wrapped(path: Path, audio: np.ndarray) -> np.ndarray:
    """What the package's wrapper gives: 64 samples kept in front of each chunk of 512."""
    run = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rate = {"sr": np.array(16000)} if "sr" in [i.name for i in run.get_inputs()] else {}
    state, past, made = np.zeros((2, 1, 128), np.float32), np.zeros((1, 64), np.float32), []
    for chunk in audio.reshape(-1, 1, 512):
        given = np.concatenate([past, chunk], 1)
        probability, state = run.run(None, {"input": given, "state": state, **rate})
        past = given[:, -64:]
        made.append(float(probability.item()))
    return np.array(made)


def stepped(step: ForeignStep, audio: np.ndarray) -> np.ndarray:
    run, contract = Runner(step.model_proto), step.contract
    state = {s.name: np.zeros(contract.shape(s, batch=1), s.dtype) for s in contract.step.states}
    made = []
    for chunk in audio.reshape(-1, 1, 512):
        found = run({"input": chunk, **state})
        state = {name: found[next_name(name)] for name in state}
        made.append(float(found["output"].item()))
    return np.array(made)


def audio_of(chunks: int) -> np.ndarray:
    random, t = np.random.default_rng(0), np.arange(chunks * 512) / 16000
    voice = sum(np.sin(2 * np.pi * f * t) / k for k, f in enumerate((180, 360, 720, 1440), 1))
    return (0.3 * voice * (np.sin(5 * t) > 0) + 0.01 * random.normal(size=t.size)).astype(
        np.float32
    )


@pytest.mark.parametrize("name", FILES)
def test_a_step_is_what_the_wrapper_gives(name: str) -> None:
    step = read_step(DATA / name, FILES[name])
    assert {s.name for s in step.contract.step.states} == {"state", "input_past"}
    audio = audio_of(256)
    wanted = wrapped(DATA / name, audio)
    assert np.abs(stepped(step, audio) - wanted).max() < 1e-5
    assert np.ptp(wanted) > 0.05  # it is no constant that is compared
    assert prove(step).worst < 1e-5


def test_without_the_samples_before_it_is_another_network() -> None:
    said = FILES["silero_vad_half.onnx"]
    bare = read_step(DATA / "silero_vad_half.onnx", Wishes(said.inputs))
    audio = audio_of(64)
    assert np.abs(stepped(bare, audio) - wrapped(DATA / "silero_vad_half.onnx", audio)).max() > 1e-3


def test_what_it_asks_for() -> None:
    path = DATA / "silero_vad.onnx"
    with pytest.raises(UsageError, match=r"no name says which axis.*--inputs \"input: float32"):
        read_step(path)
    with pytest.raises(UsageError, match=r"branches on the input sr; bind it, as --set sr=16000"):
        read_step(path, Wishes(SAMPLES))


def test_the_file_with_time_on_the_first_axis() -> None:
    step = read_step(DATA / "silero_vad_16k_sequence.onnx")
    assert {s.before: s.after for s in step.states} == {"h": "hn", "c": "cn"}
    assert step.contract.step.fresh_inputs[0].axes[0] == "time"
    assert prove(step).worst < 1e-5


def test_it_goes_into_other_formats(tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    said = FILES["silero_vad.onnx"]
    wishes = Wishes(said.inputs, said.settings, left_context={"input": 64}, renamed={"state": "h"})
    made = export_onnx(
        DATA / "silero_vad.onnx", tmp_path / "b", wishes=wishes, to=["torchscript", "coreml"]
    )
    report = verify_bundle(made, steps=24)
    assert report.passed and report.complete
