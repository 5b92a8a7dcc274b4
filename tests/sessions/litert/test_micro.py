"""tflite-micro under the protocol, on LiteRT's files; those of tests/fixtures/litert/make.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgernn import formats
from edgernn.contract import FileContract
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.sessions.litert.micro import TfliteMicroSession
from edgernn.sessions.litert.model_file import read

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "litert"
FILE = FIXTURES / "gru-float32.tflite"
STEPS = 256


def opened(path: Path) -> TfliteMicroSession:
    pytest.importorskip("tflite_micro")
    return TfliteMicroSession.open(
        path, FileContract.from_metadata(read(path).metadata, source="it")
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gru(arrays: dict[str, np.ndarray], token: int, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step in float64: the embedding, the cell with its reset after the product, the head."""
    given, own = "recurrent.layers.0.from_input", "recurrent.layers.0.from_hidden"
    x = arrays[given] @ arrays["embedding"][token] + arrays[f"{given} bias"]
    y = arrays[own] @ h + arrays[f"{own} bias"]
    size = len(h)
    r, z = np.split(sigmoid(x[: 2 * size] + y[: 2 * size]), 2)
    n = np.tanh(x[2 * size :] + r * y[2 * size :])
    after = (1 - z) * n + z * h  # [H]
    return arrays["head"] @ after + arrays["head bias"], after


def weights(path: Path) -> dict[str, np.ndarray]:
    """What lies in a file, in float64: matrices by layer, and each layer's bias."""
    model = read(path)
    arrays = {
        t.name: t.data.view("<f4").reshape(t.shape).astype(np.float64)
        for t in model.tensors
        if t.data is not None and t.dtype == "float32"
    }
    for operator in model.operators:
        if operator.kind == "FULLY_CONNECTED":
            matrix, bias = (model.tensors[at] for at in operator.inputs[1:3])
            arrays[f"{matrix.name} bias"] = arrays[bias.name].ravel()
    return arrays


def test_a_chained_run_is_the_equations_of_the_cell() -> None:
    session, arrays, random = opened(FILE), weights(FILE), np.random.default_rng(0)
    state, h, worst = session.initial_state(), np.zeros(4), 0.0
    for token in random.integers(0, 5, STEPS).tolist():
        outputs, state = session.step({"tokens": np.array([[token]])}, state)
        logits, h = gru(arrays, token, h)
        worst = max(worst, np.abs(outputs["logits"][0, 0] - logits).max())
        worst = max(worst, np.abs(state["h"][0, 0] - h).max())
    assert worst < 1e-5


def test_a_state_of_before_gives_the_step_of_before() -> None:
    session, token = opened(FILE), {"tokens": np.array([[2]])}
    first, state = session.step(token, session.initial_state())
    kept = {name: array.copy() for name, array in first.items()}
    later, _ = session.step(token, state)
    assert not np.array_equal(later["logits"], kept["logits"])
    assert np.array_equal(first["logits"], kept["logits"])  # no memory of the runtime's
    again, _ = session.step(token, session.initial_state())
    assert np.array_equal(again["logits"], kept["logits"])


def test_what_it_takes_of_its_arena() -> None:
    session, model = opened(FILE), read(FILE)
    assert session.runtime.startswith("tflite-micro ")
    assert session.runtime.endswith(f", {session.arena_bytes} bytes of arena")
    least = max(t.bytes for t in model.tensors if t.data is None)
    assert least < session.arena_bytes < 1 << 14


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_integers_are_refused(precision: str) -> None:
    with pytest.raises(
        UnavailableError, match=rf"takes no {precision} weights beside activations in floats"
    ):
        opened(FIXTURES / f"gru-{precision}.tflite")


def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    data = bytearray(FILE.read_bytes())
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for code in model.operatorCodes:
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.TANH:
            code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.SIGN, 127
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "step.tflite"
    path.write_bytes(bytes(builder.Output()))
    with pytest.raises(UnavailableError, match=r"does not take step\.tflite: .*SIGN") as caught:
        opened(path)
    assert "\n" not in str(caught.value)


def test_what_it_is_not_given() -> None:
    with pytest.raises(UsageError, match="is a package of Python, in no folder"):
        TfliteMicroSession.at(Path("folder"))
    with pytest.raises(UsageError, match="threads is 0"):
        TfliteMicroSession.open(
            FILE, FileContract.from_metadata(read(FILE).metadata, source="it"), threads=0
        )
    session = opened(FILE)
    with pytest.raises(ContractError, match="tokens has time = 2"):
        session.step({"tokens": np.array([[1, 2]])}, session.initial_state())


def test_without_the_package_it_is_said_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(UnavailableError, match="run: pip install --pre tflite-micro"):
        TfliteMicroSession.at(None)


def test_verify_finds_it_by_its_name() -> None:
    pytest.importorskip("tflite_micro")
    row = formats.run_by("tflite-micro")
    found = formats.resolve(row.others["tflite-micro"], needed_for="it", extra=None)
    assert row.name == "litert"
    assert found.at(None) is TfliteMicroSession
