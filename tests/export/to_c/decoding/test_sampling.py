"""One choice at a time: the recorded vectors, and the library's own sampler over drawn scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes import Probe, files_of, probe_of

from edgernn.bundle import Bundle
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.sampler_vectors import SamplerVectors, read_vectors
from edgernn.decoding.sampling import Sampler
from edgernn.export.to_c.decoding.companions import companions

LAST = 1 - 2.0**-53
CLOSE = 1e-12  # to an edge: what the last bit of an exponential may decide
OPTION, LOGITS = -3, -5


@pytest.fixture(scope="module")
def probe(text_bundles: dict[str, Path], tokenizer: Tokenizer) -> Probe:
    """The program of characters."""
    return probe_of(files_of(Bundle.open(text_bundles["char"]), tokenizer))


@pytest.fixture(scope="module")
def vectors(text_bundles: dict[str, Path]) -> SamplerVectors:
    return read_vectors(text_bundles["char"] / "sampler.json")


def test_the_recorded_numbers(probe: Probe, vectors: SamplerVectors) -> None:
    import ctypes

    for group in vectors.uniforms:
        for at, value in enumerate(group.values, group.position):
            found = probe.library.net_text_uniform(ctypes.c_uint64(group.seed), ctypes.c_uint64(at))
            assert found == value


@pytest.mark.parametrize("in_order", [False, True])
def test_the_recorded_choices(probe: Probe, vectors: SamplerVectors, in_order: bool) -> None:
    for choice in vectors.tokens:
        if in_order and choice.temperature == 0:
            continue
        logits = np.array(choice.logits, np.float32)
        logits[list(choice.suppress)] = -np.inf
        found = probe.choose(logits, choice.uniform, choice.sampler, in_order=in_order)
        assert found == choice.token, choice


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([1, 2, 15, 16, 17, 31, 96, 97, 256, 1500]),
    spread=st.sampled_from([0.0, 1e-6, 0.1, 2.0, 20.0, 1e30]),
    grid=st.sampled_from([0.0, 0.25, 1.0]),
    suppressed=st.sampled_from([0, 1, 40]),
    temperature=st.sampled_from([1e-300, 0.01, 0.5, 0.8, 1.0, 3.0, 1e6]),
    top_k=st.sampled_from([0, 1, 2, 5, 40, 95, 96, 5000]),
    top_p=st.sampled_from([1.0, 0.999, 0.9, 0.5, 0.01]),
)
def test_drawn_scores_as_the_library_chooses(
    probe: Probe,
    seed: int,
    size: int,
    spread: float,
    grid: float,
    suppressed: int,
    temperature: float,
    top_k: int,
    top_p: float,
) -> None:
    random = np.random.default_rng(seed)
    logits = (random.standard_normal(size) * spread).astype(np.float32)
    if grid:
        logits = np.round(logits / np.float32(grid)) * np.float32(grid)
    logits[random.permutation(size)[: min(suppressed, size - 1)]] = -np.inf
    sampler = Sampler(temperature, top_k, top_p)
    _, ends = sampler.shares(logits)
    _, free = Sampler(temperature, top_k).shares(logits)
    for uniform in (0.0, *uniform_numbers(seed, 8), LAST):
        exact = len(np.unique(logits)) == 1  # every sum is
        if not exact and (np.abs(ends[:-1] - uniform) < CLOSE).any() and uniform > 0:
            continue
        if not exact and top_p < 1 and (np.abs(free - top_p) < CLOSE).any():
            continue
        wanted = sampler.pick(logits, float(uniform))
        assert probe.choose(logits, float(uniform), sampler) == wanted
        assert probe.choose(logits, float(uniform), sampler, in_order=True) == wanted
    assert probe.choose(logits, 0.5, Sampler(0)) == int(np.argmax(logits))


def test_the_short_way_ends_before_the_whole_order_matters(probe: Probe) -> None:
    # 3 of 4 equal scores: an edge at 0.75 exactly, and the numbers beside it
    logits = np.zeros(4, np.float32)
    for uniform, token in ((0.75, 3), (float(np.nextafter(0.75, 0)), 2), (0.0, 0), (LAST, 3)):
        assert probe.choose(logits, uniform, Sampler(1.0)) == token


def test_not_a_number_is_never_chosen(probe: Probe) -> None:
    logits = np.array([np.nan, 1.0, np.nan, 1.0, -np.inf, np.nan], np.float32)
    for temperature in (0.0, 0.8):
        chosen = {probe.choose(logits, u, Sampler(temperature)) for u in (0.0, 0.49, 0.51, LAST)}
        assert chosen == ({1} if temperature == 0 else {1, 3})


@pytest.mark.parametrize("logits", [[-np.inf] * 3, [np.nan] * 20, [0.0, np.inf, 1.0]])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_scores_of_which_none_can_be_chosen(
    probe: Probe, logits: list[float], temperature: float
) -> None:
    assert probe.choose(np.array(logits, np.float32), 0.5, Sampler(temperature)) == LOGITS


@pytest.mark.parametrize(
    "options",
    [
        (float("nan"), 0, 1.0),
        (-0.1, 0, 1.0),
        (float("inf"), 0, 1.0),
        (0.8, -1, 1.0),
        (0.8, 0, 0.0),
        (0.8, 0, 1.1),
        (0.8, 0, float("nan")),
    ],
)
def test_options_out_of_range(probe: Probe, options: tuple[float, int, float]) -> None:
    sampler = Sampler()
    for name, value in zip(("temperature", "top_k", "top_p"), options, strict=True):
        object.__setattr__(sampler, name, value)
    assert probe.choose(np.zeros(4, np.float32), 0.5, sampler) == OPTION


@pytest.mark.parametrize("uniform", [-0.1, 1.0, float("nan")])
def test_a_number_out_of_range(probe: Probe, uniform: float) -> None:
    assert probe.choose(np.zeros(4, np.float32), uniform, Sampler()) == OPTION


def test_the_exponential_is_within_a_unit_in_the_last_place(probe: Probe) -> None:
    import ctypes

    random = np.random.default_rng(5)
    x = np.concatenate([-random.random(20000) * scale for scale in (1e-12, 0.4, 5.0, 40.0, 707.0)])
    x = np.concatenate([x, [0.0, -0.0, -708.0]])
    y = np.empty_like(x)
    probe.library.probe_exp(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), len(x))
    wanted = np.array([math.exp(value) for value in x])
    assert (np.abs(y - wanted) <= np.spacing(wanted)).all()
    assert (y != wanted).mean() < 0.1, "and mostly the nearest"
    assert y[-3] == y[-2] == 1.0


def test_the_text_is_the_same_every_time(text_bundles: dict[str, Path]) -> None:
    with Bundle.open(text_bundles["char"]) as bundle:
        manifest = bundle.manifest
        tokenizer = Tokenizer.load(bundle.path("tokenizer.json"))
        made = companions(manifest.contract, manifest.decoding, tokenizer, {})
        assert made == companions(manifest.contract, manifest.decoding, tokenizer, {})
        assert {f"c/text/{name}" for name in made} <= manifest.files.keys()
        for name, content in made.items():
            assert bundle.path(f"c/text/{name}").read_bytes() == content
