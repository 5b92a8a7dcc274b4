"""The pytest plugin, in a pytest of its own: what is collected, how failures read, and what is
never imported.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn import bundle
from edgernn.bundle import manifest, pack
from edgernn.parity import subject
from edgernn.parity.checks import CHECKS
from edgernn.testing import pytest_plugin

Run = Callable[..., tuple[int, str]]
# Named, and not found by its entry point: so it is this plugin alone, whether or not it is
# installed as one.
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "edgernn.testing.pytest_plugin",
    "-p",
    "no:cacheprovider",
]
MADE_OF_STEPS = [name for name in CHECKS if name not in ("decoding", "libraries", "graph")]
ALONE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run pytest with the plugin in an empty folder with warnings as errors; return its exit code
    and output.
    """

    def call(*arguments: object) -> tuple[int, str]:
        command = [*PYTEST, "-W", "error", "-ra", "--edgernn-steps", "4", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=ALONE,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    return call


@pytest.fixture
def tiny(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle that lists ONNX alone, in the folder where pytest runs; the other artifacts' folders
    lie there still.
    """
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    edit(
        folder,
        artifacts=[entry for entry in content(folder)["artifacts"] if entry["format"] == "onnx"],
    )
    return folder


@pytest.fixture
def light(tiny: Path) -> Path:
    """The same without its reference: nothing in it needs torch, which takes a second to import."""
    edit(tiny, reference=None)
    return tiny


def content(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def edit(folder: Path, **changes: object) -> None:
    (folder / "manifest.json").write_text(json.dumps(content(folder) | changes), encoding="utf-8")


def collected(output: str) -> list[str]:
    return [line for line in output.splitlines() if "::" in line and " " not in line]


def test_constants_are_those_of_the_package() -> None:
    here = (pytest_plugin.MANIFEST, pytest_plugin.SUFFIX, pytest_plugin.DEFAULT_STEPS)
    assert here == (manifest.MANIFEST, bundle.SUFFIX, subject.DEFAULT_STEPS)


def test_an_item_for_each_artifact_and_check(
    bundle_folder: Path, tiny: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "nested" / "whole")
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    pack(tiny, tmp_path / "single.edgernn")
    code, output = run("--collect-only", "-q")
    assert code == 0
    artifacts = [artifact["path"] for artifact in content(bundle_folder)["artifacts"]]
    expected = [f"nested/whole::{path}::{name}" for path in artifacts for name in MADE_OF_STEPS]
    expected += [
        f"{place}::onnx/step.onnx::{name}"
        for place in ("single.edgernn", "tiny")
        for name in MADE_OF_STEPS
    ]
    assert sorted(collected(output)) == sorted([*expected, "test_own.py::test_own"])


def test_a_right_bundle_passes_by_its_path_and_from_inside(
    light: Path, run: Run, tmp_path: Path
) -> None:
    edit(light, golden=None)  # what cannot be run is skipped, with the reason
    pack(light, tmp_path / "single.edgernn")
    code, output = run(light, tmp_path / "single.edgernn", "-k", "contract or golden")
    assert code == 0, output
    assert "2 passed, 2 skipped" in output
    assert "the bundle carries no golden run" in output
    assert (
        "tiny::onnx/step.onnx::golden" in run("--collect-only", "-q", "--rootdir", light, light)[1]
    )


def test_a_failed_check_is_shown_without_a_traceback(tiny: Path, run: Run) -> None:
    pytest.importorskip("torch")
    decoding = {**content(tiny)["decoding"], "temperature": 0.123}
    edit(tiny, decoding=decoding)
    code, output = run("tiny", "-v", "-k", "contract or rollout")
    assert code == 1
    assert "FAILED tiny::onnx/step.onnx::contract - the contract in its metadata" in output
    assert re.search(
        r"_ contract of tiny::onnx/step\.onnx _+\nthe contract in its metadata is another one\n",
        output,
    )
    assert "tiny::onnx/step.onnx::rollout PASSED" in output
    assert "pytest_plugin.py" not in output  # no traceback


@pytest.mark.usefixtures("light")
def test_numbers_stand_below_the_detail(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from edgernn.parity import checks\n"
        "from edgernn.parity.report.data import Check\n"
        "failed = Check(name='rollout', status='failed', detail='too far \\x1b[31m', "
        "measured={'worst_scaled': 0.5})\n"
        "checks.CHECKS = {'rollout': lambda subject: failed}\n"
    )
    code, output = run("tiny")
    assert code == 1
    assert "too far \\x1b[31m\n  worst scaled: 0.5\n" in output


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            "tokenizer.json has 2 bytes, the manifest says",
        ),
        (
            lambda folder: edit(folder, schema_version=99),
            "manifest.json has schema version 99; this edgernn reads versions 1 to 2",
        ),
        (
            lambda folder: (folder / "manifest.json").write_text(
                '{"schema_version": 1, "contract": {'
            ),
            "manifest.json is damaged",
        ),
    ],
    ids=["changed file", "later schema", "cut off"],
)
def test_a_bundle_that_does_not_open_is_one_failure(
    tiny: Path, run: Run, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(tiny)
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    code, output = run()
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert message in output
    assert "FAILED tiny::open" in output
    assert "pytest_plugin.py" not in output  # no traceback


def test_a_damaged_single_file_is_one_failure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.edgernn").write_bytes(b"scribble")
    code, output = run("broken.edgernn")
    assert code == 1
    assert "broken.edgernn is a text file, expected a bundle" in output


def test_a_project_without_bundles_loads_nothing_of_edgernn(run: Run, tmp_path: Path) -> None:
    for name, text in {
        "web": '{"name": "a web app"}',
        "list": "[]",
        "broken": "{",
        "schema": '{"schema_version": 1}',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    (tmp_path / "web" / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    loaded = [name for name in sys.modules if name.split('.')[0] == 'edgernn']\n"
        "    own = ['', '.errors', '.testing', '.testing.pytest_plugin']\n"
        "    assert sorted(loaded) == ['edgernn' + name for name in own]\n"
        "    assert not {'numpy', 'pydantic', 'onnxruntime', 'torch'} & sys.modules.keys()\n"
    )
    code, output = run()
    assert code == 0, output
    assert "1 passed" in output


@pytest.mark.parametrize("steps", ["0", "-1", "many", "1.5"])
def test_steps_out_of_range(steps: str, run: Run) -> None:
    code, output = run("--edgernn-steps", steps)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"edgernn steps is '{steps}', expected a whole number of 1 or more" in output


@pytest.mark.usefixtures("light")
def test_steps_from_option_and_ini(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from edgernn.parity import checks\n"
        "from edgernn.parity.report.data import Check\n"
        "def told(subject):\n"
        "    return Check(name='steps', status='failed', detail=f'asked for {subject.steps} "
        "steps')\n"
        "checks.CHECKS = {'steps': told}\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nedgernn_steps = 6\n")
    assert "asked for 4 steps" in run("tiny")[1]
    command = [*PYTEST, "tiny"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=ALONE, timeout=120
    )
    assert "asked for 6 steps" in done.stdout
