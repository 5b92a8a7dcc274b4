"""The C example, compiled: it writes what the Python example and edgernn write, and passes the
golden runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host_cases
import numpy as np
import pytest
from c_drivers import SAMPLE_DRIVER, UNIFORM_DRIVER
from c_program import EXAMPLES, PROMPT, STEPS, Program, changed

from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.writing.text import write_text


def python_example(*arguments: object) -> dict[str, Any]:
    command = [
        sys.executable,
        "-X",
        "utf8",
        EXAMPLES / "python" / "main.py",
        *map(str, arguments),
        "--json",
    ]
    record: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    )
    return record


@pytest.mark.parametrize("artifact", STEPS)
def test_greedy_text_is_that_of_the_python_example(
    program: Program, text: Path, artifact: str
) -> None:
    arguments = [
        text,
        "--prompt",
        PROMPT,
        "--temperature",
        0,
        "--length",
        500,
        "--artifact",
        artifact,
    ]
    made = json.loads(program.good(*arguments, "--json"))
    assert made == python_example(*arguments)
    assert len(made["text"]) == 500
    assert program.good(*arguments) == PROMPT + made["text"] + "\n"


def test_a_learned_first_state_and_characters_of_many_bytes(
    sanitized: Program, learned: Path
) -> None:
    for prompt in ([], ["--prompt", "é𝄞€a"]):
        arguments = [learned, "--temperature", 0, "--length", 60, *prompt]
        made = json.loads(sanitized.good(*arguments, "--json"))
        assert made == python_example(*arguments)
        assert sanitized.good(*arguments) == "".join(prompt[1:]) + made["text"] + "\n"
    assert "the tokenizer has no 'ö', at place 1 of the prompt" in sanitized.refusal(
        learned, "--prompt", "éö"
    )


def test_a_long_prompt_is_fed_whole(sanitized: Program, text: Path) -> None:
    arguments = [
        text,
        "--prompt",
        PROMPT * 40,
        "--temperature",
        0,
        "--length",
        20,
    ]  # longer than one call takes
    assert json.loads(sanitized.good(*arguments, "--json")) == python_example(*arguments)


def test_decoding_defaults_are_kept(sanitized: Program, text: Path, tmp_path: Path) -> None:
    plain = json.loads(sanitized.good(text, "--length", 30, "--temperature", 0, "--json"))["tokens"]
    decoding = {"suppress": [plain[0]], "temperature": 0}
    folder = changed(
        text, tmp_path / "suppress", lambda manifest: manifest["decoding"].update(decoding)
    )
    tokens = json.loads(sanitized.good(folder, "--json", "--length", 30))["tokens"]
    assert plain[0] not in tokens
    few = changed(
        text,
        tmp_path / "few",
        lambda manifest: manifest["decoding"].update(suppress=list(range(2, 34))),
    )
    assert set(json.loads(sanitized.good(few, "--json", "--length", 30))["tokens"]) <= {0, 1}
    stop = tokens[3]
    ends = changed(
        folder, tmp_path / "stop", lambda manifest: manifest["decoding"].update(stop=[stop])
    )
    assert json.loads(sanitized.good(ends, "--json"))["tokens"] == tokens[: tokens.index(stop) + 1]
    short = changed(
        folder, tmp_path / "length", lambda manifest: manifest["decoding"].update(length=5)
    )
    assert json.loads(sanitized.good(short, "--json"))["tokens"] == tokens[:5]


def test_the_seed_decides_what_is_written(sanitized: Program, text: Path) -> None:
    made = [
        sanitized.good(text, "--length", 80, "--temperature", 1, "--top-p", 0.9, "--seed", seed)
        for seed in (1, 1, 2)
    ]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("artifact", STEPS)
def test_the_golden_run_measures_as_in_python(
    sanitized: Program, text: Path, artifact: str
) -> None:
    """Every line is the one of the Python example, with sanitizers on."""
    command = [
        sys.executable,
        EXAMPLES / "python" / "main.py",
        text,
        "--check",
        "--artifact",
        artifact,
    ]
    wanted = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    assert sanitized.good(text, "--check", "--artifact", artifact) == wanted
    assert wanted.count(" ok\n") == wanted.count("\n") in {6, 8}


def test_the_golden_run_of_a_learned_state_passes(sanitized: Program, learned: Path) -> None:
    assert sanitized.good(learned, "--check").count(" ok\n") == 5


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
        command = [
            sys.executable,
            "-c",
            script,
            program.path,
            text,
            "--time",
            str(steps),
            "--library",
            program.library,
        ]
        peaks.append(
            int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        )
    assert peaks[1] - peaks[0] < 3_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--artifact", "onnx/generate.onnx"],
            "onnx/generate.onnx is of format onnx and graph generate; expected an ONNX step file",
        ),
        (
            ["--artifact", "nope"],
            "no artifact nope; expected an ONNX step file; choose one of: onnx/step.onnx, "
            "onnx/step-float16",
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
def test_bad_arguments_are_refused(
    sanitized: Program, text: Path, arguments: list[str], says: str
) -> None:
    assert says in sanitized.refusal(text, *arguments)


def test_the_sampler_chooses_what_edgernn_chooses(drive: Callable[..., str]) -> None:
    random = np.random.default_rng(6)
    lines, wanted = [], []
    for number in range(600):
        logits = np.round(random.normal(0, 3, int(random.integers(1, 60))), number % 3).astype(
            np.float32
        )  # with ties
        temperature = float(random.choice([0, 0.3, 1, 2.5]))
        top_k, top_p = int(random.choice([0, 1, 4, 100])), float(random.choice([1, 0.9, 0.5, 0.01]))
        uniform = float(random.choice([random.random(), 0, 1 - 2**-53]))
        values = " ".join(repr(float(value)) for value in logits)
        lines.append(f"{len(logits)} {temperature!r} {top_k} {top_p!r} {uniform!r} {values}")
        wanted.append(Sampler(temperature, top_k, top_p).pick(logits, uniform))
    said = drive(SAMPLE_DRIVER, given="\n".join(lines).encode())
    assert [int(line) for line in said.splitlines()] == wanted


def test_words_and_byte_pairs_are_written_as_the_library_writes_them(
    sanitized: Program, make_model: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    tokenizer = host_cases.tokenizer_of("bpe")
    model = make_model(vocabulary=tokenizer.vocabulary_size)
    export_bundle(
        Checkpoint(model, tokenizer, {}, {}), tmp_path / "b", to=["onnx"], steps=8, release=True
    )
    wanted = write_text(tmp_path / "b", "the été 你", length=60, temperature=1.0, seed=3)
    arguments = ("--prompt", "the été 你", "--length", 60, "--temperature", 1, "--seed", 3)
    found = json.loads(sanitized.good(tmp_path / "b", *arguments, "--json"))
    assert (found["tokens"], found["text"]) == (wanted["tokens"], wanted["text"])
    assert sanitized.good(tmp_path / "b", *arguments) == f"the été 你{wanted['text']}\n"
    sanitized.good(tmp_path / "b", "--check")


def test_one_seed_writes_the_text_of_the_library(sanitized: Program, text: Path) -> None:
    wanted = write_text(text, PROMPT, length=500, temperature=0.8, seed=7, artifact=STEPS[0])
    found = json.loads(
        sanitized.good(
            text, "--prompt", PROMPT, "--length", 500, "--temperature", 0.8, "--seed", 7, "--json"
        )
    )
    assert found["tokens"] == wanted["tokens"]


def test_random_numbers_are_those_of_the_library(drive: Callable[..., str]) -> None:
    places = [(1234567, position) for position in range(5)] + [
        (0, 0),
        (2**64 - 1, 3),
        (7, 2**53),
        (2**53, 11),
    ]
    given = "".join(f"{seed} {position}\n" for seed, position in places).encode()
    said = [float(line) for line in drive(UNIFORM_DRIVER, given=given).split()]
    known = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    assert said[:5] == [(bits >> 11) * 2.0**-53 for bits in known]
    assert said == [
        float(uniform_numbers(seed, 1, position=position)[0]) for seed, position in places
    ]


@pytest.mark.parametrize("seed", ["-1", "1.5", "18446744073709551616", "x", "", "0x10", " 1"])
def test_seeds_that_are_none_are_refused(sanitized: Program, text: Path, seed: str) -> None:
    assert "expected a whole number of 0 to 18446744073709551615" in sanitized.refusal(
        text, "--seed", seed
    )


def test_the_largest_seed_writes(sanitized: Program, text: Path) -> None:
    wanted = write_text(text, PROMPT, length=5, temperature=1.0, seed=2**64 - 1, artifact=STEPS[0])
    found = sanitized.good(
        text, "--prompt", PROMPT, "--length", 5, "--temperature", 1, "--seed", 2**64 - 1, "--json"
    )
    assert json.loads(found)["tokens"] == wanted["tokens"]
