"""Rows of a batch are reset, rewound and moved: what they do next is what they would do alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgernn.contract import Contract, FileContract, Narrowing
from edgernn.contract.build import build_contract
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.drift import Drift
from edgernn.parity.free_rows import free_rows
from edgernn.parity.shapes import draw
from edgernn.sessions.fake import FakeSession
from tests.parity.test_invariance import CONTRACT

_SHAPES = draw(3)


def _worst(found: tuple[Drift, ...]) -> float:
    return max(drift.scaled for drift in found)


def test_an_honest_model_lets_rows_go_their_own_ways(make_model: Callable[..., LanguageModel]):
    found = free_rows(EagerSession(make_model()), _SHAPES, 6)
    assert found and _worst(found) < 1e-5


class TiedToTheirPlace(FakeSession):
    """Remembers, row by row, the state that it gave last, and goes on from it where it can."""

    last: np.ndarray | None = None

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.last is not None and self.last.shape == feeds["h"].shape:
            feeds = {**feeds, "h": self.last}
        made = super()._run(feeds)
        self.last = made["h_next"].copy() if made["h_next"].shape[1] > 1 else None
        return made


def test_a_session_that_ties_rows_to_their_place_shows():
    assert _worst(free_rows(TiedToTheirPlace(CONTRACT), _SHAPES, 6)) > 1e-3


def _shared() -> Contract:
    return build_contract(
        inputs={"x": "float32[batch, 3]"},
        states={"h": "float32[4]", "count": "int64[one=1]"},
        outputs={"y": "float32[batch, 2]"},
    )


@pytest.mark.parametrize(
    "file_contract",
    [
        CONTRACT.model_copy(update={"narrowing": Narrowing(axes={"batch": 1})}),
        FileContract(contract=_shared()),
    ],
)
def test_where_rows_are_not_free_nothing_is_said(file_contract):
    assert free_rows(FakeSession(file_contract), _SHAPES, 6) == ()
