"""Pickles that do harm where they are loaded, or would: by opcode, each in one expression.

``COMMAND`` makes a file where a shell runs it; whoever reads a pickle of these must make none.
"""

from __future__ import annotations

import struct

CANARY = "canary"
COMMAND = f"touch {CANARY}"
_PROTOCOL = b"\x80\x05"


def text(word: str) -> bytes:
    """BINUNICODE."""
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """GLOBAL, the arguments as a tuple, REDUCE."""
    return name(module, attribute) + b"(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    """LONG1."""
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tensor(key: str, count: int, offset: int, size: bytes, stride: bytes) -> bytes:
    """A tensor of a float storage, as torch writes it."""
    storage = text("storage") + name("torch", "FloatStorage") + text(key) + text("cpu")
    ident = b"(" + storage + number(count) + b"tQ"
    hooks = call("collections", "OrderedDict")
    rest = number(offset) + size + stride + b"\x89" + hooks
    return call("torch._utils", "_rebuild_tensor_v2", ident + rest)


def numbers(*values: int) -> bytes:
    """A tuple of LONG1."""
    return b"(" + b"".join(map(number, values)) + b"t"


def array(dtype: bytes, shape: bytes, content: bytes) -> bytes:
    """A numpy array of these parts."""
    start = call(
        "numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray") + numbers(0) + b"C\x01b"
    )
    return start + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"


_SYSTEM = name("os", "system") + b"(" + text(COMMAND) + b"t"
_GETATTR = call("builtins", "getattr", name("os", "path") + text("system"))

# What runs code where pickle loads it.
RUNNING: dict[str, bytes] = {
    "reduce of os.system": _SYSTEM + b"R.",
    "reduce of posix.system": call("posix", "system", text(COMMAND)) + b".",
    "reduce of nt.system": call("nt", "system", text(COMMAND)) + b".",
    "reduce of subprocess.call": call("subprocess", "call", b"(" + text(COMMAND) + b"l\x88") + b".",
    "reduce of subprocess.Popen": call("subprocess", "Popen", text(COMMAND)) + b".",
    "reduce of eval": call("builtins", "eval", text(f"__import__('os').system('{COMMAND}')"))
    + b".",
    "reduce of exec": call("builtins", "exec", text(f"open('{CANARY}','w')")) + b".",
    "reduce of exec of Python 2": call("__builtin__", "eval", text(f"open('{CANARY}','w')")) + b".",
    "reduce of open": call("builtins", "open", text(CANARY) + text("w")) + b".",
    "reduce of io.open": call("io", "open", text(CANARY) + text("w")) + b".",
    "reduce of __import__": call("builtins", "__import__", text("antigravity")) + b".",
    "reduce of importlib": call("importlib", "import_module", text("this")) + b".",
    "reduce of runpy": call("runpy", "run_path", text("evil.py")) + b".",
    "reduce of torch.load": call("torch", "load", text("evil.pt")) + b".",
    "reduce of torch.hub.load": call("torch.hub", "load", text("a/b") + text("c")) + b".",
    "reduce of torch.jit.load": call("torch.jit", "load", text("evil.pt")) + b".",
    "reduce of pickle.loads": call("pickle", "loads", b"C\x10" + b"cos\nsystem\n(tR.x") + b".",
    "reduce of pathlib touch": call("pathlib", "Path.touch", text(CANARY)) + b".",
    "reduce of shutil.rmtree": call("shutil", "rmtree", text(".")) + b".",
    "reduce of numpy.load": call("numpy", "load", text("evil.npy") + b"N\x88") + b".",
    "reduce of numpy.fromfile": call("numpy", "fromfile", text("evil.npy")) + b".",
    "reduce of a method in a name": call("builtins", "str.format", text("{0.__class__}")) + b".",
    "reduce of types.FunctionType": call("types", "FunctionType", call("marshal", "loads")) + b".",
    "reduce of ctypes": call("ctypes", "CDLL", text("libc.so.6")) + b".",
    "inst": b"(" + text(COMMAND) + b"ios\nsystem\n.",
    "obj": b"(" + name("os", "system") + text(COMMAND) + b"o.",
    "newobj": name("os", "system") + b"(" + text(COMMAND) + b"t\x81.",
    "newobj of subprocess.Popen": name("subprocess", "Popen") + b"(" + text(COMMAND) + b"t\x81.",
    "newobj_ex": name("subprocess", "Popen") + b"(" + text(COMMAND) + b"t}\x92.",
    "newobj_ex with names": name("subprocess", "Popen")
    + b")}"
    + text("args")
    + text(COMMAND)
    + b"s\x92.",
    "stack_global": _PROTOCOL + text("os") + text("system") + b"\x93(" + text(COMMAND) + b"tR.",
    "stack_global of a dotted name": _PROTOCOL
    + text("os")
    + text("path.os.system")
    + b"\x93("
    + text(COMMAND)
    + b"tR.",
    "a framed call": _PROTOCOL + b"\x95" + struct.pack("<Q", len(_SYSTEM) + 2) + _SYSTEM + b"R.",
    "getattr": call("builtins", "getattr", name("os", "path") + text("os")) + b".",
    "getattr, called": _GETATTR + b"(" + text(COMMAND) + b"tR.",
    "getattr of a getattr": call("builtins", "getattr", _GETATTR + text("__globals__")) + b".",
    "getattr under its old name": call("__builtin__", "getattr", name("os", "path")) + b".",
    "operator.attrgetter": call("operator", "attrgetter", text("system"))
    + b"("
    + name("os", "path")
    + b"tR.",
    "operator.methodcaller": call("operator", "methodcaller", text("system") + text(COMMAND))
    + b".",
    "functools.partial": call("functools", "partial", _SYSTEM) + b")R.",
    "map in a list": call("builtins", "list", call("builtins", "map", _SYSTEM)) + b".",
    "a call as the factory of a defaultdict": call(
        "collections", "defaultdict", name("os", "system")
    )
    + text(COMMAND)
    + b"Ns.",
    "a reconstructor": call(
        "copy_reg", "_reconstructor", name("os", "system") + name("builtins", "object") + b"N"
    )
    + b".",
    "newobj through copyreg": call("copyreg", "__newobj__", _SYSTEM) + b".",
    "build with a state": call("collections", "deque") + b"}" + text("a") + b"K\x01sb.",
    "build with setstate": name("model", "Net")
    + b")\x81}"
    + text("__setstate__")
    + name("os", "system")
    + b"sb"
    + text(COMMAND)
    + b"b.",
    "build of slots": name("model", "Net") + b")\x81N}" + text("system") + b"Ns\x86b.",
    "build of a class": name("os", "environ") + b"}" + text("PATH") + text("") + b"sb.",
    "build of the class of a class": name("model", "Net")
    + b")\x81}"
    + text("__class__")
    + name("subprocess", "Popen")
    + b"sb.",
    "items set in os.environ": name("os", "environ") + text("PATH") + text("") + b"s.",
    "items appended to sys.path": name("sys", "path") + text("/tmp") + b"a.",
    "ext1": b"\x80\x02\x82\x01.",
    "ext2, called": b"\x80\x02\x83\x01\x00(" + text(COMMAND) + b"tR.",
    "ext4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "ext4, negative": b"\x80\x02\x84\xff\xff\xff\xff.",
    "persid": b"P" + COMMAND.encode() + b"\n.",
    "binpersid of text": text(COMMAND) + b"Q.",
    "binpersid of a call": b"(" + text("storage") + _SYSTEM + b"R" + text("0") + b"NK\x01tQ.",
    "binpersid of a class": b"(" + text("module") + name("os", "system") + b"NNtQ.",
    "binpersid with a path": b"("
    + text("storage")
    + name("torch", "FloatStorage")
    + text("../../etc/passwd")
    + text("cpu")
    + b"K\x01tQ.",
    "binpersid of a class that is no storage": b"("
    + text("storage")
    + name("os", "systemStorage")
    + text("0")
    + text("cpu")
    + b"K\x01tQ.",
    "a storage read from a file": call("torch", "FloatStorage.from_file", text("/etc/passwd"))
    + b".",
    "a tensor rebuilt by a function": call(
        "torch._tensor",
        "_rebuild_from_type_v2",
        name("os", "system") + name("torch", "Tensor") + b"(" + text(COMMAND) + b"t}",
    )
    + b".",
    "bytes by a codec": call("_codecs", "encode", text("x") + text("idna")) + b".",
    "a device with a long name": call("torch", "device", text("x" * 5000)) + b".",
}
