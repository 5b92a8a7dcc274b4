"""What stands in a TorchScript archive, read before torch loads it: loading alone can run code of
the file's.

``torch.jit.load`` builds the file's objects, and where a class has ``__setstate__``, or is one that
torch registers for C++, it calls code to do so. So the archive is read first, with torch's own
archive reader, and a file that has either is refused. What is left runs nothing when it is loaded;
what it would run when it is called is read by ``reading``.
"""

from __future__ import annotations

import pickletools
import re
from pathlib import Path

import torch

from edgernn.contract import first_line
from edgernn.errors import ContractError

_RECORDS = re.compile(
    r"(data|constants|traced_inputs)\.pkl|(data|constants|traced_inputs)/\d+"
    r"|code/.+\.py(\.debug_pkl)?|extra/.*|version|byteorder|\.data/.*|\.format_version|\.storage_alignment"
)
_RUN_ON_LOADING = ("__setstate__", "__getstate__", "torch.classes")
_RUN_UNSEEN = ("__forward_hooks__", "__forward_pre_hooks__")
_OWN, _CPP = "__torch__.", ".classes."
_GLOBALS = re.compile(
    r"collections\.OrderedDict|torch\.\w+Storage"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|parameter)"
    r"|torch\.jit\._pickle\.(build_\w+|restore_type_tag)"
)
_OPCODES = """
APPEND APPENDS BINFLOAT BINGET BININT BININT1 BININT2 BINPERSID BINPUT BINUNICODE BUILD EMPTY_DICT
EMPTY_LIST EMPTY_TUPLE GLOBAL LONG1 LONG_BINGET LONG_BINPUT MARK NEWFALSE NEWOBJ NEWTRUE NONE PROTO
REDUCE SETITEM SETITEMS STOP TUPLE TUPLE1 TUPLE2 TUPLE3
"""
_WRITTEN = frozenset(_OPCODES.split())  # what torch's own pickler writes


def refuse_code_on_loading(path: Path) -> None:
    """Read the archive at ``path``; raise ContractError where loading it could run anything, or it
    is no archive.
    """
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = reader.get_all_records()
        for name in names:
            if not _RECORDS.fullmatch(name):
                raise ContractError(
                    f"{path} holds {name!r}, which no TorchScript file of edgernn's has; do "
                    "not use this file"
                )
            if name.startswith("code/") and name.endswith(".py"):
                _refuse_words(path, name, reader.get_record(name))
            elif name.endswith("pkl"):
                _refuse_objects(path, name, reader.get_record(name))
    except (RuntimeError, ValueError, OSError) as error:
        raise ContractError(
            f"{path} is not a TorchScript file that torch can open: {first_line(error)}"
        ) from error


def _refuse_words(path: Path, name: str, code: bytes) -> None:
    for word in (*_RUN_ON_LOADING, *_RUN_UNSEEN):
        if word.encode() in code:
            when = "is loaded" if word in _RUN_ON_LOADING else "is called"
            raise ContractError(
                f"{path} has {word} in {name}, which runs code of the file's when it {when}; "
                "do not use this file"
            )


def _refuse_objects(path: Path, name: str, content: bytes) -> None:
    """Refuse what a pickle of the archive could make but torch's tensors and classes whose code is
    in the archive.
    """
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _WRITTEN:
            raise ContractError(
                f"{path} has {opcode.name} in {name}, expected what torch writes; do not use "
                "this file"
            )
        if opcode.name != "GLOBAL":
            continue
        made = str(argument).replace(" ", ".")
        if not (made.startswith(_OWN) and _CPP not in made) and not _GLOBALS.fullmatch(made):
            raise ContractError(
                f"{path} makes {made!r} in {name}, expected tensors and its own classes; do "
                "not use this file"
            )
