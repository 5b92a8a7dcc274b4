"""Sessions of ExecuTorch: what a damaged or foreign program is told as, and that a step is the same
whichever way it takes. What every session keeps is in ``test_protocol``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pte_files import KERNEL, Tensor, program

from edgernn.contract import TOKENS, FileContract
from edgernn.errors import ContractError, UnavailableError
from edgernn.sessions import executorch
from edgernn.sessions.executorch import ExecuTorchSession

ADD = "aten::add.out"
Opened = tuple[Path, FileContract]


@pytest.fixture(scope="module")
def written(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A step of two layers in 8 bits, and what it promises."""
    pytest.importorskip("executorch")
    from edgernn.export.to_executorch.exporter import ExecuTorchExporter

    model, path = make_model(), tmp_path_factory.mktemp("executorch") / "step-int8.pte"
    made = ExecuTorchExporter().export(model, path, precision="int8", decoding=None)
    return path, FileContract(contract=model.config.contract(), narrowing=made.narrowing)


def test_a_right_call_takes_the_short_way_to_the_same_numbers(written: Opened) -> None:
    path, file_contract = written
    session = ExecuTorchSession.open(path, file_contract, threads=1)
    tokens, state = {TOKENS: np.array([[3]])}, session.initial_state()
    session._as_promised = False
    outputs, after = session.step(tokens, state)
    session._as_promised = True
    again, after_again = session.step(tokens, state)
    for name, array in {**outputs, **after}.items():
        assert np.array_equal({**again, **after_again}[name], array)


def test_threads_are_the_processes(written: Opened) -> None:
    path, file_contract = written
    count = executorch._found(f"{executorch._RUNTIME}:_threadpool_get_thread_count")
    for threads in (2, 1):
        ExecuTorchSession.open(path, file_contract, threads=threads)
        assert count() == threads
    ExecuTorchSession.open(path, file_contract)
    assert count() == 1


def test_nothing_is_written_to_the_streams(
    written: Opened, capfd: pytest.CaptureFixture[str]
) -> None:
    ExecuTorchSession.open(*written, threads=2)
    ExecuTorchSession.open(*written, threads=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [0, 40, 2000, -64])
def test_a_part_of_a_file_is_refused(written: Opened, tmp_path: Path, length: int) -> None:
    path, file_contract = written
    damaged = tmp_path / "step.pte"
    damaged.write_bytes(path.read_bytes()[:length])
    for call in (
        lambda: ExecuTorchSession.describe(damaged),
        lambda: ExecuTorchSession.open(damaged, file_contract),
    ):
        with pytest.raises(ContractError, match=r"step\.pte is not a whole ExecuTorch program"):
            call()


def test_an_operator_that_is_given_a_number_for_a_tensor_is_named(
    written: Opened, tmp_path: Path
) -> None:
    """The runtime would end the process."""
    path = tmp_path / "step.pte"
    values = [Tensor((2,)), "no tensor", Tensor((2,))]
    calls = [(KERNEL, 0, (0, 1, 2, 2))]
    forward = {"values": values, "inputs": [0], "outputs": [2], "operators": [ADD], "calls": calls}
    path.write_bytes(program(forward))
    with pytest.raises(ContractError, match=r"add\.out is (given a value of kind 6|called with)"):
        ExecuTorchSession.open(path, written[1])


def test_a_foreign_program_is_described_by_numbers(tmp_path: Path) -> None:
    path = tmp_path / "step.pte"
    values = [Tensor((2,)), Tensor((2,)), Tensor((2,))]
    calls = [(KERNEL, 0, (0, 1, 2, 2))]
    path.write_bytes(
        program(
            {
                "values": values,
                "inputs": [0, 1],
                "outputs": [2],
                "operators": [ADD],
                "calls": calls,
            }
        )
    )
    found = ExecuTorchSession.describe(path)
    assert [(t.name, t.dtype, t.shape) for t in found.interface.inputs] == [
        ("input 0", "float32", (2,)),
        ("input 1", "float32", (2,)),
    ]
    assert [tensor.name for tensor in found.interface.outputs] == ["output 0"]
    assert found.metadata == {}
    assert found.target == "portable operators"


def test_a_program_without_a_step_is_named(tmp_path: Path) -> None:
    path = tmp_path / "step.pte"
    path.write_bytes(program({"name": "other", "values": [Tensor((1,))]}))
    with pytest.raises(ContractError, match="has no method 'forward', so it is no step"):
        ExecuTorchSession.describe(path)


def test_what_brings_the_runtime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    executorch._found.cache_clear()
    monkeypatch.setitem(sys.modules, executorch._RUNTIME, None)
    with pytest.raises((UnavailableError, ModuleNotFoundError), match="executorch"):
        executorch._found(f"{executorch._RUNTIME}:_load_program")
    executorch._found.cache_clear()
