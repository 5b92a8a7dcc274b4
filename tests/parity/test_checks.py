"""What held-out text may lose, at the edges of what is promised; samples that are too small to say
anything; and faults in files of low bits, whose rollout starts every step from the reference's
state: they must be caught all the same.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.families.loss import TextLoss
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.checks import check_text, run_check
from edgernn.parity.subject import Subject, subjects

PERFECT = TextLoss(
    tokens=80,
    reference_nats=math.log(8),
    nats=math.log(8),
    mean_kl=0.0,
    worst_kl=0.0,
    top1=1.0,
    top5=1.0,
    reference_accuracy=0.5,
    accuracy=0.5,
)


@pytest.fixture
def half(captioner_bundle: Bundle) -> Subject:
    """The captioner's step in float16, which promises 99 % of the most probable words."""
    found, _ = subjects(captioner_bundle, to="coreml", steps=4)
    return next(subject for subject in found if subject.artifact.path == "coreml/step.mlpackage")


@pytest.mark.parametrize(
    ("loss", "status"),
    [
        (PERFECT, "passed"),
        (
            replace(PERFECT, top1=1 - 1 / 80),
            "passed",
        ),  # one word may turn in any sample, however small
        (replace(PERFECT, worst_kl=1e-3, top1=1 - 2 / 80), "failed"),
        (replace(PERFECT, tokens=1000, worst_kl=1e-3, top1=0.991), "passed"),
        (replace(PERFECT, tokens=1000, worst_kl=1e-3, top1=0.989), "failed"),
        (replace(PERFECT, tokens=1000, worst_kl=2e-6, top1=0.9), "failed"),
        (replace(PERFECT, tokens=1000, worst_kl=9e-7, top1=0.9), "passed"),  # of equal ones
        (replace(PERFECT, nats=math.log(8.015)), "passed"),
        (replace(PERFECT, nats=math.log(8.017)), "failed"),
        (replace(PERFECT, nats=math.log(4.0)), "passed"),
        (replace(PERFECT, mean_kl=0.9e-3), "passed"),
        (replace(PERFECT, mean_kl=1.1e-3), "failed"),
    ],
    ids=str,
)
def test_what_captions_may_lose(
    half: Subject, monkeypatch: pytest.MonkeyPatch, loss: TextLoss, status: str
) -> None:
    monkeypatch.setattr("edgernn.families.seen.measure_captions", lambda *_: loss)
    check = check_text(half)
    assert check.status == status
    assert check.measured["top1"] == loss.top1
    assert check.detail.startswith(f"{loss.tokens} tokens: perplexity 8.0000 to")


def test_a_sample_of_few_words_is_not_measured(half: Subject) -> None:
    assert half.sample is not None
    captions = half.sample["captions"].copy()
    captions[3:, 0] = 0
    words = int((captions[:, 0] != 0).sum())
    assert words < 32 < captions.size
    half.__dict__["sample"] = {**half.sample, "captions": captions}
    check = check_text(half)
    assert (check.status, check.detail) == (
        "not run",
        f"what the bundle holds out has {words} tokens, and 32 are needed to measure a loss; "
        "train with more to validate on",
    )
    assert (
        check_text(replace(half, reference=None)).detail
        == "the bundle carries no reference to measure on"
    )


def test_ids_outside_the_vocabulary_fail_the_check_and_break_nothing(half: Subject) -> None:
    assert half.sample is not None
    half.__dict__["sample"] = {**half.sample, "captions": half.sample["captions"] + 100}
    check = run_check(half, "text")
    assert (check.status, check.detail) == ("failed", "tokens has the value 101, expected 0 to 35")


def test_a_caption_that_is_not_predicted_is_not_counted(half: Subject) -> None:
    assert half.sample is not None
    own = check_text(half)
    padded = np.pad(half.sample["captions"], ((0, 0), (0, 1), (0, 3)))
    half.__dict__["sample"] = {**half.sample, "captions": padded}
    assert check_text(half).measured == own.measured


