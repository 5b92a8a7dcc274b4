"""What is built and installed: the mapped package, the data files, the licence, and nothing
else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

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


def test_the_wheel_holds_the_package_and_no_top_level_export(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgernn"}
    for module in (ROOT / "edgernn").rglob("*.py"):
        assert module.relative_to(ROOT).as_posix() in names
    for module in (ROOT / "export").rglob("*.py"):
        assert f"edgernn/{module.relative_to(ROOT).as_posix()}" in names
    assert "edgernn/bundle/manifest.schema.json" in names
    assert "edgernn/sessions/node/worker.mjs" in names
    assert "edgernn/py.typed" in names
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
