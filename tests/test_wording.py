"""Shares as people write them, and names that were likely meant."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn import formats
from edgernn.errors import UsageError
from edgernn.training.device import DEVICES
from edgernn.wording import did_you_mean, expected_one_of, share, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1%", 0.01),
        ("0.01", 0.01),
        ("0", 0),
        ("0.5%", 0.005),
        ("1e-3", 1e-3),
        ("1", 1),
        ("150%", 1.5),
        (" 5 % ", 0.05),
        (0.3, 0.3),
    ],
)
def test_a_share(text: str | float, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["abc", "", "%", "1%%", "one", "1,5%"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}' is no share, expected one as 1% or 0.01"):
        share(text)


@pytest.mark.parametrize("text", ["-1%", "-0.1", "nan", "inf", "inf%", float("nan"), -1])
def test_a_share_is_0_or_more(text: str | float) -> None:
    with pytest.raises(UsageError, match="is no share, expected 0 or more"):
        share(text)


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("5", "write 5% or 0.05"),
        ("1.5", "write 1.5% or 0.015"),
        (50, "write 50% or 0.5"),
        ("500", "write 500%$"),
    ],
)
def test_a_bare_number_above_1_is_refused_with_the_spellings_that_work(
    text: str | float, both: str
) -> None:
    with pytest.raises(UsageError, match=both):
        share(text)


@given(st.floats(0, 1))
def test_percent_and_part_are_the_same_share(part: float) -> None:
    assert share(f"{100 * part!r}%") == pytest.approx(part, rel=1e-12, abs=1e-300)
    assert share(part) == part


@pytest.mark.parametrize(
    ("found", "known", "meant"),
    [
        ("fp16", formats.PRECISIONS, "float16"),
        ("int-8", formats.PRECISIONS, "int8"),
        ("FLOAT32", formats.PRECISIONS, "float32"),
        ("onxx", formats.FORMATS, "onnx"),
        ("core-ml", formats.FORMATS, "coreml"),
        ("lsmt", ("lstm", "gru", "rnn", "rnn_relu"), "lstm"),
        ("cdua", DEVICES, "cuda"),
        ("first", ("soft-attention", "first-token"), "first-token"),
    ],
)
def test_what_was_likely_meant(found: str, known: tuple[str, ...], meant: str) -> None:
    assert did_you_mean(found, known) == f"; did you mean {meant}?"
    assert expected_one_of(found, known).startswith(f"expected one of {next(iter(known))}, ")


def test_nothing_is_guessed_where_nothing_is_like_it() -> None:
    assert did_you_mean("keras", formats.FORMATS) == ""
    assert did_you_mean(7, ("auto", "on", "off")) == ""


@pytest.mark.parametrize("found", [0, -3, 1.5, "4", None, [1]])
def test_what_is_no_whole_number_of_one_or_more(found: object) -> None:
    assert whole(np.int64(3), "steps") == 3
    with pytest.raises(
        UsageError, match=f"^steps is {re.escape(repr(found))}, expected .*1 or more; lower it$"
    ):
        whole(found, "steps", remedy="; lower it")


def test_formats_that_are_no_names() -> None:
    with pytest.raises(UsageError, match=r"^formats are 5, expected a name, or several"):
        formats.select(5)  # type: ignore[arg-type]
