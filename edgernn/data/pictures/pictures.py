"""One picture file to 8-bit RGB, whatever the file holds, and to the square that an image encoder
reads.

Pillow decodes here alone, and only once a picture is opened. What it cannot read, and what it would
read wrongly (16-bit and float greys that it clips, rotations, transparency), is settled here, so
that training and the command line see the same pixels.
"""

from __future__ import annotations

import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from edgernn import storage
from edgernn.errors import DataError, UnavailableError, UsageError
from edgernn.formats.installed import install_command

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# 240 MB once decoded; above it a small file is more likely an attack than a photograph. It stands
# below the 89 million at which Pillow begins to warn, so that one limit holds however Pillow's own
# is set.
MAX_PIXELS = 80_000_000
_EXPECTED = "give a picture such as a JPEG or PNG"
# Formats that Pillow names but does not decode itself: some are no pictures, and EPS starts another
# program.
_NOT_DECODED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_ORIENTATION = 0x0112  # the tag of EXIF
# What Pillow raises on damaged files: its decoders are many and share no error class.
_PILLOW_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Pixels = npt.NDArray[np.uint8]


def load_picture(path: Path, size: int) -> Pixels:
    """Read a picture file as a square: ``open_picture``, then ``to_array``, with their arguments
    and errors.
    """
    return to_array(open_picture(path), size)


def open_picture(path: Path) -> Picture:
    """Read a picture file as it is meant to be seen.

    The content decides, not the name. An animation gives its first frame; the rotation that a
    camera noted is applied; transparency lies on white. Greys of 16 bits count as parts of 65535.
    Those of 32 bits, whose files do not say what white is, count as parts of 255 or 65535, float
    greys as parts of 1, 255 or 65535, whichever is the least that holds them all; higher ones as
    parts of the highest. What is below 0 is black.

    Args:
        path: the file.

    Returns:
        an upright picture of mode RGB, 8 bits a channel, that holds no file open.

    Raises:
        DataError: there is no file, or it is no picture, damaged, cut short, or larger than
            ``MAX_PIXELS``.
        UnavailableError: Pillow is not installed.
    """
    image_module = _pillow()
    with _open_file(path) as file, _pillow_errors(path, image_module):
        opened = image_module.open(file, formats=_formats())
        _check_pixels(path, opened.size)
        opened.load()
        picture = _to_rgb(_upright(opened, image_module), image_module, whites=_whites(opened))
    picture.info.clear()  # else a rotation that is applied would be noted still
    return picture


def to_array(
    picture: Picture, size: int, *, width: int | None = None, grey: bool = False
) -> Pixels:
    """Return the whole picture as a square, or of a given width; its sides are stretched, nothing
    is cut off.

    Args:
        picture: of mode RGB, as ``open_picture`` gives it.
        size: S, the height in pixels, and where ``width`` is not given the width.
        width: W in pixels.
        grey: whether to return its luma (ITU-R BT.601) alone.

    Returns:
        pixels, uint8 ``[S, W, 3]``, or ``[S, W, 1]`` where grey, C-contiguous, bilinear with
        antialiasing.

    Raises:
        UsageError: the size is below 1, or the picture is of another mode.
    """
    if size < 1:
        raise UsageError(f"a picture of {size} pixels a side makes no sense; give 1 or more")
    if picture.mode != "RGB":
        raise UsageError(
            f"the picture is of mode {picture.mode}, expected RGB; read it with open_picture"
        )
    shade = picture.convert("L") if grey else picture
    made = shade.resize((width or size, size), _pillow().Resampling.BILINEAR)
    pixels: Pixels = np.array(made, dtype=np.uint8, order="C")  # [S, W(, 3)]
    return pixels[..., None] if grey else pixels


def save_grey(picture: np.ndarray, path: Path) -> None:
    """Write ``picture``, uint8 ``[H, W]``, as a PNG.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: Pillow is not installed.
    """
    image = _pillow().fromarray(picture)
    with storage.replacing(path) as temporary:
        image.save(temporary, format="PNG")


def check_pillow(what: str) -> None:
    """For those who work before they write; raise UnavailableError where Pillow is lacking."""
    _pillow(what)


