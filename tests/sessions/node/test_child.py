"""The node process: every dtype goes in and out, it ends when it should, and it has nothing but
the file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from onnx import helper

from edgernn.errors import ContractError
from edgernn.sessions.node import child as child_module
from edgernn.sessions.node.child import Child
from edgernn.sessions.node.packages import find_node

from .conftest import MakePackage, real

WEB, NODE = "onnxruntime-web", "onnxruntime-node"
SIGNED = ["int8", "int16", "int32", "int64"]
DTYPES = ["bool", "float16", "float32", "float64", *SIGNED, *(f"u{name}" for name in SIGNED)]


def copies(dtypes: list[str], shape: list[int]) -> bytes:
    """A graph that gives each input back."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in dtypes}
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in dtypes],
        "copies",
        [helper.make_tensor_value_info(name, kinds[name], shape) for name in dtypes],
        [helper.make_tensor_value_info(f"{name}_out", kinds[name], shape) for name in dtypes],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize("package", [WEB, NODE])
def test_every_dtype_goes_in_and_comes_out(package: str) -> None:
    child = Child(real(package), copies(DTYPES, [2, 3]))
    try:
        assert (child.inputs, child.outputs) == (DTYPES, [f"{name}_out" for name in DTYPES])
        given = {name: np.arange(6).reshape(2, 3).astype(name) for name in DTYPES}
        given["int64"][0, 0], given["uint64"][0, 0] = -(1 << 62), (1 << 63) + 1
        given["float64"][0, 0] = np.pi
        for turned in (given, {name: array.T.copy().T for name, array in given.items()}):
            found = child.run(turned)
            for name, array in given.items():
                assert found[f"{name}_out"].dtype == array.dtype
                np.testing.assert_array_equal(found[f"{name}_out"], array)
                found[f"{name}_out"][...] = 0  # the caller's own
    finally:
        child.close()


def test_a_call_that_fails_is_told_and_the_next_one_runs() -> None:
    child = Child(real(WEB), copies(["float32"], [2]))
    with pytest.raises(ContractError, match="onnxruntime-web failed: "):
        child.run({"float32": np.zeros(3, np.float32)})
    with pytest.raises(ContractError, match="onnxruntime-web failed: "):
        child.run({"other": np.zeros(2, np.float32)})
    assert child.run({"float32": np.ones(2, np.float32)})["float32_out"].tolist() == [1, 1]
    child.close()


def test_a_damaged_file_is_told() -> None:
    with pytest.raises(ContractError, match="onnxruntime-web failed: "):
        Child(real(WEB), b"no model")


def test_it_ends_with_the_session(make_package: MakePackage) -> None:
    package = make_package("return { inputNames: [], outputNames: [], run: async () => ({}) }")
    child = Child(package, b"")
    process = child._process
    assert child.run({}) == {}
    del child
    assert process.poll() is not None


def test_it_ends_with_its_parent(make_package: MakePackage) -> None:
    package = make_package("return { inputNames: [], outputNames: [] }")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from edgernn.sessions.node.child import Child, Package\n"
        f"child = Child(Package({package.name!r}, '1', Path({str(package.place)!r})), b'')\n"
        "print(child._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("node outlived its parent by ten seconds")


def test_what_takes_too_long_is_ended(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_OPENING", 1)
    with pytest.raises(ContractError, match="node ended while onnxruntime-web was asked"):
        Child(make_package("for (;;);"), b"")


def test_what_the_package_prints_is_no_answer(make_package: MakePackage) -> None:
    child = Child(
        make_package(
            "console.log('loud'); return { inputNames: ['a'], outputNames: [], run: async () => 0 }"
        ),
        b"",
    )
    assert child.inputs == ["a"]
    child.close()


def test_it_has_the_file_and_nothing_else(
    make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "1")
    told = make_package(
        "let read = 'refused';"
        "try { require('fs').readFileSync('/etc/hostname'); read = 'read'; } catch {}"
        "let ran = 'refused';"
        "try { require('child_process').execSync('true'); ran = 'ran'; } catch {}"
        "const env = Object.keys(process.env).length;"
        "throw new Error([Buffer.from(bytes).toString(), env, typeof fetch, read, ran].join());"
    )
    with pytest.raises(ContractError) as caught:
        Child(told, b"the file")
    *rest, read, ran = str(caught.value).rpartition(": ")[2].split(",")
    assert rest == ["the file", "0", "undefined"]
    if find_node()[1] >= (20, 12):  # which can be told what to leave alone
        assert (read, ran) == ("refused", "refused")
