"""Several sequences in one call of a file of fixed sizes: each to the bit what it is alone, in
every format that says it takes several; ``to_c/test_streams`` says more of C.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn import formats
from edgernn.errors import UnavailableError
from edgernn.export import environments
from edgernn.sessions.opening import open_session

ROWS, STEPS = 3, 4
CASES = [
    (row, precision)
    for row in formats.FORMATS.values()
    for precision in row.precisions[:2]
    if row.most_streams > 1 and row.name != "c"
]


@pytest.mark.parametrize(("row", "precision"), CASES, ids=lambda each: getattr(each, "name", each))
def test_a_row_is_what_it_is_alone(
    row: formats.Format, precision: str, make_model: Callable[..., Any], tmp_path: Path
) -> None:
    needed = {"needed_for": row.name, "extra": row.run_extra}
    try:
        kind = formats.resolve(str(row.exporter), **needed)
        formats.resolve(row.session, **needed)
        if row.environment is not None:
            environments.python_of(row.environment)
    except UnavailableError as error:
        pytest.skip(str(error))
    if row.lacking is not None and (lacking := formats.resolve(row.lacking, **needed)()):
        pytest.skip(lacking)
    alone, together = (tmp_path / f"{rows}{row.suffix}" for rows in (1, ROWS))
    for rows, path in ((1, alone), (ROWS, together)):
        kind(streams=rows).export(make_model(), path, precision=precision, decoding=None)
    single, several = open_session(alone), open_session(together)
    assert several.file_contract.axis_size("batch") == ROWS
    draw = np.random.default_rng(6)
    sizes = np.array([0.1, 1, 3])[None, :, None]  # that no scale may be shared by rows
    state = {n: (a + draw.normal(size=a.shape) * sizes).astype(a.dtype)
             for n, a in several.initial_state(ROWS).items()}  # fmt: skip
    mine = [{n: a[:, i : i + 1].copy() for n, a in state.items()} for i in range(ROWS)]
    for _ in range(STEPS):
        tokens = draw.integers(several.contract.sizes["vocab"], size=(ROWS, 1))
        outputs, state = several.step({"tokens": tokens}, state)
        for i in range(ROWS):
            made, mine[i] = single.step({"tokens": tokens[i : i + 1]}, mine[i])
            assert np.array_equal(outputs["logits"][i], made["logits"][0])
            assert all(np.array_equal(a[:, i : i + 1], mine[i][n]) for n, a in state.items())
