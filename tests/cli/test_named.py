"""Options under the names that a person types, and each of them once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn import cli
from edgernn.cli.named import by_option

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("top_k is -1, expected 0", "--top-k is -1, expected 0"),
        ("the top k is 'x'; expected", "--top-k is 'x'; expected"),
        ("beam is 0, expected 1", "beam is 0, expected 1"),
        ("top-k is no number", "top-k is no number"),
        ("--top-k is 3, expected", "--top-k is 3, expected"),
        ("unknown cell 'x'", "unknown cell 'x'"),
    ],
)
def test_an_argument_is_called_as_its_option(told: str, shown: str) -> None:
    assert by_option(told, {"--top-k", "--json"}) == shown


TWICE = "--axis is given 2 times, expected once; several values stand in one, with commas"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("generate BUNDLE --on-unknown drop", "--on-unknown is 'drop'; expected one of error, "),
        ("verify BUNDLE --steps 0", "--steps is 0, expected 1 or more"),
        ("train text --out r --learning-rate 0", "--learning-rate is 0.0: expected greater"),
        ("train glimpse --out r --crop 1", "--crop is 1: expected greater than or equal to 2"),
        ("train glimpse --out r --picture-size 1", "--picture-size is 1: expected"),
        ("train paint --out r --picture-size 1", "--picture-size is 1: expected"),
        ("train paint --out r --paint-steps 0", "--paint-steps is 0: expected"),
        ("export RUN --out b --axis batch=1 --axis batch=2", TWICE),
        ("verify BUNDLE --steps 0 --steps -1", "--steps is -1, expected 1 or more"),
        (
            "export RUN --out b --set a=1 --set b=2 --release --release",
            "--set says nothing of a run",
        ),
    ],
)
def test_a_person_reads_the_option(
    line: str, message: str, bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    code, _, err = run(*(bundle_folder if w == "BUNDLE" else w for w in line.split()))
    assert code == 2
    assert err.splitlines()[-1].startswith(f"edgernn: error: {message}")


def test_each_field_of_a_command_is_known_by_its_option() -> None:
    """Where a command gives a parameter to a field of another name, it says so to ``validated``."""
    for path in sorted(Path(cli.__file__).parent.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "validated":
                continue
            told = ast.literal_eval(call.args[1]) if len(call.args) > 1 else {}
            for given in call.keywords:
                named = isinstance(given.value, ast.Name) and given.value.id
                if given.arg and named and given.arg not in {named, "model", "options"}:
                    assert given.arg in told, f"{path.name}:{call.lineno}: {given.arg}={named}"
