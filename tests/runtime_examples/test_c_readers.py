"""The readers of the C example under sanitizers: they read as the library does, and survive
whatever is damaged.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import host_cases
import pytest
import safetensors.numpy
from c_drivers import FUZZ_DRIVER, JSON_DRIVER, SHA_DRIVER
from c_program import EXAMPLES, C, mutations
from hosts import Command


def test_the_json_reader_takes_no_more_than_python_does(
    drive: Callable[..., str], text: Path
) -> None:
    good = [
        (text / "manifest.json").read_bytes(),
        b' {"a": [1, -0.5e+3, true, false, null, "\\ud834\\udd1e \\n \xc3\xa9"], "": {}, "b": []} ',
        b"0",
        b'"\\u0000"',
        b"[" * 60 + b"]" * 60,
    ]
    bad = [
        b"",
        b" ",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"1e",
        b"0x10",
        b"NaN",
        b"[1,]",
        b"{,}",
        b'{"a":}',
        b"{1:2}",
        b'"\t"',
        b'"\\x"',
    ]
    bad += [
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"',
        b'"\\',
        b"nul",
        b"1 2",
        b"1e999",
    ]
    bad += [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\\u12"',
        b'"\\u12g4"',
        b"-",
        b"\x00",
        b"1\x00",
        b'"\xf4\x90\x80\x80"',
        b"]",
    ]
    damaged = [part for content in good for part in mutations(content, count=150, seed=4)]
    documents = good + bad + damaged
    said = drive(
        JSON_DRIVER, given=b"".join(struct.pack("<I", len(part)) + part for part in documents)
    )
    assert said[: len(good)] == "1" * len(good)
    assert said[len(good) : len(good) + len(bad)] == "0" * len(bad)
    for part, verdict in zip(damaged, said[len(good) + len(bad) :], strict=True):
        try:
            json.loads(part.decode("utf-8"))
        except ValueError:
            assert verdict == "0", part
        assert verdict in "01"


def test_digests_are_those_of_hashlib(drive: Callable[..., str]) -> None:
    data = bytes(length * 7 % 256 for length in range(300))
    wanted = [hashlib.sha256(data[:length]).hexdigest() for length in range(300)]
    # the driver sets one more byte before each digest, which it does not count
    assert drive(SHA_DRIVER).split() == wanted


def test_damaged_golden_runs_never_crash(sanitized: Command, text: Path, tmp_path: Path) -> None:
    folder = host_cases.changed(text, tmp_path / "b", lambda manifest: None)
    golden = (text / "golden.safetensors").read_bytes()
    size = struct.unpack("<Q", golden[:8])[0]
    header = json.loads(golden[8 : 8 + size])
    contents = [
        b"",
        golden[:7],
        golden[:40],
        golden[:-4],
        b"\xff" * 8 + golden[8:],
        struct.pack("<Q", len(golden) - 7) + golden[8:],
    ]
    offsets = (
        [0, 2**60],
        [-1, 8],
        [8, 0],
        [2**53, 2**53 + 8],
        [1e300, 1e301],
        [0],
        [],
        "ab",
        None,
        [0.5, 8.5],
    )
    for wrong in [{"data_offsets": value} for value in offsets] + [
        {"shape": [2**53, 1, 1]},
        {"shape": []},
        {"dtype": "F32"},
    ]:
        damaged = json.dumps({**header, "tokens": {**header["tokens"], **wrong}}).encode()
        contents.append(struct.pack("<Q", len(damaged)) + damaged + golden[8 + size :])
    for content in contents:
        host_cases.replace(folder, "golden.safetensors", content)
        assert "golden.safetensors" in sanitized.refusal(folder, "--check")
    alone = struct.pack("<Q", size) + golden[8 : 8 + size]
    for content in mutations(alone, count=10, seed=3):
        host_cases.replace(folder, "golden.safetensors", content + golden[8 + size :])
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
    tokens = safetensors.numpy.load_file(text / "golden.safetensors")
    tokens["tokens"][3] = 10**6
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(tokens))
    assert "the golden run has the token 1000000" in sanitized.refusal(folder, "--check")


@pytest.mark.parametrize(
    "pattern",
    [
        "(a",
        "[a",
        "a{2}",
        "a+?",
        "(?<=a)b",
        "[a&&b]",
        r"\w",
        "*",
        "(a)",
        "a|*",
        r"\p{Han}",
        "(" * 99,
    ],
)
def test_other_patterns_are_refused(
    c_parts: Command, text: Path, tmp_path: Path, pattern: str
) -> None:
    assert "expected one that edgernn writes" in said_of_pattern(c_parts, text, tmp_path, pattern)


def test_a_pattern_that_takes_for_ever_is_refused(
    c_parts: Command, text: Path, tmp_path: Path
) -> None:
    said = said_of_pattern(c_parts, text, tmp_path, "(?:(?:[a-z ]+)+)+!", recorded="a" * 200)
    assert "takes too long" in said


def said_of_pattern(
    c_parts: Command, text: Path, scratch: Path, pattern: str, recorded: str | None = None
) -> str:
    """Return what is said of a tokenizer of words that cuts a text by this pattern."""
    tokenizer = host_cases.tokenizer_of("word")
    folder = host_cases.with_tokenizer(text, scratch / "b", tokenizer)
    document = json.loads(tokenizer.to_json())
    document["pre_tokenizer"]["pattern"]["Regex"] = pattern
    host_cases.replace(folder, "tokenizer.json", json.dumps(document).encode())
    if recorded is not None:
        host_cases.edit(folder, lambda manifest: manifest["tokenizer"].update(text=recorded))
    (scratch / "none").write_text("[]", "utf-8")
    return c_parts.good("--tokens", scratch / "none", folder)


def test_no_damage_is_more_than_a_line(
    drive: Callable[..., str], sanitized: Command, text: Path, tmp_path: Path
) -> None:
    """Under sanitizers, hundreds of damaged manifests, tokenizers, recordings and vectors: each
    one line, or it is good.
    """
    folder = host_cases.changed(text, tmp_path / "b", lambda manifest: manifest.pop("provenance"))
    manifest = (folder / "manifest.json").read_bytes()
    digits = r"[0-4]+"

    def fuzz(name: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        given = b"".join(struct.pack("<I", len(part)) + part for pair in pairs for part in pair)
        drive(FUZZ_DRIVER, given=given, arguments=[str(folder), name], says=digits)

    tokenizer = (folder / "tokenizer.json").read_bytes()
    broken = host_cases.damaged_manifests(json.loads(manifest), 3, 300) + mutations(
        manifest, count=100, seed=1
    )
    fuzz("tokenizer.json", [(content, tokenizer) for content in broken])
    for content in broken[:10]:
        (folder / "manifest.json").write_bytes(content)
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2), done.stderr
    bpe = host_cases.with_tokenizer(text, tmp_path / "bpe", host_cases.tokenizer_of("bpe"))
    for source, name, seed in (
        (text, "golden.safetensors", 2),
        (text, "sampler.json", 4),
        (bpe, "tokenizer.json", 5),
    ):
        whole, listed = (
            (source / name).read_bytes(),
            json.loads((source / "manifest.json").read_bytes()),
        )
        head = whole[:3000]  # where the structure is
        pairs = []
        for content in (part + whole[3000:] for part in mutations(head, count=100, seed=seed)):
            listed["files"][name] = {
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            pairs.append((json.dumps(listed).encode(), content))
        fuzz(name, pairs)


def test_the_tables_of_unicode_are_those_of_the_library() -> None:
    own = runpy.run_path(str(EXAMPLES / "make_unicode.py"))
    written = (C / "unicode.h").read_text("utf-8")
    if f"Unicode {own['unicode_version']()} " not in written:
        pytest.skip("the installed tokenizers library knows another version of Unicode")
    for path in own["TARGETS"]:
        assert own["table_text"](path) == path.read_text("utf-8"), path
