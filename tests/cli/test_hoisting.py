"""Networks in Python on the command line: exported, explained, and what is said of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.bundle.sample import read_sample

Run = Callable[..., tuple[int, str, str]]
X = "x: float32[batch, time, 5]"
FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.cell, self.out = nn.GRUCell(5, 6), nn.Linear(6, 2)

    def forward(self, x):
        print("a line of the user's own")
        h, made = torch.zeros(x.shape[0], 6), []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            made.append(self.out(h))
        return torch.stack(made, 1)

    def decode(self, x, memory, hx, gain: float = 1.0):
        h = self.cell(x + self.out(torch.tanh(memory)).mean(1).sum(1, keepdim=True), hx)
        gate = torch.sigmoid(h)
        return gain * h.sum(1), gate + 0, h + 0

    def begin(self, batch):
        return torch.ones(batch, 6)

    def strange(self, x):
        return self.settings["width"]

def make():
    return Net()

def empty():
    return {}

def broken():
    return Net().lstm
"""
MEMORY = "memory: float32[batch, source, 6]"
DECODE = (
    "net.py:Net",
    "--method",
    "decode",
    "--inputs",
    "x: float32[batch, 5]",
    "--inputs",
    MEMORY,
)


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)


def test_export_with_weights_and_a_recorded_sample(run: Run) -> None:
    weights = {"cell.weight_ih": torch.ones(18, 5) / 9, "cell.weight_hh": torch.ones(18, 6) / 9}
    weights |= {"cell.bias_ih": torch.zeros(18), "cell.bias_hh": torch.ones(18)}
    weights |= {"out.weight": torch.ones(2, 6), "out.bias": torch.zeros(2)}
    torch.save({"model": {f"module.{n}": w for n, w in weights.items()}}, "net.pt")
    np.savetxt("run.csv", np.random.default_rng(1).normal(size=(80, 5)), delimiter=",")
    np.save("x.npy", np.zeros((2, 7, 5)))
    code, out, err = run(
        *("export", "net.py:make", "--weights", "net.pt", "--inputs", "x.npy"),
        *("--sample", "run.csv", "--to", "onnx", "--precision", "float32,int8"),
        *("--out", "net.edgernn", "--json"),
    )
    assert code == 0, err
    assert "a line of the user's own" in err
    assert [one["precision"] for one in json.loads(out)["artifacts"]] == ["float32", "int8"]
    with Bundle.open(Path("net.edgernn")) as bundle:
        assert bundle.manifest.evaluation is not None
        assert bundle.manifest.provenance.parameters == 248
        assert bundle.manifest.provenance.model == {
            "module": "Net",
            "states": {"cell_state": "net.py:15"},
            "sample": "recorded",
        }
        sample = read_sample(bundle.path(bundle.manifest.evaluation))
    assert sample["x"].shape == (1, 80, 5)


