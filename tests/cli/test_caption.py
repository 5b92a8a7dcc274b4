"""``edgernn caption``: what it prints, of which files, and how it tells of those that it cannot
read.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from edgernn.cli import caption as command
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.formats.installed import install_command
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint

Run = Callable[..., tuple[int, str, str]]
NAMES = [f"{index}.png" for index in range(6)]


def records(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_one_picture_is_its_caption_alone(
    captioner_bundle_folder: Path, album: Path, run: Run
) -> None:
    code, out, err = run("caption", captioner_bundle_folder, album / "0.png")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert "\t" not in out
    assert 1 <= len(out.split()) <= 7


def test_several_and_folders_have_their_paths_before_them(
    captioner_bundle_folder: Path, album: Path, run: Run
) -> None:
    code, out, err = run("caption", captioner_bundle_folder, album, album / "0.png")
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [path for path, _ in lines] == [str(album / name) for name in (*NAMES, "0.png")]
    assert lines[0][1] == lines[-1][1]
    assert len({caption for _, caption in lines}) > 1
    assert f"{lines[1][1]}\n" == run("caption", captioner_bundle_folder, album / "1.png")[1]


def test_json_is_a_line_per_picture(captioner_bundle_folder: Path, album: Path, run: Run) -> None:
    found = records(run("caption", captioner_bundle_folder, album, "--json")[1])
    plain = run("caption", captioner_bundle_folder, album)[1]
    assert "".join(f"{record['image']}\t{record['caption']}\n" for record in found) == plain
    for record in found:
        assert set(record) == {
            "image",
            "caption",
            "score",
            "log_probability",
            "finished",
            "artifact",
        }
        assert record["artifact"] == "onnx/step.onnx"
        assert record["log_probability"] <= record["score"] < 0


def test_every_runtime_says_the_same(captioner_bundle_folder: Path, album: Path, run: Run) -> None:
    captions = []
    for name in ("onnx", "torchscript", "torchscript/step.pt"):
        found = records(
            run("caption", captioner_bundle_folder, album, "--json", "--artifact", name)[1]
        )
        captions.append([record["caption"] for record in found])
        assert all(record["artifact"].startswith(name) for record in found)
    assert captions[0] == captions[1] == captions[2]


def test_a_beam_of_1_is_greedy_and_a_wider_one_is_not(
    captioner_bundle_folder: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "mosaics").mkdir()
    for seed in range(4):  # of which the model is less sure
        tiles = np.random.default_rng(seed).integers(0, 256, (3, 4, 3)).astype(np.uint8)
        Image.fromarray(tiles).resize((80, 60)).save(tmp_path / "mosaics" / f"{seed}.png")

    def found(*options: object) -> list[dict]:
        return records(run("caption", captioner_bundle_folder, "mosaics", "--json", *options)[1])

    one, three = found("--beam", 1), found("--beam", 3)
    assert [record["caption"] for record in one] == [
        record["caption"] for record in found("--temperature", 0)
    ]
    assert three == found()
    assert three != one


def test_sampling_is_reproducible(captioner_bundle_folder: Path, album: Path, run: Run) -> None:
    said = [
        run(
            "caption",
            captioner_bundle_folder,
            album,
            "--temperature",
            1.5,
            "--seed",
            seed,
            "--json",
        )
        for seed in (3, 3, 4)
    ]
    assert said[0] == said[1]
    assert said[0] != said[2]
    assert said[0][0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["BUNDLE", "empty"], "empty holds no picture; give another folder, or files"),
        (
            ["BUNDLE", "album", "--temperature", -1],
            "temperature is -1.0, expected 0 (greedy) or more",
        ),
        (
            ["BUNDLE", "album", "--temperature", 1, "--beam", 2],
            "--beam searches and --temperature samples; give one of them",
        ),
        (["BUNDLE", "album", "--artifact", "tflite"], "no artifact 'tflite'"),
        (
            ["BUNDLE", "album", "--artifact", "onnx/encode.onnx"],
            "onnx/encode.onnx is the encode file; choose a step file",
        ),
        (
            ["BUNDLE", "album", "--attention-map", "a.png"],
            "--attention-map draws one picture, 6 were given",
        ),
        (
            ["BUNDLE", "album/0.png", "--attention-map", "album/../album/0.png"],
            "is the picture itself; give the name",
        ),
        (["LANGUAGE", "album"], "is a language model, it sees no pictures; use: edgernn generate"),
        (["absent", "album"], "no bundle at absent"),
        (["album", "album"], "album has no manifest.json: it is not a bundle"),
        (["DAMAGED", "album"], "onnx/encode.onnx has 3 bytes, the manifest says"),
    ],
)
def test_misuse_is_one_line_before_any_caption(
    arguments: list,
    message: str,
    captioner_bundle_folder: Path,
    bundle_folder: Path,
    album: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "BUNDLE": captioner_bundle_folder,
        "LANGUAGE": bundle_folder,
        "DAMAGED": tmp_path / "damaged",
    }
    if "DAMAGED" in arguments:
        shutil.copytree(captioner_bundle_folder, tmp_path / "damaged")
        (tmp_path / "damaged" / "onnx" / "encode.onnx").write_bytes(b"cut")
    before = (album / "0.png").read_bytes()
    code, out, err = run("caption", *(places.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith("edgernn: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert (album / "0.png").read_bytes() == before


def test_a_beam_of_0_and_a_generate_on_a_captioner(
    captioner_bundle_folder: Path, album: Path, run: Run
) -> None:
    code, out, err = run("caption", captioner_bundle_folder, album, "--beam", 0)
    assert (code, out) == (2, "")
    assert "--beam" in err
    code, out, err = run("generate", captioner_bundle_folder)
    assert (code, out) == (2, "")
    assert (
        f"it writes about pictures; use: edgernn caption {captioner_bundle_folder} PICTURE" in err
    )


def test_the_attention_map_is_drawn_beside_the_caption(
    captioner_bundle_folder: Path, album: Path, run: Run
) -> None:
    code, out, err = run(
        "caption", captioner_bundle_folder, album / "0.png", "--attention-map", "made/map.png"
    )
    assert (code, err) == (0, "")
    assert out == run("caption", captioner_bundle_folder, album / "0.png")[1]
    drawn = np.asarray(Image.open("made/map.png").convert("RGB"))
    panels = min(len(out.split()) + 1, 6)
    assert drawn.shape[1] == pytest.approx(210 * panels, abs=3)
    assert (drawn < 250).all(2).mean() > 0.3  # pictures, not an empty sheet


def test_no_map_without_attention(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    album: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    model = make_captioner(conditioning="initial-state")
    export_bundle(Checkpoint(model, caption_tokenizer), tmp_path / "b", to=["onnx"], steps=2)
    code, out, err = run("caption", "b", album / "0.png", "--attention-map", "map.png")
    assert (code, out) == (2, "")
    assert "b has no attention, so there is no map of it; leave --attention-map out" in err
    assert run("caption", "b", album / "0.png")[0] == 0


@pytest.mark.parametrize(
    ("package", "does"),
    [("matplotlib", "drawing needs matplotlib"), ("PIL", "pictures needs Pillow")],
)
def test_a_missing_package_is_named_before_any_caption(
    package: str,
    does: str,
    captioner_bundle_folder: Path,
    album: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(
        "caption", captioner_bundle_folder, album / "0.png", "--attention-map", "map.png"
    )
    assert (code, out) == (2, "")
    assert does in err
    assert install_command("images") in err


def test_torch_is_not_needed(captioner_bundle_folder: Path, album: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'coremltools'):\n"
        "    sys.modules[name] = None\n"
        "from edgernn.cli.app import main\n"
        "main()\n"
    )
    arguments = [
        sys.executable,
        "-c",
        code,
        "caption",
        captioner_bundle_folder,
        album / "0.png",
        "--attention-map",
        "m.png",
    ]
    done = subprocess.run(
        list(map(str, arguments)),
        capture_output=True,
        text=True,
        cwd=album,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip()
    assert (album / "m.png").exists()


def test_the_bar_is_for_terminals_and_for_several(
    captioner_bundle_folder: Path, album: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in (True, False):
        screen = io.StringIO()
        monkeypatch.setattr(
            command,
            "progress_console",
            lambda screen=screen, terminal=terminal: Console(
                file=screen, force_terminal=terminal, width=100
            ),
        )
        out = run("caption", captioner_bundle_folder, album)[1]
        assert out.count("\n") == len(
            NAMES
        )  # results never go to the screen of the bar when they are redirected
        assert ("captioning" in screen.getvalue()) == terminal
        assert run("caption", captioner_bundle_folder, album / "0.png")[1]
        assert screen.getvalue().count("100%") <= terminal


def test_bar_and_captions_share_a_terminal(captioner_bundle_folder: Path, album: Path) -> None:
    pty = pytest.importorskip("pty", reason="pseudo-terminals are of Unix")
    import os

    (album / "text.png").write_text("no picture")
    ours, theirs = pty.openpty()
    command_line = [sys.executable, "-m", "edgernn", "caption", str(captioner_bundle_folder), "."]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command_line, cwd=album, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n").split("\n")
    assert any("captioning" in line for line in lines)
    for name in (*(f"{name} " for name in NAMES), "edgernn: error: text.png is no picture"):
        assert (
            sum(line.startswith(name) for line in lines) == 1
        )  # on a line of its own, not behind the bar


def _read(descriptor: int) -> bytes:
    import os

    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side is closed
        return b""
