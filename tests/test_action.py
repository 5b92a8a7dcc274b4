"""The GitHub action: its form, and its shell as a runner runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
Step = Callable[..., tuple[int, dict[str, str], str, str]]


def step_of(name: str) -> dict[str, Any]:
    return next(step for step in STEPS if step.get("name") == name)


def test_the_form_is_that_of_a_composite_action() -> None:
    assert set(ACTION) == {"name", "description", "branding", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    for name, told in ACTION["inputs"].items():
        assert set(told) <= {"description", "required", "default"}, name
        assert told.get("required") or isinstance(told["default"], str), name
    for step in STEPS:
        assert ("uses" in step) != ("run" in step)
        assert "run" not in step or step["shell"] == "bash"


def test_no_input_is_part_of_a_shells_text() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")
        for name, value in step.get("env", {}).items():
            assert value == f"${{{{ inputs.{name.lower().replace('_', '-')} }}}}"


def test_every_input_is_used() -> None:
    text = json.dumps(ACTION["runs"])
    assert [name for name in ACTION["inputs"] if f"inputs.{name}" not in text] == []


@pytest.fixture
def run_step(tmp_path: Path) -> Step:
    """Run a step as a runner does; return its exit code, outputs, log and summary."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")

    def call(name: str, *, python: str = "", **inputs: str) -> tuple[int, dict[str, str], str, str]:
        place = tmp_path / "runner"
        shutil.rmtree(place, ignore_errors=True)
        (place / "bin").mkdir(parents=True)
        (place / "temp").mkdir()
        (place / "bin/python").write_text(python or f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (place / "bin/python").chmod(0o755)
        step = step_of(name)
        given = {
            variable: inputs.get(
                variable.lower(),
                ACTION["inputs"][variable.lower().replace("_", "-")].get("default"),
            )
            for variable in step["env"]
        }
        files = {"GITHUB_OUTPUT": place / "output", "GITHUB_STEP_SUMMARY": place / "summary"}
        (place / "step.sh").write_text(step["run"])
        done = subprocess.run(
            [bash, "--noprofile", "--norc", "-eo", "pipefail", str(place / "step.sh")],
            cwd=tmp_path,
            env={
                **os.environ,
                **given,
                **{variable: str(path) for variable, path in files.items()},
                "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "RUNNER_TEMP": str(place / "temp"),
                "GITHUB_ACTION_PATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        read = {name: path.read_text() if path.exists() else "" for name, path in files.items()}
        outputs = dict(line.split("=", 1) for line in read["GITHUB_OUTPUT"].splitlines())
        return done.returncode, outputs, done.stdout + done.stderr, read["GITHUB_STEP_SUMMARY"]

    return call


def test_bundles_are_verified_and_reports_are_written(
    bundle_folder: Path, run_step: Step, tmp_path: Path
) -> None:
    for name in ("one & two", "three"):
        shutil.copytree(bundle_folder, tmp_path / "made" / name)
    code, outputs, log, summary = run_step(
        "Verify", bundles="made/*\n\n", formats="onnx", steps="16", strict="false"
    )
    assert code == 0, log
    assert outputs["passed"] == "true"
    names = sorted(path.name for path in Path(outputs["reports"]).iterdir())
    assert names == sorted(
        f"{number}-{name}.{kind}"
        for number, name in ((1, "one & two"), (2, "three"))
        for kind in ("html", "json", "txt", "xml")
    )
    report = json.loads((Path(outputs["reports"]) / "2-three.json").read_text())
    assert report["passed"]
    assert summary.count("### edgernn verify: passed") == 2
    assert "made/one &amp; two" in summary


def test_one_bundle_that_fails_fails_the_step_after_all(
    bundle_folder: Path, run_step: Step, tmp_path: Path
) -> None:
    broken = shutil.copytree(bundle_folder, tmp_path / "a $(touch hacked) `touch hacked`")
    (Path(broken) / "golden.safetensors").unlink()
    code, outputs, log, summary = run_step(
        "Verify", bundles=f"{broken}\n$(touch hacked)\n; touch hacked", formats="onnx", steps="16"
    )
    assert code == 1
    assert outputs["passed"] == "false"
    assert "golden.safetensors is missing" in log
    assert "no bundle at $(touch hacked)" in log
    assert summary.count("### edgernn verify: failed") == 3
    assert not (tmp_path / "hacked").exists()


def test_what_a_bundle_prints_is_no_command_and_no_markup(run_step: Step) -> None:
    told = '#!/bin/sh\nprintf "::set-output name=passed::yes\\n<script>&\\n"\n'
    code, _, log, summary = run_step("Verify", python=told, bundles="x")
    assert code == 0
    start, inside, end = log.partition("::set-output")
    assert inside
    assert start.rstrip().startswith("::stop-commands::edgernn-")
    assert start.rstrip().rpartition("::")[2] in end.splitlines()[-1]
    assert "<script>" not in summary
    assert "&lt;script&gt;&amp;" in summary


def test_without_a_bundle_it_fails(run_step: Step) -> None:
    code, outputs, log, _ = run_step("Verify", bundles="\n")
    assert (code, outputs["passed"]) == (1, "false")
    assert "no bundle was given" in log


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({}, f"-c {ROOT}/constraints.txt -- {ROOT}[train,export]"),
        ({"extras": ""}, f"-c {ROOT}/constraints.txt -- {ROOT}"),
        ({"signed_by": "k.pub"}, f"-c {ROOT}/constraints.txt -- {ROOT}[train,export,sign]"),
        ({"signed_by": "k.pub", "extras": ""}, f"-c {ROOT}/constraints.txt -- {ROOT}[sign]"),
        ({"requirement": "edgernn==0.1.0; x"}, "-- edgernn==0.1.0; x"),
    ],
)
def test_what_is_installed(inputs: dict[str, str], wanted: str, run_step: Step) -> None:
    code, _, log, _ = run_step("Install edgernn", python='#!/bin/sh\necho "$@"\n', **inputs)
    assert code == 0
    assert log.strip() == f"-m pip install --disable-pip-version-check {wanted}"
