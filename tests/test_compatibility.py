"""``benchmarks/compatibility.py``: the page is of the data, and a foreign runtime that crashes,
hangs, grows or refuses is one cell.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgernn.formats.compatibility import DATA, compatibility  # noqa: E402

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
ROW = """
import os, time
from _elsewhere import Runtime

ORDER = 0
RUNTIMES = (Runtime("odd", "odd", (), fixes=FIXES, seconds=2, megabytes=2000),)

def prepare(name, path, case):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    def run(feeds):
        print("noise without an end of its line", end="")
        if "ends" in path:
            os._exit(7)
        if "hangs" in path:
            time.sleep(60)
        if "refuses" in path and "model.onnx" in path:
            raise ValueError("Exception from somewhere\\n/some/place/of/file.onnx has no size")
        y, h = session.run(None, feeds)
        return {"y": y[:, : 1 if "short" in path else 3] + ("wrong" in path), "h_next": h}
    return run
"""


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("_elsewhere", "_elsewhere_cases", "_elsewhere_install", "_elsewhere_page",
             "_elsewhere_run", "compatibility")  # fmt: skip
    return {name: importlib.import_module(name) for name in names}


def case_of(modules: dict[str, ModuleType], folder: Path) -> Any:
    """A case of a step ``h_next = tanh(x w + h)``, ``y = 2 h_next``."""
    shaped = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3])
        for name in ("tokens", "h", "y", "h_next")
    ]
    nodes = [
        helper.make_node("Mul", ["tokens", "w"], ["wide"]),
        helper.make_node("Add", ["wide", "h"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h_next"]),
        helper.make_node("Add", ["h_next", "h_next"], ["y"]),
    ]
    weight = numpy_helper.from_array(np.array([0.3, -0.2, 0.5], np.float32), "w")
    graph = helper.make_graph(nodes, "net", shaped[:2], shaped[2:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder.parent / f"{folder.name}.onnx"
    onnx.save(model, path)
    feeds = np.random.default_rng(0).normal(size=(5, 1, 3)).astype(np.float32)
    return modules["_elsewhere_cases"].written("net", "float32", path, folder, {"tokens": feeds})


@pytest.mark.parametrize("fixes", [True, False])
def test_what_a_runtime_does_is_one_cell(
    modules: dict[str, ModuleType], fixes: bool, tmp_path: Path
) -> None:
    row = tmp_path / "odd.py"
    row.write_text(ROW.replace("FIXES", str(fixes)))
    (runtime,) = modules["_elsewhere"].row_module(row).RUNTIMES
    (tmp_path / "place/bin").mkdir(parents=True)
    python = tmp_path / "place/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    names = ["right", "ends", "hangs", "refuses", "wrong", "short"] if fixes else ["refuses"]
    cases = [case_of(modules, tmp_path / name) for name in names]
    found = modules["_elsewhere_run"].run(runtime, row, tmp_path / "place", cases)
    told = {case.folder.name: found[case] for case in cases}
    if not fixes:
        line = "file.onnx has no size"
        assert told == {"refuses": {"verdict": "refused", "line": line}}
        return
    assert told["right"] == {"difference": 0.0, "fixed": False}
    assert told["ends"] == {"verdict": "crashed", "line": "the process ended with 7"}
    assert told["hangs"] == {"verdict": "slow", "line": "it took more than 2 s"}
    assert told["refuses"] == {"difference": 0.0, "fixed": True}
    assert told["short"] == {"difference": None, "fixed": False}
    assert told["wrong"]["difference"] == pytest.approx(1 / 1.2, rel=0.3)


def test_a_difference_has_a_verdict(modules: dict[str, ModuleType]) -> None:
    verdict_of = modules["_elsewhere_page"].verdict_of
    assert [verdict_of("float32", d) for d in (0.0, 1e-3, 2e-3, 0.1, 0.2, None)] == [
        "runs", "runs", "inexact", "inexact", "wrong", "wrong",
    ]  # fmt: skip
    assert [verdict_of("int8", d) for d in (0.1, 0.2, None)] == ["runs", "wrong", "wrong"]


def test_lines_lose_places_and_colours(modules: dict[str, ModuleType]) -> None:
    shortened = modules["_elsewhere_install"].shortened
    assert shortened("\x1b[31mcannot read /a/b-1/c.onnx at 0x7ffe12345678\x1b[0m ") == (
        "cannot read c.onnx at 0x…"
    )
    assert shortened("see https://some.where/else for more") == "see … for more"
    assert len(shortened("x" * 1000)) == 200


def test_page_and_data_are_what_the_rows_and_the_data_make(modules: dict[str, ModuleType]) -> None:
    page, rows = modules["_elsewhere_page"], list(modules["_elsewhere"].runtimes())
    data = json.loads(json.dumps(compatibility()))
    assert list(data["runtimes"]) == [row.name for row in rows if row.name in data["runtimes"]]
    for row in rows:
        if row.name in data["runtimes"]:
            page.advised(data["runtimes"][row.name], row)
    assert page.dumps(data) + "\n" == DATA.read_text(encoding="utf-8")
    assert page.page(data) == (BENCHMARKS / "COMPATIBILITY.md").read_text(encoding="utf-8")


def test_a_runtime_that_cannot_be_installed_says_why(
    modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    runtime = modules["_elsewhere"].Runtime("odd", "odd", ("odd==1",), python="2.1")
    install = modules["_elsewhere_install"]
    with pytest.raises(install.InstallError, match=r"^it needs Python 2\.1, which is not here$"):
        install.environment(runtime, tmp_path)


def test_every_runtime_is_pinned_and_has_a_row(modules: dict[str, ModuleType]) -> None:
    rows = list(modules["_elsewhere"].runtimes())
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        pin = "@" if row.npm else "=="
        assert all(pin in each or "<" in each for each in (*row.packages, *row.bare)), row.name