FILE = "onnx/step-int4.onnx"
Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def low(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of an LSTM of three layers with weights of 4 bits, and of a text that it wrote
    itself. Read only.
    """
    model = make_model(layers=3, hidden=16, embedding=16)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(4 if name == "head.weight" else 1.2)
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": written_by(model, 400)})
    folder = tmp_path_factory.mktemp("low") / "tiny"
    options = ReducedOptions(budget=Budget(perplexity=0.05))
    export_bundle(loaded, folder, to=["onnx"], precision="int4", steps=16, options=options)
    return folder


def written_by(model: LanguageModel, count: int) -> np.ndarray:
    session, random, tokens = EagerSession(model), np.random.default_rng(1), [0]
    state = session.initial_state(1)
    while len(tokens) < count:
        outputs, state = session.step({"tokens": np.array([[tokens[-1]]])}, state)
        chances = np.exp(outputs["logits"][0, 0] - outputs["logits"].max())
        tokens.append(int(random.choice(len(chances), p=chances / chances.sum())))
    return np.array(tokens)


def judged(folder: Path) -> dict[str, str]:
    """The verdict of each check on the one artifact of a bundle that was tampered with."""
    (subject,) = subjects(Bundle.open(folder, verify_digests=False), steps=16)[0]
    return {
        name: run_check(subject, name).status for name in ("contract", "rollout", "text", "golden")
    }


def weight(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(
        tensor for tensor in model.graph.initializer if tensor.name == name
    )
    return found


def change_weight(
    model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    tensor = weight(model, name)
    tensor.CopyFrom(
        numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(tensor))), name)
    )


def rename_inputs(model: onnx.ModelProto, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def two_layers_exchanged(model: onnx.ModelProto) -> None:
    one, two = (f"recurrent.layers.{layer}.joined" for layer in (1, 2))
    for part in ("integers", "scales"):
        rename_inputs(model, {f"{one}.{part}": f"{two}.{part}", f"{two}.{part}": f"{one}.{part}"})


def states_exchanged_on_the_way_in(model: onnx.ModelProto) -> None:
    rename_inputs(model, {"h": "c", "c": "h"})


def states_exchanged_on_the_way_out(model: onnx.ModelProto) -> None:
    names = {"h_next": "c_next", "c_next": "h_next"}
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]


def a_bias_lost(model: onnx.ModelProto) -> None:
    product = next(
        node for node in model.graph.node if "recurrent.layers.1.joined.integers" in node.input
    )
    product.input[5] = ""


def half_bytes_exchanged(model: onnx.ModelProto) -> None:
    change_weight(
        model, "recurrent.layers.1.joined.integers", lambda packed: (packed >> 4) | (packed << 4)
    )


def scales_of_the_row_before(model: onnx.ModelProto) -> None:
    change_weight(
        model, "recurrent.layers.2.joined.scales", lambda scales: np.roll(scales, scales.size // 64)
    )


def gates_in_torchs_order(model: onnx.ModelProto) -> None:
    def reorder(packed: np.ndarray) -> np.ndarray:
        i, f, o, g = np.split(packed, 4)
        return np.concatenate((i, f, g, o))

    change_weight(model, "recurrent.layers.1.joined.integers", reorder)
    change_weight(model, "recurrent.layers.1.joined.scales", reorder)


def a_state_of_zeros(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((3, 1, 16), np.float32), "nothing")
    )
    zeros = onnx.helper.make_node("Mul", ["h", "nothing"], ["no_h"])
    rename_inputs(model, {"h": "no_h"})
    model.graph.node.insert(0, zeros)


WIRING: list[Change] = [
    two_layers_exchanged,
    states_exchanged_on_the_way_in,
    states_exchanged_on_the_way_out,
    scales_of_the_row_before,
]
SMALLER: list[Change] = [a_bias_lost, half_bytes_exchanged, gates_in_torchs_order, a_state_of_zeros]


def test_a_right_file_of_4_bits_passes(low: Path) -> None:
    assert judged(low) == dict.fromkeys(("contract", "rollout", "text", "golden"), "passed")


@pytest.mark.parametrize("fault", [*WIRING, *SMALLER], ids=lambda fault: fault.__name__)
def test_a_fault_in_a_file_of_4_bits_is_caught(low: Path, tmp_path: Path, fault: Change) -> None:
    folder = Path(shutil.copytree(low, tmp_path / "bundle"))
    model = onnx.load(str(folder / FILE))
    fault(model)
    onnx.save(model, str(folder / FILE))
    found = judged(folder)
    assert found["contract"] == "passed"
    assert found["text"] == "failed"
    if fault in WIRING:
        assert (found["rollout"], found["golden"]) == ("failed", "failed"), "without any text, too"
