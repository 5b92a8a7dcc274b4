"""Questions about pictures from data to a checkpoint: the examples, what is minimised, the three
joins; and a run on one's own file.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgernn.data.examples import ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError, UsageError
from edgernn.families.table import family_of
from edgernn.models import checkpoint
from edgernn.models.layered.network import Network
from edgernn.training.ask import AskKind, AskSetup
from edgernn.training.ask_examples import (
    ALONE,
    UNSEEN_ALONE,
    AskData,
    make_examples,
    question_alone,
)
from edgernn.training.ask_network import AskModel, ask_network
from edgernn.training.ask_objective import AskObjective, AskOptions
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import train_examples
from edgernn.training.schedule import Budget

SMALL = AskModel(image_size=32, hidden=8, embedding=6, joint=8, keys=5, values=7)
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Eight pictures of one colour, and two questions about each."""
    lines = []
    for index in range(8):
        colour = list(COLOURS)[index % 2]
        Image.new("RGB", (20, 30), COLOURS[colour]).save(tmp_path / f"{index}.png")
        split = "train" if index < 6 else "validation"
        for question, answer in (("What colour is it?", colour), ("Is it red?", str(index % 2))):
            row = {"image": f"{index}.png", "question": question, "answer": answer, "split": split}
            lines.append(json.dumps(row))
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def made(data: AskData, folder: Path, **options: int) -> tuple[ExampleSet, Tokenizer, dict, list]:
    told: list[str] = []
    given = {"size": 32, "minimum_count": 1, "most_answers": 100, **options}
    examples, tokenizer, sample = make_examples(
        data, folder / "examples", tell=told.append, **given
    )
    assert {path.name for path in folder.iterdir()} == {"examples"}, "nothing else is left"
    return examples, tokenizer, sample, told


