"""The parts of every host do what edgernn does: its sampler, its random numbers, and its tokenizer
on hundreds of texts.
"""

from __future__ import annotations

import json
from pathlib import Path

import host_cases
import numpy as np
import pytest
from hosts import PARTS, Command, Host

from edgernn.contract.random_numbers import uniform_numbers
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.stream_decoder import StreamDecoder


@pytest.fixture(scope="module", params=PARTS, ids=lambda host: host.name)
def host(request: pytest.FixtureRequest) -> Host:
    """One row of the table of hosts, and those whose networks are compiled in."""
    row: Host = request.param
    return row


@pytest.fixture(scope="module")
def parts(host: Host, request: pytest.FixtureRequest) -> Command:
    """The host's parts, ready to be used."""
    return host.parts(request)


def lines_of(parts: Command, mode: str, file: Path, given: str, *folder: Path) -> list[str]:
    """Return the lines that a part gives for ``given``."""
    file.write_text(given, "utf-8")
    return parts.good(mode, file, *folder).splitlines()


def test_the_sampler_chooses_what_edgernn_chooses(parts: Command, tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    cases = [
        (Sampler(1.0), 0.5, np.zeros(2, np.float32)),  # on the border
        (Sampler(1.0, 0, 0.5), 0.9, np.ones(2, np.float32)),
        (Sampler(0.0), 0.9, np.ones(2, np.float32)),
        (Sampler(0.1), 1 - 2**-53, np.array([0.0, -800.0], np.float32)),
    ]
    for number in range(600):
        logits = random.normal(0, 3, int(random.integers(1, 60))).astype(np.float32)
        if number % 3 < 2:
            logits = np.round(logits, number % 3)  # ties, and zeros of both signs
        if number % 5 == 0:
            logits[1:][random.random(len(logits) - 1) < 0.3] = -1e30  # as good as never
        temperature = float(random.choice([0, 0.3, 1, 2.5]))
        top_k, top_p = int(random.choice([0, 1, 4, 100])), float(random.choice([1, 0.9, 0.5, 0.01]))
        uniform = float(random.choice([random.random(), 0, 1 - 2**-53]))
        cases.append((Sampler(temperature, top_k, top_p), uniform, logits))
    given = [
        " ".join(map(repr, [s.temperature, s.top_k, s.top_p, uniform, len(x), *map(float, x)]))
        for s, uniform, x in cases
    ]
    made = lines_of(parts, "--sample", tmp_path / "given", "\n".join(given) + "\n")
    assert [*map(int, made)] == [s.pick(logits, uniform) for s, uniform, logits in cases]


def test_random_numbers_are_those_of_edgernn(parts: Command, tmp_path: Path) -> None:
    places = [(1234567, position) for position in range(5)]
    places += [(0, 0), (2**64 - 1, 3), (7, 2**53 - 1), (2**53, 11), (7, 2**40)]
    given = "".join(f"{seed} {position}\n" for seed, position in places)
    made = [*map(float, lines_of(parts, "--uniform", tmp_path / "given", given))]
    known = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    assert made[:5] == [(bits >> 11) * 2.0**-53 for bits in known]
    assert made == [float(uniform_numbers(s, 1, position=position)[0]) for s, position in places]


def ids_line(tokenizer: Tokenizer, text: str) -> str:
    """Return the line of a text: its ids, or ! where a character is unknown."""
    ids = host_cases.reference(tokenizer, text)
    return "!" if ids is None else "".join(f"{token} " for token in ids)


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_every_kind_of_tokens_is_read_and_written(
    host: Host, parts: Command, text: Path, tmp_path: Path, kind: str
) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    folder = host_cases.with_tokenizer(text, tmp_path / "b", tokenizer)
    texts = host_cases.texts(5, 400, newest=host.newest)
    lists = host_cases.id_lists(tokenizer, 6, 200)
    known = [ids for each in texts[:100] if (ids := host_cases.reference(tokenizer, each))]
    given = json.dumps([*texts, *lists, *known])
    lines = lines_of(parts, "--tokens", tmp_path / "given", given, folder)
    assert len(lines) == len(texts) + len(lists) + len(known)
    refused = 0
    for line, each in zip(lines, texts, strict=False):
        if host.own_captions and tokenizer.kind == "caption" and line == "!":
            refused += 1  # what NFKC and lower case may change is refused, never guessed
            assert not each.isascii(), each
            continue
        assert line == ids_line(tokenizer, each), ascii(each)
    assert refused < len(texts) * 0.9
    written = [
        [bytes.fromhex(piece).decode() for piece in line.split("|")]  # no piece splits a character
        for line in lines[len(texts) :]
    ]
    for ids, pieces in zip([*lists, *known], written, strict=True):
        assert "".join(pieces) == tokenizer.decode(ids)
    for ids, pieces in zip(
        known, written[len(lists) :], strict=True
    ):  # none waits longer than it must
        stream = StreamDecoder(tokenizer)
        whole = [*(stream.push(token) for token in ids), stream.flush()]
        assert tokenizer.kind == "caption" or pieces == whole


@pytest.mark.parametrize("pattern", host_cases.PATTERNS)
def test_patterns_cut_as_those_of_edgernn(
    host: Host, parts: Command, text: Path, tmp_path: Path, pattern: str
) -> None:
    tokenizer = host_cases.with_pattern(host_cases.tokenizer_of("word"), pattern)
    folder = host_cases.with_tokenizer(text, tmp_path / "b", tokenizer)
    host_cases.edit(folder, lambda manifest: manifest["tokenizer"].update(kind="word"))
    texts = host_cases.texts(9, 300, newest=host.newest)
    lines = lines_of(parts, "--tokens", tmp_path / "given", json.dumps(texts), folder)
    assert lines == [ids_line(tokenizer, each) for each in texts]
