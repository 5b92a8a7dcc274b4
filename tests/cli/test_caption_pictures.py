"""``edgernn caption`` on every kind of file: pictures as they are meant to be seen, and what is no
picture.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def records(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def same_pictures() -> dict[str, tuple[Callable[[Image.Image, Path], object], str]]:
    """Ways to save a picture so that it is meant to look as the plain PNG does, and the file's
    name.
    """

    def rotated(picture: Image.Image, path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)

    def transparent(picture: Image.Image, path: Path) -> None:
        layer = picture.convert("RGBA")
        pixels = np.array(layer)
        white = (pixels[..., :3] == 255).all(2)
        pixels[white] = (9, 9, 9, 0)  # clear black where white is meant
        Image.fromarray(pixels).save(path)

    def animated(picture: Image.Image, path: Path) -> None:
        picture.save(path, save_all=True, append_images=[picture.rotate(180)], duration=100)

    def grey_16(picture: Image.Image, path: Path) -> None:
        Image.fromarray(np.array(picture)[..., 0].astype(np.uint16) * 257).save(path)

    return {
        "rotated by EXIF": (rotated, "a.png"),
        "transparent": (transparent, "a.png"),
        "animated": (animated, "a.webp"),
        "CMYK": (lambda picture, path: picture.convert("CMYK").save(path), "a.tiff"),
        "16 bits": (grey_16, "a.png"),
        "another suffix": (lambda picture, path: picture.save(path, format="PNG"), "a.txt"),
        "no suffix": (lambda picture, path: picture.save(path, format="JPEG", quality=100), "a"),
    }


@pytest.mark.parametrize("kind", same_pictures())
def test_a_picture_is_seen_as_it_is_meant(
    kind: str, captioner_bundle_folder: Path, tmp_path: Path, run: Run
) -> None:
    save, name = same_pictures()[kind]
    greys = np.zeros((60, 90, 3), np.uint8)
    greys[10:30, 5:60], greys[40:, 50:] = 255, 200
    plain = Image.fromarray(greys)
    plain.save(tmp_path / "plain.png")
    save(plain, tmp_path / name)
    code, out, err = run(
        "caption", captioner_bundle_folder, "plain.png", name, "--json", "--beam", 1
    )
    assert (code, err) == (0, "")
    ours, theirs = records(out)
    assert ours["caption"] == theirs["caption"]
    assert theirs["score"] == pytest.approx(
        ours["score"], abs=0.05
    )  # codecs that lose something come near only


BAD = {
    "absent.png": "cannot read the picture 'absent.png': No such file or directory",
    "cut.jpg": "the picture cut.jpg is damaged",
    "text.png": "text.png is no picture of a format that Pillow reads",
    "bomb.gif": "the picture bomb.gif is too large to decode safely: ",
    "n" * 300: "File name too long",
}


@pytest.fixture
def bad(album: Path, tmp_path: Path) -> None:
    Image.open(album / "0.png").convert("RGB").save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-300])
    (tmp_path / "text.png").write_text("I am no picture\n")
    (tmp_path / "bomb.gif").write_bytes(
        b"GIF89a" + b"\xff" * 4 + b"\0\0\0,\0\0\0\0" + b"\xff" * 4 + b"\0\2\0;"
    )


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_line(
    name: str, captioner_bundle_folder: Path, run: Run
) -> None:
    code, out, err = run("caption", captioner_bundle_folder, name)
    assert (code, out) == (2, "")
    assert err.startswith("edgernn: error: ")
    assert BAD[name] in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("bad")
def test_the_others_are_captioned(captioner_bundle_folder: Path, album: Path, run: Run) -> None:
    names = [album / "0.png", *BAD, album / "1.png"]
    code, out, err = run("caption", captioner_bundle_folder, *names)
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        str(album / "0.png"),
        str(album / "1.png"),
    ]
    *told, last = err.splitlines()
    assert [said in line for said, line in zip(BAD.values(), told, strict=True)] == [True] * len(
        BAD
    )
    assert last == "5 of 7 pictures could not be read"

    code, out, _ = run("caption", captioner_bundle_folder, *names, "--json")
    assert code == 2
    assert [record["image"] for record in records(out)] == list(map(str, names))
    for record, said in zip(records(out)[1:-1], BAD.values(), strict=True):
        assert set(record) == {"image", "error"}
        assert said in record["error"]


def test_a_name_that_is_no_unicode_does_not_stop_the_others(
    captioner_bundle_folder: Path, album: Path, run: Run
) -> None:
    odd = album / "0\udcff.png"
    try:
        shutil.copy(album / "0.png", odd)
    except OSError:
        pytest.skip("this file system takes valid Unicode only")
    code, out, _ = run("caption", captioner_bundle_folder, album, "--json")
    assert code == 0
    assert [Path(record["image"]).name for record in records(out)] == [
        "0.png",
        "0\udcff.png",  # as JSON escapes it
        *(f"{index}.png" for index in range(1, 6)),
    ]
