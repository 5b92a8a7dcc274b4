"""What a library says of itself: for which machine it is, what it exports, what it needs."""

from __future__ import annotations

import struct

_MACHINES = {
    ("elf", 62): "x86_64", ("elf", 183): "aarch64", ("elf", 40): "arm",
    ("macho", 0x01000007): "x86_64", ("macho", 0x0100000C): "aarch64",
    ("pe", 0x8664): "x86_64", ("pe", 0xAA64): "aarch64",
}  # fmt: skip


def read(content: bytes) -> tuple[str, str, list[str]]:
    """Return the format, the machine, and the functions that it exports."""
    if content.startswith(b"\x7fELF"):
        (machine,) = struct.unpack_from("<H", content, 18)
        return "elf", _MACHINES["elf", machine], _elf_functions(content)
    if content.startswith(b"\xcf\xfa\xed\xfe"):
        (machine,) = struct.unpack_from("<I", content, 4)
        return "macho", _MACHINES["macho", machine], _macho_functions(content)
    assert content.startswith(b"MZ")
    (at,) = struct.unpack_from("<I", content, 0x3C)
    assert content[at : at + 4] == b"PE\0\0"
    (machine,) = struct.unpack_from("<H", content, at + 4)
    return "pe", _MACHINES["pe", machine], _pe_functions(content, at)


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()


def _elf_functions(content: bytes) -> list[str]:
    """The global functions of the symbol table that other programs see."""
    wide = content[4] == 2
    at, size = (0x28, "<Q") if wide else (0x20, "<I")
    (sections,) = struct.unpack_from(size, content, at)
    entry, count = struct.unpack_from("<HH", content, 0x3A if wide else 0x2E)
    table = {}
    for number in range(count):
        head = sections + number * entry
        kind = struct.unpack_from("<I", content, head + 4)[0]
        if wide:
            offset, length, link = struct.unpack_from("<QQI", content, head + 24)
        else:
            offset, length, link = struct.unpack_from("<III", content, head + 16)
        table[number] = kind, offset, length, link
    own = next((row for row in table.values() if row[0] == 11), None) or next(
        row for row in table.values() if row[0] == 2
    )
    _, offset, length, link = own
    names, step = table[link][1], 24 if wide else 16
    found = []
    for symbol in range(offset, offset + length, step):
        name, info, section = (
            struct.unpack_from("<IBxH", content, symbol)
            if wide
            else struct.unpack_from("<I8xBxH", content, symbol)
        )
        if info == 0x12 or (info >> 4 == 1 and section == 0):  # a global function, or what it lacks
            found.append(("" if section else "needs ") + _text(content, names + name))
    return found


def _macho_functions(content: bytes) -> list[str]:
    """The external symbols that it defines in its first section, which is the text; or lacks."""
    (commands,) = struct.unpack_from("<I", content, 16)
    at, found = 32, []
    for _ in range(commands):
        kind, length = struct.unpack_from("<II", content, at)
        if kind == 2:  # LC_SYMTAB
            symbols, count, names, _ = struct.unpack_from("<IIII", content, at + 8)
            for number in range(count):
                name, mark, section = struct.unpack_from("<IBB", content, symbols + 16 * number)
                told = _text(content, names + name)
                if mark & 1 and section <= 1 and told != "dyld_stub_binder":  # the loader's own
                    found.append(("" if section else "needs ") + told)
        at += length
    return found


def _pe_functions(content: bytes, at: int) -> list[str]:
    """The names of its export table, and a mark where it imports anything."""
    sections, optional = struct.unpack_from("<H12xH", content, at + 6)
    exports, _, imports, _ = struct.unpack_from("<IIII", content, at + 24 + 112)
    heads = at + 24 + optional

    def place(address: int) -> int:
        for head in range(heads, heads + 40 * sections, 40):
            size, start, _, raw = struct.unpack_from("<IIII", content, head + 8)
            if start <= address < start + size:
                return raw + address - start
        raise AssertionError(address)

    count, _, names = struct.unpack_from("<III", content, place(exports) + 24)
    found = [
        _text(content, place(struct.unpack_from("<I", content, place(names) + 4 * number)[0]))
        for number in range(count)
    ]
    return found + ["needs imports"] * bool(imports)
