"""Whether a board holds a network: python room.py STEP_H BOARD_LD STACK [FLASH RAM]

Prints one line: the bytes of the weights and of what a step keeps and needs, and those of the board
by its linker script, or as given. Ends with 2 and one line where they are more.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bundle import AGAIN, BundleError
from golden import DTYPES, ROLES, members_of

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def main() -> None:
    """Compare."""
    if len(sys.argv) not in (4, 6):
        raise BundleError(
            f"{len(sys.argv) - 1} arguments, expected STEP_H BOARD_LD STACK, and FLASH RAM"
        )
    header, board = Path(sys.argv[1]).read_text(encoding="ascii"), Path(sys.argv[2])
    stack, *given = (number(text) for text in sys.argv[3:])
    flash, ram = given or memory_of(board.read_text(encoding="ascii"))
    found = re.search(r"_WEIGHTS_BYTES (\d+)", header)
    if found is None:
        raise BundleError(f"step.h does not say the bytes of its weights; {AGAIN}")
    weights = int(found[1])
    kept = stack + sum(
        each.count * DTYPES[each.dtype][1] for each in members_of(header) if each.role in ROLES
    )
    print(
        f"{board.stem}: weights take {weights} of {flash} bytes of flash; state, inputs, outputs "
        f"and stack {kept} of {ram} bytes of RAM",
        flush=True,
    )
    for what, taken, most in (("flash", weights, flash), ("RAM", kept, ram)):
        if taken > most:
            raise BundleError(
                f"{board.stem} has {most} bytes of {what}, and the network takes {taken}; export "
                "it with fewer bits (--precision int8 or int4), train a smaller one, or use "
                "another board"
            )


def memory_of(script: str) -> tuple[int, int]:
    """Return the bytes of FLASH and RAM of a linker script."""
    found = dict(re.findall(r"^ *(FLASH|RAM) .*LENGTH = (\w+)$", script, re.MULTILINE))
    return number(found["FLASH"]), number(found["RAM"])


def number(text: str) -> int:
    """Return bytes, as linker scripts write them: 512K."""
    found = re.fullmatch(r"(\d+)([KM]?)", text)
    if found is None:
        raise BundleError(f"{text!r} bytes, expected a whole number, or one with K or M behind it")
    return int(found[1]) * _UNITS[found[2]]


if __name__ == "__main__":
    try:
        main()
    except (BundleError, LookupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
