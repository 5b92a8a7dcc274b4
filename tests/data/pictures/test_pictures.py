"""Every kind of picture file becomes the same pixels, upright and on white."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from edgernn.data.pictures.pictures import load_picture, open_picture, pictures_in, to_array
from edgernn.errors import DataError, UsageError

_PILLOW = int(PIL.__version__.split(".")[0])

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def quarters(width: int = 32, height: int = 16) -> Image.Image:
    """Draw red, green / blue, white, each a quarter."""
    picture = Image.new("RGB", (width, height), WHITE)
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours in the middle of the four quarters, each channel rounded to 0 or 255 when
    it is near.
    """
    width, height = picture.size
    points = [(x * width // 4, y * height // 4) for y in (1, 3) for x in (1, 3)]
    return [
        tuple(255 if value > 230 else 0 if value < 25 else value for value in pixel(picture, point))
        for point in points
    ]


def pixel(picture: Image.Image, point: tuple[int, int]) -> tuple[int, ...]:
    value = picture.getpixel(point)
    assert isinstance(value, tuple)
    return value


def greys(path: Path) -> list[int]:
    picture = open_picture(path)
    array = np.asarray(picture)
    assert picture.mode == "RGB"
    assert (array == array[..., :1]).all()
    return [int(value) for value in array[0, :, 0]]


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.bmp", "RGB", {}),
        ("a.gif", "P", {}),
        ("a.tiff", "RGB", {"compression": "tiff_lzw"}),
        ("a.tiff", "CMYK", {}),
        pytest.param(
            "a.tiff",
            "YCbCr",
            {},
            marks=pytest.mark.skipif(
                _PILLOW < 13, reason="older Pillow writes a file that it cannot read"
            ),
        ),
        ("a.tiff", "LAB", {}),
        ("a.jpg", "RGB", {"quality": 95}),
        ("a.jpg", "RGB", {"quality": 95, "progressive": True}),
        ("a.jpg", "CMYK", {"quality": 95}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.ppm", "RGB", {}),
        ("a.tga", "RGB", {}),
    ],
)
def test_every_colour_mode_gives_its_colours(
    name: str, mode: str, options: dict[str, object], tmp_path: Path
) -> None:
    picture = quarters()
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
        assert converted is not None
    else:
        converted = picture.convert(mode)
    converted.save(tmp_path / name, **options)
    opened = open_picture(tmp_path / name)
    assert (opened.mode, opened.size, opened.info) == ("RGB", (32, 16), {})
    assert corners(opened) == [RED, GREEN, BLUE, WHITE]


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    for name in ("really_a_png.jpg", "really_a_png.txt", "no suffix"):
        quarters().save(tmp_path / name, "PNG")
        assert corners(open_picture(tmp_path / name)) == [RED, GREEN, BLUE, WHITE]


def test_one_bit(tmp_path: Path) -> None:
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.png")
    assert greys(tmp_path / "a.png") == [0, 255]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_greys_of_16_bits_keep_their_range(suffix: str, tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert greys(tmp_path / f"a.{suffix}") == [0, 0, 1, 1, 128, 255, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 128, 255], [0, 128, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([0, 70000, 140000], [0, 128, 255]),
    ],
)
def test_greys_of_32_bits_have_the_least_white_that_holds_them(
    values: list[int], expected: list[int], tmp_path: Path
) -> None:
    Image.fromarray(np.array([values], np.int32)).save(tmp_path / "a.tif")
    assert greys(tmp_path / "a.tif") == expected


def test_big_endian_greys_of_16_bits(tmp_path: Path) -> None:
    data = np.array([[0, 257, 65535]], ">u2").tobytes()
    Image.frombytes("I;16B", (3, 1), data).save(tmp_path / "a.tiff")
    assert greys(tmp_path / "a.tiff") == [0, 1, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0, -3.0], [0, 128, 255, 0]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([0.0, 600_000.0, 1_000_000.0], [0, 153, 255]),
        ([0.0, 0.0], [0, 0]),
        ([float("nan"), float("inf"), float("-inf"), 0.2], [0, 255, 0, 51]),
        ([float("nan"), float("nan")], [0, 0]),
    ],
)
def test_float_greys(values: list[float], expected: list[int], tmp_path: Path) -> None:
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tiff")
    assert greys(tmp_path / "a.tiff") == expected


