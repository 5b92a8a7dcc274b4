"""What a step multiplies with on real input: the moments are those of the model, and the data are
kept off the measuring.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch

from edgernn.contract import FileContract, Narrowing
from edgernn.export.rounding.calibration import feeds_from, hessians, row_by_row
from edgernn.export.to_onnx.tracing import trace
from edgernn.families.language import language_contract, text_feeds
from edgernn.families.table import family_of
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.family import RecurrentModel
from edgernn.models.language import LanguageModel
from edgernn.sessions.model import Model

MakeModel = Callable[..., LanguageModel]


def step_graph(model: RecurrentModel, *, folded: bool = False) -> onnx.ModelProto:
    contract = FileContract(contract=model.config.contract(), narrowing=Narrowing(axes={"time": 1}))
    return trace(model.requires_grad_(False).step_face(folded=folded), contract)


@pytest.mark.parametrize("folded", [False, True], ids=["apart", "folded"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", FUSED)
def test_the_moments_are_those_of_what_each_layer_hears(
    make_model: MakeModel, cell: str, layers: int, folded: bool
) -> None:
    reference = EagerSession(make_model(cell=cell, layers=layers))
    graph = step_graph(make_model(cell=cell, layers=layers), folded=folded)
    before, tokens = graph.SerializeToString(), np.arange(30)
    feeds = list(text_feeds(reference, tokens))
    found = hessians(graph, feeds)
    assert graph.SerializeToString() == before
    assert len(found) == layers * (2 if cell == "gru" else 1) + 1 - (folded and cell == "gru")
    states = np.stack([feed["h"][0, 0] for feed in feeds])
    from_state = found[
        "recurrent.layers.0.from_hidden" if folded or cell == "gru" else "recurrent.layers.0.joined"
    ]
    np.testing.assert_allclose(from_state[-8:, -8:], states.T @ states / 30, rtol=1e-4, atol=1e-6)
    assert found["head"].shape == (8, 8)


def test_moments_of_numbers_that_overflow_are_not_finite_and_nothing_warns(
    make_model: MakeModel,
) -> None:
    model = make_model(cell="rnn_relu", layers=1)
    with torch.no_grad():
        model.recurrent.fused.weight_hh_l0.fill_(10)  # type: ignore[union-attr, operator]
        model.recurrent.fused.bias_hh_l0.fill_(1)  # type: ignore[union-attr, operator]
    feeds = list(text_feeds(EagerSession(model), np.arange(20)))  # states of up to some 1e36
    assert not np.isfinite(hessians(step_graph(model), feeds)["head"]).all()


def test_each_feed_is_one_step_of_the_model(make_model: MakeModel) -> None:
    model = make_model(learned_initial_state=True)
    reference, tokens = EagerSession(model), np.array([3, 1, 4, 1, 5])
    feeds = list(text_feeds(reference, tokens))
    assert [feed["tokens"].tolist() for feed in feeds] == [[[token]] for token in tokens]
    assert np.array_equal(feeds[0]["h"], model.initial_state(1)[0].detach().numpy())
    _, after = reference.step({"tokens": tokens[None, :3]}, reference.initial_state(1))
    np.testing.assert_allclose(feeds[3]["c"], after["c"], atol=1e-6)


def test_a_text_is_calibrated_on_at_its_end(make_model: MakeModel) -> None:
    reference = Model(EagerSession(make_model()))
    tokens = np.arange(3000) % 34
    feeds = feeds_from(family_of("language"), reference, {"tokens": tokens})
    assert feeds is not None
    assert [int(feed["tokens"][0, 0]) for feed in feeds()] == tokens[-1024:].tolist()
    assert len(list(feeds())) == 1024, "it can be read again"
    half = feeds_from(family_of("language"), reference, {"tokens": tokens[:300]})
    assert half is not None
    assert len(list(half())) == 150


@pytest.mark.parametrize(
    "evaluation", [{}, {"tokens": np.zeros(255, np.int64)}], ids=["nothing", "few tokens"]
)
def test_a_sample_too_small_to_spare_any(
    make_model: MakeModel, evaluation: dict[str, np.ndarray]
) -> None:
    assert feeds_from(family_of("language"), Model(EagerSession(make_model())), evaluation) is None


@pytest.mark.parametrize("conditioning", ["soft-attention", "every-step"])
def test_a_captioner_is_calibrated_on_its_last_pictures(
    make_captioner: Callable[..., Captioner],
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    conditioning: str,
) -> None:
    model = make_captioner(conditioning=conditioning)
    contract = model.config.contract()
    encode = EagerSession(model, FileContract(contract=contract, graph="encode"))
    reference = Model(EagerSession(model), encode)
    evaluation = {
        "image": np.tile(pictures, (3, 1, 1, 1)),
        "captions": np.tile(caption_ids, (3, 1, 1)),
    }
    evaluation["image"][:9] = 0
    assert (
        feeds_from(
            family_of("captioner"),
            reference,
            {name: array[:15] for name, array in evaluation.items()},
        )
        is None
    )
    feeds = feeds_from(family_of("captioner"), reference, evaluation)
    assert feeds is not None
    made = list(feeds())
    assert len(made) == int((evaluation["captions"][-9:, 0] != 0).sum(1).max()) - 1
    assert np.array_equal(
        np.concatenate([feed["tokens"] for feed in made], 1),
        evaluation["captions"][-9:, 0, : len(made)],
    )
    contexts, _ = reference.begin({"image": evaluation["image"][-9:]})
    assert all(np.array_equal(made[-1][name], array) for name, array in contexts.items())
    found = hessians(step_graph(make_captioner(conditioning=conditioning)), made)
    with torch.no_grad():
        words = (
            model.embedding(torch.from_numpy(evaluation["captions"][-9:, 0, : len(made)]))
            .reshape(-1, 6)
            .numpy()
        )
    joined = found["decoder.layers.0.joined"]
    np.testing.assert_allclose(joined[:6, :6], words.T @ words / len(words), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("rows", "starts"), [(None, [0]), (1, [0, 1, 2]), (2, [0, 2])])
def test_a_call_of_many_rows_is_cut_for_a_file_of_few(rows: int | None, starts: list[int]) -> None:
    contract = language_contract(("h",), layers=2, hidden=2, vocabulary=9)
    axes = {} if rows is None else {"batch": rows}
    file_contract = FileContract(contract=contract, narrowing=Narrowing(axes=axes))
    tokens, h = np.arange(3).reshape(3, 1), np.arange(12.0).reshape(2, 3, 2)
    made = list(row_by_row([{"tokens": tokens, "h": h}], file_contract))
    assert len(made) == len(starts)
    for feed, start in zip(made, starts, strict=True):
        own = [0, 1, 2] if rows is None else [(start + k) % 3 for k in range(rows)]
        assert feed["tokens"][:, 0].tolist() == own
        assert np.array_equal(feed["h"], h[:, own])
