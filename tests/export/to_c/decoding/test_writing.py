"""Whole texts: token for token what the library writes over the same file, wherever they are
cut.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from probes import Probe, files_of, probe_of

from edgernn.bundle import Bundle
from edgernn.contract import Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions
from edgernn.export.to_c.decoding.companions import companions
from edgernn.export.to_c.options import Options
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.opening import open_session
from edgernn.writing.text import open_tokenizer

RANGE, OPTION, EMPTY = 2, 3, 4
OPTIONS = [(0.0, 0, 1.0), (0.8, 0, 1.0), (1.4, 5, 1.0), (1.0, 0, 0.7), (2.0, 12, 0.9)]
LENGTH = 120


@pytest.fixture
def probe(text_bundle: Bundle) -> Probe:
    return probe_of(files_of(text_bundle, open_tokenizer(text_bundle)))


def written(
    bundle: Bundle,
    prompt: list[int],
    options: tuple[float, int, float],
    *,
    seed: int,
    stop: tuple[int, ...] = (),
    suppress: tuple[int, ...] = (),
) -> list[int]:
    """What the library writes over the same file."""
    opened = open_session(bundle, "c")
    generation = Generation(
        opened,
        begin(opened, np.array(prompt, np.int64)),
        sampler=Sampler(*options),
        seed=seed,
        suppress=suppress,
    )
    return list(generation.write(LENGTH, stop=stop))


@pytest.mark.parametrize("options", OPTIONS)
def test_the_tokens_are_the_librarys(
    text_bundle: Bundle, probe: Probe, options: tuple[float, int, float]
) -> None:
    texts = set()
    for seed, prompt in ((0, [3]), (7, [1, 2, 3, 4, 5]), (2**64 - 1, [9, 9])):
        probe.begin()
        found = probe.write(prompt, length=LENGTH, options=options, seed=seed)
        assert found == written(text_bundle, prompt, options, seed=seed)
        assert isinstance(found, list)
        assert len(found) == LENGTH
        texts.add(tuple(found))
    assert len(texts) == 3 or options[0] == 0


def test_no_prompt_feeds_the_start_tokens(text_bundle: Bundle, probe: Probe) -> None:
    start = list(text_bundle.manifest.decoding_defaults.start)
    assert start
    probe.begin()
    assert probe.write([], length=LENGTH, seed=3) == written(
        text_bundle, start, (0.8, 0, 1.0), seed=3
    )


def test_stop_and_suppressed_tokens_of_the_model(text_bundle: Bundle) -> None:
    options = (1.5, 0, 1.0)
    plain = written(text_bundle, [3], options, seed=5)
    stop, suppress = (plain[40], 1), (plain[0], plain[7])
    decoding = Decoding(start=(0,), stop=stop, suppress=suppress)
    probe = probe_of(files_of(text_bundle, open_tokenizer(text_bundle), decoding))
    probe.begin()
    found = probe.write([3], length=LENGTH, options=options, seed=5)
    wanted = written(text_bundle, [3], options, seed=5, stop=stop, suppress=suppress)
    assert found == wanted
    assert isinstance(found, list)
    assert found[-1] in stop
    assert len(found) < LENGTH
    assert not set(found) & set(suppress)


def test_a_text_goes_on_where_the_callback_ended_it(probe: Probe) -> None:
    probe.begin()
    whole = probe.write([4, 2], length=LENGTH, seed=11)
    probe.begin()
    parts = probe.write([4, 2], length=LENGTH, seed=11, hears=30)
    assert isinstance(parts, list)
    assert len(parts) == 30
    more = probe.write([], length=50, seed=11)
    assert isinstance(more, list)
    rest = probe.write([], length=LENGTH - 80, seed=11)
    assert isinstance(rest, list)
    assert parts + more + rest == whole


def test_a_copy_is_a_fork(probe: Probe) -> None:
    probe.begin()
    probe.write([4, 2], length=20, seed=11)
    probe.library.probe_fork(0)
    first = probe.write([], length=30, seed=11)
    probe.library.probe_fork(1)
    assert probe.write([7, 7, 7], length=30, seed=11) != first
    probe.library.probe_fork(1)
    assert probe.write([], length=30, seed=11) == first


def test_what_is_refused_leaves_the_text_as_it_is(text_bundle: Bundle, probe: Probe) -> None:
    size = text_bundle.manifest.contract.vocabulary
    probe.begin()
    assert probe.library.probe_null() == 0
    for prompt in ([size], [-1], [0, 1, size + 5], [2**40]):
        assert probe.write(prompt, length=5) == RANGE
    for options in ((float("nan"), 0, 1.0), (-1.0, 0, 1.0), (0.8, -2, 1.0), (0.8, 0, 0.0)):
        assert probe.write([3], length=5, options=options) == OPTION
    for length in (0, -1):
        assert probe.write([3], length=length) == OPTION
    after = probe.write([3], length=LENGTH, seed=2)
    assert after == written(text_bundle, [3], (0.8, 0, 1.0), seed=2)


def test_nothing_to_begin_with(text_bundle: Bundle) -> None:
    decoding = Decoding(start=())
    probe = probe_of(files_of(text_bundle, open_tokenizer(text_bundle), decoding))
    probe.begin()
    assert probe.write([], length=5) == EMPTY
    assert isinstance(probe.write([1], length=5), list)
    assert isinstance(probe.write([], length=5), list)


def test_nothing_is_called_but_the_step(text_bundle: Bundle, tmp_path: Path) -> None:
    import subprocess

    from edgernn.sessions.compiler import find_compiler

    compiler = find_compiler()
    for name, content in files_of(text_bundle, open_tokenizer(text_bundle)).items():
        (tmp_path / name).write_bytes(content)
    flags = [flag for flag in compiler.flags if flag not in ("-shared", "-fPIC")]
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    for name, calls in (("text.c", {"net_step"}), ("tokens.c", set())):
        command = [*compiler.command, *flags, *strict, "-c", name, "-o", f"{name}.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
        told = subprocess.run(
            ["nm", "-u", f"{name}.o"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert set(told.stdout.split()) - {"U"} == calls


def test_the_names_begin_as_the_steps_do(text_bundle: Bundle, tmp_path: Path) -> None:
    step = shutil.copytree(text_bundle.path("c/step"), tmp_path / "step")
    (step / "options.json").write_text(Options(prefix="voice").text())
    manifest, tokenizer = text_bundle.manifest, open_tokenizer(text_bundle)
    plain = companions(manifest.contract, manifest.decoding, tokenizer, {})
    renamed = companions(manifest.contract, manifest.decoding, tokenizer, {}, step)
    for name, content in plain.items():
        text = content.replace(b"net_", b"voice_").replace(b"NET_", b"VOICE_")
        assert renamed[name] == text
        assert content.count(b"net_") > 1


def test_a_step_of_several_sequences_writes_no_text(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = Checkpoint(make_model(), tokenizer, {}, {})
    options = ReducedOptions(streams=2)
    with export_bundle(
        made, tmp_path / "b", to=["c"], steps=4, release=True, options=options
    ) as bundle:
        assert not [name for name in bundle.manifest.files if name.startswith("c/text")]
