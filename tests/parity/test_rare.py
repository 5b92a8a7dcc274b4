"""A file that is wrong at one id or at one kind of state is found, and which is told; one that is
right is not.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract, Narrowing
from edgernn.families.language import language_contract
from edgernn.formats import by_name
from edgernn.parity.rare import MOST_IDS, probe
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

FLOAT32, INT4 = by_name("onnx").promise("float32"), by_name("onnx").promise("int4")
Feeds = dict[str, np.ndarray]


def contract(vocabulary: int = 700, *, axes: dict[str, int] | None = None) -> FileContract:
    made = language_contract(("h", "c"), layers=2, hidden=3, vocabulary=vocabulary)
    return FileContract(contract=made, narrowing=Narrowing(axes=axes or {}))  # type: ignore[arg-type]


class OneIdIsOther(FakeSession):
    """Gives other cell states for the id 613 alone."""

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        rows = (feeds["tokens"] == 613).any(axis=1)
        results["c_next"][:, rows] *= -2
        return results


class NoFirstStep(FakeSession):
    """Gives logits a thousandth larger after a state of zeros."""

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        if not feeds["h"].any():
            results["logits"] = results["logits"] * np.float32(1.001)
        return results


class Clipped(FakeSession):
    """Cuts large cell states."""

    def _run(self, feeds: Feeds) -> Feeds:
        return super()._run({**feeds, "c": np.clip(feeds["c"], -3, 3)})


def test_a_right_file_is_right_and_every_id_is_fed() -> None:
    found = probe(FakeSession(contract()), FakeSession(contract()), limit=FLOAT32, seed=1)
    assert found.is_right
    assert found.far == 0
    assert found.ids == found.vocabulary == 700
    assert "each of 700 ids" in found.words


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (OneIdIsOther, "at id 613 from a state "),
        (NoFirstStep, "from a state all zero"),
        (Clipped, "from a state of large values"),
    ],
)
def test_what_is_wrong_seldom_is_found_and_told(kind: type[FakeSession], told: str) -> None:
    found = probe(FakeSession(contract()), kind(contract()), limit=FLOAT32, seed=1)
    assert not found.is_right
    assert told in found.words
    assert "WRONG" in found.words


def test_one_wrong_id_shows_in_relative_errors() -> None:
    found = probe(FakeSession(contract()), OneIdIsOther(contract()), limit=INT4, seed=1)
    assert not found.is_right
    assert "c_next" in found.where


def test_of_a_huge_vocabulary_the_ends_and_drawn_ids_are_fed() -> None:
    found = probe(
        FakeSession(contract(20_000)), FakeSession(contract(20_000)), limit=FLOAT32, seed=1
    )
    assert (found.ids, found.vocabulary) == (MOST_IDS, 20_000)


@pytest.mark.parametrize("axes", [{"batch": 1, "time": 1}, {"batch": 2}, {"time": 7}])
def test_narrow_files_are_fed_what_they_take(axes: dict[str, int]) -> None:
    narrow, open_ = contract(50, axes=axes), contract(50)
    assert probe(FakeSession(open_), FakeSession(narrow), limit=FLOAT32, seed=1).ids == 50


def test_real_files_are_right(bundle: Bundle, captioner_bundle: Bundle) -> None:
    pytest.importorskip("torch")  # the reference
    for one in (bundle, captioner_bundle):
        artifact = one.artifact("onnx")
        scripted = one.artifact("torchscript")
        found = probe(
            open_session(one, scripted.path),
            open_session(one, artifact.path),
            limit=FLOAT32,
            seed=2,
        )
        assert found.is_right, found.words


class Rounded(FakeSession):
    """Gives logits as far off as rounded weights do, now and then twice as far in one row."""

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        draw = np.random.default_rng(zlib.crc32(feeds["c"].tobytes()))
        off = np.abs(feeds["c"]).max() > 1 and 0.4 * draw.exponential()
        results["logits"] = results["logits"] * np.float32(1 + off)
        return results


@pytest.mark.parametrize("seed", range(8))
def test_rows_of_a_file_of_one_row_are_held_together_to_what_rounding_does(seed: int) -> None:
    one = contract(vocabulary=2, axes={"batch": 1, "time": 1})
    assert probe(FakeSession(one), Rounded(one), limit=INT4, seed=seed).is_right


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_file_of_one_row_and_few_ids_is_found(seed: int) -> None:
    one = contract(vocabulary=2, axes={"batch": 1, "time": 1})

    class Other(FakeSession):
        def _run(self, feeds: Feeds) -> Feeds:
            results = super()._run(feeds)
            results["logits"] = results["logits"][..., ::-1].copy()
            return results

    found = probe(FakeSession(one), Other(one), limit=INT4, seed=seed)
    assert not found.is_right


def test_a_file_of_one_row_may_have_an_axis_of_any_size() -> None:
    """A translator's: where it looked is as long as its source."""
    pytest.importorskip("torch")
    from edgernn.models.translator import TranslatorShape, translator_config

    shape = TranslatorShape(hidden=4, encoder=2, embedding=3)
    made = translator_config(shape, 40).contract()
    one = FileContract(contract=made, narrowing=Narrowing(axes={"batch": 1, "time": 1}))
    found = probe(FakeSession(one), FakeSession(one), limit=INT4, seed=1)
    assert found.is_right and found.ids == 40