def pictures_in(folder: Path) -> list[Path]:
    """Return the files below a folder whose suffix names a picture format, sorted by path; hidden
    ones are left out.

    Raises:
        DataError: there is no such folder.
        UnavailableError: Pillow is not installed.
    """
    image_module = _pillow()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; give a folder of pictures")
    formats = set(_formats())
    suffixes = {
        suffix for suffix, name in image_module.registered_extensions().items() if name in formats
    }
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if (
            path.suffix.lower() in suffixes
            and not any(part.startswith(".") for part in name.parts)
            and path.is_file()
        ):
            found.append((name.as_posix(), path))
    return [path for _, path in sorted(found)]


def _pillow(what: str = "reading pictures") -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnavailableError(
            f"{what} needs Pillow, which is not installed; run: {install_command('images')}"
        ) from error
    return Image


def _formats() -> list[str]:
    image_module = _pillow()
    image_module.init()
    return [name for name in image_module.OPEN if name not in _NOT_DECODED]


def _open_file(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):  # a pipe would wait for ever
            return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read the picture {str(path)!r}: {reason}; {_EXPECTED}") from error
    kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise DataError(f"cannot read the picture {str(path)!r}: it is {kind}; {_EXPECTED}")


@contextmanager
def _pillow_errors(path: Path, image_module: ModuleType) -> Iterator[None]:
    """Turn what Pillow raises into a DataError of one line, and keep it from warning."""
    bombs = (image_module.DecompressionBombError, image_module.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", image_module.DecompressionBombWarning)
            yield
    except bombs as error:
        raise _too_large(path, " ".join(str(error).split()).rstrip(".")) from error
    except image_module.UnidentifiedImageError as error:
        raise DataError(
            f"{path} is no picture of a format that Pillow reads; {_EXPECTED}"
        ) from error
    except _PILLOW_ERRORS as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"the picture {path} is damaged or cannot be decoded: {detail}; save it again or "
            "leave it out"
        ) from error


def _too_large(path: Path, detail: str) -> DataError:
    return DataError(
        f"the picture {path} is too large to decode safely: {detail}; expected up to "
        f"{MAX_PIXELS:,} pixels"
    )


def _check_pixels(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width} x {height} pixels")


def _upright(picture: Picture, image_module: ModuleType) -> Picture:
    """Apply the rotation or reflection that EXIF notes; a note that cannot be read means none."""
    transpose = image_module.Transpose
    how = {
        2: transpose.FLIP_LEFT_RIGHT,
        3: transpose.ROTATE_180,
        4: transpose.FLIP_TOP_BOTTOM,
        5: transpose.TRANSPOSE,
        6: transpose.ROTATE_270,
        7: transpose.TRANSVERSE,
        8: transpose.ROTATE_90,
    }.get(_orientation(picture))
    return picture if how is None else picture.transpose(how)


def _orientation(picture: Picture) -> int:
    try:
        noted = picture.getexif().get(_ORIENTATION)
    except _PILLOW_ERRORS:
        return 1
    return noted if isinstance(noted, int) else 1  # as it stands


def _to_rgb(picture: Picture, image_module: ModuleType, *, whites: tuple[int, ...]) -> Picture:
    if picture.mode.startswith(("I", "F")):
        converted: Picture = image_module.fromarray(_grey_bytes(picture, whites)).convert("RGB")
    elif picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = image_module.new("RGBA", layer.size, "white")
        converted = image_module.alpha_composite(white, layer).convert("RGB")
    else:
        converted = picture.convert("RGB")  # a copy, which no file stands behind
    return converted


def _grey_bytes(picture: Picture, whites: tuple[int, ...]) -> Pixels:
    """Scale greys of more than 8 bits, ``[H, W]``, to uint8 ``[H, W]``; the value that a PNG calls
    transparent is white.
    """
    greys = np.asarray(picture).astype(np.float32)  # [H, W]
    clear = greys == picture.info.get("transparency", np.nan)  # [H, W]
    greys = np.nan_to_num(greys, nan=0, posinf=np.inf, neginf=0)
    highest = greys[np.isfinite(greys)].max(initial=0)
    white = next((white for white in whites if highest <= white), highest)
    scaled = np.rint(greys.clip(0, white) * (255 / white))  # [H, W]
    return np.where(clear, 255, scaled).astype(np.uint8)


def _whites(picture: Picture) -> tuple[int, ...]:
    """Return the greys that may be white, the least that holds all of a picture's being it; see
    ``open_picture``.
    """
    if picture.mode.startswith("F"):
        return (1, 255, 65535)
    of_32_bits = (
        picture.mode == "I" and picture.format != "PNG"
    )  # some versions of Pillow open a PNG of 16 bits so
    return (255, 65535) if of_32_bits else (65535,)
