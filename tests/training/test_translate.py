"""A translator learns pairs: from what is built in, and from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.data.examples import TRAIN, ExampleSet
from edgernn.data.pairs.pair_ids import END_ID, PAD_ID, START_ID
from edgernn.errors import DataError, UsageError
from edgernn.families.table import family_of
from edgernn.models import checkpoint
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.kinds import EXAMPLES, kind_of
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import train_examples
from edgernn.training.schedule import Budget
from edgernn.training.translate import TranslateKind, TranslateSetup
from edgernn.training.translate_examples import TranslateData, make_examples

SMALL = TranslatorShape(hidden=24, encoder=12, embedding=8)


def options(steps: int) -> TrainOptions:
    return TrainOptions(
        budget=Budget(unit="steps", amount=steps),
        batch=16,
        peak_rate=1e-2,
        evaluations=1,
        threads=1,
        gradients=True,
    )


def file_of(path: Path, count: int = 26) -> Path:
    """Write pairs whose target is the source the other way round."""
    letters = "abcdefgh"
    random = np.random.default_rng(0)
    words = {"".join(random.choice(list(letters), 3)) for _ in range(4 * count)}
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in sorted(words)))
    return path


@pytest.mark.parametrize("changes", [{}, {"attention": False}, {"shared": True, "cell": "gru"}])
def test_a_run_leaves_a_checkpoint_of_its_family(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    setup = TranslateSetup(model=SMALL.model_copy(update=changes))
    data = TranslateData(source=str(file_of(tmp_path / "pairs.tsv")))
    out = tmp_path / "run"
    train_examples(kind_of("translate"), data, out, options=options(60), setup=setup, device="cpu")
    loaded = checkpoint.load(out)
    family = family_of(loaded.model.family)
    assert family.word == "translator" and loaded.text_tokenizer.kind == "char"
    assert family.sample_problem(loaded.evaluation, loaded.model.config.contract()) == ""
    assert loaded.model.config.decoding(None).length == 6  # three characters, two marks, and room
    assert loaded.training["validation_loss"] < 5 * np.log(11)  # of guessing every character
    assert 0 <= loaded.training["exact"] <= 1
    (measured,) = read_gradients(out / GRADIENTS)
    assert np.shape(measured["norms"]["h"]) == (3, 1)  # from the end back over three characters


def test_the_loss_is_of_every_character_and_what_is_measured_is_written_alone(
    tmp_path: Path,
) -> None:
    data = TranslateData(source=str(file_of(tmp_path / "pairs.tsv")))
    tokenizer, _ = make_examples(data, tmp_path / EXAMPLES, tell=lambda line: None)
    examples, kind = ExampleSet.open(tmp_path / EXAMPLES), TranslateKind()
    setup = TranslateSetup(model=SMALL)
    torch.manual_seed(0)
    network = Network(kind.network(setup, examples, tokenizer)).eval()
    objective = kind.objective(setup, examples, tokenizer)
    batch = {n: torch.from_numpy(a) for n, a in examples.batch(TRAIN, slice(0, 4)).items()}
    minimised, loss = objective(network, batch, 0.0)
    contexts = network.graph("encode", batch["source"])
    total, state, exact = 0.0, contexts[3:], 0
    for t in range(batch["target"].shape[1] - 1):  # one step after another
        logits, _, *state = network.graph(
            "step", batch["target"][:, t : t + 1], *contexts[:3], *state
        )
        true = batch["target"][:, t + 1]
        total += nn.functional.cross_entropy(
            logits[:, 0], true, ignore_index=PAD_ID, reduction="sum"
        ).item()
    assert loss.item() == pytest.approx(total / 4, rel=1e-5)
    assert minimised.item() == pytest.approx(total / (4 * 4), rel=1e-5)  # three and <end>
    for row in range(4):
        own = network.graph("encode", batch["source"][row : row + 1])
        token, state, made = START_ID, own[3:], []
        while token != END_ID and len(made) < 7:
            fed = torch.tensor([[token]])
            logits, _, *state = network.graph("step", fed, *own[:3], *state)
            logits[..., [PAD_ID, START_ID]] = -torch.inf
            token = int(logits.argmax())
            made.append(token)
        exact += made == batch["target"][row, 1:].tolist()
    measured = objective.measure(network, batch)
    assert measured["exact"] == (exact, 4)
    assert measured["loss"][0] == pytest.approx(total, rel=1e-5)


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file bot; give a file of a source"):
        make_examples(TranslateData(source="bot"), tmp_path / EXAMPLES, tell=lambda line: None)
    setup = TranslateSetup(model=SMALL.model_copy(update={"encoder_cell": "lstm_peephole"}))
    with pytest.raises(UsageError, match="torch has no layer of this lstm_peephole"):
        TranslateKind().check(TranslateData(), setup)