def test_greys_of_32_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-5, 0, 32768, 65535]], np.int32)).save(tmp_path / "a.tiff")
    assert greys(tmp_path / "a.tiff") == [0, 0, 128, 255]
    Image.fromarray(np.array([[0, 1 << 29, 1 << 30]], np.int32)).save(tmp_path / "a.tiff")
    assert greys(tmp_path / "a.tiff") == [0, 128, 255]


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    half = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    half.putpixel((1, 0), (255, 0, 0, 255))
    half.putpixel((2, 0), (0, 0, 0, 128))
    half.save(path)
    assert np.asarray(open_picture(path)).tolist() == [
        [[255, 255, 255], [255, 0, 0], [127, 127, 127]]
    ]

    grey = Image.new("LA", (2, 1), (0, 0))
    grey.putpixel((1, 0), (10, 255))
    grey.save(path)
    assert greys(path) == [255, 10]

    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    for name in ("a.png", "a.gif"):
        palette.save(tmp_path / name, transparency=0)
        assert np.asarray(open_picture(tmp_path / name)).tolist() == [
            [[255, 255, 255], [255, 0, 0]]
        ]

    palette.save(path, transparency=bytes([0, 128]))
    assert np.asarray(open_picture(path)).tolist() == [[[255, 255, 255], [255, 127, 127]]]


@pytest.mark.parametrize(
    ("mode", "clear", "seen"),
    [("L", 7, 8), ("1", 0, 255), ("RGB", (7, 7, 7), (8, 8, 8)), ("I;16", 7, 2056)],
)
def test_one_colour_may_be_transparent(mode: str, clear: int, seen: int, tmp_path: Path) -> None:
    picture = Image.new(mode, (2, 1), clear)
    picture.putpixel((1, 0), seen)
    picture.save(tmp_path / "a.png", transparency=clear)
    assert greys(tmp_path / "a.png") == [255, 255 if mode == "1" else 8]


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    for name in ("a.gif", "a.png", "a.webp", "a.tiff"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with Image.open(tmp_path / name) as opened:
            assert getattr(opened, "n_frames", 1) == 3
        assert corners(open_picture(tmp_path / name)) == [RED] * 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_rotation_of_the_camera_is_applied(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    ways = Image.Transpose
    stored = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_90,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_270,
    }
    picture = quarters().transpose(stored[orientation]) if orientation in stored else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"a.{suffix}", exif=exif)
    opened = open_picture(tmp_path / f"a.{suffix}")
    assert opened.size == (32, 16)
    assert corners(opened) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0rubbish", b"Exif\0\0MM\0*\0\0\xff\xff\0\x01"],
)
def test_exif_that_cannot_be_read_means_no_rotation(exif: bytes, tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.jpg", exif=exif, quality=95)
    with warnings.catch_warnings(record=True) as seen:  # Pillow warns of the first and the last
        warnings.simplefilter("always")
        assert corners(open_picture(tmp_path / "a.jpg")) == [RED, GREEN, BLUE, WHITE]
    assert seen == []


def test_a_square_shows_the_whole_picture() -> None:
    array = to_array(quarters(300, 40), 16)
    assert (array.shape, array.dtype) == ((16, 16, 3), np.uint8)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert [tuple(array[y, x].tolist()) for y in (0, 15) for x in (0, 15)] == [
        RED,
        GREEN,
        BLUE,
        WHITE,
    ]


def test_shrinking_averages() -> None:
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::2] = 254
    assert np.abs(to_array(Image.fromarray(lines), 8).astype(int) - 127).max() < 20  # not 0 or 254


def test_from_file_to_square(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    assert np.array_equal(load_picture(tmp_path / "a.png", 8), to_array(quarters(), 8))


def test_squares_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="picture of 0 pixels a side"):
        to_array(quarters(), 0)
    with pytest.raises(UsageError, match="of mode L, expected RGB; read it with open_picture"):
        to_array(quarters().convert("L"), 8)


def test_the_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in (
        "b.JPG",
        "a.png",
        "sub/c.webp",
        "sub/deep/d.tif",
        ".hidden.png",
        ".git/e.png",
        "notes.txt",
        "film.mpg",
        "f.eps",
        "x",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in pictures_in(tmp_path)]
    assert found == ["a.png", "b.JPG", "sub/c.webp", "sub/deep/d.tif"]
    assert pictures_in(tmp_path / "folder.png") == []
    with pytest.raises(DataError, match=r"there is no folder .*absent; give a folder of pictures"):
        pictures_in(tmp_path / "absent")


def test_a_hidden_folder_above_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.png").touch()
    assert pictures_in(tmp_path / ".cache") == [tmp_path / ".cache" / "a.png"]
