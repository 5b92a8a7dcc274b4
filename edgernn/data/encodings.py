"""What a file that is not UTF-8 is, as far as its bytes tell, and the command that makes UTF-8 of
it.

UTF-16 and UTF-32 tell themselves by a byte order mark, or by where their zeros stand: what
spreadsheets and editors of Windows save as "Unicode". Other encodings cannot be told from one
another by their bytes; there the place is named.
"""

from __future__ import annotations

import codecs

from edgernn.errors import DataError

_LOOKED_AT_BYTES = 4096
_MARKS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FEWEST_BYTES = 16  # below it a zero proves nothing
_LEAST_SHARE = (
    0.3  # of zeros at their places: Latin letters have one each there, other scripts fewer
)


def wide_encoding(head: bytes) -> str | None:
    """Return ``utf-16``, ``utf-16le``, ``utf-32be`` and so on as iconv calls it, or None where
    ``head`` is none of them.

    Args:
        head: the first bytes of a file.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    head = head[:_LOOKED_AT_BYTES]
    if len(head) < _FEWEST_BYTES or 0 not in head:
        return None
    for width, places in ((4, {"utf-32le": 3, "utf-32be": 0}), (2, {"utf-16le": 1, "utf-16be": 0})):
        for name, place in places.items():
            if _has_zeros(head, width=width, place=place) and _decodes(head, width, name):
                return name
    return None


def refuse(
    content: bytes,
    error: UnicodeDecodeError | None,
    *,
    name: str,
    place: str,
    head: bytes | None = None,
) -> DataError:
    """Return the error for a file that is not UTF-8.

    Args:
        content: the bytes around the place, of which ``error`` speaks.
        error: what decoding them said; None where it was a NUL byte.
        name: of the file.
        place: where in the file, as "in line 3".
        head: the first bytes of the file, where ``content`` begins later.
    """
    head = content if head is None else head
    wide = wide_encoding(head)
    if wide is not None:
        told = f"{name} is {wide[:6].upper()}, expected UTF-8"
        return DataError(f"{told}; convert it with: iconv -f {wide} -t utf-8 FILE > NEW")
    if 0 in head:  # a picture, an archive, a model: no encoding makes a text of it
        place, error = f"at offset {head.index(0)}", None
    if error is None:
        return DataError(
            f"{name} has a NUL byte {place}, so it is no plain text; give a UTF-8 text file"
        )
    return DataError(
        f"{name} is not UTF-8: byte 0x{content[error.start]:02x} {place}; convert it from the "
        "encoding that it was saved in, "
        "for example, where that is latin1, with: iconv -f latin1 -t utf-8 FILE > NEW"
    )


def _has_zeros(head: bytes, *, width: int, place: int) -> bool:
    """Whether zeros stand at ``place`` of the units of ``width`` bytes, and none at the opposite
    end of a unit.
    """
    units = len(head) // width
    at_place = head[place : units * width : width].count(0)
    opposite = head[width - 1 - place : units * width : width].count(0)
    return at_place > _LEAST_SHARE * units and opposite == 0


def _decodes(head: bytes, width: int, name: str) -> bool:
    whole = head[: len(head) // width * width]
    try:
        codecs.getincrementaldecoder(name.replace("le", "-le").replace("be", "-be"))().decode(whole)
    except UnicodeDecodeError:
        return False
    return True
