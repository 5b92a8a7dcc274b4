"""The C example, compiled: it writes what the Python example writes, passes the golden runs, and survives damaged bundles."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import runpy
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host_cases
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy

from edgernn.data.tokenizer import Tokenizer
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.writer import write_text
from edgernn.export.artifacts import ReducedOptions
from edgernn.export.compression import Budget
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.random_numbers import uniform_numbers

EXAMPLES = Path(__file__).resolve().parents[2] / "runtime_examples"
C = EXAMPLES / "c"
FLAGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
STEPS = ["onnx/step.onnx", "onnx/step-float16.onnx", "onnx/step-int8.onnx", "onnx/step-int4.onnx"]
LOOSE = ReducedOptions(budget=Budget(perplexity="900%"))  # untrained weights, so what they lose is not the point
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
TOKENS_DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include "tokenizer.h"
/* For each value of a JSON array on stdin a line: the ids of a text, or ! where it is refused; the bytes of a list of ids. */
int main(int count, char **values) {
    static char input[1 << 22];
    struct bundle bundle;
    struct tokenizer tokenizer;
    struct failure failure;
    const char *why = NULL;
    size_t length = fread(input, 1, sizeof input - 1, stdin);
    if (count != 2 || !bundle_open(&bundle, values[1], NULL, "99", &failure) ||
        !tokenizer_open(&tokenizer, &bundle, &failure)) {
        puts(failure.text);
        return 0;
    }
    struct json *document = json_parse(input, length, &why);
    char *text = malloc(tokenizer.longest);
    for (const struct json *item = document->first; item != NULL; item = item->next) {
        struct text_stream stream = {0};
        if (item->kind == JSON_STRING) {
            int64_t *ids = calloc(item->length + 1, sizeof *ids);
            size_t ids_count = 0;
            bool made = tokenizer_encode(&tokenizer, item->text, item->length, ids, &ids_count, &failure);
            for (size_t i = 0; made && i < ids_count; i++) {
                printf("%d ", (int)ids[i]);
            }
            puts(made ? "" : "!");
            free(ids);
            continue;
        }
        for (const struct json *id = item->first; id != NULL; id = id->next) {
            size_t written = tokenizer_text(&tokenizer, &stream, (size_t)id->number, text);
            for (size_t i = 0; i < written; i++) {
                printf("%02x", (unsigned char)text[i]);
            }
            putchar('|');
        }
        size_t written = tokenizer_end(&stream, text);
        for (size_t i = 0; i < written; i++) {
            printf("%02x", (unsigned char)text[i]);
        }
        puts("");
    }
    free(text);
    json_free(document);
    tokenizer_close(&tokenizer);
    bundle_close(&bundle);
    return 0;
}
"""
FUZZ_DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "golden.h"
#include "safetensors.h"
#include "vectors.h"
/* Reads pairs of a manifest and another file's content from stdin, each after its length, puts both into a bundle folder and
 * reads all that there is to read, as far as it goes. Prints how far: a digit a pair. */
static void put(const char *folder, const char *name) {
    char path[4096];
    uint32_t length = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (fread(&length, 4, 1, stdin) != 1) {
        exit(0);
    }
    char *content = malloc(length + 1);
    FILE *file = fopen(path, "wb");
    if (fread(content, 1, length, stdin) != length || fwrite(content, 1, length, file) != length) {
        exit(1);
    }
    fclose(file);
    free(content);
}
int main(int count, char **values) {
    (void)count;
    for (;;) {
        struct session session = {.runtime = NULL};
        struct golden golden = {0};
        struct failure failure = {""};
        struct tally tally;
        int reached = 0;
        put(values[1], "manifest.json");
        put(values[1], values[2]);
        bool made = bundle_open(&session.bundle, values[1], NULL, "1.31.1", &failure) && ++reached &&
                    tokenizer_open(&session.tokenizer, &session.bundle, &failure) && ++reached &&
                    golden_read(&golden, &session, &failure) && ++reached &&
                    check_vectors(&session.bundle, &tally, &failure) && ++reached;
        fprintf(stderr, "%d", made || strlen(failure.text) > 20 ? reached : 9);
        golden_free(&golden);
        tokenizer_close(&session.tokenizer);
        bundle_close(&session.bundle);
    }
}
"""
UNIFORM_DRIVER = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    unsigned long long seed, position;
    while (scanf("%llu %llu", &seed, &position) == 2) {
        printf("%.17g\\n", uniform_at(seed, position));
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


@pytest.fixture(scope="module")
def archive(build: Path) -> Path:
    """Everything but main.c with sanitizers, for drivers of a test's own."""
    sources = [str(path) for path in sorted(C.glob("*.c")) if path.name != "main.c"]
    subprocess.run(["gcc", *FLAGS, "-c", *sources], check=True, timeout=240, cwd=build)
    objects = [str(build / Path(path).with_suffix(".o").name) for path in sources]
    subprocess.run(["ar", "rc", str(build / "all.a"), *objects], check=True, timeout=60)
    return build / "all.a"


