"""``edgernn bench`` prints tables, writes JSON and a picture, and says at once what it could not
write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn.bench import run as bench
from edgernn.bench.alone import Alone
from edgernn.bench.report import BenchReport
from edgernn.bundle import pack
from edgernn.cli.bench import draw, say_report
from edgernn.errors import UsageError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no process of its own and read little memory: tests of their own do that."""
    monkeypatch.setattr(bench, "reading_buffer", lambda: np.ones(1 << 12, np.int64))
    monkeypatch.setattr(
        bench,
        "measure_alone",
        lambda *arguments, **options: Alone(load_ms=1234.5, peak_bytes=80_000_000),
    )
    monkeypatch.setattr(bench, "measure_import", lambda format_name: 65_000_000)


def test_the_tables(run: Run, bundle_folder: Path, tmp_path: Path) -> None:
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    code, out, err = run("bench", "tiny.edgernn", "--to", "onnx", "--steps", "20")
    assert code == 0
    lines = out.splitlines()
    times, sizes = (line.split() for line in lines if line.startswith("onnx/step.onnx"))
    assert times[1] == "1,234"
    assert len(times) == len(lines[0].split()) - 2  # "times in ms" heads the paths
    assert times[-1] == "1.00×"
    assert sizes[1] == "float32"
    assert sizes[4:6] == ["80.0", "MB"]
    assert "below 1 the weights stayed in the caches" in out
    assert "20 in 10 interleaved rounds" in out
    assert "opening onnx/step.onnx" in err
    assert "not run" not in out
    assert lines[0].split()[-3:] == ["tokens/s", "prefill/s", "speed"]
    assert "one token a call" in out
    assert "encode" not in out


def test_a_network_without_tokens_is_told_in_steps(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = bench.bench_bundle(bundle_folder, to="onnx", steps=10)
    step = report.artifacts[0]
    sees = {"unit": "sequence", "tokens_per_s": None, "prefill_tokens_per_s": None}
    encode = step.model_copy(update={"path": "onnx/encode.onnx", "graph": "encode", **sees})
    say_report(report.model_copy(update={"unit": "step", "artifacts": (encode, step)}))
    out = capsys.readouterr().out
    assert "steps/s" in out
    assert "steps a second of a run of 256" in out
    assert "; encode: a sequence a call" in out
    assert "one step a call" in out


def test_what_cannot_be_run_is_told(
    run: Run, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")  # where there is no Core ML
    code, out, _ = run("bench", bundle_folder, "--to", "onnx,coreml", "--steps", "10")
    assert code == 0
    told = [line for line in out.splitlines() if line.startswith("not run")]
    assert told[0].startswith(
        "not run: coreml/step.mlpackage (float16): Core ML predicts on macOS and iOS only"
    )
    assert len(told) >= 2


def test_json_to_stdout_and_nothing_else(run: Run, bundle_folder: Path) -> None:
    code, out, _ = run(
        "bench", bundle_folder, "--to", "onnx", "--steps", "10", "--json", "-", "--threads", "1"
    )
    assert code == 0
    report = json.loads(out)
    assert (report["schema_version"], report["threads"], report["steps"]) == (1, 1, 10)
    assert BenchReport.model_validate(report).artifacts[0].path == "onnx/step.onnx"


def test_json_and_a_picture_to_files_beside_the_tables(run: Run, bundle_folder: Path) -> None:
    code, out, _ = run(
        "bench",
        bundle_folder,
        "--to",
        "onnx",
        "--steps",
        "10",
        "--json",
        "a/b.json",
        "--plot",
        "a/p.png",
    )
    assert code == 0
    assert "onnx/step.onnx" in out
    assert json.loads(Path("a/b.json").read_bytes())["bundle"] == str(bundle_folder)
    with Image.open("a/p.png") as drawn:
        assert drawn.format == "PNG"
    assert sorted(path.name for path in Path("a").iterdir()) == ["b.json", "p.png"]


def test_no_step_to_draw(tmp_path: Path, bundle_folder: Path) -> None:
    report = bench.bench_bundle(bundle_folder, to="onnx", steps=10).model_copy(
        update={"artifacts": ()}
    )
    with pytest.raises(UsageError, match="nothing to draw"):
        draw(report, tmp_path / "p.png")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--json", "folder"), "could not write folder: it is a folder"),
        (("--plot", "file/p.png"), "could not write file/p.png"),
        (("--json", "file/r.json"), "could not write file/r.json"),
        (("--json", "x.png", "--plot", "./x.png"), "--json and --plot both name x.png"),
        (("--threads", "0"), "threads is 0, expected 1 or more"),
        (("--steps", "9"), "steps is 9, expected 10 or more"),
        (("--to", "abacus"), "unknown format 'abacus'"),
    ],
)
def test_bad_input_is_told_before_anything_is_measured(
    options: tuple[str, ...], told: str, run: Run, bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    code, out, err = run("bench", bundle_folder, *options)
    assert code == 2
    assert told in err
    assert "opening" not in err
    assert out == ""
    assert (tmp_path / "file").read_text() == "kept"


def test_no_bundle(run: Run) -> None:
    code, _, err = run("bench", "nothing")
    assert code == 2
    assert "no bundle at nothing" in err


def test_a_trial_leaves_what_stood_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("kept")
    assert run("bench", "nothing", "--json", "r.json")[0] == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
