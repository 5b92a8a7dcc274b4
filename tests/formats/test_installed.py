"""The advice to install something names what works for the copy that gives it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from edgernn.formats import installed


class Distribution:
    """A copy with the note that pip left of where it came from."""

    def __init__(self, origin: dict | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


def came_from(origin: dict | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed.metadata, "distribution", lambda name: Distribution(origin))


def test_from_an_index_the_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    came_from(None, monkeypatch)
    assert installed.install_command("train") == "pip install 'edgernn[train]'"
    assert installed.install_command(None) == "pip install 'edgernn'"
    assert installed.source() == "a package index"


@pytest.mark.parametrize("editable", [True, False])
def test_from_a_folder_it_is_installed_there_again(
    editable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my checkout's [1]"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    came_from(
        {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}, monkeypatch
    )
    command = installed.install_command("train")
    moved, install = command.split(" && ")
    assert shlex.split(moved) == ["cd", str(folder)]
    assert shlex.split(install) == [
        "pip",
        "install",
        "-c",
        "constraints.txt",
        *["-e"] * editable,
        ".[train]",
    ]
    assert installed.source() == f"{folder}, {'editable' if editable else 'copied'}"


def test_a_folder_that_is_gone_is_not_sent_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_from({"url": (tmp_path / "gone").as_uri(), "dir_info": {}}, monkeypatch)
    assert "in a folder with the source of edgernn" in installed.install_command("train")


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (
            {"url": "file:///w/edgernn-1-py3-none-any.whl", "archive_info": {}},
            "'edgernn[all] @ file:///w/edgernn-1-py3-none-any.whl'",
        ),
        (
            {
                "url": "https://me:secret@host.example/e.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
            },
            "'edgernn[all] @ git+https://host.example/e.git@abc'",
        ),
    ],
)
def test_from_an_address_the_address_without_its_password(
    origin: dict, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_from(origin, monkeypatch)
    assert installed.install_command("all") == f"pip install {command}"
    assert "secret" not in installed.source()


def test_a_checkout_that_was_never_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise installed.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installed.metadata, "distribution", absent)
    root = Path(__file__).resolve().parent.parent.parent
    if not Path(installed.__file__).is_relative_to(root / "edgernn"):
        pytest.skip("the copy under test is installed, not a checkout")
    assert (
        installed.install_command("train")
        == f"cd {shlex.quote(str(root))} && pip install -c constraints.txt -e '.[train]'"
    )


@pytest.mark.parametrize(("python", "packages"), [((3, 13), set()), ((3, 14), {"coremltools"})])
def test_what_has_no_wheel_for_a_python_is_named(
    python: tuple[int, int], packages: set[str]
) -> None:
    told = installed.without_wheel(python)
    assert set(told) == packages
    assert all("use Python 3.13 or older" in line for line in told.values())


def test_a_checkout_has_its_tested_versions() -> None:
    assert installed.constraints() == (
        Path(__file__).resolve().parent.parent.parent / "constraints.txt"
    ).read_text(encoding="utf-8")
