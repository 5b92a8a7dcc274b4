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
_F4 = call("numpy", "dtype", text("f4") + b"\x89\x88")
_OBJECT = call("numpy", "dtype", text("O8") + b"\x89\x88")

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

# What asks for memory or time without end, or is damaged.
BREAKING: dict[str, bytes] = {
    "a huge memo index": b"]r\xff\xff\xff\xff.",
    "a huge memo index in text": b"]p99999999999999999999\n.",
    "a negative memo index": b"]p-1\n.",
    "a memo that was not put": b"h\x07.",
    "a huge long4": b"\x8b\xff\xff\xff\x7f\x01.",
    "a negative long4": b"\x8b\xff\xff\xff\xff\x01.",
    "a long of 100 kB": b"\x8b\xa0\x86\x01\x00" + b"\x01" * 100_000 + b".",
    "a long of many digits": b"L" + b"9" * 100_000 + b"L\n.",
    "a huge binbytes8": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fx.",
    "a negative binbytes8": b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffx.",
    "a huge bytearray8": b"\x96\xff\xff\xff\xff\xff\x00\x00\x00x.",
    "a huge binunicode8": b"\x8d\xff\xff\xff\xff\xff\x00\x00\x00x.",
    "a negative binstring": b"T\xff\xff\xff\xffx.",
    "a huge frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    "bytes of a length": call("builtins", "bytes", number(1 << 40)) + b".",
    "a bytearray of a length": call("builtins", "bytearray", number(1 << 40)) + b".",
    "a range as a list": call("builtins", "list", call("builtins", "range", number(1 << 40)))
    + b".",
    "100,000 lists in one another": b"]" * 100_000 + b"a" * 99_999 + b".",
    "100,000 dicts in one another": b"}" + b"N}" * 100_000 + b"s" * 100_000 + b".",
    "100,000 tuples in one another": b")" + b"\x85" * 100_000 + b".",
    "100,000 tuples as a key": b"})" + b"\x85" * 100_000 + b"Ns.",
    "100,000 open marks": b"(" * 100_000 + b"t.",
    "100,000 objects in one another": name("m", "C")
    + b"q\x000"
    + b"h\x00" * 2
    + b"h\x00)R" * 1000
    + b".",
    "a list in itself": b"]q\x00h\x00a.",
    "a dict in itself": b"}q\x00Nh\x00s.",
    "a tuple in its list": b"]q\x00h\x00\x85a.",
    "an object in its state": name("m", "C") + b")\x81q\x00}" + text("me") + b"h\x00sb.",
    "a module in itself": name("m", "C")
    + b")\x81q\x00}("
    + text("_parameters")
    + b"}"
    + text("_modules")
    + b"}"
    + text("again")
    + b"h\x00sub.",
    "billion laughs": b"N" + b"2\x86" * 60 + b".",
    "billion laughs as a key": b"}N" + b"2\x86" * 60 + b"Ns.",
    "billion laughs of lists": b"]" + b"q\x000](h\x00h\x00h\x00e" * 60 + b".",
    "text encoded over and over": text("x" * 100_000)
    + b"q\x000"
    + (name("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R0") * 2000
    + b"N.",
    "a list copied over and over": b"]("
    + b"N" * 100_000
    + b"eq\x000"
    + (name("builtins", "set") + b"h\x00\x85R0") * 2000
    + b"N.",
    "numbers whose hashes are one": b"}("
    + b"".join(number(n * ((1 << 61) - 1)) + b"N" for n in range(9000, 14000))
    + b"u.",
    "a list as a key": b"}]Ns.",
    "duplicate keys": b"}(K\x01NK\x01]K\x01Nu.",
    "a key without a value": b"}(K\x01u.",
    "pop of nothing": b"0.",
    "pop_mark of nothing": b"1.",
    "dup of nothing": b"2.",
    "a tuple of what is not there": b"N\x87.",
    "append to a number": b"K\x01Na.",
    "state for a number": b"K\x01Nb.",
    "a call of a text": text("x") + b")R.",
    "a call with no tuple": name("m", "C") + b"NR.",
    "nothing": b".",
    "no end": b"N",
    "protocol 200": b"\x80\xc8N.",
    "an unknown opcode": b"\x80\x02\xff.",
    "a buffer outside": b"\x80\x05\x97.",
    "a name without a line end": b"cos",
    "a name of binary": b"c\xff\xfe\n\xff\n.",
    "a long name": b"c" + b"m" * 5000 + b"\nC\n.",
    "a stack_global of numbers": b"K\x01K\x02\x93.",
    "an unquoted string": b"Sabc\n.",
    "a string with a strange escape": b"S'\\x'\n.",
    "a float of words": b"Fabc\n.",
    "a number of words": b"Iabc\n.",
    "text of surrogates": b"X\x03\x00\x00\x00\xed\xa0\x80.",
    "text that is no utf-8": b"X\x02\x00\x00\x00\xff\xfe.",
    "an array of objects": array(_OBJECT, numbers(1), b"]Na") + b".",
    "an array of a huge shape": array(_F4, numbers(1 << 40), b"C\x04abcd") + b".",
    "an array of a negative shape": array(_F4, numbers(-1), b"C\x04abcd") + b".",
    "an array of 100 axes": array(_F4, numbers(*[1] * 100), b"C\x04abcd") + b".",
    "an empty array of a huge shape": array(_F4, numbers(0, 1 << 62, 1 << 62), b"C\x00") + b".",
    "an array without a dtype": array(b"N", numbers(1), b"C\x04abcd") + b".",
    "an array of a strange dtype": array(
        call("numpy", "dtype", text("f4,O")), numbers(1), b"C\x04abcd"
    )
    + b".",
    "a scalar of too few bytes": call("numpy.core.multiarray", "scalar", _F4 + b"C\x01x") + b".",
    "an array that waits for ever": call(
        "numpy.core.multiarray", "_reconstruct", name("numpy", "ndarray") + numbers(0) + b"C\x01b"
    )
    + b".",
}

# Tensors over a storage "0" of four floats.
OUTSIDE: dict[str, bytes] = {
    "a tensor beyond its storage": tensor("0", 4, 0, numbers(5), numbers(1)) + b".",
    "a tensor that begins beyond it": tensor("0", 4, 4, numbers(1), numbers(1)) + b".",
    "a tensor that begins before it": tensor("0", 4, -1, numbers(1), numbers(1)) + b".",
    "a tensor of steps beyond it": tensor("0", 4, 0, numbers(2), numbers(4)) + b".",
    "a tensor of steps backwards": tensor("0", 4, 3, numbers(2), numbers(-1)) + b".",
    "a tensor of a negative size": tensor("0", 4, 0, numbers(-1), numbers(1)) + b".",
    "a tensor of a huge size": tensor("0", 4, 0, numbers(1 << 47), numbers(0)) + b".",
    "a tensor of huge sizes": tensor("0", 4, 0, numbers(*[1 << 40] * 4), numbers(*[0] * 4)) + b".",
    "a tensor of a huge step": tensor("0", 4, 0, numbers(2), numbers(1 << 62)) + b".",
    "a tensor of a huge empty size": tensor("0", 4, 0, numbers(0, 1 << 47), numbers(1, 1)) + b".",
    "a tensor without strides": tensor("0", 4, 0, numbers(2), numbers()) + b".",
    "a tensor of 100 axes": tensor("0", 4, 0, numbers(*[1] * 100), numbers(*[1] * 100)) + b".",
    "a storage larger than its bytes": tensor("0", 5, 0, numbers(5), numbers(1)) + b".",
    "a storage of a negative size": tensor("0", -4, 0, numbers(1), numbers(1)) + b".",
    "a storage larger than the file": tensor("0", 1 << 40, 0, numbers(1), numbers(1)) + b".",
    "a storage that is not there": tensor("9", 4, 0, numbers(4), numbers(1)) + b".",
    "a tensor without a storage": call("torch._utils", "_rebuild_tensor", b"NK\x00))") + b".",
    "a tensor of text sizes": tensor("0", 4, 0, text("22"), numbers(1, 1)) + b".",
}

HOSTILE = {**RUNNING, **BREAKING, **OUTSIDE}
