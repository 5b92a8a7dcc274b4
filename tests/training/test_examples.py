"""Networks of layers trained on examples: the whole way with a kind of the test's own, from arrays
to a bundle that verifies.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel

import edgernn
from edgernn.contract import validated
from edgernn.data.examples import ExampleSet
from edgernn.errors import CheckpointError, DataError, TrainingError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.parity.verify import verify_bundle
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.labels import LabelObjective
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import resume_examples, train_examples

SEED, IDS, LONGEST = 5, 4, 6


class Data(BaseModel):
    """How many sequences there are to train on."""

    count: int = 256


class LastSetup(Setup):
    """H of the network."""

    command: Literal["last"] = "last"
    hidden: int = 12


def sequences(count: int, seed: int) -> dict[str, np.ndarray]:
    """Sequences of ids of different lengths; the label is whether the last id is above 1."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, LONGEST + 1, count)
    tokens = random.integers(0, IDS, (count, LONGEST))
    last = tokens[np.arange(count), lengths - 1]
    tokens[np.arange(LONGEST) >= lengths[:, None]] = 0
    return {"tokens": tokens, "lengths": lengths, "target": (last > 1).astype(np.int64)}


class Last(Kind[Data, LastSetup]):
    """Which half of the ids a sequence ends with."""

    command = "last"
    setup = LastSetup

    def prepare(
        self, data: Data, out: Path, *, setup: LastSetup, tell: Callable[[str], None]
    ) -> None:
        parts = {"train": sequences(data.count, SEED), "validation": sequences(64, SEED + 1)}
        ragged = {"tokens": "lengths"}
        ExampleSet.write(out / EXAMPLES, parts, source="drawn ids", ragged=ragged)
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, parts["validation"])

    def network(self, setup: LastSetup, examples: ExampleSet, tokenizer: Any) -> NetworkConfig:
        token = {"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "ids"}
        layers = [
            {
                "name": "embedding",
                "kind": "embedding",
                "inputs": ["tokens"],
                "options": {"width": 6},
            },
            {
                "name": "rnn",
                "kind": "recurrent",
                "inputs": ["embedding"],
                "options": {"cell": "gru", "hidden": setup.hidden},
            },
            {"name": "head", "kind": "linear", "inputs": ["rnn"], "options": {"width": "classes"}},
        ]
        return NetworkConfig.model_validate(
            {
                "family": "classifier",
                "inputs": [token],
                "sizes": {"ids": IDS, "classes": 2},
                "layers": layers,
                "outputs": {"logits": "head"},
                "labels": {"classes": ["low", "high"]},
            }
        )

    def objective(self, setup: LastSetup, examples: ExampleSet, tokenizer: Any) -> LabelObjective:
        return LabelObjective(2, unit="sequence")


def options(steps: int, **more: Any) -> TrainOptions:
    return TrainOptions.model_validate(
        {
            "budget": {"unit": "steps", "amount": steps},
            "batch": 16,
            "peak_rate": 0.02,
            "evaluations": 2,
            "mixed": "off",
            "threads": 1,
            **more,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps, which is enough."""
    out = tmp_path_factory.mktemp("examples") / "run"
    made = train_examples(Last(), Data(), out, options=options(60), setup=LastSetup())
    assert made.learned
    assert made.unit == "sequence"
    assert made.measured["accuracy"] > 0.95
    assert made.split == "64 validation sequences of drawn ids"
    return out


def test_a_trained_network_is_exported_and_verified_with_its_labels(
    run: Path, tmp_path: Path
) -> None:
    bundle = export_bundle(run, tmp_path / "bundle", to=["onnx"], precision=["float32", "int8"])
    assert bundle.manifest.family == "classifier"
    assert bundle.manifest.labels == {"classes": ("low", "high")}
    loss = next(a.loss for a in bundle.manifest.artifacts if a.precision == "int8")
    assert loss is not None
    assert loss.tokens == 64
    assert loss.reference_accuracy is not None
    assert loss.reference_accuracy > 0.95
    report = verify_bundle(bundle)
    assert report.passed
    (text,) = [c for a in report.artifacts[:1] for c in a.checks if c.name == "text"]
    assert "64 targets: right " in text.detail


def test_a_resumed_run_makes_the_same_steps(run: Path, tmp_path: Path) -> None:
    half = options(30)
    out = tmp_path / "run"
    whole = options(60)
    train_examples(Last(), Data(), out, options=half, setup=LastSetup())
    resume_examples(Last(), out, budget=whole.budget)
    assert checkpoint_of(out)["epochs"] == checkpoint_of(run)["epochs"]
    other = tmp_path / "other"
    train_examples(Last(), Data(), other, options=half, setup=LastSetup())
    resume_examples(Last(), other, budget=whole.budget)
    for one, two in zip(
        edgernn.load(out).model.parameters(), edgernn.load(other).model.parameters(), strict=True
    ):
        assert one.equal(two)


def test_a_run_goes_on_with_the_layers_that_it_began_with(tmp_path: Path) -> None:
    class Changed(Last):
        """As a later edgernn may make another network of the same options."""

        def network(self, setup: LastSetup, examples: ExampleSet, tokenizer: Any) -> NetworkConfig:
            made = super().network(setup.model_copy(update={"hidden": 7}), examples, tokenizer)
            assert made.layers[1].options["hidden"] == 7
            return made

    begun = options(2)
    train_examples(Last(), Data(), tmp_path / "run", options=begun, setup=LastSetup())
    longer = options(4).budget
    resume_examples(Changed(), tmp_path / "run", budget=longer)
    weights = dict(edgernn.load(tmp_path / "run").model.named_parameters())
    assert max(len(weight) for weight in weights.values()) == 3 * 12  # a GRU's gates
    (tmp_path / "run" / checkpoint.CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"training\.safetensors is"):
        resume_examples(Changed(), tmp_path / "run", budget=options(6).budget)


@pytest.mark.parametrize("name", ["peak_rate", "weight_decay", "vanishing_penalty"])
def test_numbers_are_finite(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is inf: expected a finite number"):
        validated(TrainOptions, budget={"unit": "steps", "amount": 1}, **{name: float("inf")})


def checkpoint_of(folder: Path) -> dict[str, Any]:
    return edgernn.load(folder).training


def test_what_does_not_fit_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there are 8 training sequences, a batch needs 16"):
        train_examples(
            Last(), Data(count=8), tmp_path / "few", options=options(1), setup=LastSetup()
        )
    with pytest.raises(CheckpointError, match="is none of edgernn train text"):
        from edgernn.training.run_text import resume_text

        (run / "corpus").mkdir()
        resume_text(run)
    with pytest.raises(DataError, match="expected one or more examples"):
        ExampleSet.write(tmp_path / "none", {"train": sequences(0, 1)}, source="nothing")
    with pytest.raises(DataError, match="missing or damaged"):
        ExampleSet.open(tmp_path / "nowhere")


def test_batches_hold_every_example_once_and_are_no_longer_than_their_longest(
    tmp_path: Path,
) -> None:
    parts = {"train": sequences(100, 1), "validation": sequences(8, 2)}
    made = ExampleSet.write(
        tmp_path / "set", parts, source="drawn ids", ragged={"tokens": "lengths"}
    )
    batches = list(made.order(batch=10, seed=(3, 0)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(100))
    again = list(made.order(batch=10, seed=(3, 0)))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    for rows in batches:
        own = made.batch("train", rows)
        assert own["tokens"].shape[1] == own["lengths"].max()


def test_an_attempt_that_ended_before_its_first_save_is_in_no_ones_way(tmp_path: Path) -> None:
    out = tmp_path / "run"
    few, setup = options(1), LastSetup()
    with pytest.raises(TrainingError, match="a batch needs 16"):
        train_examples(Last(), Data(count=8), out, options=few, setup=setup)
    (out / checkpoint.TOKENIZER).write_text("of another attempt, of texts")
    made = train_examples(Last(), Data(), out, options=few, setup=setup)
    assert made.split == "64 validation sequences of drawn ids"
    assert ExampleSet.open(out / EXAMPLES).count("train") == 256


def test_a_folder_of_other_files_is_not_replaced_by_a_set(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match=r"holds other files \(mine.txt\)"):
        ExampleSet.write(tmp_path, {"train": sequences(8, 1)}, source="drawn ids")
    assert (tmp_path / "mine.txt").read_text() == "kept"
