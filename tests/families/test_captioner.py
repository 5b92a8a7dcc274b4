"""Captioners that see features: what their contract may be, what a sample of them is, and where a
row of ids ends.
"""

from __future__ import annotations

import numpy as np
import pytest
from feature_captioners import VOCABULARY, feature_captioner, feature_contract, feature_sample

from edgernn.contract import Contract, FileContract
from edgernn.families.caption_rows import fed, lengths
from edgernn.families.captioner import CaptionerFamily
from edgernn.models.eager import EagerSession
from edgernn.sessions.model import Model, model_of

FAMILY, CONTRACT, SAMPLE = CaptionerFamily(), feature_contract(), feature_sample()


def changed(contract: Contract, tensor: str, **update: object) -> Contract:
    encode = contract.graph("encode")
    inputs = tuple(t.model_copy(update=update) if t.name == tensor else t for t in encode.inputs)
    graphs = (encode.model_copy(update={"inputs": inputs}), contract.step)
    return contract.model_copy(update={"graphs": graphs})


@pytest.fixture
def opened() -> Model:
    model = feature_captioner()
    return model_of(
        CONTRACT, lambda graph: EagerSession(model, FileContract(contract=CONTRACT, graph=graph))
    )


@pytest.mark.parametrize(
    ("row", "length"),
    [
        ([1, 5, 6, 2, 0, 0], 4),  # <start> words <end> <pad>
        ([1, 5, 6, 7, 0, 0], 4),  # cut, its end too
        ([0, 5, 6, 0, 0, 0], 4),  # 0 begins, ends and pads
        ([0, 5, 6, 7, 8, 9], 6),
        ([0, 5, 6, -1, -1, -1], 3),
        ([9, 5, 0, 9, -1, -1], 4),  # 0 is a word
        ([9, 0, 0, 9, 4, 9], 6),
        ([0, 0, 0, 0, 0, 0], 0),  # no caption
        ([-1, -1, -1, -1, -1, -1], 0),
    ],
)
def test_where_a_caption_ends(row: list[int], length: int) -> None:
    rows = np.array([row, row])
    assert lengths(rows).tolist() == [length, length]
    assert lengths(rows[None]).tolist() == [[length, length]]
    assert int(lengths(rows[0])) == length
    assert fed(rows).min() >= 0


def test_features_of_any_names_make_a_captioner() -> None:
    assert FAMILY.problem(CONTRACT) == ""
    assert not FAMILY.writes_with(CONTRACT)  # a word that nobody knows may see features of sounds
    open_time = CONTRACT.model_copy(
        update={"sizes": {a: n for a, n in CONTRACT.sizes.items() if a != "time"}}
    )
    assert FAMILY.problem(open_time) == ""


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        (changed(CONTRACT, "fc", dtype="int32"), "encode takes ['fc', 'att'], expected image"),
        (
            changed(CONTRACT, "fc", axes=("fc_width", "batch")),
            "encode takes ['fc', 'att'], expected",
        ),
        (
            changed(CONTRACT, "att", axes=("batch", "time", "width")),
            "or features [batch, …], float32",
        ),
        (changed(CONTRACT, "fc", name="captions"), "encode takes captions, which a sample's"),
        (
            CONTRACT.model_copy(update={"sizes": {**CONTRACT.sizes, "time": 2}}),
            "a step takes 2 words, expected 1",
        ),
    ],
)
def test_what_encode_may_not_take(contract: Contract, problem: str) -> None:
    assert problem in FAMILY.problem(contract)


def test_a_sample_of_features() -> None:
    assert FAMILY.sample_problem(SAMPLE, CONTRACT) == ""
    padded = {**SAMPLE, "captions": np.where(SAMPLE["captions"] == 0, -1, SAMPLE["captions"])}
    assert FAMILY.sample_problem(padded, CONTRACT) == ""
    first = SAMPLE["captions"][:, 0]
    assert FAMILY.count(SAMPLE, CONTRACT) == int((first > 0).sum()) + 2 * len(first)


@pytest.mark.parametrize(
    ("update", "problem"),
    [
        ({"fc": None}, r"att float32 [6, 5, 4], captions int64 [6, 2, 8], expected fc float32 "
         "[N, 5], att float32 [N, regions, 4] and captions int64 [N, K, T]"),
        ({"fc": SAMPLE["fc"][:5]}, "fc float32 [5, 5], expected fc float32 [N, 5]"),
        ({"fc": SAMPLE["fc"].astype(np.float64)}, "fc float64 [6, 5], expected"),
        ({"att": SAMPLE["att"][:, :, :3]}, "att of [5, 3], expected [5, 4]"),
        ({"fc": SAMPLE["fc"] * np.nan}, "fc with a value that is not finite"),
        ({"captions": SAMPLE["captions"] + VOCABULARY}, "the id 10, the vocabulary has 10 ids"),
        ({"captions": SAMPLE["captions"] - 2}, "the id -2, expected ids from 0, and -1 as padding"),
        ({"captions": SAMPLE["captions"][:, :0]}, "captions int64 [6, 0, 8]"),
    ],
)  # fmt: skip
def test_what_no_sample_is(update: dict[str, np.ndarray | None], problem: str) -> None:
    sample = {name: array for name, array in {**SAMPLE, **update}.items() if array is not None}
    assert problem in FAMILY.sample_problem(sample, CONTRACT)


def test_features_are_drawn_where_there_are_none() -> None:
    drawn, again, other = (FAMILY.shown(None, CONTRACT, seed=seed) for seed in (4, 4, 5))
    assert {name: len(array) for name, array in drawn.items()} == {"fc": 16, "att": 16}
    captions = np.tile(SAMPLE["captions"][:1], (16, 1, 1))
    assert FAMILY.sample_problem({**drawn, "captions": captions}, CONTRACT) == ""
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert not np.array_equal(drawn["fc"], other["fc"])
    assert FAMILY.shown(SAMPLE, CONTRACT, seed=4)["fc"] is SAMPLE["fc"]


def test_the_loss_of_a_model_against_itself_reads_the_words_alone(opened: Model) -> None:
    loss = FAMILY.loss(opened, opened, SAMPLE)
    assert loss.tokens == int((lengths(SAMPLE["captions"][:, 0]) - 1).sum())
    assert loss.mean_kl == 0
    padded = {**SAMPLE, "captions": SAMPLE["captions"].copy()}
    for row in padded["captions"].reshape(-1, 8):
        row[lengths(row) :] = -1
    assert FAMILY.loss(opened, opened, padded).nats == loss.nats
    calls = list(FAMILY.calls(opened, SAMPLE))
    assert len(calls) == lengths(SAMPLE["captions"][:, 0]).max() - 1
    assert calls[0].keys() == {"tokens", "seen", "h"}


def test_a_feed_has_a_row_a_call() -> None:
    for sample, source in ((SAMPLE, "held-out features"), (None, "random tokens and features")):
        feed = FAMILY.feed(CONTRACT, sample, seed=0)
        assert source in feed.source
        assert feed.call(feed.encode, 1)["fc"].shape == (1, 5)
        assert feed.call(feed.step, 3)["tokens"].shape == (1, 1)
        assert feed.step["tokens"].min() >= 0
