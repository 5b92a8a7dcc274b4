"""The weights as source: a file that an assembler takes in as it is, or string literals in C.

A compiler takes seconds and hundreds of megabytes for a few megabytes of bytes as an initialiser;
by ``.incbin`` it takes none, as string literals little.
"""

from __future__ import annotations

from collections.abc import Iterator

_ASSEMBLY = """/* {symbol}, as the bytes of {file}: assembled in its folder. */
#if defined(__APPLE__)
    .const
#define SYMBOL _{symbol}
#elif defined(_WIN32)
    .section .rdata, "dr"
#define SYMBOL {symbol}
#elif defined(__wasm__)
    .section .rodata.{symbol}, "", @
    .type {symbol}, @object
#define SYMBOL {symbol}
#elif defined(__arm__)
    .section .rodata, "a", %progbits
#define SYMBOL {symbol}
#else
    .section .rodata
#define SYMBOL {symbol}
#endif
    .globl SYMBOL
    .balign 64
SYMBOL:
    .incbin "{file}"
#if defined(__wasm__)
    .size {symbol}, . - {symbol}
#else
    .balign 4
#endif
#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
"""
# MSVC takes literals of 65,535 bytes with the one that ends them; C99 promises 4,095.
_PIECE = 65472  # bytes a literal: whole lines of the weights
_LINE = 64  # bytes a line of source
_LITERALS = """/* {symbol}, {count} bytes, as string literals: for a compiler that does not assemble
   {file}, such as MSVC, whose literals have at most 65,535 bytes. */
#if defined(_MSC_VER)
#define ALIGNED __declspec(align(64))
#else
#define ALIGNED __attribute__((aligned(64)))
#endif
ALIGNED const struct {symbol}_pieces {{
{members}
}} {symbol} = {{
{values}
}};
"""


def assembled(symbol: str, file: str) -> str:
    """Return assembly for ELF, Mach-O, COFF and wasm: ``symbol`` is the bytes of ``file``, aligned
    to 64.
    """
    return _ASSEMBLY.format(symbol=symbol, file=file)


def literals(symbol: str, content: bytes, *, file: str) -> str:
    """Return C that defines ``symbol`` as ``content``, aligned to 64: a structure of pieces, with
    no space between them. ``file`` is what it stands for.
    """
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
    members = [f"    char piece{at}[{len(piece)}];" for at, piece in enumerate(pieces)]
    values = [f"{_literal(piece)}," for piece in pieces]
    return _LITERALS.format(
        symbol=symbol,
        count=len(content),
        file=file,
        members="\n".join(members),
        values="\n".join(values),
    )


def _literal(piece: bytes) -> str:
    return "\n".join(f'    "{line}"' for line in _lines(piece))


def _lines(piece: bytes) -> Iterator[str]:
    """Yield lines of octal escapes, each of three digits, so that none runs into the next byte."""
    for at in range(0, len(piece), _LINE):
        yield "".join(_ESCAPED[byte] for byte in piece[at : at + _LINE])


_ESCAPED = [f"\\{byte:03o}" for byte in range(256)]
