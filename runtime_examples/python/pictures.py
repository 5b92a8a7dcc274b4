"""A picture file as an image encoder reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from errors import BundleError, first_line

MAX_PIXELS = 80_000_000  # a small file that claims more is more likely an attack than a photograph


def read_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a picture upright, stretched to (height, width); uint8 ``[1, height, width, 3]``. Only a
    PPM of that size needs no Pillow."""
    try:
        head, _, rest = path.read_bytes().partition(b"\n255\n")
        fields = head.split()
        if (
            fields[:1] == [b"P6"]
            and fields[1:] == [b"%d" % size[1], b"%d" % size[0]]
            and len(rest) == size[0] * size[1] * 3
        ):
            return np.frombuffer(rest, np.uint8).reshape(1, *size, 3)
    except OSError as error:
        raise BundleError(
            f"cannot read the picture {path}: {error.strerror}; expected a JPEG, PNG or PPM; "
            "give one"
        ) from error
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        only = (
            f"expected a binary PPM (P6) of {size[1]} x {size[0]} without Pillow; run: pip install "
            "pillow"
        )
        raise BundleError(f"{path} is another kind of picture, {only}") from error
    Image.MAX_IMAGE_PIXELS = None  # the limit below says it in one line
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                pixels = opened.width * opened.height
                raise BundleError(
                    f"{path} has {pixels:,} pixels, expected {MAX_PIXELS:,} at most; shrink it"
                )
            if opened.mode[0] in "IF":
                raise BundleError(
                    f"{path} has pixels of mode {opened.mode}, expected 8 bits a channel; save "
                    "it so"
                )
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")  # transparency lies on white
        square = (
            Image.alpha_composite(white, picture)
            .convert("RGB")
            .resize(size[::-1], Image.Resampling.BILINEAR)
        )
    except (
        OSError,
        SyntaxError,
        RuntimeError,
        AttributeError,
        LookupError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise BundleError(
            f"{path} is no picture ({first_line(error)}); expected a JPEG, PNG or PPM; save it "
            "again"
        ) from error
    return np.asarray(square)[None]