@pytest.fixture
def drive(archive: Path, tmp_path: Path) -> Callable[..., str]:
    """Compile a main of a test's own with sanitizers, run it on ``given`` and return what it prints."""

    def run(source: str, *, given: bytes = b"", arguments: Sequence[str] = (), says: str = r"") -> str:
        (tmp_path / "driver.c").write_text(source, "utf-8")
        driver = tmp_path / "driver"
        command = ["gcc", *FLAGS, "-I", str(C), str(tmp_path / "driver.c"), str(archive), "-o", str(driver), "-ldl", "-lm"]
        subprocess.run(command, check=True, timeout=120)
        done = subprocess.run([driver, *arguments], input=given, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(says, done.stderr.decode("utf-8")), done.stderr
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
    assert wanted.count(" ok\n") == wanted.count("\n") in {6, 8}


def test_the_golden_run_of_a_learned_state_passes(sanitized: Program, learned: Path) -> None:
    assert sanitized.good(learned, "--check").count(" ok\n") == 5


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
    "kind": (lambda m: m["tokenizer"].update(kind="custom"), "the tokenizer is of kind custom, expected char, byte, word, bpe"),
    "other kind": (lambda m: m["tokenizer"].update(kind="word"), "it has no pattern that cuts a text"),
    "no bytes": (lambda m: m["tokenizer"].update(kind="byte"), "it has no token for every byte"),
    "tokenizer not listed": (lambda m: m["files"].pop("tokenizer.json"), "manifest.json lacks the file tokenizer.json"),
    "tokenizer elsewhere": (
        lambda m: m["tokenizer"].update(path="/etc/hostname"),
        "manifest.json lacks the file /etc/hostname",
    ),
    "requires": (
        lambda m: m["artifacts"][0].update(requires={"onnxruntime": "newest"}),
        "an artifact requires what is no version",
    ),
    "a drive": (lambda m: m["artifacts"][0].update(path="c:step.onnx"), "a file has no path inside the folder"),
    "a dot": (lambda m: m["artifacts"][0].update(path="./onnx/step.onnx"), "a file has no path inside the folder"),
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
    said = drive(JSON_DRIVER, given=b"".join(struct.pack("<I", len(part)) + part for part in documents))
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
    said = drive(SAMPLE_DRIVER, given="\n".join(lines).encode())
    assert [int(line) for line in said.splitlines()] == wanted


def test_digests_are_those_of_hashlib(drive: Callable[..., str]) -> None:
    data = bytes(length * 7 % 256 for length in range(300))
    wanted = [hashlib.sha256(data[:length]).hexdigest() for length in range(300)]
    # the driver sets one more byte before each digest, which it does not count
    assert drive(SHA_DRIVER).split() == wanted


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
    for content in mutations(alone, count=10, seed=3):
        replace(folder, "golden.safetensors", content + golden[8 + size :])
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
    tokens = safetensors.numpy.load_file(text / "golden.safetensors")
    tokens["tokens"][3] = 10**6
    replace(folder, "golden.safetensors", safetensors.numpy.save(tokens))
    assert "the golden run has the token 1000000" in sanitized.refusal(folder, "--check")


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_every_kind_of_tokens_is_read_as_the_library_reads_it(
    drive: Callable[..., str], text: Path, tmp_path: Path, kind: str
) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    folder = host_cases.with_tokenizer(text, tmp_path / "b", tokenizer)
    texts = host_cases.texts(5, 400)
    lists = host_cases.id_lists(tokenizer, 6, 200)
    said = drive(TOKENS_DRIVER, given=json.dumps([*texts, *lists]).encode(), arguments=[str(folder)])
    lines = said.splitlines()
    assert len(lines) == len(texts) + len(lists), said
    refused = 0
    for line, given in zip(lines, texts, strict=False):
        if kind == "caption" and line == "!":
            refused += 1  # what NFKC and lower case may change is refused, never guessed
            assert not given.isascii(), given
            continue
        wanted = host_cases.reference(tokenizer, given)
        assert line == ("!" if wanted is None else "".join(f"{token} " for token in wanted)), repr(given)
    assert refused < len(texts) * 0.9
    for line, ids in zip(lines[len(texts) :], lists, strict=True):
        pieces = [bytes.fromhex(piece).decode() for piece in line.split("|")]  # no piece splits a character
        assert "".join(pieces) == tokenizer.decode(ids)


def test_words_and_byte_pairs_are_written_as_the_library_writes_them(
    sanitized: Program, make_model: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    tokenizer = host_cases.tokenizer_of("bpe")
    model = make_model(vocabulary=tokenizer.vocabulary_size)
    export_bundle(Checkpoint(model, tokenizer, {}, {}), tmp_path / "b", to=["onnx"], steps=8, release=True)
    wanted = write_text(tmp_path / "b", "the été 你", length=60, temperature=1.0, seed=3)
    arguments = ("--prompt", "the été 你", "--length", 60, "--temperature", 1, "--seed", 3)
    found = json.loads(sanitized.good(tmp_path / "b", *arguments, "--json"))
    assert (found["tokens"], found["text"]) == (wanted["tokens"], wanted["text"])
    assert sanitized.good(tmp_path / "b", *arguments) == f"the été 你{wanted['text']}\n"
    sanitized.good(tmp_path / "b", "--check")


def test_one_seed_writes_the_text_of_the_library(sanitized: Program, text: Path) -> None:
    wanted = write_text(text, PROMPT, length=500, temperature=0.8, seed=7, artifact=STEPS[0])
    found = json.loads(sanitized.good(text, "--prompt", PROMPT, "--length", 500, "--temperature", 0.8, "--seed", 7, "--json"))
    assert found["tokens"] == wanted["tokens"]


def test_random_numbers_are_those_of_the_library(drive: Callable[..., str]) -> None:
    places = [(1234567, position) for position in range(5)] + [(0, 0), (2**64 - 1, 3), (7, 2**53), (2**53, 11)]
    given = "".join(f"{seed} {position}\n" for seed, position in places).encode()
    said = [float(line) for line in drive(UNIFORM_DRIVER, given=given).split()]
    known = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821)
    assert said[:5] == [(bits >> 11) * 2.0**-53 for bits in known]
    assert said == [float(uniform_numbers(seed, 1, position=position)[0]) for seed, position in places]


@pytest.mark.parametrize("seed", ["-1", "1.5", "18446744073709551616", "x", "", "0x10", " 1"])
def test_seeds_that_are_none_are_refused(sanitized: Program, text: Path, seed: str) -> None:
    assert "expected a whole number of 0 to 18446744073709551615" in sanitized.refusal(text, "--seed", seed)


def test_the_largest_seed_writes(sanitized: Program, text: Path) -> None:
    wanted = write_text(text, PROMPT, length=5, temperature=1.0, seed=2**64 - 1, artifact=STEPS[0])
    found = sanitized.good(text, "--prompt", PROMPT, "--length", 5, "--temperature", 1, "--seed", 2**64 - 1, "--json")
    assert json.loads(found)["tokens"] == wanted["tokens"]


def test_the_vectors_of_the_sampler_are_replayed(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    vectors = json.loads((text / "sampler.json").read_text("utf-8"))
    vectors["uniforms"][0]["values"][0] += 2.0**-53
    vectors["tokens"][-1]["token"] += 1
    host_cases.replace(folder, "sampler.json", json.dumps(vectors).encode())
    done = sanitized.run(folder, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    failed = [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert failed == [["uniforms", "1.0e+00", "0", "FAILED"], ["sampler", "1.0e+00", "0", "FAILED"]]
    host_cases.edit(folder, lambda manifest: manifest.pop("sampler"))
    assert "sampler" not in sanitized.good(folder, "--check")


def test_damaged_vectors_are_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    whole = (text / "sampler.json").read_bytes()
    for content in (b"", b"{}", whole.replace(b"splitmix64", b"other"), whole.replace(b'"top_k":', b'"top_k": -1, "x":')):
        host_cases.replace(folder, "sampler.json", content)
        assert "vectors are damaged" in sanitized.run(folder, "--check").stderr
    host_cases.edit(folder, lambda manifest: manifest["files"].pop("sampler.json"))
    assert "manifest.json lacks the file sampler.json" in sanitized.run(folder, "--check").stderr


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_short_record_of_the_logits_is_replayed(sanitized: Program, text: Path, tmp_path: Path, artifact: str) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    host_cases.shorten_golden(folder)
    said = sanitized.good(folder, "--check", "--artifact", artifact)
    names = [line.split()[0] for line in said.splitlines()]
    assert names[:3] == ["logits.at_columns", "logits.largest", "logits.log_sum"]
    for name in names[:3]:
        tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
        tensors[name].flat[-1] += 40
        other = changed(folder, tmp_path / name, lambda manifest: None)
        replace(other, "golden.safetensors", safetensors.numpy.save(tensors))
        done = sanitized.run(other, "--check", "--artifact", artifact)
        assert (done.returncode, done.stderr) == (1, "")
        assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")] == [name]
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    tensors["logits.largest_ids"].flat[3] = 10**6
    replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))
    assert "the golden run has the token 1000000" in sanitized.refusal(folder, "--check")


def test_an_older_runtime_is_named(sanitized: Program, text: Path, tmp_path: Path) -> None:
    needed = {"onnxruntime": "99.1"}
    folder = changed(text, tmp_path / "b", lambda manifest: manifest["artifacts"][0].update(requires=needed))
    said = sanitized.refusal(folder, "--artifact", STEPS[0])
    assert f"{STEPS[0]} needs onnxruntime 99.1 or newer, this is {onnxruntime.__version__}" in said
    found = json.loads(sanitized.good(folder, "--json", "--length", 1))
    assert found["artifact"] == STEPS[1]  # none was named, so that the next one is taken
    for manifest_artifact in ("1", "1.17", "1.17.0", onnxruntime.__version__):
        host_cases.edit(folder, lambda m, least=manifest_artifact: m["artifacts"][0].update(requires={"onnxruntime": least}))
        sanitized.good(folder, "--artifact", STEPS[0], "--length", 1)


def test_what_leads_out_of_the_bundle_is_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    outside = tmp_path / "tokenizer.json"
    (folder / "tokenizer.json").rename(outside)
    (folder / "tokenizer.json").symlink_to(outside)
    assert "tokenizer.json leads out of the bundle" in sanitized.refusal(folder)
    (folder / "tokenizer.json").unlink()
    outside.rename(folder / "own.json")
    (folder / "tokenizer.json").symlink_to("own.json")
    sanitized.good(folder, "--length", 1)
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    assert "is no plain file" in sanitized.refusal(folder)


def test_a_zipped_bundle_is_named_with_what_to_do(sanitized: Program, tmp_path: Path) -> None:
    packed = tmp_path / "b.edgernn"
    packed.write_bytes(b"PK")
    assert f"unpack it: unzip -q {packed} -d FOLDER" in sanitized.refusal(packed)


def test_a_name_that_comes_twice_is_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    path = folder / "manifest.json"
    path.write_text(path.read_text("utf-8").replace('"files":', '"golden": null, "files":'), "utf-8")
    assert "an object has a name twice" in sanitized.refusal(folder)


def test_no_damage_is_more_than_a_line(drive: Callable[..., str], sanitized: Program, text: Path, tmp_path: Path) -> None:
    """Under sanitizers, hundreds of damaged manifests, tokenizers, recordings and vectors: each one line, or it is good."""
    folder = changed(text, tmp_path / "b", lambda manifest: manifest.pop("provenance"))
    manifest = (folder / "manifest.json").read_bytes()
    digits = r"[0-4]+"

    def fuzz(name: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        given = b"".join(struct.pack("<I", len(part)) + part for pair in pairs for part in pair)
        drive(FUZZ_DRIVER, given=given, arguments=[str(folder), name], says=digits)

    tokenizer = (folder / "tokenizer.json").read_bytes()
    broken = host_cases.damaged_manifests(json.loads(manifest), 3, 300) + mutations(manifest, count=100, seed=1)
    fuzz("tokenizer.json", [(content, tokenizer) for content in broken])
    for content in broken[:10]:
        (folder / "manifest.json").write_bytes(content)
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2), done.stderr
    bpe = host_cases.with_tokenizer(text, tmp_path / "bpe", host_cases.tokenizer_of("bpe"))
    for source, name, seed in ((text, "golden.safetensors", 2), (text, "sampler.json", 4), (bpe, "tokenizer.json", 5)):
        whole, listed = (source / name).read_bytes(), json.loads((source / "manifest.json").read_bytes())
        head = whole[:3000]  # where the structure is
        pairs = []
        for content in (part + whole[3000:] for part in mutations(head, count=100, seed=seed)):
            listed["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            pairs.append((json.dumps(listed).encode(), content))
        fuzz(name, pairs)


def test_the_tables_of_unicode_are_those_of_the_library() -> None:
    own = runpy.run_path(str(EXAMPLES / "make_unicode.py"))
    written = (C / "unicode.h").read_text("utf-8")
    if f"Unicode {own['unicode_version']()} " not in written:
        pytest.skip("the installed tokenizers library knows another version of Unicode")
    assert [own["table_text"](path) == path.read_text("utf-8") for path in own["TARGETS"]] == [True, True]
