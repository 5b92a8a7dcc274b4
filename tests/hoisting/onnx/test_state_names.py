"""Names that say that one is the other after a step, and names that do not."""

from __future__ import annotations

import pytest

from edgernn.hoisting.onnx.state_names import names_fit


@pytest.mark.parametrize(
    ("name", "output", "fits"),
    [
        ("h", "h_out", True),
        ("state", "stateN", True),
        ("h", "hn", True),
        ("hx", "hx_out", True),
        ("h0", "hn", True),
        ("h_in", "h_out", True),
        ("past_key", "present_key", True),
        ("conv_cache", "conv_cache_out", True),
        ("h_prev", "h_next", True),
        ("input", "output", False),
        ("mix", "enh", False),
        ("h", "cn", False),
        ("x", "y", False),
        ("inter_cache", "intra_cache_out", False),
    ],
)
def test_names_that_belong_together(name: str, output: str, fits: bool) -> None:
    assert names_fit(name, output) is fits