def test_a_method_a_context_a_pairing_a_constant_and_a_first_state(run: Run) -> None:
    code, out, err = run(
        "explain", *DECODE, "--context", "memory", "--state", "hx=2", "--start", "begin",
        "--set", "gain=2.5", "--json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert [state["tensor"]["name"] for state in found["states"]] == ["hx"]
    assert found["states"][0]["first"] == "a stored value from 1 to 1"
    assert [tensor["name"] for tensor in found["encode_inputs"]] == ["memory"]
    assert found["formats"]["torchscript float32"] == ""
    assert "the open axis source; say its size" in found["formats"]["coreml float16"]


def test_explain_shows_what_each_format_carries(run: Run) -> None:
    code, out, err = run("explain", "--formats")
    assert code == 0, err
    assert "onnx float32" in out.splitlines()[0] and "in-graph decoding" in out
    assert "elsewhere, the ONNX files of every cell:" in out
    code, out, err = run("explain", "--formats", "--json")
    assert code == 0, err
    assert json.loads(out)["gru"]["onnx float32"] == "yes"
    assert json.loads(out)["elsewhere"]["tract 0.23.9"]["generate"] == "refused"
    for arguments in (("--formats", "net.py:make"), ()):
        code, _, err = run("explain", *arguments)
        assert code == 2 and "explain takes a network, or --formats alone" in err


def test_explain_tells_what_was_found(run: Run) -> None:
    code, out, err = run("explain", "net.py:make", "--inputs", X)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "net.py:make, the whole sequence is taken apart along time: 1 state"
    assert lines[2].endswith("net.py:14 (h = self.cell(x[:, t], h))") or "net.py" in lines[2]
    assert "a step takes 1 frame, one step a call" in lines
    assert "onnx float32: yes, with time=1" in lines
    assert "onnx float16, int8, int4, smallest: promised, tried by export" in lines
    where = lines.index("elsewhere, its ONNX file in float32:")
    assert any("onnxruntime 1.32.0" in line for line in lines[where + 1 :])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none.py:make", "--inputs", X), "none.py is not there; check the name"),
        (("net.py:mak", "--inputs", X), "has no 'mak'; it has Net, make, empty, broken; did you"),
        (("net.py", "--inputs", X), "net.py is a file, expected FILE.py:NAME"),
        (("net.py:broken", "--inputs", X), "net.py:37 raised AttributeError: 'Net' object has no"),
        (("net.py:empty", "--inputs", X), "empty of net.py returned dict, expected a torch.nn.Mod"),
        (("net.py:make",), 'say what goes in with --inputs, as --inputs "x: float32[batch, time'),
        (
            ("net.py:make", "--inputs", X, "--method", "go"),
            "Net has no method 'go'; --method names",
        ),
        (("net.py:make", "--inputs", X, "--weights", "w.pt"), "does not fit Net: missing cell.wei"),
        (("net.py:make", "--inputs", X, "--rename", "a=b"), "--rename says nothing of a network"),
        (
            ("net.py:make", "--inputs", "x.npy", "--inputs", X),
            "x is float32 [2, 6], expected float",
        ),
        (("net.py:make", "--inputs", "x: float32[batch, time, 7]"), "(net.py:15). Say their axes"),
        (("net.py:make", "--inputs", "x: float32[batch, 5]"), "they have one, is called time"),
        ((*DECODE, "--set", "gain"), "--set is 'gain', expected NAME=VALUE, as sr=16000"),
        (DECODE, "decode needs hx; give each as an input with its axes, as a constant (--set hx=…"),
        (
            (*DECODE, "--start", "begin", "--context", "memory"),
            "could be the next hx; say which with --state hx=",
        ),
        ((*DECODE, "--start", "begin", "--state", "hx=2"), "has the axis source of any size, and"),
        (
            ("net.py:Net", "--method", "strange", "--inputs", X),
            "'Net' object has no attribute 'settings' (net.py:28)",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], says: str, run: Run
) -> None:
    torch.save({"out.weight": torch.zeros(2, 6)}, "w.pt")
    np.save("x.npy", np.zeros((2, 6), np.float32))
    for command in (("explain",), ("export", "--out", "net.edgernn")):
        code, out, err = run(command[0], *arguments, *command[1:])
        told = err.splitlines()
        assert (code, out) == (2, "")
        assert told[-1].startswith("edgernn: error: ")
        assert says in told[-1]
        assert "Traceback" not in err
    assert not Path("net.edgernn").exists()


@pytest.mark.parametrize("suffix", ["csv", "npz", "txt"])
def test_a_sample_of_other_shapes_says_both(suffix: str, run: Run) -> None:
    np.savez("s.npz", x=np.zeros((9, 6)))
    np.savetxt("s.csv", np.zeros((9, 6)), delimiter=",")
    code, _, err = run(
        "export", "net.py:make", "--inputs", X, "--out", "net.edgernn", "--sample", f"s.{suffix}"
    )
    expected = "x of the sample is float64 [9, 6], expected float32 [1, N, 5] (batch, time, x_2)"
    assert (expected if suffix != "txt" else "s.txt is not there; check the name") in err
    assert code == 2


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("net.py:make", "--in-graph"), "--in-graph says nothing of a network in Python"),
        (("runs/docs", "--weights", "w.pt"), "--weights says nothing of a run of edgernn train"),
        (("runs/docs", "--method", "step"), "--method says nothing of a run of edgernn train"),
        (("net.onnx", "--context", "x"), "--context says nothing of an ONNX file"),
    ],
)
def test_options_of_other_networks_are_refused(
    arguments: tuple[str, ...], option: str, run: Run
) -> None:
    code, _, err = run("export", *arguments, "--out", "net.edgernn")
    assert (code, option in err) == (2, True)


def test_options_from_a_file(run: Run) -> None:
    Path("net.toml").write_text(f'inputs = ["{X}"]\nset = "width=3"\nto = "torchscript"\n')
    code, _, err = run("export", "net.py:make", "--config", "net.toml", "--out", "net.edgernn")
    assert code == 2
    assert "forward takes no 'width'; expected one of x" in err


def test_a_users_file_in_the_way_is_told_first(run: Run) -> None:
    Path("notes.edgernn").write_text("mine")
    code, _, err = run("export", "net.py:absent", "--inputs", X, "--out", "notes.edgernn")
    assert (code, "is no bundle (a text file); it was left as it is" in err) == (2, True)
    assert Path("notes.edgernn").read_text() == "mine"
