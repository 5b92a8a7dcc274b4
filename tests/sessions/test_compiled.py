"""C as a session: what is compiled is what was generated, once; see test_trust.py for what lies
there and is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.errors import ContractError, UnavailableError
from edgernn.sessions import compiler
from edgernn.sessions.compiled import CompiledSession
from edgernn.sessions.opening import describe_file, open_session

pytest.importorskip("torch")
pytest.importorskip("onnx")
if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgernn" / "compiled"


@pytest.fixture(scope="module")
def made(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM as C. Read only."""
    from edgernn.export.pack import export_bundle

    out = tmp_path_factory.mktemp("c") / "bundle"
    export_bundle(checkpoint_folder, out, to="c", steps=4)
    return out


def contract_of(bundle: Path) -> FileContract:
    with Bundle.open(bundle) as opened:
        return opened.file_contract(opened.artifact("c"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> tuple[Path, FileContract]:
    """The artifact, to be changed."""
    return Path(shutil.copytree(made / "c" / "step", tmp_path / "step")), contract_of(made)


def test_another_graph_is_refused(
    folder: tuple[Path, FileContract], make_model: Callable[..., Any], tmp_path: Path
) -> None:
    from edgernn.export.to_c.exporter import CExporter

    path, own = folder
    other = tmp_path / "other"
    CExporter().export(make_model(hidden=9), other, precision="float32", decoding=None)
    shutil.copy(other / "graph.onnx", path / "graph.onnx")
    with pytest.raises(ContractError):
        CompiledSession.open(path, own)


@pytest.mark.parametrize("name", ["graph.onnx", "contract.json", "options.json"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00 no such file"])
def test_a_damaged_folder_is_refused_in_one_line(
    folder: tuple[Path, FileContract], name: str, content: bytes | None
) -> None:
    path, own = folder
    (path / name).unlink()
    if content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(ContractError) as caught:
        CompiledSession.open(path, own)
    assert "\n" not in str(caught.value)


def test_a_folder_is_known_for_what_it_is(made: Path, tmp_path: Path) -> None:
    row, description = describe_file(made / "c" / "step")
    assert row.name == "c"
    assert [tensor.name for tensor in description.interface.inputs] == ["tokens", "h", "c"]
    assert [t.shape for t in description.interface.inputs] == [(1, 1), (2, 1, 8), (2, 1, 8)]
    session = open_session(made / "c" / "step")
    assert session.runtime == "C"


@pytest.mark.parametrize("named", ["no-such-compiler", "false", ""])
def test_without_a_compiler_it_says_what_brings_one(
    folder: tuple[Path, FileContract], monkeypatch: pytest.MonkeyPatch, named: str, tmp_path: Path
) -> None:
    path, own = folder
    monkeypatch.setenv("CC", named)
    if not named:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(compiler, "zig", lambda: None)
        compiler._find.cache_clear()
    says = r"^running c needs a C compiler, .*gcc.*xcode.*\[compile\]"
    with pytest.raises(UnavailableError, match=says):
        CompiledSession.open(path, own)
    assert compiler.lacking() == "a C compiler"


@pytest.mark.skipif(compiler.zig() is None, reason="ziglang is not installed")
def test_where_nothing_else_is_ziglang_compiles(
    folder: tuple[Path, FileContract], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, own = folder
    ids = {"tokens": np.array([[3]])}
    first = CompiledSession.open(path, own)
    wanted = first.step(ids, first.initial_state(1))[0]["logits"]
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler._find.cache_clear()
    assert compiler.find_compiler().command[-2:] == ("ziglang", "cc")
    session = CompiledSession.open(path, own)
    found = session.step(ids, session.initial_state(1))[0]["logits"]
    assert found.tobytes() == wanted.tobytes()
    with pytest.raises(UnavailableError, match=r"^the compiler ziglang fails: .*error: "):
        compiler.build({"step.c": b"nonsense;"}, compiler.find_compiler())
    compiler._find.cache_clear()


def test_a_compiler_that_fails_is_told_by_its_first_error() -> None:
    with pytest.raises(UnavailableError, match=r"^the compiler \S+ fails: .*error: "):
        compiler.build({"step.c": b"nonsense;\nmore nonsense;"}, compiler.find_compiler())


def test_a_library_is_built_once(made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = contract_of(made)
    CompiledSession.open(made / "c" / "step", own)
    kept = sorted(cache.iterdir())
    assert [path.suffix for path in kept] == [".lib", ".sha256"]
    assert cache.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(compiler, "_compile", lambda *_: pytest.fail("built again"))
    CompiledSession.open(made / "c" / "step", own)
    assert sorted(cache.iterdir()) == kept


def test_where_the_cache_cannot_be_it_goes_without(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    CompiledSession.open(made / "c" / "step", contract_of(made))
    shared = tmp_path / "shared" / "edgernn" / "compiled"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    CompiledSession.open(made / "c" / "step", contract_of(made))
    assert not list(shared.iterdir()), "nothing is loaded from where others may write"


def test_processes_that_build_at_once_do_not_meet(made: Path, cache: Path) -> None:
    code = f"""
        import sys, numpy as np, edgernn
        session = edgernn.open_session({str(made)!r}, "c")
        outputs, _ = session.step({{"tokens": np.array([[3]])}}, session.initial_state())
        heavy = sorted({{"torch", "onnx"}} & set(sys.modules))
        print(heavy, outputs["logits"].tobytes().hex())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ), text=True)
        for _ in range(3)
    ]
    told = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    (same,) = told
    assert same.startswith("[] "), "it takes neither torch nor onnx to run it"
    assert sorted(path.suffix for path in cache.iterdir()) == [".lib", ".sha256"]


def test_threads_that_share_a_session_do_not_meet(made: Path) -> None:
    session = open_session(made, "c")
    state = session.initial_state()
    wanted = {n: session.step({"tokens": np.array([[n]])}, state)[0]["logits"] for n in range(8)}

    def call(number: int) -> bool:
        outputs, _ = session.step({"tokens": np.array([[number % 8]])}, state)
        return np.array_equal(outputs["logits"], wanted[number % 8])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(2000)))


def test_a_library_that_was_cut_is_built_again(
    folder: tuple[Path, FileContract], cache: Path
) -> None:
    CompiledSession.open(*folder)
    (library,) = cache.glob("*.lib")
    raw = library.read_bytes()
    library.unlink()  # what is loaded stays as it was
    library.write_bytes(raw[: len(raw) // 2])
    CompiledSession.open(*folder)
    assert len(library.read_bytes()) == len(raw)


@pytest.mark.parametrize(
    "change",
    [lambda a: a.astype(np.float64), lambda a: a[..., :-1], lambda a: a.reshape(-1)],
    ids=["another dtype", "another size", "another shape"],
)
def test_a_state_that_is_laid_out_otherwise_is_told(
    made: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    session = open_session(made / "c" / "step")
    state = {name: np.zeros((2, 1, 8), np.float32) for name in ("h", "c")}
    with pytest.raises(ContractError, match=r"^h "):
        session.step({"tokens": np.array([[1]])}, {**state, "h": change(state["h"])})
