"""Every host writes what edgernn writes: greedy and by seed, of every kind of tokens, within the
decoding defaults of the bundle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import host_cases
import pytest
from c_program import PROMPT, STEPS
from hosts import Command

from edgernn.writing.text import write_text

LENGTH = 500


def written(command: Command, folder: Path, *flags: object) -> dict[str, Any]:
    """Return what a host writes as JSON."""
    made: dict[str, Any] = json.loads(command.good(folder, *flags, "--json"))
    return made


@pytest.mark.parametrize("artifact", STEPS)
def test_greedy_text_is_that_of_edgernn(command: Command, text: Path, artifact: str) -> None:
    wanted = write_text(text, PROMPT, length=LENGTH, temperature=0, artifact=artifact)
    flags = ["--prompt", PROMPT, "--temperature", 0, "--length", LENGTH, "--artifact", artifact]
    made = written(command, text, *flags)
    assert (made["artifact"], made["text"]) == (artifact, wanted["text"])
    assert made["tokens"] == wanted["tokens"]
    assert len(made["tokens"]) == LENGTH


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.7), (9, 0.8), (500, 0.001)])
def test_the_same_seed_writes_the_text_of_edgernn(
    command: Command, text: Path, learned: Path, top_k: int, top_p: float
) -> None:
    for folder, seed, prompt in ((text, 7, PROMPT), (learned, 2**64 - 1, "a€")):
        options: dict[str, Any] = {"length": 60, "temperature": 1.3, "top_k": top_k, "seed": seed}
        wanted = write_text(folder, prompt, top_p=top_p, **options)
        flags = ["--prompt", prompt, "--top-p", top_p]
        for name, value in options.items():
            flags += [f"--{name.replace('_', '-')}", value]
        assert command.good(folder, *flags) == prompt + wanted["text"] + "\n"


def test_without_a_prompt_it_begins_as_the_bundle_says(
    command: Command, text: Path, learned: Path
) -> None:
    for folder in (text, learned):
        wanted = write_text(folder, "", length=40)
        assert written(command, folder, "--length", 40)["tokens"] == wanted["tokens"]


def test_a_stored_first_state_is_fed(command: Command, learned: Path, tmp_path: Path) -> None:
    zeros = host_cases.copied(learned, tmp_path / "zeros")

    def without(manifest: dict[str, Any]) -> None:
        word = isinstance(manifest["contract"]["initial_state"], str)  # as version 1 has it
        manifest["contract"]["initial_state"] = "zeros" if word else {}

    host_cases.edit(zeros, without)
    flags = ["--length", 200, "--temperature", 1.5]
    assert written(command, learned, *flags) != written(command, zeros, *flags)


def test_a_long_prompt_is_fed_whole(command: Command, text: Path) -> None:
    prompt = PROMPT * 40  # longer than one call takes
    wanted = write_text(text, prompt, length=20, temperature=0)
    flags = ["--prompt", prompt, "--length", 20, "--temperature", 0]
    assert written(command, text, *flags)["text"] == wanted["text"]


def test_decoding_defaults_are_kept(command: Command, copy: Path) -> None:
    plain = written(command, copy, "--length", 30, "--temperature", 0)["tokens"]

    def tokens(**decoding: object) -> list[int]:
        host_cases.edit(copy, lambda manifest: manifest["decoding"].update(decoding))
        found: list[int] = written(command, copy, "--length", 30)["tokens"]
        return found

    without = tokens(suppress=[plain[0]], temperature=0)
    assert plain[0] not in without
    stop = without[3]
    assert tokens(stop=[stop]) == without[: without.index(stop) + 1]
    assert tokens(stop=[], length=5) == without[:5]
    assert set(tokens(length=0, suppress=list(range(2, 34)))) <= {0, 1}


@pytest.fixture(scope="module", params=["byte", "word", "bpe"])
def of_kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose tokens are of one kind, untrained, so that any token comes."""
    return host_cases.made_of_kind(request.param, tmp_path_factory.mktemp(request.param) / "b")


def test_a_text_of_every_kind_of_tokens_is_that_of_edgernn(command: Command, of_kind: Path) -> None:
    prompt = host_cases.SAMPLE
    wanted = write_text(of_kind, prompt, length=120, temperature=2.0, seed=7)["text"]
    flags = ["--prompt", prompt, "--length", 120, "--temperature", 2, "--seed", 7]
    assert written(command, of_kind, *flags)["text"] == wanted
    assert command.failed(of_kind) == []


def test_what_goes_on_from_words_stands_a_space_apart(command: Command, tmp_path: Path) -> None:
    bundle = host_cases.made_of_kind("spaced", tmp_path / "b")
    made = write_text(bundle, "the quick", length=20, temperature=2.0, seed=7)["tokens"]
    tokenizer = host_cases.tokenizer_of("spaced")
    wanted = tokenizer.decode([*tokenizer.encode("the quick"), *made]) + "\n"
    flags = ["--length", 20, "--temperature", 2, "--seed", 7]
    for prompt in ("the quick", " the  quick "):
        assert command.good(bundle, "--prompt", prompt, *flags) == wanted
