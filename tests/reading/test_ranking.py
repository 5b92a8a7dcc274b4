"""Cells are chosen on one half of the text, scored on the other, and compared with chance."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

from edgernn.reading.features import FEATURES, line_position
from edgernn.reading.following import Following, Group
from edgernn.reading.page import to_html
from edgernn.reading.ranking import rank

TEXT = "".join(f"{'x' * (place % 7)}line {place % 13}\n" for place in range(120))
GROUPS = (Group("h", (0,), 0, 3), Group("c", (0,), 3, 3))


def followed() -> Following:
    """Six cells of noise, but cell 4 falls with the position in the line, with noise as large."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal((len(TEXT), 6)).astype(np.float32)
    course = line_position(TEXT)
    values[:, 4] -= (course - course.mean()) / course.std()
    return Following(tuple(TEXT), values, GROUPS, 0)


def test_the_cell_that_follows_is_found_with_the_correlation_of_the_second_half() -> None:
    found = {ranking.feature: ranking for ranking in rank(followed(), top=3)}
    ranking, half = found["position in the line"], (len(TEXT) + 1) // 2
    expected = np.corrcoef(followed().values[half:, 4], line_position(TEXT)[half:])[0, 1]
    best = ranking.cells[0]
    assert (best.cell, best.column, best.sign) == ("c layer 0 unit 1", 4, -1)
    assert best.score == pytest.approx(-expected, abs=1e-4)
    assert best.score > 0.6
    assert ranking.floor < 0.2
    assert ranking.found
    assert len(ranking.cells) == 3


def test_what_is_only_noise_is_not_found_and_what_is_not_there_is_said() -> None:
    following = followed()
    noise = np.random.default_rng(6).standard_normal((len(TEXT), 6)).astype(np.float32)
    rankings = rank(Following(following.pieces, noise, GROUPS, 0))
    assert [ranking.feature for ranking in rankings] == list(FEATURES)
    assert not any(ranking.found for ranking in rankings)
    lacking = {ranking.feature for ranking in rankings if ranking.lacking}
    assert "inside a quotation" in lacking
    assert "position in the line" not in lacking


def test_the_page_holds_tokens_values_and_ranking_and_fetches_nothing() -> None:
    text = "</script><b>\n" * 30
    values = np.linspace(-2, 1, len(text) * 6, dtype=np.float32).reshape(-1, 6)
    following = Following(tuple(text), values, GROUPS, 0)
    page = to_html(following, rank(following), title="a <b> & c", about="about")
    assert "<title>Cells of a &lt;b&gt; &amp; c</title>" in page
    assert page.count("</script>") == 2
    assert not re.search(r"""(?:src|href)=|url\(|https?:""", page)
    found = re.search(r'id="data">(.*)</script>', page)
    assert found is not None
    data = json.loads(found[1])
    assert "".join(data["tokens"]) == text
    cells = np.frombuffer(base64.b64decode(data["cells"]), np.int8).reshape(6, -1)
    shown = cells * np.array(data["scales"])[:, None] / 127
    np.testing.assert_allclose(shown.T, values, atol=2 / 127)
    assert [group["name"] for group in data["groups"]] == ["h layer 0", "c layer 0"]
