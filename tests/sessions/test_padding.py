"""Ids along an open axis that a file takes in one size."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.contract import ENCODE, FileContract, Narrowing
from edgernn.errors import UsageError
from edgernn.models.translator import TranslatorShape, translator_config
from edgernn.sessions.padding import padded

CONTRACT = translator_config(TranslatorShape(hidden=4, encoder=2, embedding=3), 9).contract()


def of(**axes: int) -> FileContract:
    return FileContract(contract=CONTRACT, graph=ENCODE, narrowing=Narrowing(axes=axes))


def test_ids_are_followed_by_zeros() -> None:
    ids = np.array([[3, 4, 5]])
    made = padded({"source": ids}, of(batch=1, source=5))
    np.testing.assert_array_equal(made["source"], [[3, 4, 5, 0, 0]])
    assert ids.shape == (1, 3)
    np.testing.assert_array_equal(padded({"source": ids}, of(batch=1))["source"], ids)


def test_too_many_ids_are_refused() -> None:
    with pytest.raises(UsageError, match=r"source has 3 ids, and the file takes 2 along source"):
        padded({"source": np.array([[3, 4, 5]])}, of(source=2))
