"""C in a bundle that is not what its graph gives: told, and never compiled but on the user's
word.
"""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle, digest
from edgernn.errors import BundleError, ContractError, EdgernnWarning, UnavailableError
from edgernn.export.pack import export_bundle
from edgernn.export.to_c.generator import VERSION
from edgernn.parity.report.data import Check, VerifyReport
from edgernn.parity.report.wording import headline
from edgernn.parity.verify import verify_bundle
from edgernn.sessions import compiler
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.model import open_model
from edgernn.sessions.opening import open_session

if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)

FILES = ("step.h", "step.c", "step.weights.S", "step.weights.bin")
END = b"return NET_STEP_OK;"
WRONG = (END, b"outputs->logits[0] += 1.0f; " + END)
OWN, OTHER = f"generator {VERSION}", f"generator {VERSION + 1}"
LATER = (f"{OWN}.".encode(), f"{OTHER}.".encode())  # as another version of edgernn writes it


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgernn" / "compiled"


@pytest.fixture(scope="module")
def made(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM as C. Read only."""
    out = tmp_path_factory.mktemp("c") / "bundle"
    export_bundle(checkpoint_folder, out, to="c", steps=4)
    return out


def changed(bundle: Path, out: Path, *changes: tuple[bytes, bytes], name: str = "step.c") -> Path:
    """Return a copy at ``out`` with ``changes`` made in a file of its C, and the digest made right
    again.
    """
    shutil.copytree(bundle, out)
    file = out / "c" / "step" / name
    content = file.read_bytes()
    for old, new in changes:
        assert old in content, old
        content = content.replace(old, new)
    file.write_bytes(content)
    resealed(out)
    return out


def resealed(bundle: Path) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    found = digest(bundle / "c" / "step")
    manifest["artifacts"][0] |= {"bytes": found.bytes, "sha256": found.sha256}
    path.write_text(json.dumps(manifest))


@pytest.fixture
def other(made: Path, tmp_path: Path) -> Path:
    """A bundle whose C is of a later generator, and adds 1 to the score of the first token."""
    return changed(made, tmp_path / "other", WRONG, LATER)


def logits(bundle: Path, *, trust: bool = False) -> np.ndarray:
    session = open_session(bundle, "c", trust=trust)
    outputs, _ = session.step({"tokens": np.array([[3]])}, session.initial_state())
    found: np.ndarray = outputs["logits"][0, 0]
    return found


def structure(report: VerifyReport) -> Check:
    return next(check for check in report.artifacts[0].checks if check.name == "structure")


@pytest.mark.parametrize("name", FILES)
def test_other_c_than_the_graph_gives_is_not_run(
    made: Path, tmp_path: Path, name: str, cache: Path
) -> None:
    honest = logits(made)
    kept = sorted(cache.iterdir())
    path = tmp_path / "bundle"
    shutil.copytree(made, path)
    content = bytearray((path / "c" / "step" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / "c" / "step" / name).write_bytes(bytes(content))
    resealed(path)
    says = rf"step: {name} is not what this edgernn \({OWN}\) generates from graph.onnx"
    with pytest.warns(EdgernnWarning, match=says) as heard:
        found = logits(path)
    assert len(heard) == 1
    assert "\n" not in str(heard[0].message)
    assert np.array_equal(found, honest)
    assert sorted(cache.iterdir()) == kept, "nothing else was compiled"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_told(made: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "bundle"
    shutil.copytree(made, path)
    (path / "c" / "step" / name).unlink()
    resealed(path)
    if name == "step.h":  # which says what it takes
        with pytest.raises(ContractError, match=r"step\.h: No such file"):
            open_session(path / "c" / "step")
    with pytest.warns(EdgernnWarning, match=f"step: {name} is not what"):
        logits(path)
    failed = structure(verify_bundle(path, steps=4))
    assert failed.status != "passed"


def test_a_digest_that_does_not_match_stays_an_error(other: Path) -> None:
    (other / "c" / "step" / "step.c").write_bytes(b"int net_step(void) { return 0; }\n")
    for trust in (False, True):
        with pytest.raises(BundleError, match=r"c/step has \d+ bytes"):
            open_session(other, trust=trust)


def test_trust_runs_what_lies_there(made: Path, other: Path) -> None:
    honest = logits(made)
    with pytest.warns(EdgernnWarning, match=f"the text names {OTHER}; what runs is generated"):
        assert np.array_equal(logits(other), honest)
    found = logits(other, trust=True)  # warns of nothing
    assert found[0] == honest[0] + np.float32(1)
    assert np.array_equal(found[1:], honest[1:])
    with Bundle.open(other) as opened:
        trusted = Bundle.open(opened, trust=True)
        session = open_model(trusted, "c").step
        assert session.runtime == "C, the bundle's own text"
        assert not opened.trusted, "a caller's bundle is not changed"
    assert open_session(other / "c" / "step", trust=True).runtime == "C, the bundle's own text"


def test_of_another_generator_nothing_is_proved(other: Path) -> None:
    report = verify_bundle(other, steps=4)
    own = structure(report)
    assert own.status == "not run"
    assert own.detail.startswith(f"step.c is not what this edgernn ({OWN}) generates from")
    assert "it was not run: what is judged is generated afresh" in own.detail
    assert "matrices: " in own.detail
    assert report.passed
    assert not report.complete
    assert "NOT checked: structure (step.c is not what" in headline(report)


def test_what_says_that_it_is_of_this_generator_and_is_not_has_failed(
    made: Path, tmp_path: Path
) -> None:
    path = changed(made, tmp_path / "bundle", (END, b"/* a word */ " + END))
    own = structure(verify_bundle(path, steps=4))
    assert own.status == "failed"
    assert f"the text names {OWN}, so nothing is proved of it" in own.detail
    trusted = structure(verify_bundle(path, steps=4, trust=True))
    assert trusted.status == "not run"
    assert "it is what was run, as --trust says" in trusted.detail


def test_trusted_c_is_judged_like_every_artifact(made: Path, other: Path, tmp_path: Path) -> None:
    report = verify_bundle(other, steps=4, trust=True)
    assert not report.passed
    failed = {check.name for check in report.artifacts[0].checks if check.status == "failed"}
    assert {"rollout", "golden"} <= failed
    assert report.artifacts[0].runtime == "C, the bundle's own text"
    right = changed(made, tmp_path / "right", LATER)
    report = verify_bundle(right, steps=4, trust=True)
    assert report.passed
    assert not report.complete


def test_trusted_c_without_the_function_is_told(made: Path, tmp_path: Path) -> None:
    path = changed(made, tmp_path / "bundle", (b"int net_step(", b"int net_stop("))
    says = r"^the C has no function net_step, which its options and contract name"
    with pytest.raises(ContractError, match=says):
        logits(path, trust=True)


@pytest.mark.skipif(platform.system() != "Linux", reason="a library of Linux")
def test_a_packed_library_runs_on_trust_alone_where_nothing_compiles(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle"
    export_bundle(checkpoint_folder, path, to="c", target="host", steps=4)
    wanted = logits(path)
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    (path / "c" / "lib" / "host").rename(path / "c" / "lib" / f"{machine}-linux")
    step = path / "c" / "step"
    session = open_session(step, trust=True)
    assert session.runtime == "C, the bundle's own text", "a compiler goes first"
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UnavailableError, match="running c needs a C compiler"):
        open_session(step)
    session = open_session(step, trust=True)
    assert session.runtime == "C, a library of the bundle"
    outputs, _ = session.step({"tokens": np.array([[3]])}, session.initial_state())
    assert np.array_equal(outputs["logits"][0, 0], wanted)
    (library,) = (path / "c" / "lib").glob("*/step.so")
    library.write_bytes(b"\x7fELF and no more")
    with pytest.raises(UnavailableError, match=r"^the library \S+ does not load here: "):
        open_session(step, trust=True)
    library.unlink()
    with pytest.raises(UnavailableError, match="running c needs a C compiler"):
        open_session(step, trust=True)


def test_what_is_exported_is_what_its_graph_gives(made: Path) -> None:
    assert checked_sources(made / "c" / "step").keys() == set(FILES)
