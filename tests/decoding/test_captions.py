"""Captions over two sessions: one picture or many, greedy or at random, on the model and on files;
lengths and refusals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.contract import ENCODE, Decoding, FileContract, Narrowing
from edgernn.data.pictures.caption_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from edgernn.decoding import captions
from edgernn.decoding.beam import Hypothesis, length_normalised, log_softmax
from edgernn.decoding.captions import (
    greedy_captions,
    sample_caption,
    search_caption,
)
from edgernn.decoding.sampling import Sampler
from edgernn.errors import ContractError, UsageError
from edgernn.models.captioner import Captioner
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.eager import EagerSession
from edgernn.sessions.model import Model, choose_model

MakeCaptioner = Callable[..., Captioner]
LENGTH = 7
SUPPRESSED = (PAD_ID, START_ID, UNKNOWN_ID)
DECODING = Decoding(
    start=(START_ID,), temperature=0.0, stop=(END_ID,), suppress=SUPPRESSED, length=LENGTH
)
GREEDY, SAMPLED = Sampler(temperature=0), Sampler(temperature=1.5)
NEVER = -1e4  # added to a logit, what keeps a token from being written


def eager(
    model: Captioner, *, encode_rows: int | None = None, step_rows: int | None = None
) -> Model:
    """Open a model; a number of rows makes that graph take no other."""
    contract = model.config.contract()
    narrowings = [
        Narrowing(axes={"batch": rows} if rows else {}) for rows in (encode_rows, step_rows)
    ]
    encode = FileContract(contract=contract, graph=ENCODE, narrowing=narrowings[0])
    step = FileContract(contract=contract, narrowing=narrowings[1])
    return Model(EagerSession(model, step), EagerSession(model, encode))


def biased(model: Captioner, **logits: float) -> Captioner:
    """Add to the logits of special tokens, in place."""
    with torch.no_grad():
        for name, value in logits.items():
            model.head.bias[
                {"end": END_ID, "unknown": UNKNOWN_ID, "start": START_ID, "pad": PAD_ID}[name]
            ] += value
    return model


@pytest.fixture
def sessions(make_captioner: MakeCaptioner) -> Model:
    return eager(make_captioner())


def one_by_one(sessions: Model, images: np.ndarray) -> list[list[int]]:
    return [list(search_caption(sessions, image[None], DECODING).tokens) for image in images]


def same(left: Hypothesis, right: Hypothesis) -> bool:
    alike = all(np.array_equal(left.outputs[name], right.outputs[name]) for name in right.outputs)
    numbers = [
        (found.tokens, found.log_probability, found.score, found.finished)
        for found in (left, right)
    ]
    return left.outputs.keys() == right.outputs.keys() and alike and numbers[0] == numbers[1]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_many_pictures_together_get_the_captions_that_each_gets_alone(
    make_captioner: MakeCaptioner, pictures: np.ndarray, conditioning: str, cell: str
) -> None:
    sessions = eager(make_captioner(conditioning=conditioning, cell=cell, layers=2))
    written = greedy_captions(sessions, pictures, DECODING)
    assert written == one_by_one(sessions, pictures)
    assert len({tuple(caption) for caption in written}) > 1  # else rows could be mixed up unseen


@pytest.mark.parametrize("end", [2.0, 4.0])
def test_captions_that_end_at_different_words_do_not_disturb_each_other(
    make_captioner: MakeCaptioner, pictures: np.ndarray, end: float
) -> None:
    sessions = eager(biased(make_captioner(), end=end))
    written = greedy_captions(sessions, pictures, DECODING)
    assert written == one_by_one(sessions, pictures)
    assert len({len(caption) for caption in written}) > 1


def test_onnx_files_write_what_the_model_writes(
    captioner_bundle_folder: Path, make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    with Bundle.open(captioner_bundle_folder) as bundle:
        step, files = choose_model(bundle, "onnx")
        decoding = bundle.manifest.decoding
        assert (step.format, decoding) == ("onnx", DECODING)
        written = greedy_captions(files, pictures, decoding)
        assert written == one_by_one(files, pictures)
        assert written == greedy_captions(eager(make_captioner()), pictures, decoding)
        found, expected = (
            search_caption(opened, pictures[:1], decoding)
            for opened in (files, eager(make_captioner()))
        )
    assert found.log_probability == pytest.approx(expected.log_probability, abs=1e-3)
    assert np.abs(found.outputs["attention"] - expected.outputs["attention"]).max() < 1e-3


@pytest.mark.parametrize(
    "rows", [{"encode_rows": 1, "step_rows": 1}, {"encode_rows": 1}, {"step_rows": 1}]
)
def test_files_of_one_row_a_call_write_the_same(
    make_captioner: MakeCaptioner, pictures: np.ndarray, rows: dict[str, int]
) -> None:
    narrow, wide = eager(make_captioner(), **rows), eager(make_captioner())
    assert greedy_captions(narrow, pictures, DECODING) == greedy_captions(wide, pictures, DECODING)
    found, expected = (
        search_caption(opened, pictures[:1], DECODING, beam=3) for opened in (narrow, wide)
    )
    assert found.tokens == expected.tokens
    assert found.score == pytest.approx(expected.score, abs=1e-4)


def test_more_pictures_than_fit_into_a_call(
    sessions: Model, pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = greedy_captions(sessions, pictures, DECODING)
    monkeypatch.setattr(captions, "_ROWS", 4)  # six pictures: one whole call, one of two
    assert greedy_captions(sessions, pictures, DECODING) == expected
    assert greedy_captions(sessions, pictures[:0], DECODING) == []


def test_the_same_seed_writes_the_same_and_another_seed_another(
    sessions: Model, pictures: np.ndarray
) -> None:
    found = [
        sample_caption(sessions, pictures[:1], DECODING, sampler=SAMPLED, seed=seed)
        for seed in (1, 1, 2, 3)
    ]
    assert same(found[0], found[1])
    assert len({hypothesis.tokens for hypothesis in found}) > 1


def test_a_sampled_caption_has_the_models_own_log_probability(
    make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    sessions = eager(biased(make_captioner(), end=3, unknown=3))
    seen = set()
    for seed in range(20):
        found = sample_caption(
            sessions, pictures[:1], DECODING, sampler=Sampler(temperature=2.0, top_k=9), seed=seed
        )
        contexts, state = sessions.look(pictures[:1])
        total, feed, attention = 0.0, START_ID, []
        for token in (*found.tokens, *([END_ID] if found.finished else [])):
            outputs, state = sessions.step.step(
                {"tokens": np.array([[feed]], np.int64), **contexts}, state
            )
            total += log_softmax(outputs["logits"][:, -1])[0, token]
            attention.append(outputs["attention"][0, 0])
            feed = token
        assert found.log_probability == pytest.approx(total, abs=1e-9)
        assert found.score == length_normalised(
            found.log_probability, len(found.tokens) + found.finished
        )
        assert np.array_equal(found.outputs["attention"], np.array(attention)[: len(found.tokens)])
        seen.add(found.finished)
    assert seen == {True, False}


@pytest.mark.parametrize("end", [NEVER, 0.0, 3.0, -NEVER])
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_at_temperature_0_a_sample_is_the_greedy_caption(
    make_captioner: MakeCaptioner, pictures: np.ndarray, conditioning: str, end: float
) -> None:
    sessions = eager(biased(make_captioner(conditioning=conditioning), end=end))
    for image in pictures[:3, None]:
        found = sample_caption(sessions, image, DECODING, sampler=GREEDY, seed=4)
        assert same(found, search_caption(sessions, image, DECODING))


def test_suppressed_ids_are_never_written_however_probable(
    make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    sessions = eager(biased(make_captioner(), unknown=30, start=30, pad=30))
    written = greedy_captions(sessions, pictures, DECODING)
    written += [
        list(sample_caption(sessions, pictures[:1], DECODING, sampler=SAMPLED, seed=n).tokens)
        for n in range(10)
    ]
    written += [list(search_caption(sessions, pictures[:1], DECODING, beam=4).tokens)]
    assert not {token for caption in written for token in caption} & {*SUPPRESSED, END_ID}
    allowed = DECODING.model_copy(update={"suppress": ()})
    sampled = sample_caption(sessions, pictures[:1], allowed, sampler=SAMPLED, seed=0)
    for free in (*greedy_captions(sessions, pictures, allowed), sampled.tokens):
        assert set(free) <= set(SUPPRESSED)  # so the rule above is what kept them out


def test_a_caption_that_ends_at_once_is_empty(
    make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    sessions = eager(biased(make_captioner(), end=-NEVER))
    assert greedy_captions(sessions, pictures, DECODING) == [[]] * len(pictures)
    for found in (
        search_caption(sessions, pictures[:1], DECODING),
        sample_caption(sessions, pictures[:1], DECODING, sampler=SAMPLED, seed=0),
    ):
        assert (found.tokens, found.finished, found.log_probability) == ((), True, 0.0)
        assert found.outputs["attention"].shape == (0, 16)


@pytest.mark.parametrize("length", [1, 2, LENGTH])
def test_no_caption_is_longer_than_its_bound(
    make_captioner: MakeCaptioner, pictures: np.ndarray, length: int
) -> None:
    decoding = DECODING.model_copy(update={"length": length})
    sessions = eager(biased(make_captioner(), end=NEVER))
    assert {len(caption) for caption in greedy_captions(sessions, pictures, decoding)} == {length}
    for found in (
        search_caption(sessions, pictures[:1], decoding),
        sample_caption(sessions, pictures[:1], decoding, sampler=SAMPLED, seed=0),
    ):
        assert (len(found.tokens), found.finished) == (length, False)
        assert found.score == length_normalised(found.log_probability, length)


@pytest.mark.parametrize("conditioning", ["soft-attention", "hard-attention"])
def test_attention_has_a_row_for_each_word_that_sums_to_1(
    make_captioner: MakeCaptioner, pictures: np.ndarray, conditioning: str
) -> None:
    sessions = eager(biased(make_captioner(conditioning=conditioning), end=2))
    for image in pictures[:, None]:
        for found in (
            search_caption(sessions, image, DECODING, beam=3),
            sample_caption(sessions, image, DECODING, sampler=SAMPLED, seed=1),
        ):
            attention = found.outputs["attention"]
            assert attention.shape == (len(found.tokens), 16)
            assert (attention >= 0).all()
            assert np.abs(attention.sum(1) - 1).max(initial=0) < 1e-5


def test_without_attention_there_is_no_other_output(
    make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    sessions = eager(make_captioner(conditioning="every-step"))
    assert sample_caption(sessions, pictures[:1], DECODING, sampler=SAMPLED, seed=0).outputs == {}


def test_what_was_given_stays_as_it_was(sessions: Model, pictures: np.ndarray) -> None:
    images = pictures.copy()
    images.flags.writeable = False
    greedy_captions(sessions, images, DECODING)
    sample_caption(sessions, images[:1], DECODING, sampler=SAMPLED, seed=0)
    assert np.array_equal(images, pictures)


def test_files_of_two_contracts_are_refused(make_captioner: MakeCaptioner) -> None:
    one, other = eager(make_captioner()), eager(make_captioner(hidden=9))
    with pytest.raises(
        ContractError,
        match="the encode and the step file have different contracts; open two files of one",
    ):
        Model(other.step, one.encode)


def test_a_length_of_0_is_refused(sessions: Model, pictures: np.ndarray) -> None:
    unbounded = DECODING.model_copy(update={"length": 0})
    calls: list[Callable[[], object]] = [
        lambda: search_caption(sessions, pictures[:1], unbounded),
        lambda: sample_caption(sessions, pictures[:1], unbounded, sampler=SAMPLED, seed=0),
        lambda: greedy_captions(sessions, pictures, unbounded),
    ]
    for call in calls:
        with pytest.raises(
            UsageError, match="say nothing of a caption's length; give the most words, 1 or more"
        ):
            call()


def test_without_a_stop_a_caption_has_every_word(
    make_captioner: MakeCaptioner, pictures: np.ndarray
) -> None:
    endless = Decoding(start=(START_ID,), temperature=0.0, length=20)
    sessions = eager(biased(make_captioner(), end=2.0))
    written = greedy_captions(sessions, pictures, endless)
    assert {len(caption) for caption in written} == {20}
    assert any(END_ID in caption for caption in written)
    for image, caption in zip(pictures[:, None], written, strict=True):
        found = search_caption(sessions, image, endless)
        assert (list(found.tokens), found.finished) == (caption, False)
        sampled = sample_caption(sessions, image, endless, sampler=GREEDY, seed=0)
        assert same(sampled, found)
    assert written == greedy_captions(sessions, {"image": pictures}, endless)
