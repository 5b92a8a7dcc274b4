"""The C example, compiled: it writes what the Python example writes, passes the golden runs, and survives damaged bundles."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from edgernn.data.tokenizer import Tokenizer
from edgernn.decoding.sampling import Sampler
from edgernn.export.artifacts import ReducedOptions
from edgernn.export.compression import Budget
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel

EXAMPLES = Path(__file__).resolve().parents[2] / "runtime_examples"
C = EXAMPLES / "c"
FLAGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
STEPS = ["onnx/step.onnx", "onnx/step-float16.onnx", "onnx/step-int8.onnx", "onnx/step-int4.onnx"]
LOOSE = ReducedOptions(budget=Budget(perplexity=9.0))  # untrained weights, so what they lose is not the point
PROMPT = "the quick brown "
SANITIZER = 99  # the exit code of a sanitizer that found something

JSON_DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "json.h"
int main(void) {
    uint32_t length;
    while (fread(&length, 4, 1, stdin) == 1) {
        const char *why = NULL;
        char *text = malloc(length + 1);
        if (fread(text, 1, length, stdin) != length) {
            return 1;
        }
        text[length] = 0;
        struct json *value = json_parse(text, length, &why);
        putchar(value != NULL ? '1' : why != NULL ? '0' : '?');
        json_free(value);
        free(text);
    }
    return 0;
}
"""
SAMPLE_DRIVER = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    struct options options = {0};
    struct ranked room[64];
    float logits[64];
    size_t count;
    double uniform;
    while (scanf("%zu %lf %zu %lf %lf", &count, &options.temperature, &options.top_k, &options.top_p, &uniform) == 5) {
        for (size_t i = 0; i < count; i++) {
            if (scanf("%f", &logits[i]) != 1) {
                return 1;
            }
        }
        printf("%zu\\n", sample(logits, count, &options, uniform, room));
    }
    return 0;
}
"""
SHA_DRIVER = """
#include <stdio.h>
#include "sha256.h"
int main(void) {
    unsigned char data[300];
    char digest[65];
    for (size_t length = 0; length < 300; length++) {
        data[length] = (unsigned char)(length * 7);
        sha256(data, length, digest);
        puts(digest);
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Program:
    """The compiled example."""

    path: Path
    library: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        extra = {
            "ASAN_OPTIONS": f"exitcode={SANITIZER}",
            "UBSAN_OPTIONS": f"exitcode={SANITIZER}",
            "LSAN_OPTIONS": f"suppressions={C / 'lsan.supp'}:print_suppressions=0",
            "ONNXRUNTIME_LIBRARY": str(self.library),
        }
        command = [self.path, *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=60,
            env={**os.environ, **extra},
        )

    def good(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refusal(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: ")
        return done.stderr


@pytest.fixture(scope="module")
def library() -> Path:
    """The shared library of the installed onnxruntime."""
    found = importlib.util.find_spec("onnxruntime")
    assert found is not None
    assert found.origin is not None
    libraries = sorted((Path(found.origin).parent / "capi").glob("libonnxruntime.so*"))
    if not libraries:
        pytest.skip("needs libonnxruntime.so, which this onnxruntime package does not have")
    return libraries[-1]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both builds."""
    for tool in ("gcc", "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    out = tmp_path_factory.mktemp("build")
    for extra in ([], ["SANITIZE=1"]):
        command = ["make", "-s", "-C", str(C), "CC=gcc", f"OUT={out}", *extra]
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    return out


@pytest.fixture(scope="module")
def program(build: Path, library: Path) -> Program:
    """The example as it is shipped."""
    return Program(build / "edgernn", library)


@pytest.fixture(scope="module")
def sanitized(build: Path, library: Path) -> Program:
    """The example with sanitizers."""
    return Program(build / "edgernn-sanitized", library)


@pytest.fixture
def drive(build: Path, tmp_path: Path) -> Callable[..., str]:
    """Compile a main of a test's own with some of the sources and sanitizers, run it on ``given`` and return what it prints."""

    def run(source: str, *names: str, given: bytes = b"") -> str:
        (tmp_path / "driver.c").write_text(source, "utf-8")
        sources = [str(C / f"{name}.c") for name in names]
        command = [
            "gcc",
            *FLAGS,
            "-I",
            str(C),
            str(tmp_path / "driver.c"),
            *sources,
            "-o",
            str(tmp_path / "driver"),
            "-ldl",
            "-lm",
        ]
        subprocess.run(command, check=True, timeout=120)
        done = subprocess.run([tmp_path / "driver"], input=given, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode("utf-8")

    return run


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every ONNX precision."""
    folder, precision = tmp_path_factory.mktemp("text") / "b", ["float32", "float16", "int8", "int4"]
    export_bundle(
        checkpoint_folder, folder, to=["onnx"], precision=precision, decoding=True, steps=8, options=LOOSE, release=True
    )
    return folder


@pytest.fixture(scope="module")
def learned(make_model: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a GRU with a learned first state, whose characters take one to four bytes."""
    letters = Tokenizer.build(['aé€𝄞 "\\\n'], "char")
    model = make_model(cell="gru", learned_initial_state=True, vocabulary=letters.vocabulary_size)
    folder = tmp_path_factory.mktemp("learned") / "b"
    export_bundle(Checkpoint(model, letters, {}, {}), folder, to=["onnx"], steps=8, release=True)
    return folder


def changed(source: Path, out: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a bundle and edit its manifest."""
    shutil.copytree(source, out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    edit(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return out


def replace(folder: Path, name: str, content: bytes) -> None:
    """Put another file into a bundle, with its size and digest in the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (folder / name).write_bytes(content)


def python_example(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-X", "utf8", EXAMPLES / "python" / "main.py", *map(str, arguments), "--json"]
    record: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return record


@pytest.mark.parametrize("artifact", STEPS)
def test_greedy_text_is_that_of_the_python_example(program: Program, text: Path, artifact: str) -> None:
    arguments = [text, "--prompt", PROMPT, "--temperature", 0, "--length", 500, "--artifact", artifact]
    made = json.loads(program.good(*arguments, "--json"))
    assert made == python_example(*arguments)
    assert len(made["text"]) == 500
    assert program.good(*arguments) == PROMPT + made["text"] + "\n"


def test_a_learned_first_state_and_characters_of_many_bytes(sanitized: Program, learned: Path) -> None:
    for prompt in ([], ["--prompt", "é𝄞€a"]):
        arguments = [learned, "--temperature", 0, "--length", 60, *prompt]
        made = json.loads(sanitized.good(*arguments, "--json"))
        assert made == python_example(*arguments)
        assert sanitized.good(*arguments) == "".join(prompt[1:]) + made["text"] + "\n"
    assert "the tokenizer has no 'ö', at place 1 of the prompt" in sanitized.refusal(learned, "--prompt", "éö")


def test_a_long_prompt_is_fed_whole(sanitized: Program, text: Path) -> None:
    arguments = [text, "--prompt", PROMPT * 40, "--temperature", 0, "--length", 20]  # longer than one call takes
    assert json.loads(sanitized.good(*arguments, "--json")) == python_example(*arguments)


def test_decoding_defaults_are_kept(sanitized: Program, text: Path, tmp_path: Path) -> None:
    plain = json.loads(sanitized.good(text, "--length", 30, "--temperature", 0, "--json"))["tokens"]
    decoding = {"suppress": [plain[0]], "temperature": 0}
    folder = changed(text, tmp_path / "suppress", lambda manifest: manifest["decoding"].update(decoding))
    tokens = json.loads(sanitized.good(folder, "--json", "--length", 30))["tokens"]
    assert plain[0] not in tokens
    few = changed(text, tmp_path / "few", lambda manifest: manifest["decoding"].update(suppress=list(range(2, 34))))
    assert set(json.loads(sanitized.good(few, "--json", "--length", 30))["tokens"]) <= {0, 1}
    stop = tokens[3]
    ends = changed(folder, tmp_path / "stop", lambda manifest: manifest["decoding"].update(stop=[stop]))
    assert json.loads(sanitized.good(ends, "--json"))["tokens"] == tokens[: tokens.index(stop) + 1]
    short = changed(folder, tmp_path / "length", lambda manifest: manifest["decoding"].update(length=5))
    assert json.loads(sanitized.good(short, "--json"))["tokens"] == tokens[:5]


def test_the_seed_decides_what_is_written(sanitized: Program, text: Path) -> None:
    made = [sanitized.good(text, "--length", 80, "--temperature", 1, "--top-p", 0.9, "--seed", seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("artifact", STEPS)
def test_the_golden_run_measures_as_in_python(sanitized: Program, text: Path, artifact: str) -> None:
    """Every line is the one of the Python example, with sanitizers on."""
    command = [sys.executable, EXAMPLES / "python" / "main.py", text, "--check", "--artifact", artifact]
    wanted = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    assert sanitized.good(text, "--check", "--artifact", artifact) == wanted
    assert wanted.count(" ok\n") == wanted.count("\n") in {3, 5}


def test_the_golden_run_of_a_learned_state_passes(sanitized: Program, learned: Path) -> None:
    assert sanitized.good(learned, "--check").count(" ok\n") == 2


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
@pytest.mark.parametrize("value", [40.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["logits", "c_next"])
def test_a_run_that_differs_fails(
    sanitized: Program, text: Path, tmp_path: Path, artifact: str, value: float, name: str
) -> None:
    tensors = safetensors.numpy.load_file(text / "golden.safetensors")
    tensors[name].flat[-2] = value  # the last step of the last layer, so that forced steps are not led astray
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))
    done = sanitized.run(folder, "--check", "--artifact", artifact)
    failed = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    layer = "[1]" if name == "c_next" and "int8" in artifact else ""
    assert (done.returncode, failed, done.stderr) == (1, [name + layer], "")


def test_it_times_steps(program: Program, sanitized: Program, text: Path) -> None:
    record = json.loads(program.good(text, "--time", 50, "--artifact", "onnx/step-int8.onnx"))
    assert record.keys() == {"artifact", "steps", "median_us"}
    assert (record["artifact"], record["steps"]) == ("onnx/step-int8.onnx", 50)
    assert 1 < record["median_us"] < 1e6
    sanitized.good(text, "--time", 3)


def test_steps_keep_no_memory(program: Program, text: Path) -> None:
    """What a step allocates lies in onnxruntime, where the leak sanitizer is told not to look."""
    # a small process of its own starts it: a child's peak begins with the size of its parent
    script = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    peaks = []  # KB
    for steps in (1_000, 40_000):
        command = [sys.executable, "-c", script, program.path, text, "--time", str(steps), "--library", program.library]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout))
    assert peaks[1] - peaks[0] < 3_000


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda m: m.update(schema_version=2), "has schema_version 2, expected 1"),
    "no version": (lambda m: m.pop("schema_version"), "expected 1"),
    "no contract": (lambda m: m.pop("contract"), "manifest.json is damaged"),
    "no files": (lambda m: m.pop("files"), "manifest.json is damaged"),
    "artifacts": (lambda m: m.update(artifacts=5), "no artifact to run"),
    "family": (lambda m: m.update(family="captioner"), "is of the family captioner; expected language"),
    "outside": (lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": ""}}), "a file has no path inside the folder"),
    "absolute": (lambda m: m["artifacts"][0].update(path="/etc/passwd"), "a file has no path inside the folder"),
    "size": (lambda m: m["files"]["tokenizer.json"].update(bytes=3), "bytes, expected 3"),
    "huge size": (lambda m: m["files"]["tokenizer.json"].update(bytes=1e300), "manifest.json is damaged"),
    "digest": (lambda m: m["artifacts"][0].update(sha256="0" * 64), f"expected {'0' * 64}"),
    "dtype": (lambda m: m["artifacts"][0]["narrowing"]["dtypes"].update(h="float16"), "has h as float16"),
    "kept": (lambda m: m["artifacts"][0]["narrowing"].update(runtime_state=True), "keeps the state itself"),
    "kind": (lambda m: m["tokenizer"].update(kind="word"), "the tokenizer is of kind word, expected char"),
    "ids": (lambda m: m["tokenizer"]["ids"].reverse(), "the recorded text has other ids"),
    "fewer ids": (lambda m: m["tokenizer"]["ids"].pop(), "the recorded text has other ids"),
    "vocabulary": (lambda m: m["contract"]["sizes"].update(vocab=35), "as many tokens"),
    "hidden": (lambda m: m["contract"]["sizes"].update(hidden=9), "onnxruntime refuses onnx/step.onnx"),
    "huge": (lambda m: m["contract"]["sizes"].update(hidden=2**40), "beyond reason"),
    "no state out": (lambda m: m["contract"]["graphs"][0]["outputs"].pop(), "a state goes in and does not come out"),
    "state": (lambda m: m["contract"].update(initial_state="encode"), "expected zeros or learned"),
    "start": (lambda m: m["decoding"].update(start=[99]), "a start token in manifest.json is no id"),
    "default": (lambda m: m["decoding"].update(temperature="hot"), "--temperature is damaged in manifest.json"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_does_not_fit_is_refused(sanitized: Program, text: Path, tmp_path: Path, name: str) -> None:
    edit, says = EDITS[name]
    assert says in sanitized.refusal(changed(text, tmp_path / "b", edit), "--json")


def test_ids_that_no_tokenizer_has_are_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    for wrong in (34, 10**9, -1, 0.5, 1, "1"):
        document = json.loads((text / "tokenizer.json").read_text("utf-8"))
        document["model"]["vocab"]["z"] = wrong
        replace(folder, "tokenizer.json", json.dumps(document).encode())
        assert "an id is no number below the size of the vocabulary, or comes twice" in sanitized.refusal(folder)


def test_files_that_are_missing_or_damaged_are_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    assert "No such file" in sanitized.refusal(tmp_path / "none")
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    content = (folder / "onnx/step.onnx").read_bytes()
    (folder / "onnx/step.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "step.onnx has SHA-256" in sanitized.refusal(folder)
    (folder / "onnx/step.onnx").unlink()
    assert "step.onnx: No such file" in sanitized.refusal(folder)
    sanitized.good(folder, "--artifact", "onnx/step-int8.onnx", "--length", 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--artifact", "onnx/generate.onnx"],
            "onnx/generate.onnx is of format onnx and graph generate; expected an ONNX step file",
        ),
        (
            ["--artifact", "nope"],
            "no artifact nope; expected an ONNX step file; choose one of: onnx/step.onnx, onnx/step-float16",
        ),
        (["--prompt", "thé"], "the tokenizer has no 'é', at place 2 of the prompt"),
        (["--temperature", "-1"], "--temperature is -1; expected a number of 0 or more"),
        (["--temperature", "nan"], "--temperature is nan; expected a number of 0 or more"),
        (["--top-p", "0"], "--top-p is 0; expected above 0 and at most 1"),
        (["--length", "1.5"], "--length is 1.5; expected a whole number of 0 or more"),
        (["--length", ""], "--length is ; expected a whole number"),
        (["--time", "0"], "--time is 0; expected a whole number of 1 or more"),
        (["--bogus"], "the argument --bogus is unknown"),
        (["--seed"], "the argument --seed is unknown or lacks its value"),
        (["--library", "none.so"], "cannot open onnxruntime (none.so: "),
        (["--library", "libm.so.6"], "expected 1.17 or newer"),
    ],
)
def test_bad_arguments_are_refused(sanitized: Program, text: Path, arguments: list[str], says: str) -> None:
    assert says in sanitized.refusal(text, *arguments)


def mutations(content: bytes, *, count: int, seed: int) -> list[bytes]:
    """Cut, overwrite, repeat and leave out parts of a file."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        at = int(random.integers(len(content)))
        end = min(len(content), at + int(random.integers(1, 40)))
        noise = bytes(random.integers(0, 256, end - at, np.uint8))
        tokens = [b"-1", b"1e308", b"1e999", b"null", b"[[", b"{}", b'"', b"\\u0000", b"18446744073709551615"]
        token = tokens[int(random.integers(len(tokens)))]
        cut = (
            content[:at],
            content[:at] + noise + content[end:],
            content[:at] + content[end:],
            content[:at] + token + content[at:],
        )
        made.append(cut[number % len(cut)])
    return made


def test_the_json_reader_takes_no_more_than_python_does(drive: Callable[..., str], text: Path) -> None:
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
    bad += [b"[" * 100_000, b'{"a":' * 100_000, b'"\\u12"', b'"\\u12g4"', b"-", b"\x00", b"1\x00", b'"\xf4\x90\x80\x80"', b"]"]
    damaged = [part for content in good for part in mutations(content, count=150, seed=4)]
    documents = good + bad + damaged
    said = drive(JSON_DRIVER, "json", given=b"".join(struct.pack("<I", len(part)) + part for part in documents))
    assert said[: len(good)] == "1" * len(good)
    assert said[len(good) : len(good) + len(bad)] == "0" * len(bad)
    for part, verdict in zip(damaged, said[len(good) + len(bad) :], strict=True):
        try:
            json.loads(part.decode("utf-8"))
        except ValueError:
            assert verdict == "0", part
        assert verdict in "01"


def test_the_sampler_chooses_what_edgernn_chooses(drive: Callable[..., str]) -> None:
    random = np.random.default_rng(6)
    lines, wanted = [], []
    for number in range(600):
        logits = np.round(random.normal(0, 3, int(random.integers(1, 60))), number % 3).astype(np.float32)  # with ties
        temperature = float(random.choice([0, 0.3, 1, 2.5]))
        top_k, top_p = int(random.choice([0, 1, 4, 100])), float(random.choice([1, 0.9, 0.5, 0.01]))
        uniform = float(random.choice([random.random(), 0, 1 - 2**-53]))
        values = " ".join(repr(float(value)) for value in logits)
        lines.append(f"{len(logits)} {temperature!r} {top_k} {top_p!r} {uniform!r} {values}")
        wanted.append(Sampler(temperature, top_k, top_p).pick(logits, uniform))
    names = ("sampler", "session", "bundle", "tokenizer", "safetensors", "json", "sha256", "failure", "ort")
    said = drive(SAMPLE_DRIVER, *names, given="\n".join(lines).encode())
    assert [int(line) for line in said.splitlines()] == wanted


def test_digests_are_those_of_hashlib(drive: Callable[..., str]) -> None:
    data = bytes(length * 7 % 256 for length in range(300))
    wanted = [hashlib.sha256(data[:length]).hexdigest() for length in range(300)]
    # the driver sets one more byte before each digest, which it does not count
    assert drive(SHA_DRIVER, "sha256").split() == wanted


def test_damaged_manifests_and_tokenizers_never_crash(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: manifest.pop("provenance"))
    manifest = (folder / "manifest.json").read_bytes()
    for content in mutations(manifest, count=60, seed=1):
        (folder / "manifest.json").write_bytes(content)
        done = sanitized.run(folder, "--length", 2)
        assert done.returncode in {0, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2)
    tokenizer = (text / "tokenizer.json").read_bytes()
    for content in mutations(tokenizer, count=40, seed=2):
        (folder / "manifest.json").write_bytes(manifest)
        replace(folder, "tokenizer.json", content)
        done = sanitized.run(folder, "--length", 2)
        assert done.returncode in {0, 2}, (content, done.stderr)


def test_damaged_golden_runs_never_crash(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
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
    offsets = ([0, 2**60], [-1, 8], [8, 0], [2**53, 2**53 + 8], [1e300, 1e301], [0], [], "ab", None, [0.5, 8.5])
    for wrong in [{"data_offsets": value} for value in offsets] + [{"shape": [2**53, 1, 1]}, {"shape": []}, {"dtype": "F32"}]:
        damaged = json.dumps({**header, "tokens": {**header["tokens"], **wrong}}).encode()
        contents.append(struct.pack("<Q", len(damaged)) + damaged + golden[8 + size :])
    for content in contents:
        replace(folder, "golden.safetensors", content)
        assert "golden.safetensors" in sanitized.refusal(folder, "--check")
    alone = struct.pack("<Q", size) + golden[8 : 8 + size]
    for content in mutations(alone, count=40, seed=3):
        replace(folder, "golden.safetensors", content + golden[8 + size :])
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
    tokens = safetensors.numpy.load_file(text / "golden.safetensors")
    tokens["tokens"][3] = 10**6
    replace(folder, "golden.safetensors", safetensors.numpy.save(tokens))
    assert "the golden run has the token 1000000" in sanitized.refusal(folder, "--check")
