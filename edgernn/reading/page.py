"""The page: a text coloured by any cell of a network. One file that fetches nothing.

The template is ``page.html``. What it shows is JSON within it; the cells' values are rounded to 8
bits, each cell by its largest magnitude, and stand in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from edgernn.reading.following import Following
from edgernn.reading.ranking import Ranking

_MOST_BYTES = 3 << 20  # of values in a page, before base64
_FEWEST, _MOST = 500, 10_000  # tokens
_STEPS = 127


def shown_tokens(following: Following) -> range:
    """Return which tokens a page shows: the last ones, as many as it has room for."""
    count, cells = following.values.shape
    room = min(max(_FEWEST, _MOST_BYTES // cells), _MOST)
    return range(max(0, count - room), count)


def to_html(following: Following, rankings: Sequence[Ranking], *, title: str, about: str) -> str:
    """Return the page.

    Args:
        following: what the network read.
        rankings: the cells by feature.
        title: what was read with, as a name.
        about: a sentence about text and network.
    """
    shown = shown_tokens(following)
    values = following.values[shown.start :]  # [M, C]
    scales = np.maximum(np.abs(values).max(0), 1e-6)  # [C]
    cells = np.rint(values / scales * _STEPS).astype(np.int8).T  # [C, M]
    best = max((r.cells[0] for r in rankings if r.cells), key=lambda c: c.score, default=None)
    data: dict[str, Any] = {
        "title": title,
        "about": about,
        "tokens": following.pieces[shown.start :],
        "start": shown.start,
        "groups": [{"name": g.name, "start": g.start, "size": g.size} for g in following.groups],
        "scales": [float(f"{scale:.5g}") for scale in scales],
        "cells": base64.b64encode(np.ascontiguousarray(cells).tobytes()).decode(),
        "rankings": [ranking.as_data() for ranking in rankings],
        "first": 0 if best is None else best.column,
    }
    text = json.dumps(data).replace("<", "\\u003c")  # so that no text can end the element
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return template.replace("@TITLE@", escape(title)).replace("@DATA@", text)
