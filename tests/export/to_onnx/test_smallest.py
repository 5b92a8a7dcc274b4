"""The smallest file within a budget: never larger than 8 bits everywhere, within the budget as
verify measures it again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle.records import Artifact
from edgernn.bundle.stored_weights import OTHERS
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions, Source
from edgernn.export.to_onnx.smallest import SAFE, smallest_recipe
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle

MakeModel = Callable[..., LanguageModel]


def sure_of_itself(make_model: MakeModel, tokenizer: Tokenizer) -> Checkpoint:
    """Return a model that is sure of itself, and a text that it wrote: any change of it makes the
    text less probable.
    """
    model = make_model(hidden=24, embedding=16)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(
                5
                if name == "head.weight"
                else 3
                if name == "embedding.weight"
                else 2
                if "weight" in name
                else 1
            )
    session, random = EagerSession(model), np.random.default_rng(1)
    state, tokens = session.initial_state(1), [0]
    while len(tokens) < 300:
        outputs, state = session.step({"tokens": np.array([[tokens[-1]]])}, state)
        chances = np.exp(outputs["logits"][0, 0] - outputs["logits"].max())
        tokens.append(int(random.choice(len(chances), p=chances / chances.sum())))
    return Checkpoint(model, tokenizer, {}, {"tokens": np.array(tokens)})


@pytest.fixture(scope="module")
def loaded(make_model: MakeModel, tokenizer: Tokenizer) -> Checkpoint:
    return sure_of_itself(make_model, tokenizer)


def export(
    loaded: Checkpoint, out: Path, budget: float | str, precisions: tuple[str, ...] = ("smallest",)
) -> list[Artifact]:
    options = ReducedOptions(budget=Budget(perplexity=budget))
    bundle = export_bundle(loaded, out, to=["onnx"], precision=precisions, steps=8, options=options)
    return list(bundle.manifest.artifacts)


def matrix_bytes(artifact: Artifact) -> int:
    return sum(weight.bytes for weight in artifact.weights if weight.name != OTHERS)


def test_it_is_no_larger_than_8_bits_and_within_the_budget_as_verify_finds(
    loaded: Checkpoint, tmp_path: Path
) -> None:
    eight, smallest = export(loaded, tmp_path / "b", 0.006, ("int8", "smallest"))
    assert smallest.bytes <= eight.bytes
    assert {weight.dtype for weight in smallest.weights if weight.block_size} == {"int4", "int8"}
    assert smallest.loss is not None
    assert smallest.loss.allowed == 0.006
    assert smallest.loss.increase <= 0.006
    report = verify_bundle(tmp_path / "b", steps=8)
    assert report.passed
    text = {check.name: check for check in report.artifacts[1].checks}["text"]
    assert text.measured["perplexity_change"] == pytest.approx(smallest.loss.increase)
    assert "at most +0.600%" in text.detail


def test_a_smaller_budget_is_no_smaller_file(loaded: Checkpoint, tmp_path: Path) -> None:
    sizes = [
        matrix_bytes(export(loaded, tmp_path / str(budget), budget)[0])
        for budget in (3e-3, 8e-3, 0.5)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    lowest = export(loaded, tmp_path / "all", "100000%")[0]
    assert {weight.dtype for weight in lowest.weights if weight.block_size} == {"int4"}


def test_it_tells_what_it_chose(loaded: Checkpoint) -> None:
    told: list[str] = []
    source = Source(loaded, ReducedOptions(budget=Budget(perplexity=0.02)), 8, told.append)
    recipe = smallest_recipe(source)
    assert len(told) == 1
    assert told[0].startswith("smallest within the budget: ")
    assert all(name in told[0] for name in recipe.layers)
    assert {"embedding", "recurrent.layers.0.joined", "head"} < recipe.layers.keys()
    assert recipe.hessians.keys() == recipe.layers.keys() - {"embedding"}


def test_a_budget_that_8_bits_cannot_keep(loaded: Checkpoint, tmp_path: Path) -> None:
    out, tokens = tmp_path / "bundle", loaded.evaluation["tokens"]
    export_bundle(loaded, out, to=["onnx"], steps=4)
    before = (out / "manifest.json").read_bytes()
    said = []
    for at in range(0, 300, 50):  # rounding makes some text more probable, but not all
        part = Checkpoint(loaded.model, loaded.tokenizer, {}, {"tokens": tokens[at : at + 50]})
        try:
            smallest_recipe(Source(part, ReducedOptions(budget=Budget(perplexity=0.0)), 4))
        except ContractError as error:
            said.append(str(error))
            with pytest.raises(
                ContractError, match="even 8 bits in every layer raise the perplexity"
            ):
                export(part, out, 0.0)
            break
    assert "by 0." in said[0]
    assert said[0].endswith("%, more than the 0.00% allowed; nothing was written")
    assert (out / "manifest.json").read_bytes() == before, "the former bundle stays"
    assert list(tmp_path.iterdir()) == [out]


def test_without_a_budget_there_is_no_smallest(loaded: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match="needs to know how much may be lost; give --max-perplexity-increase, as 1%",
    ):
        export_bundle(loaded, tmp_path / "b", to=["onnx"], precision="smallest")
    assert list(tmp_path.iterdir()) == []


def test_without_held_out_data_there_is_no_budget(loaded: Checkpoint, tmp_path: Path) -> None:
    bare = Checkpoint(loaded.model, loaded.tokenizer)
    with pytest.raises(
        UsageError,
        match="the checkpoint holds 0 held-out tokens to measure it on, at least 32 are needed",
    ):
        export(bare, tmp_path / "b", 0.01)
    assert list(tmp_path.iterdir()) == []


def test_a_small_part_of_the_layers_goes_down_first(loaded: Checkpoint) -> None:
    """Where little may be lost, what goes to 4 bits is what loses least for its bytes."""
    strict, loose = (
        smallest_recipe(Source(loaded, ReducedOptions(budget=Budget(perplexity=budget)), 8))
        for budget in (3e-3, 0.5)
    )
    kept = {name for name, rounding in strict.layers.items() if rounding == SAFE}
    assert kept
    assert {name for name, rounding in loose.layers.items() if rounding == SAFE} < kept


def test_a_captioner_within_two_budgets(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    tmp_path: Path,
) -> None:
    pytest.importorskip("pycocoevalcap")
    loaded = Checkpoint(
        make_captioner(), caption_tokenizer, {}, {"image": pictures, "captions": caption_ids}
    )
    options = ReducedOptions(budget=Budget(perplexity=1.0, cider=0.9))
    bundle = export_bundle(
        loaded,
        tmp_path / "b",
        to=["onnx"],
        precision=["int8", "smallest"],
        steps=4,
        options=options,
    )
    paths = ["onnx/encode.onnx", "onnx/step-int8.onnx", "onnx/step-smallest.onnx"]
    assert [artifact.path for artifact in bundle.manifest.artifacts] == paths
    _, eight, smallest = bundle.manifest.artifacts
    assert smallest.bytes < eight.bytes
    assert smallest.loss is not None
    assert smallest.loss.cider_drop is not None
    assert smallest.loss.allowed_cider_drop == 0.9
    assert smallest.loss.cider_drop <= 0.9
    report = verify_bundle(bundle, steps=4)
    assert report.passed, [
        c.detail for a in report.artifacts for c in a.checks if c.status == "failed"
    ]
