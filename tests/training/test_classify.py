"""``train classify`` from data to a network: texts and clips, and what of them is refused."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgernn
from edgernn.contract import validated
from edgernn.data.examples import ExampleSet
from edgernn.errors import DataError, UsageError
from edgernn.models.layered.network import Network
from edgernn.training.classify import Classify, ClassifyData, ClassifySetup, RunningObjective
from edgernn.training.kinds import EXAMPLES
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import resume_examples, train_examples

KIND = Classify()


def options(steps: int) -> TrainOptions:
    told = {"budget": {"unit": "steps", "amount": steps}, "batch": 16, "peak_rate": 0.02}
    return TrainOptions.model_validate(
        {**told, "evaluations": 2, "mixed": "off", "threads": 1, "patience": 0}
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts, hardly any twice; the label is the last word but for a full stop."""
    path, random = tmp_path_factory.mktemp("texts") / "moods.csv", np.random.default_rng(3)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sentence", "mood"])
        for _ in range(120):
            before = random.choice(["sun", "rain", "wind", "fog"], random.integers(5, 9))
            words = [*before, random.choice(["sun", "rain"])]
            rows.writerow([" ".join(["The", *words]) + ".", f"like {words[-1]}"])
    return path


def trained(path: Path, out: Path, steps: int = 60, **given: Any) -> Any:
    data = ClassifyData(source=str(path), label_column=given.pop("label", None))
    setup = ClassifySetup(hidden=12, embedding=6, **given)
    return train_examples(KIND, data, out, options=options(steps), setup=setup)


def test_a_table_of_texts_is_learned_and_its_labels_are_kept(table: Path, tmp_path: Path) -> None:
    run = trained(table, tmp_path / "run", label="mood")
    assert run.measured["accuracy"] == 1.0
    assert run.unit == "text" and run.split == "12 validation texts of moods.csv"  # 6 of each
    loaded = edgernn.load(tmp_path / "run")
    assert isinstance(loaded.model, Network)
    assert loaded.training["unit"] == "text"
    assert loaded.model.labels == {"classes": ("like rain", "like sun")}
    assert loaded.tokenizer is not None and loaded.tokenizer.id_of("sun") is not None
    assert (
        loaded.tokenizer.encode("the SUN").tolist() == loaded.tokenizer.encode("The sun!").tolist()
    )
    sample = loaded.evaluation
    assert sample is not None and sample["tokens"].shape[0] == len(sample["target"]) == 12


def test_a_run_goes_on_where_it_stopped(table: Path, tmp_path: Path) -> None:
    trained(
        table,
        tmp_path / "run",
        steps=10,
        label="mood",
        tokens="char",
        dropout=0.1,
        layers=2,
        weights="ternary",
    )
    run = resume_examples(KIND, tmp_path / "run", budget=options(12).budget)
    assert run.steps == 12
    assert edgernn.load(tmp_path / "run").tokenizer.kind == "char"  # type: ignore[union-attr]


def clips(path: Path, count: int = 80) -> Path:
    """Clips of one number a frame about 100; a second one never changes. The label is its sign at
    the end.
    """
    random = np.random.default_rng(5)
    label = random.integers(0, 2, count)
    made = []
    for up in label:
        clip = np.full((int(random.integers(3, 6)), 2), 7.0)
        clip[:, 0] = 100 + random.normal(size=len(clip))
        clip[-1, 0] += 5 if up else -5
        made.append(clip)
    np.savez(path, *made, label=label)
    return path


def test_clips_are_normalised_by_the_training_part(tmp_path: Path) -> None:
    path = clips(tmp_path / "clips.npz")
    run = trained(path, tmp_path / "run", cell="gru")
    assert run.measured["accuracy"] == 1.0 and run.unit == "clip"
    parts = ExampleSet.open(tmp_path / "run" / EXAMPLES).parts["train"]
    inside = np.arange(parts["frames"].shape[1]) < parts["lengths"][:, None]
    frames = np.asarray(parts["frames"], np.float64)[inside]
    model = edgernn.load(tmp_path / "run").model
    kept = dict(model.named_buffers())
    mean, variance = (kept[f"layers.normalise.running_{n}"].numpy() for n in ("mean", "var"))
    np.testing.assert_allclose(mean, frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, [frames[:, 0].var(), 1.0], rtol=1e-5)
    assert edgernn.load(tmp_path / "run").tokenizer is None


def test_the_objective_is_the_last_step_and_a_share_of_all(table: Path, tmp_path: Path) -> None:
    trained(table, tmp_path / "run", steps=1, label="mood")
    network = edgernn.load(tmp_path / "run").model
    assert isinstance(network, Network)
    examples = ExampleSet.open(tmp_path / "run" / EXAMPLES)
    batch = {name: torch.from_numpy(a) for name, a in examples.batch("train", slice(0, 5)).items()}
    objective = RunningObjective(2, unit="text", smoothing=0.0, running=0.25)
    found, loss = objective(network, batch, 0.0)
    rows = []
    for ids, length, wanted in zip(
        *(batch[n] for n in ("tokens", "lengths", "target")), strict=True
    ):
        scores = network.graph("step", ids[None, :length], *network.initial_state(1))[0][0]
        each = -scores.detach().double().log_softmax(-1)[:, wanted].numpy()  # [T]
        rows.append((each[-1], each.mean()))
    last, mean = np.mean(rows, 0)
    assert loss.item() == pytest.approx(last, rel=1e-5)
    assert found.item() == pytest.approx(0.75 * last + 0.25 * mean, rel=1e-5)


def test_long_texts_are_cut_and_told(table: Path, tmp_path: Path) -> None:
    told: list[str] = []
    data, setup = ClassifyData(source=str(table), label_column="mood"), ClassifySetup(longest=2)
    tmp_path.joinpath("run").mkdir()
    KIND.prepare(data, tmp_path / "run", setup=setup, tell=told.append)
    parts = ExampleSet.open(tmp_path / "run" / EXAMPLES).parts
    assert max(part["tokens"].shape[1] for part in parts.values()) == 2
    assert any("of the train part are cut after 2 tokens (--longest)" in line for line in told)


def test_what_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reviews has a validation part"):
        KIND.check(ClassifyData(validation=table), ClassifySetup())
    with pytest.raises(UsageError, match="expected one of lstm, gru"):
        validated(ClassifySetup, cell="lstn")
    with pytest.raises(UsageError, match=r"'review', expected one of reviews, .* mean reviews\?"):
        trained(Path("review"), tmp_path / "none")
    path = tmp_path / "marks.csv"
    path.write_text("text,label\na b,x\n?!,x\na,y\nb b,y\n")
    with pytest.raises(
        DataError, match=r"marks\.csv, line 3: the text has no word;.*--tokens char"
    ):
        trained(path, tmp_path / "run")
    other = tmp_path / "other.csv"
    other.write_text("text,label\na,z\n")
    with pytest.raises(
        DataError, match=r"other\.csv has the label 'z', which the training data have"
    ):
        data = ClassifyData(source=str(path), validation=other)
        train_examples(KIND, data, tmp_path / "r", options=options(1), setup=ClassifySetup())
    with pytest.raises(DataError, match=r"has frames of 2 numbers, and .*moods\.csv has texts"):
        data = ClassifyData(
            source=str(table), label_column="mood", validation=clips(tmp_path / "c.npz")
        )
        train_examples(KIND, data, tmp_path / "s", options=options(1), setup=ClassifySetup())
