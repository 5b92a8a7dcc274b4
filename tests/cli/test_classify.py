"""``edgernn classify``: texts, files and standard input; what is printed and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from family_networks import export_tiny
from typer.testing import CliRunner

from edgernn.cli.app import app
from edgernn.errors import DataError, UsageError
from edgernn.writing.classification import Classifier


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "bundle"
    return export_tiny("classifier", out, to=["onnx"], precision=["float32"])


@pytest.fixture(scope="module")
def labels(bundle: Path) -> dict[str, str]:
    """Of some texts, what the model calls them."""
    texts = ["abc", "cafe", "g"]
    with Classifier(bundle) as opened:
        found = opened.classify([opened.read(text).ids for text in texts])
        return {text: said.label for text, said in zip(texts, found, strict=True)}


def run(bundle: Path, *given: str | Path, stdin: str | None = None) -> list[str]:
    made = CliRunner().invoke(app, ["classify", str(bundle), *map(str, given)], input=stdin)
    if made.exception is not None:
        raise made.exception
    return made.stdout.splitlines()


def test_one_text_gives_a_label_alone_several_their_texts(
    bundle: Path, labels: dict[str, str]
) -> None:
    (line,) = run(bundle, "abc")
    label, share = line.split("\t")
    assert label == labels["abc"] and share.endswith("%")
    rows = [line.split("\t")[:2] for line in run(bundle, "abc", "g")]
    assert rows == [["abc", labels["abc"]], ["g", labels["g"]]]
    assert [r.split("\t")[:2] for r in run(bundle, "-", stdin="abc\n\n g \n")] == rows


def test_running_labels_stand_by_token(bundle: Path, labels: dict[str, str]) -> None:
    *steps, last = run(bundle, "cafe", "--running")
    assert [line.split()[0] for line in steps] == list("cafe")
    assert steps[-1].split()[1] == labels["cafe"] == last.split("\t")[0]


def test_a_file_with_labels_is_counted(
    bundle: Path, labels: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    wrong = next(name for name in ("cold", "mild", "hot") if name != labels["g"])
    path.write_text(f"text,heat\nabc,{labels['abc']}\ng,{wrong}\n")
    made = CliRunner().invoke(app, ["classify", str(bundle), str(path), "--label-column", "heat"])
    assert "right: 1 of 2 (50.0%)" in made.output
    rows = [json.loads(line) for line in run(bundle, path, "--label-column", "heat", "--json")]
    assert [row["wanted"] for row in rows] == [labels["abc"], wrong]
    assert [row["label"] for row in rows] == [labels["abc"], labels["g"]]
    assert rows[0]["artifact"] == "onnx/step.onnx"


def test_json_has_what_ran(bundle: Path) -> None:
    (line,) = run(bundle, "cafe", "--json", "--running")
    record = json.loads(line)
    assert [step["step"] for step in record["running"]] == list("cafe")
    assert record["running"][-1]["label"] == record["label"]
    assert set(record["probabilities"]) == {"cold", "mild", "hot"}


def test_what_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("abc\naxb\n")
    with pytest.raises(DataError, match=r"rows\.txt, line 2: the vocabulary has no 'x'"):
        run(bundle, tmp_path / "rows.txt")
    assert len(run(bundle, tmp_path / "rows.txt", "--on-unknown", "skip")) == 2
    with pytest.raises(DataError, match=r"cannot read the texts missing\.csv"):
        run(bundle, "missing.csv")
    np.savez(tmp_path / "clips.npz", frames=np.zeros((1, 2, 3)))
    with pytest.raises(UsageError, match="holds frames, and the model reads texts"):
        run(bundle, tmp_path / "clips.npz")
    with pytest.raises(UsageError, match="on_unknown is 'drop'"):
        run(bundle, "abc", "--on-unknown", "drop")
