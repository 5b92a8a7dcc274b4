"""Pickles that are damaged, or ask for memory or time without end."""

from __future__ import annotations

from tests.containers.hostile import array, call, name, number, numbers, tensor, text

_F4 = call("numpy", "dtype", text("f4") + b"\x89\x88")
_OBJECT = call("numpy", "dtype", text("O8") + b"\x89\x88")

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
    "an object as a key of its own state": name("m", "C")
    + b")\x81q\x00}h\x00h\x00\x85s}(h\x00\x85h\x00h\x00Nub.",
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
    "a storage of two types": b"("
    + tensor("0", 4, 0, numbers(4), numbers(1))
    + tensor("0", 2, 0, numbers(2), numbers(1)).replace(b"FloatS", b"LongS")
    + b"t.",
    "a tensor of text sizes": tensor("0", 4, 0, text("22"), numbers(1, 1)) + b".",
}
