"""What ``inspect`` shows of checkpoints of other programs: whose, what is in them, what to do."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toy_family
from torch import nn
from toy_family import toy_tensors

from edgernn.cli.inspection import inspect_path
from edgernn.containers import reading
from edgernn.errors import EdgernnError
from edgernn.importers import table
from edgernn.importers.recognising import open_checkpoint

Run = Callable[..., tuple[int, str, str]]


class Net(nn.Module):
    """A module that is pickled whole."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.kind = 6, "GRU"
        self.rnn = nn.GRU(5, 6)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "IMPORTERS", toy_family.rows(toy_family.Toy))
    monkeypatch.setattr(toy_family.Toy, "options", "--vocabulary CORPUS")
    monkeypatch.setattr(toy_family.Toy, "differs", ("the toy has no bell",))
    toy_family.save(Path("a toy.pt"), toy_tensors())
    torch.save({"net": Net(), "epoch": 3}, "net.pt")


def test_a_family_its_tensors_and_the_command(run: Run) -> None:
    code, out, _ = run("inspect", "a toy.pt")
    assert code == 0
    assert "(a state dict or a checkpoint): 7 arrays, 546 values" in out
    assert "  toy.U float32 [18, 6]\n" in out
    assert "family toy: a toy of the tests (it has toy.U)" in out
    assert "note: the toy has no bell" in out
    assert "take it in with: edgernn import 'a toy.pt' --vocabulary CORPUS --out RUN" in out


def test_what_is_told_from_a_text_by_reading_it_is_read_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    read = reading.read
    monkeypatch.setattr(reading, "read", lambda path: [calls.append(path), read(path)][1])
    Path("weights.json").write_text(json.dumps({"w": [[0.5] * 4] * 4}))
    code, out, _ = run("inspect", "weights.json")
    assert code == 0 and "  w float64 [4, 4]\n" in out
    assert calls == [Path("weights.json")]


def test_classes_and_settings_of_a_pickled_module(run: Run) -> None:
    code, out, _ = run("inspect", "net.pt")
    assert code == 0
    assert "net.rnn.weight_hh_l0 float32 [18, 6]" in out
    assert f"{__name__}.Net" in out or "Net" in out
    assert "settings: net.width=6, net.kind='GRU'\n" in out  # nothing of torch's own modules
    assert "it is of no family that is known; give --map FILE where" in out


def test_what_lies_beside_a_checkpoint(run: Run) -> None:
    Path("words.pkl").write_bytes(pickle.dumps({"a": 0, "b": 1}))
    code, out, _ = run("inspect", "words.pkl")
    assert code == 0
    assert "it has no tensors; what lies beside a checkpoint is given with it" in out
    assert "--with words.pkl --out RUN, or as its --vocabulary" in out


def test_what_looks_like_a_text_says_what_it_is_read_as(run: Run) -> None:
    Path("words.pkl").write_bytes(pickle.dumps({"a": 0}, protocol=0))
    out = run("inspect", "words.pkl")[1]
    assert ", read as pickle: 0 arrays" in out
    assert "edgernn train" not in out


def test_two_families_are_both_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (toy_family.Toy, toy_family.Twin, toy_family.Unsure)
    monkeypatch.setattr(table, "IMPORTERS", toy_family.rows(*kinds))
    out = run("inspect", "a toy.pt")[1]
    assert "--family toy --out RUN" in out
    assert "--family twin --out RUN" in out
    assert "unsure" not in out


def test_json(run: Run) -> None:
    found = json.loads(run("inspect", "a toy.pt", "--json")[1])
    assert found["kind"] == "state-dict"
    assert found["arrays"]["toy.o"] == {"dtype": "float32", "shape": [26]}
    assert [family["family"] for family in found["families"]] == ["toy"]
    assert found["told"] == ["the toy has no bell"]
    assert json.loads(run("inspect", "net.pt", "--json")[1])["settings"]["net"]["kind"] == "GRU"


@pytest.mark.parametrize("keep", [0.3, 0.8, 0.99])
def test_a_truncated_file_is_one_line(keep: float, run: Run) -> None:
    raw = Path("net.pt").read_bytes()
    Path("net.pt").write_bytes(raw[: int(keep * len(raw))])
    for command in (("inspect", "net.pt"), ("import", "net.pt", "--out", "r")):
        code, out, err = run(*command)
        assert code == 2
        assert out == ""
        assert len(err.splitlines()) == 1
    assert not Path("r").exists()


def test_what_no_reader_takes_is_named(run: Run) -> None:
    Path("m.dynet").write_text("#Parameter# /_0 {8,4} 352 ZERO_GRAD\n0.1\n")
    for command in (("inspect", "m.dynet"), ("import", "m.dynet", "--out", "r")):
        code, _, err = run(*command)
        assert code == 2
        assert "m.dynet is a model of DyNet; read it with" in err
        assert "edgernn import FILE.npz --map NAMES --out RUN" in err


def test_export_names_import_first(run: Run) -> None:
    code, _, err = run("export", "a toy.pt", "--out", "b")
    assert code == 2
    assert "take it in with: edgernn import 'a toy.pt' --out RUN; where no family fits" in err


def test_torch_is_not_loaded() -> None:
    command = (
        "import sys; sys.argv[1:] = ['inspect', 'a toy.pt']; from edgernn.cli.app import _outcome; "
        "code = _outcome(); assert code == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_archive_that_was_cut_off_is_no_archive_to_unpack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(torch.nn.LSTM(3, 4).state_dict(), tmp_path / "net.pt")
    raw = (tmp_path / "net.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(EdgernnError, match=r"cut\.pt is a zip archive .* copy or download it"):
        inspect_path(tmp_path / "cut.pt", as_json=False)
    with pytest.raises(EdgernnError, match=r"cut\.pt is damaged: its end is missing"):
        open_checkpoint(tmp_path / "cut.pt")
