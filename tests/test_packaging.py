"""What is built and installed: the mapped package, the data files, the licence, and nothing
else.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("edgernn", "export", "pyproject.toml", "README.md", "LICENSE", "constraints.txt")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and sdist from a copy of the sources."""
    pytest.importorskip("build")
    place = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(source, place / name)
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(place / "dist"),
        str(place),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "dist"


def data_files() -> set[str]:
    """Return what is no Python and no page, as a wheel names it."""
    rooms = {"edgernn": "edgernn", "export": "edgernn/export"}
    return {
        f"{place}/{path.relative_to(ROOT / room).as_posix()}"
        for room, place in rooms.items()
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}
    }


def test_the_wheel_holds_the_package_and_no_top_level_export(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgernn"}
    for module in (ROOT / "edgernn").rglob("*.py"):
        assert module.relative_to(ROOT).as_posix() in names
    for module in (ROOT / "export").rglob("*.py"):
        assert f"edgernn/{module.relative_to(ROOT).as_posix()}" in names
    assert {"edgernn/bundle/manifest.schema.json", "edgernn/py.typed"} <= set(names)
    assert data_files() <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith(".md")], "pages stay in the repository"


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    worker = "edgernn/sessions/node/worker.mjs"
    data = {"edgernn/bundle/manifest.schema.json", "constraints.txt", worker}

    assert {"export/__init__.py", "pyproject.toml", "LICENSE", *data} <= names


def test_the_installed_wheel_has_no_module_named_export(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    code = (
        "import importlib.util, edgernn, edgernn.contract\n"
        "assert edgernn.__file__.startswith(sys.argv[1]), edgernn.__file__\n"
        "assert importlib.util.find_spec('edgernn.export').origin.startswith(sys.argv[1])\n"
        "found = importlib.util.find_spec('export')\n"
        "assert found is None, found\n"
    )
    code = f"import sys\nsys.path.insert(0, sys.argv[1])\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(place)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_wheel_prints_the_tested_versions(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    code = (
        "import sys\nsys.path.insert(0, sys.argv.pop(1))\n"
        "from edgernn.cli.app import main\nmain()\n"
    )
    command = [sys.executable, "-c", code, str(place), "doctor", "--constraints"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "constraints.txt").read_text()


def test_the_installed_wheel_verifies_a_bundle(
    built: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    shutil.copytree(bundle_folder, tmp_path / "b")
    code = (
        "import sys\nsys.path.insert(0, sys.argv.pop(1))\nimport edgernn\n"
        "assert edgernn.__file__.startswith(sys.path[0])\n"
        "from edgernn.cli.app import main\nmain()\n"
    )
    command = [
        sys.executable,
        "-c",
        code,
        str(place),
        "verify",
        "b",
        "--to",
        "onnx",
        "--steps",
        "8",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "verified: 1 of 1 artifact passed" in done.stdout


def test_what_an_index_shows(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode())
    assert told["Name"] == "edgernn"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Description-Content-Type"] == "text/markdown"
    assert told["Requires-Python"] == ">=3.10"
    assert len(told["Summary"]) <= 512
    assert str(told.get_payload()).startswith("# edgernn")
    extras = set(told.get_all("Provides-Extra"))
    assert {"train", "export", "sign", "hub"} <= extras
    text = "\n".join(told.get_all("Classifier"))
    assert "Private :: Do Not Upload" not in text
    assert "License ::" not in text  # an index refuses it beside a licence expression


def test_links_of_the_readme_lead_to_the_repository() -> None:
    spec = importlib.util.spec_from_file_location("distributions", ROOT / ".ci/distributions.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = made.absolute(text, "https://h.example/o/edgernn", "v1")
    tokens = [
        inner
        for token in MarkdownIt().parse(shown)
        for inner in (token, *(token.children or ()))
        if inner.type in {"link_open", "image"}
    ]
    places = [str(token.attrs.get("href") or token.attrs["src"]) for token in tokens]
    assert len(places) > 20
    assert [place for place in places if not place.startswith(("https://", "#"))] == []
    for place in places:
        inside = re.match(r"https://h\.example/o/edgernn/(?:blob|raw)/v1/([^#]+)", place)
        assert inside is None or (ROOT / inside[1]).exists(), place
    assert made.urls("https://h.example/o/edgernn").count("https://h.example/o/edgernn") == 4


def test_constraints_pin_one_set_without_hosts_or_paths() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert "torch==2.13.0" in lines
    for line in lines:
        assert "==" in line
        assert "/" not in line
        assert "@" not in line
