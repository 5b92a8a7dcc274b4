"""Print ``package==version`` for every lower bound of pyproject.toml: python .ci/floors.py [EXTRA
…]

Without arguments those of the base install and of the extras images, train and export; of a package
that several name, the first. With arguments those of the extras alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import tomllib

PROJECT = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]


def floors(extras: list[str]) -> dict[str, str]:
    """Return package → lowest version."""
    optional = PROJECT["optional-dependencies"]
    named = [optional[extra] for extra in extras or ("images", "train", "export")]
    found: dict[str, str] = {}
    for requirement in [
        *([] if extras else PROJECT["dependencies"]),
        *(line for lines in named for line in lines),
    ]:
        bound = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
        if bound:
            found.setdefault(bound[1], bound[2])
    return found


if __name__ == "__main__":
    for package, version in floors(sys.argv[1:]).items():
        print(f"{package}=={version}")
