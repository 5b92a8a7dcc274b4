"""The command line as a person meets it: results, one-line errors, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import PIL
import pytest

import edgernn
from edgernn import formats
from edgernn.formats.installed import install_command

Run = Callable[..., tuple[int, str, str]]
COMMANDS = (
    *("train text", "train captions", "export", "verify", "generate", "caption"),
    *("inspect", "doctor", "demo text", "demo captions"),
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(command: str, run: Run) -> None:
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert "Usage: edgernn" in out


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"edgernn {edgernn.__version__}\n", "")


def test_train_export_verify_generate_inspect(run: Run, tmp_path: Path) -> None:
    text = "She sells sea shells by the sea shore.\n" * 60
    (tmp_path / "shells.txt").write_text(text, encoding="utf-8")
    small = ["--hidden", 12, "--layers", 1, "--batch", 4, "--chunk", 8, "--steps", 20]
    code, out, err = run("train", "text", "--data", "shells.txt", "--out", "run", *small, "--json")
    assert code == 0
    assert json.loads(out)["split"] == "last 10 % of shells.txt"
    assert "nats/character (last 10 % of shells.txt)" in " ".join(err.split())

    code, out, err = run("export", "run", "--out", "bundle.edgernn")
    assert code == 0
    assert "coreml/step_mlstate.mlpackage" in out
    assert "exporting onnx float32" in err

    code, out, _ = run("verify", "bundle.edgernn", "--steps", 16, "--json", "-")
    report = json.loads(out)
    assert code == 0
    assert report["passed"] is True
    assert {a["path"] for a in report["artifacts"]} >= {"onnx/step.onnx", "torchscript/step.pt"}

    code, out, _ = run(
        "generate", "bundle.edgernn", "--prompt", "She sells ", "--length", 12, "--temperature", 0
    )
    assert code == 0
    assert out.startswith("She sells ")
    assert len(out) == len("She sells ") + 12 + 1

    for target in ("run", "bundle.edgernn"):
        code, out, _ = run("inspect", target)
        assert code == 0
        assert "nats/character (last 10 % of shells.txt)" in out
        assert json.loads(run("inspect", target, "--json")[1])


def test_verify_prints_each_check_and_what_it_compared_with(
    bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "b")
    code, out, _ = run("verify", "b", "--steps", 16, "--json", "report.json")
    assert code == 0
    for word in (
        "onnx/step.onnx",
        "contract",
        "rollout",
        "greedy",
        "golden",
        "passed",
        "eager torch from the bundle",
    ):
        assert word in out
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is True


def test_verify_leaves_with_1_when_a_check_fails(
    bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(bundle_folder, tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    manifest["decoding"]["temperature"] = 0.123  # the files' own metadata now says otherwise
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest))
    code, out, _ = run("verify", "b", "--steps", 8, "--to", "onnx")
    assert code == 1
    assert "FAILED" in out
    assert "NOT verified" in out


def test_strict_fails_where_a_check_could_not_be_run(checkpoint_folder: Path, run: Run) -> None:
    code, out, _ = run(
        "export", checkpoint_folder, "--out", "b", "--to", "onnx", "--release", "--json"
    )
    assert code == 0
    assert [artifact["path"] for artifact in json.loads(out)["artifacts"]] == ["onnx/step.onnx"]
    assert run("verify", "b")[0] == 0
    assert run("verify", "b", "--strict")[0] == 1


def test_long_is_a_thousand_steps(bundle_folder: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(bundle_folder, tmp_path / "b")
    assert "4 runs of 1000" in run("verify", "b", "--to", "onnx", "--long")[1]


def test_inspect_a_lone_model_file(bundle_folder: Path, run: Run) -> None:
    for inner in (
        "onnx/step.onnx",
        "torchscript/step.pt",
        "coreml/step.mlpackage",
        "coreml/step_mlstate.mlpackage",
    ):
        code, out, _ = run("inspect", bundle_folder / inner)
        assert code == 0
        assert "h_next" in out
        assert (
            json.loads(run("inspect", bundle_folder / inner, "--json")[1])["edgernn"][
                "schema_version"
            ]
            == 2
        )


def test_generate_saves_and_continues(bundle_folder: Path, run: Run) -> None:
    whole = run("generate", bundle_folder, "--prompt", "the ", "--length", 20, "--json")[1]
    first = run(
        "generate", bundle_folder, "--prompt", "the ", "--length", 8, "--save-state", "s", "--json"
    )[1]
    second = run("generate", bundle_folder, "--length", 12, "--load-state", "s", "--json")[1]
    assert json.loads(whole)["text"] == json.loads(first)["text"] + json.loads(second)["text"]


def test_doctor(run: Run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    for package in ("onnxruntime", "pillow", "pycocoevalcap"):
        assert package in out
    found = json.loads(run("doctor", "--json")[1])
    assert found["packages"]["pillow"] == PIL.__version__
    assert found["formats"]["onnx"] == {"export": "yes", "run": "yes"}
    for row in formats.FORMATS.values():  # no format runs without its own runtime
        if row.run_extra is not None and found["packages"][row.packages[0]] is None:
            told = f"lacks {row.packages[0].replace('-', '_')} (the extra {row.run_extra})"
            assert found["formats"][row.name]["run"] == told


def test_generate_on_threads_and_in_one_call(checkpoint_folder: Path, run: Run) -> None:
    assert run("export", checkpoint_folder, "--out", "b", "--to", "onnx", "--in-graph")[0] == 0
    ask = ("generate", "b", "--prompt", "the ", "--length", 20, "--seed", 3, "--json")
    texts = {
        run(*ask, *more)[1].split('"text"')[1]
        for more in ((), ("--threads", 2), ("--artifact", "onnx/generate.onnx"))
    }
    assert len(texts) == 1
    code, _, err = run(*ask, "--threads", 0)
    assert (code, "threads is 0, expected 1 or more" in err) == (2, True)


def test_generate_runs_where_nothing_heavy_is_installed(
    bundle_folder: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "b")
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'onnx', 'coremltools', 'matplotlib'}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from edgernn.cli.app import main\n"
        "main()\n"
    )

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert call("generate", bundle, "--length", 5).returncode == 0
    told = call("verify", bundle, "--json", "-")
    assert told.returncode == 0
    assert (
        json.loads(told.stdout)["reference"]
        == "the recorded golden run alone (torch is not installed)"
    )
    refused = call("generate", bundle, "--artifact", "torchscript")
    assert refused.returncode == 2
    assert (
        f"needs the package 'torch', which is not installed; run: {install_command('train')}"
        in refused.stderr
    )
    heavy = (
        ["train", "text", "--out", "r"],
        ["export", "r", "--out", "x"],
        ["demo", "text", "--out", "d"],
    )
    for command in (
        *heavy,
        ["train", "captions", "--out", "r"],
        ["demo", "captions", "--out", "d"],
    ):
        told = call(*command)
        assert told.returncode == 2
        assert (
            f"needs the package 'torch', which is not installed; run: {install_command('all')}"
            in told.stderr
        )
    listed = call("doctor", "--json")
    found = json.loads(listed.stdout)
    assert found["formats"]["onnx"]["run"] == "yes"
    assert found["formats"]["onnx"]["export"].startswith("lacks ")
    assert found["formats"]["onnx"]["export"].endswith(" (the extra export)")
    assert {"export", "train"} <= found["to_install"].keys()
    assert found["to_install"] == {extra: install_command(extra) for extra in found["to_install"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "text", "--data", "absent.txt", "--out", "r"],
            "cannot read the corpus absent.txt",
        ),
        (["train", "text", "--data", "empty.txt", "--out", "r"], "empty.txt is empty"),
        (["train", "text", "--data", "binary.txt", "--out", "r"], "NUL byte at offset 1"),
        (
            ["train", "text", "--data", "latin.txt", "--out", "r"],
            "not UTF-8: byte 0xff at offset 1",
        ),
        (["train", "text", "--data", "short.txt", "--out", "r"], "need at least 4097"),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--tokens", "sylable"],
            "'sylable'; expected one of char",
        ),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--cell", "lstn"],
            "cell is 'lstn': expected one of lstm",
        ),
        (["train", "text", "--data", "short.txt", "--out", "r", "--layers", 257], "layers is 257"),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--steps", 0],
            "--steps is 0, expected above 0",
        ),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--steps", 1, "--epochs", 1],
            "give one budget",
        ),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--device", "gpu"],
            "unknown device 'gpu'",
        ),
        (["train", "text", "--out", "r", "--resume"], "nothing to resume"),
        (["train", "text", "--out", "r", "--resume", "--hidden", 9], "--hidden cannot change"),
        (["export", "absent", "--out", "b"], "no checkpoint at absent"),
        (
            ["export", "CHECKPOINT", "--out", "b", "--to", "tflite"],
            "unknown format 'tflite'; expected one of",
        ),
        (
            ["export", "CHECKPOINT", "--out", "b", "--precision", "int7"],
            "cannot export int7 as asked: onnx offers float32",
        ),
        (["export", "CHECKPOINT", "--out", "short.txt"], "is no bundle; it was left as it is"),
        (["verify", "absent"], "no bundle at absent"),
        (["verify", "short.txt"], "short.txt is a text file, expected a bundle"),
        (["verify", "CHECKPOINT"], "has no manifest.json: it is not a bundle"),
        (["verify", "BUNDLE", "--steps", 0], "steps is 0, expected 1 or more"),
        (["generate", "BUNDLE", "--prompt", "é€"], "the vocabulary has no 'é', '€'"),
        (["generate", "BUNDLE", "--top-p", 0], "top-p is 0.0, expected above 0"),
        (["generate", "BUNDLE", "--temperature", -1], "temperature is -1.0, expected 0"),
        (["generate", "BUNDLE", "--artifact", "absent"], "no artifact 'absent'"),
        (["generate", "BUNDLE", "--load-state", "absent"], "no saved state at absent"),
        (["generate", "BUNDLE", "--on-unknown", "drop"], "expected one of error, skip"),
        (["inspect", "absent"], "no file or folder at absent"),
        (
            ["inspect", "short.txt"],
            "short.txt is a text file; train on it with: edgernn train text --data short.txt",
        ),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--minutes", "nan"],
            "--minutes is nan, expected above 0",
        ),
        (
            ["train", "text", "--data", "short.txt", "--out", "r", "--embedding", 0],
            "embedding is 0: expected",
        ),
        (["demo", "text", "--out", "old"], "holds an older demo"),
        (["demo", "text", "--out", "r", "--minutes", 0], "--minutes is 0, expected above 0"),
        (["demo", "captions", "--out", "old"], "holds an older demo"),
        (["demo", "captions", "--out", "r", "--minutes", -1], "--minutes is -1, expected above 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list,
    message: str,
    run: Run,
    tmp_path: Path,
    checkpoint_folder: Path,
    bundle_folder: Path,
) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    (tmp_path / "latin.txt").write_bytes(b"a\xffb")
    (tmp_path / "short.txt").write_text(
        "a few words only, too few to train on\n" * 3, encoding="utf-8"
    )
    (tmp_path / "old" / "run").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    places = {"CHECKPOINT": checkpoint_folder, "BUNDLE": bundle_folder}
    code, _, err = run(*(places.get(argument, argument) for argument in arguments))
    line = err.strip().splitlines()[-1]
    assert code == 2
    assert line.startswith("edgernn: error: ")
    assert message in line
    assert "Traceback" not in err
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert not [
        path
        for path in left
        if path.suffix in {".tmp", ".old"} or path.name in {"weights.safetensors", "b"}
    ]


def test_a_reader_that_goes_away_is_no_error(bundle_folder: Path) -> None:
    command = f"{sys.executable} -m edgernn generate {bundle_folder} --length 3000 | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr
    assert len(done.stdout) == 10


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 9 GiB"), "out of memory (Unable to allocate 9 GiB)"),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to "
                "allocate 9 bytes"
            ),
            "out of memory",
        ),
        (PermissionError(13, "Permission denied", "a[/x]\x1b"), "a[/x]\\x1b: Permission denied"),
        (OSError(5, "Input/output error"), "error: Input/output error"),
        (ModuleNotFoundError("No module named 'abc'", name="abc.d"), "needs the package 'abc'"),
    ],
)
def test_what_a_machine_lacks_is_one_line(
    error: Exception, told: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("edgernn.cli.doctor.examine", fail)
    code, out, err = run("doctor")
    assert (code, out) == (2, "")
    assert err.startswith("edgernn: error: ")
    assert told in err
    assert err.count("\n") == 1


def test_a_fault_of_edgernn_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("edgernn.cli.doctor.examine", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        run("doctor")


def test_one_of_several_processes_ends_at_once(tmp_path: Path) -> None:
    late = "import atexit\natexit.register(lambda: print('late', flush=True))\n"
    (tmp_path / "sitecustomize.py").write_text(late, encoding="utf-8")
    said = {}
    for size in ("1", "2"):
        env = {**os.environ, "WORLD_SIZE": size, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-m", "edgernn", "--version"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        said[size] = done.stdout.splitlines()[1:]
    assert said == {"1": ["late"], "2": []}