def test_an_own_file_becomes_examples(own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    examples, tokenizer, sample, told = made(AskData(source=str(own)), folder)
    assert examples.about["answers"] == ["0", "1", "blue", "red"]
    train = examples.parts["train"]
    assert train["image"].shape == (6, 32, 32, 3)
    assert tuple(train["image"][0, 0, 0]) == COLOURS["red"]
    assert tokenizer.decode(train["tokens"][0, 0, : train["lengths"][0, 0]]) == "what colour is it"
    assert train["wanted"].tolist() == [[3, 0], [2, 1]] * 3
    assert sample["target"].tolist() == [3, 0, 2, 1] and len(sample["image"]) == 4
    assert examples.about[ALONE] == 0.5, "either colour, either number"
    assert "the question alone answers 50.0% of the validation questions" in told


def test_rare_answers_are_left_out_and_told(own: Path, tmp_path: Path) -> None:
    with own.open("a") as file:
        row = {"image": "6.png", "question": "Why?", "answer": "because", "split": "validation"}
        file.write("\n" + json.dumps(row))
    folder = tmp_path / "run"
    folder.mkdir()
    examples, _, _, told = made(AskData(source=str(own)), folder, most_answers=3)
    assert len(examples.about["answers"]) == 3
    assert any("left out 3 train questions" in line for line in told)
    assert any("validation questions" in line and "because" in line for line in told)


def test_one_answer_is_nothing_to_learn(own: Path, tmp_path: Path) -> None:
    own.write_text(
        own.read_text().replace('"blue"', '"1"').replace('"red"', '"1"').replace('"0"', '"1"')
    )
    (tmp_path / "run").mkdir()
    with pytest.raises(DataError, match="have one answer, '1'"):
        made(AskData(source=str(own)), tmp_path / "run")


def test_scenes_are_measured_on_what_was_never_shown(tmp_path: Path) -> None:
    examples, _, sample, _ = made(AskData(scenes=40), tmp_path)
    unseen = examples.parts["validation"]["unseen"]
    assert unseen.tolist() == [False, True] * 300, "in turns, so that a part of them has both"
    assert not examples.parts["train"]["unseen"].any()
    assert 0.1 < examples.about[UNSEEN_ALONE] < 0.5
    first = examples.parts["validation"]["image"][1]
    assert (sample["image"][0] == first).all(), "the sample has the unseen ones alone"
    config = ask_network(SMALL, vocabulary=200, answers=examples.about["answers"])
    assert not family_of("answerer").problem(config.contract())
    assert not family_of("answerer").sample_problem(sample, config.contract())


def test_the_question_alone_is_the_most_frequent_answer_to_its_words() -> None:
    train = [("is there a star", "yes"), ("is there a cross", "no"), ("is there a cross", "no")]
    assert question_alone(train, [("is there a star", "yes"), ("is there a star", "no")]) == 0.5
    unknown = [("is there a circle", "no"), ("how many", "no")]
    assert question_alone(train, unknown) == 1.0, "by the words that it begins with"


def test_the_contract_of_each_join() -> None:
    for join, contexts in (
        ("attention", ["features", "feature_keys"]),
        ("concatenate", ["picture"]),
        ("multiply", ["picture"]),
    ):
        config = ask_network(
            SMALL.model_copy(update={"join": join}), vocabulary=9, answers=("no", "yes")
        )
        contract = config.contract()
        assert [tensor.name for tensor in contract.step.contexts] == contexts
        assert next(tensor.axes for tensor in contract.step.read_outputs) == (
            "batch",
            "time",
            "answers",
        )
        assert (contract.step.attention is not None) == (join == "attention")
        assert contract.sizes.get("time") == (1 if join == "attention" else None)
        assert config.labels == {"answers": ("no", "yes")}


@pytest.mark.parametrize("join", ["attention", "concatenate", "multiply"])
def test_the_loss_is_that_of_single_steps(join: str, tmp_path: Path) -> None:
    examples, tokenizer, _, _ = made(AskData(scenes=12), tmp_path)
    answers = examples.about["answers"]
    model = SMALL.model_copy(update={"join": join})
    config = ask_network(model, vocabulary=tokenizer.vocabulary_size, answers=answers)
    torch.manual_seed(0)
    network = Network(config).eval()
    objective = AskObjective(AskOptions(), examples, tokenizer, answers)
    batch = {k: torch.from_numpy(v) for k, v in examples.batch("validation", slice(0, 4)).items()}
    with torch.no_grad():
        found = objective.measure(network, batch)
    nats, right, count = 0.0, {False: 0, True: 0}, {False: 0, True: 0}
    for row in range(4):
        encoded = network.graph("encode", batch["image"][row : row + 1])
        for place in (batch["wanted"][row] >= 0).nonzero()[:, 0]:
            state, wanted = network.initial_state(1), int(batch["wanted"][row, place])
            for t in range(int(batch["lengths"][row, place])):
                token = batch["tokens"][row, place, t].view(1, 1)
                scores, *rest = network.graph("step", token, *encoded, *state)
                state = tuple(rest[-len(state) :])
            unseen = bool(batch["unseen"][row])
            shares = np.exp(scores[0, 0].detach().numpy().astype(float))
            nats += 0.0 if unseen else -np.log(shares[wanted] / shares.sum())
            right[unseen] += int(shares.argmax()) == wanted
            count[unseen] += 1
    assert found["loss"] == (pytest.approx(nats, rel=1e-4), count[False])
    assert found["accuracy"] == (right[False], count[False])
    assert found["unseen_accuracy"] == (right[True], count[True])


def test_options_that_do_not_fit_are_refused_before_anything_is_drawn() -> None:
    setup = AskSetup(model=AskModel(image_size=60))
    with pytest.raises(
        UsageError,
        match="image size is 60, expected a multiple of 8, the encoder's stride, as 56 or 64",
    ):
        AskKind().check(AskData(), setup)


def test_a_run_leaves_a_checkpoint_that_names_its_answers(own: Path, tmp_path: Path) -> None:
    budget = Budget(unit="steps", amount=2)
    run = tmp_path / "run"
    train_examples(
        AskKind(),
        AskData(source=str(own)),
        run,
        options=TrainOptions(
            budget=budget, batch=4, evaluations=1, threads=1, gradients=True, vanishing_penalty=0.1
        ),
        setup=AskSetup(model=SMALL, minimum_count=1),
    )
    loaded = checkpoint.load(run)
    assert loaded.model.labels == {"answers": ("0", "1", "blue", "red")}
    assert loaded.model.config.family == "answerer"
    (measured,) = read_gradients(run / GRADIENTS)
    assert measured["norms"].keys() == {"h"}
