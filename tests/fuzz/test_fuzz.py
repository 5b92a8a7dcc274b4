"""A short form of ``make fuzz``: some cases of each target, and proof that the fuzzer itself can
fail.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgernn.bundle import Bundle
from edgernn.models import checkpoint
from edgernn.storage import tensor_files

HERE = Path(__file__).resolve().parent
CASES = 25  # of each target


def load_fuzz() -> ModuleType:
    """Load fuzz.py by path; it finds its neighbours itself."""
    spec = importlib.util.spec_from_file_location("fuzz", HERE / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


FUZZ = load_fuzz()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where good files lie and damaged ones are read."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def goods(root: Path) -> Iterator[Any]:
    """The good files."""
    for name in ("box", "scratch"):
        (root / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FUZZ.tempfile, "tempdir", str(root / "scratch"))
        yield FUZZ.make_goods(root / "box")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUZZ.TARGETS)
def test_no_damage_gets_through(name: str, goods: Any, root: Path) -> None:
    tally = FUZZ.run_target(FUZZ.TARGETS[name](goods), cases=range(CASES), seed=0, root=root)
    assert tally.failures == []
    assert tally.counts["refused"] > 0


def test_data_without_digests_are_found_out(
    goods: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = FUZZ.TARGETS["resume states"](goods)
    monkeypatch.setattr(
        tensor_files,
        "_digest",
        lambda header, data: header.get("__metadata__", {}).get(tensor_files.DIGEST),
    )
    assert "wrong data" in set(FUZZ.run_target(target, cases=range(60), seed=1, root=root).counts)


def test_a_traceback_and_a_file_outside_are_found_out(
    goods: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(folder: Path) -> object:
        (root / f"left-{os.urandom(4).hex()}").touch()
        raise KeyError("")

    target = FUZZ.TARGETS["checkpoints"](goods)
    monkeypatch.setattr(checkpoint, "load", read)
    tally = FUZZ.run_target(target, cases=range(3), seed=1, root=root)
    assert tally.counts == {"wrote outside": 3}
    assert "KeyError" in tally.failures[0]


def test_a_bundle_without_digests_is_found_out(
    goods: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = FUZZ.TARGETS["bundles"](goods)
    monkeypatch.setattr(Bundle, "_verify_digest", lambda self, inner: None)
    assert "wrong data" in set(FUZZ.run_target(target, cases=range(60), seed=1, root=root).counts)


def test_a_case_is_the_same_every_time(goods: Any) -> None:
    content = (goods.bundle / "manifest.json").read_bytes()
    assert _mutated(content) == _mutated(content)


def _mutated(content: bytes) -> list[tuple[bytes, str]]:
    mutations = sys.modules["mutations"]
    return [mutations.mutate_json(content, FUZZ.random.Random(f"{number}")) for number in range(20)]
