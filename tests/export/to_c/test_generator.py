"""Whole networks as C: every cell against the model itself, the same bits whatever compiles them,
and a text that any C or C++ program can be built with.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgernn.contract import FileContract
from edgernn.export.to_c.exporter import CExporter
from edgernn.models.cells.table import CELLS
from edgernn.models.eager import EagerSession
from edgernn.sessions.base import Session
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.compiler import Compiler, build, find_compiler

Steps = list[dict[str, np.ndarray]]


def exported(model: Any, path: Path, graph: str = "step") -> FileContract:
    decoding = None
    written = CExporter().export(model, path, precision="float32", decoding=decoding, graph=graph)
    return FileContract(contract=model.config.contract(), graph=graph, narrowing=written.narrowing)


def run(session: Session, state: dict[str, np.ndarray], count: int = 24) -> tuple[Steps, Any]:
    ids = np.random.default_rng(4).integers(session.contract.sizes["vocab"], size=count)
    made = []
    for number in ids:
        outputs, state = session.step({"tokens": np.full((1, 1), number)}, state)
        made.append(outputs)
    return made, state


def first_state(session: Session) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(2)
    zeros = session.initial_state(1)
    return {name: draw.normal(size=a.shape).astype(a.dtype) for name, a in zeros.items()}


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / max(1, np.abs(wanted).max()))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Any]) -> Any:
    """Files of a network with a layer norm, which has the most kinds of loops."""
    path = tmp_path_factory.mktemp("c") / "step"
    own = exported(make_model(cell="lstm_normalised", hidden=40), path)
    return path, own


TIED = {"hidden": 70, "embedding": 70, "tied": True}
WIDE = [
    *((cell, TIED) for cell in ("lstm", "gru", "rnn_relu", "gru_before", "lstm_normalised", "nas")),
    ("lstm_projected", {**TIED, "tied": False}),
]


@pytest.mark.parametrize(("cell", "options"), [*((cell, {}) for cell in CELLS), *WIDE])
def test_every_cell_computes_what_the_model_does(
    cell: str, options: dict[str, Any], make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model(cell=cell, **options)
    own = exported(model, tmp_path / "step")
    session = CompiledSession.open(tmp_path / "step", own)
    state = first_state(session)
    found, after = run(session, state)
    wanted, wanted_after = run(EagerSession(model, FileContract(contract=own.contract)), state)
    for one, other in zip(found, wanted, strict=True):
        assert distance(one["logits"], other["logits"]) < 1e-5
    for name, array in wanted_after.items():
        assert distance(after[name], array) < 1e-5


def test_a_number_that_is_none_spreads_as_in_the_model(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model()
    own = exported(model, tmp_path / "step")
    session = CompiledSession.open(tmp_path / "step", own)
    state = first_state(session)
    state["c"][1, 0, 3] = np.nan  # of the upper layer: the lower one's state stays clean
    found, after = run(session, state, 1)
    wanted, wanted_after = run(EagerSession(model, FileContract(contract=own.contract)), state, 1)
    assert np.array_equal(np.isnan(found[0]["logits"]), np.isnan(wanted[0]["logits"]))
    for name, array in wanted_after.items():
        assert np.array_equal(np.isnan(after[name]), np.isnan(array))
        assert not np.isnan(after[name][0]).any()
    again, _ = run(session, first_state(session), 2)
    assert np.isfinite(again[-1]["logits"]).all(), "nothing is kept of the call before"


def compilers() -> list[Compiler]:
    own = find_compiler()
    plain = tuple(flag for flag in own.flags if flag != "-march=native")
    made = [replace(own, flags=plain)]
    for level in ("-O1", "-O2"):
        flags = tuple(level if flag == "-O3" else flag for flag in own.flags)
        made.append(replace(own, flags=flags))
    if (other := shutil.which("clang") or shutil.which("clang-14")) is not None:
        clang = tuple("-fno-builtin" if "distribute" in flag else flag for flag in own.flags)
        made.append(Compiler((other,), clang, other))
    return made


@pytest.mark.parametrize("compiler", compilers(), ids=lambda own: f"{own.command[0]}{own.flags[1]}")
def test_every_compiler_and_level_gives_the_same_bits(texts: Any, compiler: Compiler) -> None:
    path, own = texts
    files = checked_sources(path)
    first = CompiledSession(build(files, find_compiler()), own)
    other = CompiledSession(build(files, compiler), own)
    state = first_state(first)
    (found, after), (others, other_after) = run(first, state), run(other, state)
    assert all(np.array_equal(a["logits"], b["logits"]) for a, b in zip(found, others, strict=True))
    assert all(np.array_equal(after[name], other_after[name]) for name in after)


def test_the_same_model_is_the_same_bytes(
    make_model: Callable[..., Any], texts: Any, tmp_path: Path
) -> None:
    path, _ = texts
    torch.manual_seed(9)
    exported(make_model(cell="lstm_normalised", hidden=40), tmp_path / "again")
    names = sorted(file.name for file in path.iterdir())
    assert names == [
        "contract.json",
        "graph.onnx",
        "options.json",
        "step.c",
        "step.h",
        "step.weights.S",
        "step.weights.bin",
    ]
    for name in names:
        assert (path / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_it_needs_its_weights_alone(texts: Any, tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("this machine has no nm")
    path, _ = texts
    compiler = find_compiler()
    flags = [flag for flag in compiler.flags if flag != "-shared"]
    command = [*compiler.command, *flags, "-c", "step.c", "-o", str(tmp_path / "step.o")]
    subprocess.run(command, cwd=path, check=True)
    told = subprocess.run(
        ["nm", str(tmp_path / "step.o")], capture_output=True, text=True, check=True
    ).stdout
    symbols = [line.split()[-2:] for line in told.splitlines()]
    undefined = {name.lstrip("_") for kind, name in symbols if kind == "U"}
    assert undefined - {"GLOBAL_OFFSET_TABLE_"} == {"net_step_weights"}
    assert not [name for kind, name in symbols if kind in "bBdDcC"], "it keeps nothing"
    text = (path / "step.c").read_text()
    included = {line for line in text.splitlines() if line.startswith("#include")}
    own = {"#include <arm_mve.h>", "#include <immintrin.h>"}  # of compilers, no library's
    assert included - own == {'#include "step.h"'}


def test_no_compiler_warns_of_it(texts: Any) -> None:
    path, _ = texts
    compiler = find_compiler()
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    subprocess.run([*compiler.command, *strict, "step.c"], cwd=path, check=True)


def test_the_header_is_cpp_too(texts: Any, tmp_path: Path) -> None:
    cpp = shutil.which("c++") or shutil.which("clang++")
    if cpp is None:
        pytest.skip("this machine has no C++ compiler")
    path, _ = texts
    (tmp_path / "app.cpp").write_text(
        '#include "step.h"\n'
        "int app(net_state *state, float *logits) {\n"
        "  const int64_t token = 3;\n"
        "  net_inputs inputs = {&token};\n"
        "  net_outputs outputs = {logits};\n"
        "  return net_step(&inputs, state, &outputs);\n"
        "}\n"
    )
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", str(path)]
    subprocess.run([cpp, *strict, str(tmp_path / "app.cpp")], check=True)


def test_the_program_of_the_page_runs(texts: Any, tmp_path: Path) -> None:
    path, _ = texts
    page = (Path(__file__).resolve().parents[3] / "export" / "README.md").read_text()
    body = page.split("```c\n")[1].split("```")[0]
    command = next(line for line in page.splitlines() if line.startswith("cc "))
    for file in path.iterdir():
        shutil.copy(file, tmp_path)
    text = f'#include "step.h"\nint main(void)\n{{\n{body}\nreturn refused || !logits[0];\n}}\n'
    (tmp_path / "app.c").write_text(text)
    own = find_compiler().command
    subprocess.run([*own, *command.split()[1:], "-o", "app"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "app"], check=True)


def test_the_header_states_what_a_call_takes(texts: Any) -> None:
    path, _ = texts
    text = (path / "step.h").read_text()
    weights = (path / "step.weights.bin").stat().st_size
    assert f"#define NET_STEP_WEIGHTS_BYTES {weights} " in text
    assert "#define NET_STEP_SCRATCH_BYTES " in text
    assert "float h[80]; /* in 1, out 1: h float32 [layers=2, batch=1, hidden=40] */" in text
    assert "int net_step(const net_inputs *inputs, net_state *state, net_outputs *outputs);" in text


def test_a_word_of_c_is_no_name(tmp_path: Path) -> None:
    from edgernn.contract.build import build_contract
    from edgernn.export.to_c.header import Style, header

    contract = build_contract(
        inputs={"int": "float32[3]"}, states={"class": "float32[2]"}, outputs={"y": "float32[3]"}
    )
    text = header(FileContract(contract=contract), Style("step"), scratch_bytes=0, weights_bytes=0)
    assert "const float *int_; /* in 0: int float32 " in text
    assert "float class_[2]; " in text


def test_null_pointers_and_ids_outside_are_refused_before_anything_is_written(texts: Any) -> None:
    import ctypes

    path, own = texts
    session = CompiledSession.open(path, own)
    call, (inputs, state, outputs) = session._call, session._arguments
    assert call(None, state, outputs) == call(inputs, None, outputs) == 1
    assert call(inputs, state, (ctypes.c_void_p * 1)()) == 1
    kept = first_state(session)
    for name, memory in session._states.items():
        memory[...] = kept[name]
    for number in (-1, own.contract.sizes["vocab"]):
        session._given["tokens"][...] = number
        assert call(inputs, state, outputs) == 2
        for name, memory in session._states.items():
            assert np.array_equal(memory, kept[name])
