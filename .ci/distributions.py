"""Build the sdist and the wheel as an index gets them: python .ci/distributions.py OUT [ADDRESS]

ADDRESS is where the repository is to be read, as https://HOST/OWNER/edgernn; with it the
distributions name it, and what the README links to in the repository is linked to there, at the tag
of this version: an index shows the README alone. Without it they are as ``pip install .`` makes
them, which is what tests look at.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("edgernn", "export", "pyproject.toml", "README.md", "LICENSE", "constraints.txt")
_LINK = re.compile(
    r"(!?)\[((?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\((?!https?://|#|mailto:)([^)\s]+)\)"
)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


def absolute(readme: str, address: str, tag: str) -> str:
    """Return a README whose links into the repository lead to ``address``."""

    def replaced(found: re.Match[str]) -> str:
        picture, text, place = found.groups()
        inner = _LINK.sub(replaced, text)
        return f"{picture}[{inner}]({address}/{'raw' if picture else 'blob'}/{tag}/{place})"

    return _LINK.sub(replaced, readme)


def urls(address: str) -> str:
    """Return the table of pyproject.toml that names the repository."""
    rows = {
        "Homepage": address,
        "Repository": address,
        "Documentation": f"{address}#readme",
        "Issues": f"{address}/issues",
    }
    return "\n[project.urls]\n" + "".join(f'{name} = "{url}"\n' for name, url in rows.items())


def prepare(place: Path, address: str | None) -> None:
    """Copy the sources to the new folder ``place``, with ``address`` where there is one."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=_LEFT_OUT)
        else:
            shutil.copy(ROOT / name, place / name)
    if address is None:
        return
    version = re.search(r'^__version__ = "(.+)"', (ROOT / "edgernn/__init__.py").read_text(), re.M)
    assert version is not None
    readme, project = place / "README.md", place / "pyproject.toml"
    readme.write_text(absolute(readme.read_text(), address, f"v{version[1]}"))
    project.write_text(project.read_text() + urls(address))


def main(out: Path, address: str | None) -> None:
    """Build both distributions into ``out``."""
    if address is not None and not re.fullmatch(r"https://[\w./-]+[\w-]", address):
        raise SystemExit(f"{address!r} is no address, expected https://HOST/OWNER/NAME")
    with tempfile.TemporaryDirectory() as place:
        prepare(Path(place), address)
        command = [sys.executable, "-m", "build", "--outdir", str(out.resolve()), place]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
