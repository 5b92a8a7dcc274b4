"""Say which build of torch pip is about to take, before it downloads anything: python
.ci/which_torch.py REQUIREMENT

On Linux the public index serves a build that brings gigabytes of CUDA packages. pip takes a CPU
build where it is told of a place that has one, by its own variables PIP_EXTRA_INDEX_URL or
PIP_FIND_LINKS.
"""

from __future__ import annotations

import json
import subprocess
import sys

_CUDA = ("nvidia-", "cuda-", "triton")


def main(requirement: str) -> None:
    """Ask pip and print what it would take."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--dry-run",
        "--ignore-installed",
    ]
    command += ["--no-deps", "--quiet", "--report", "-", requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"pip finds no {requirement} for this Python: {done.stderr.strip().splitlines()[-1]}"
        )
    (found,) = json.loads(done.stdout)["install"]
    about = found["metadata"]
    brings = [line for line in about.get("requires_dist", []) if line.startswith(_CUDA)]
    if sys.platform.startswith("linux") and brings:
        print(
            f"torch {about['version']}, a build with CUDA: {len(brings)} further packages, "
            "some gigabytes to download."
        )
        print(
            "For a CPU build, of 200 MB, tell pip where one lies with PIP_EXTRA_INDEX_URL or "
            "PIP_FIND_LINKS: "
            "https://pytorch.org/get-started/locally/ shows the address under CPU."
        )
    else:
        print(f"torch {about['version']}, a CPU build")


if __name__ == "__main__":
    main(sys.argv[1])
