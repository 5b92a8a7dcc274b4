"""Whether a network counts: one whose weights are set by hand does, one that fades does not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.contract import Decoding
from edgernn.data.text import counting
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.writing.counting import Counted, count_lines, counters, states_of

TOKENIZER = Tokenizer.build(["ab\n"], "char")
A, B, END = (TOKENIZER.encode(character)[0] for character in "ab\n")
START = Decoding(start=(int(END),))


def counter(keep: float) -> EagerSession:
    """An LSTM of two units: unit 0 adds 1 for each a and takes 1 for each b, of which a step keeps
    the share ``keep``; a newline clears it. Unit 1 knows whether the last token is b.
    """
    model = LanguageModel(
        LanguageConfig(vocabulary=3, cell="lstm", embedding=3, hidden=2, layers=1)
    ).eval()
    (cell,) = model.recurrent.cells()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embedding.weight.copy_(torch.eye(3))
        w, b = cell.from_input.weight, cell.from_input.bias  # rows: i, f, g, o, two each
        b[[0, 1, 6, 7]] = 50.0  # i and o are open
        b[2], b[3] = math.log(keep / (1 - keep)) if keep < 1 else 50.0, -50.0  # f
        w[2, END] = -500.0
        w[4, A], w[4, B] = 50.0, -50.0  # g
        w[5], w[5, B] = -50.0, 50.0
        model.head.weight[A, 1] = -20.0
        model.head.weight[B, 0], model.head.bias[B] = 20.0, -10.0
    return EagerSession(model)


def simulated(keep: float, n: int) -> bool:
    """The same in plain numbers: right where tanh(c) > 1/2 at every b but the last."""
    c = 0.0
    for _ in range(n):
        c = keep * c + 1
    for left in range(n - 1, -1, -1):
        c = keep * c - 1
        if (math.tanh(c) > 0.5) != (left > 0):
            return False
    return True


@pytest.mark.parametrize("keep", [1.0, 0.98])
def test_the_lines_that_are_right(keep: float) -> None:
    found = count_lines(counter(keep), TOKENIZER, START, "ab", longest=40, trained=5)
    assert list(found.right) == [simulated(keep, n) for n in range(1, 41)]
    assert all(found.right) == (keep == 1.0)


def test_shares_and_the_first_wrong_line() -> None:
    found = Counted((True, True, False, True), trained=2)
    assert (found.seen, found.beyond, found.first_wrong) == (1.0, 0.5, 3)
    assert found.share(4, 4) == 1.0
    assert Counted((True,), trained=1).first_wrong is None


def test_the_states_over_a_line_and_which_cell_counts() -> None:
    states = states_of(counter(1.0), TOKENIZER, START, counting.line("ab", 3))
    np.testing.assert_allclose(states["c"][:, 0, 0], [1, 2, 3, 2, 1, 0, 0], atol=1e-4)
    assert counters(states["c"], "ab", 3)[0] == (0, 0)


def test_the_try_that_counts_best_is_kept(tmp_path: Path) -> None:
    from edgernn.training.run_counting import train_counting

    heard: list[str] = []
    options = {"steps": 2, "tries": 2, "seed": 7}
    found = train_counting("counting-ab", "gru", tmp_path, tell=heard.append, **options)
    assert found.tries == 2 == len(heard)
    assert {path.name for path in tmp_path.iterdir()} == {"seed-7", "seed-8"}
    tried = {path: json.loads((path / "config.json").read_text()) for path in tmp_path.iterdir()}
    told = {path: settings["training"] for path, settings in tried.items()}
    most = max(found.right)
    assert sorted(found.right) == sorted(one["lines_right"] for one in told.values())
    losses = {p: one["validation_loss"] for p, one in told.items() if one["lines_right"] == most}
    assert found.run.folder == min(losses, key=losses.__getitem__)
    assert tried[found.run.folder]["model"]["cell"] == "gru"
    loaded = checkpoint.load(found.run.folder)
    assert loaded.evaluation is not None  # a line, as in training, not a text of many
    held_out = loaded.text_tokenizer.decode(loaded.evaluation["tokens"].tolist())
    assert held_out == "\n" + counting.line("ab", counting.LONGEST)
