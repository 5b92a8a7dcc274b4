"""``--config``: a run told by a file is the run told by options, and every run leaves the file that
repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib
from PIL import Image

from edgernn.cli.config import as_toml

Run = Callable[..., tuple[int, str, str]]
SMALL = (
    "--hidden",
    12,
    "--layers",
    1,
    "--batch",
    4,
    "--chunk",
    8,
    "--steps",
    6,
    "--evaluations",
    2,
    "--dropout",
    "10%",
)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A corpus with a name that needs quoting in TOML."""
    path = tmp_path / 'she "sells" \\ [shells].txt'
    path.write_text("She sells sea shells by the sea shore.\n" * 60, encoding="utf-8")
    return path


def losses(folder: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row.get("validation_loss", row["train_loss"])) for row in rows]


def test_a_run_is_repeated_from_the_file_that_it_left(text: Path, run: Run, tmp_path: Path) -> None:
    assert (
        run("train", "text", "--data", text.name, "--out", "first", *SMALL, "--tied", "--seed", 5)[
            0
        ]
        == 0
    )
    assert run("train", "text", "--config", "first/run.toml", "--out", "second")[0] == 0
    assert losses(tmp_path / "first") == losses(tmp_path / "second")
    assert (tmp_path / "first" / "run.toml").read_text() == (
        tmp_path / "second" / "run.toml"
    ).read_text()
    kept = tomllib.loads((tmp_path / "first" / "run.toml").read_text(encoding="utf-8"))
    assert kept["data"] == text.name
    assert (kept["dropout"], kept["tied"], kept["steps"], kept["hidden"]) == (0.1, True, 6, 12)
    assert not kept.keys() & {"out", "config", "resume", "json", "minutes"}


def test_the_command_line_wins_and_one_budget_replaces_another(
    text: Path, run: Run, tmp_path: Path
) -> None:
    options = "steps = 6\nhidden = 12\nlayers = 1\nbatch = 4\nchunk = 8\n"
    (tmp_path / "run.toml").write_text(f"{options}data = {json.dumps(text.name)}\n")
    code, out, _ = run(
        "train",
        "text",
        "--config",
        "run.toml",
        "--out",
        "r",
        "--epochs",
        1,
        "--hidden",
        5,
        "--json",
    )
    assert code == 0
    assert json.loads(out)["epochs"] == pytest.approx(1, abs=0.1)
    kept = tomllib.loads((tmp_path / "r" / "run.toml").read_text())
    assert (kept["hidden"], kept["layers"], kept["epochs"]) == (5, 1, 1.0)
    assert "steps" not in kept


def test_a_captioner_is_repeated_too(run: Run, tmp_path: Path) -> None:
    small = (
        "--hidden",
        8,
        "--embedding",
        6,
        "--keys",
        4,
        "--image-size",
        32,
        "--batch",
        2,
        "--steps",
        1,
        "--evaluations",
        1,
    )
    rows = ["image,caption"]
    for index in range(8):
        Image.new("RGB", (20, 20), (30 * index, 0, 99)).save(tmp_path / f"{index}.png")
        rows.append(f"{index}.png,a blue thing")
    (tmp_path / "c.csv").write_text("\n".join(rows) + "\n")
    code, _, err = run("train", "captions", "--data", "c.csv", "--out", "first", *small)
    assert code == 0, err
    assert run("train", "captions", "--config", "first/run.toml", "--out", "second")[0] == 0
    assert losses(tmp_path / "first") == losses(tmp_path / "second")


def test_export_takes_a_file_with_a_list(checkpoint_folder: Path, run: Run, tmp_path: Path) -> None:
    options = (
        'to = ["onnx"]\nprecision = ["float16", "float32"]\nmax_perplexity_increase = '
        '"50%"\nrelease = true\n'
    )
    (tmp_path / "e.toml").write_text(options)
    code, out, err = run("export", checkpoint_folder, "--out", "b", "--config", "e.toml", "--json")
    assert code == 0, err
    assert sorted(artifact["precision"] for artifact in json.loads(out)["artifacts"]) == [
        "float16",
        "float32",
    ]
    assert "reference" not in json.loads(out)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hiden = 3", "'hiden' is no option of edgernn train text; did you mean hidden?"),
        ("zzz = 3", "'zzz' is no option of edgernn train text; see its --help"),
        ("hidden = 2.5", "'--hidden'"),
        ("hidden = true", "hidden is True, expected a number or a text"),
        ("tied = 1", "tied is 1, expected true or false"),
        ("[model]\nhidden = 3", "'model' is no option"),
        ("hidden = {a = 1}", "expected a number or a text"),
        ("hidden", "is no TOML"),
        ("data = '\\xff'", None),
        ("validation-fraction = 5", "write 5% or 0.05"),
        ("config = 'x'", "'config' is no option"),
    ],
)
def test_a_file_that_says_nothing_usable(
    content: str, message: str | None, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(content + "\n")
    code, _, err = run("train", "text", "--out", "r", "--config", "c.toml")
    assert code == 2
    assert (message or "cannot read the corpus") in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_or_not_utf8(run: Run, tmp_path: Path) -> None:
    assert (
        "cannot read the options in absent.toml"
        in run("train", "text", "--out", "r", "--config", "absent.toml")[2]
    )
    (tmp_path / "c.toml").write_bytes(b"data = '\xff'\n")
    assert "c.toml is no TOML" in run("train", "text", "--out", "r", "--config", "c.toml")[2]


@pytest.mark.parametrize(
    "value", ['a "b" \\ c', "\x00\x1b\x7f\n\t", "é😀", "", True, False, 3, 0.1, 1e-300, 4e-3]
)
def test_what_is_written_is_read_back(value: object) -> None:
    assert tomllib.loads(as_toml({"key": value}, heading="a heading"))["key"] == value
