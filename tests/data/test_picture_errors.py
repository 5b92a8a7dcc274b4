"""What is no picture, or is damaged, becomes one line; what is too large is never decoded."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from edgernn.data.pictures import pictures
from edgernn.data.pictures.pictures import MAX_PIXELS, open_picture, pictures_in
from edgernn.errors import DataError, UnavailableError
from edgernn.formats.installed import install_command


def message_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_picture(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_what_is_no_picture(tmp_path: Path) -> None:
    assert "No such file or directory; give a picture such as a JPEG or PNG" in message_of(
        tmp_path / "absent.png"
    )
    (tmp_path / "folder.png").mkdir()
    assert "it is a folder; give a picture" in message_of(tmp_path / "folder.png")
    for content in (
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        os.urandom(4096),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ):
        (tmp_path / "text.jpg").write_bytes(content)
        assert "is no picture of a format that Pillow reads; give a picture" in message_of(
            tmp_path / "text.jpg"
        )
    with pytest.raises(DataError, match="null byte"):
        open_picture(tmp_path / "a\0.png")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "it is no regular file" in message_of(tmp_path / "pipe.png")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.png").touch()
    monkeypatch.setattr(Path, "open", forbidden)
    assert "Permission denied; give a picture" in message_of(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tiff", "tga"])
def test_a_picture_cut_short(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "damaged or cannot be decoded" in message_of(path) or "is no picture" in message_of(path)


def test_a_jpeg_cut_short_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (400, 400), "red").save(path)
    path.write_bytes(path.read_bytes()[:900])
    assert "is damaged or cannot be decoded: image file is truncated" in message_of(path)
    assert message_of(path).endswith("save it again or leave it out")


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(64))
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("pillow_limit", [None, 1000, Image.MAX_IMAGE_PIXELS, 10**12])
@pytest.mark.parametrize(
    "size", [(MAX_PIXELS // 8000, 8001), (9500, 9500), (30_000, 30_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_forged_header_is_refused_before_decoding(
    size: tuple[int, int], pillow_limit: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(self: object) -> None:
        raise RuntimeError("the picture was decoded")

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    message = message_of(tmp_path / "bomb.png")
    assert "is too large to decode safely: " in message
    assert message.endswith("expected up to 80,000,000 pixels")
    assert pillow_limit == Image.MAX_IMAGE_PIXELS


def test_a_picture_at_the_limit_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (32, 16)).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 512)
    assert open_picture(tmp_path / "a.png").size == (32, 16)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 511)
    assert "32 x 16 pixels; expected up to 511" in message_of(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    assert "is no picture" in message_of(tmp_path / "a.png")


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        UnavailableError,
        match="needs Pillow, which is not installed; run: " + re.escape(install_command("images")),
    ):
        open_picture(tmp_path / "a.png")
    with pytest.raises(UnavailableError, match="needs Pillow"):
        pictures_in(tmp_path)


def test_importing_the_module_loads_no_pillow() -> None:
    code = (
        "import sys; from edgernn.data.pictures import captions, picture_decoding, pictures; "
        "print('PIL' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(pictures.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "False\n"


def test_damaged_files_give_one_line_and_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8))
    refused = 0
    for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TGA", "ICO", "PPM", "DDS", "JPEG2000"):
        buffer = io.BytesIO()
        noise.save(buffer, name)
        for _ in range(40):
            content = np.frombuffer(buffer.getvalue(), np.uint8).copy()
            content[random.integers(0, min(80, len(content)), 4)] = random.integers(0, 256, 4)
            (tmp_path / "a.bin").write_bytes(content.tobytes())
            try:
                assert open_picture(tmp_path / "a.bin").mode == "RGB"
            except DataError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > 100
