"""The table of families: what a checkpoint of each holds, and that every model offers what sessions
and exporters ask for.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from edgernn.contract import Contract, Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.captioner import Captioner
from edgernn.models.family import RecurrentModel, kind_of, rebuilt
from edgernn.models.language import LanguageModel
from edgernn.models.layered.network import Network


@pytest.fixture(params=rebuilt())
def model(
    request: pytest.FixtureRequest,
    make_model: Callable[..., LanguageModel],
    make_captioner: Callable[..., Captioner],
    make_network: Callable[..., Network],
) -> RecurrentModel:
    made: dict[str, Callable[..., RecurrentModel]] = {
        "language": make_model,
        "captioner": make_captioner,
        "network": make_network,
    }
    return made[request.param]()


def test_each_model_of_the_table_says_its_own_word() -> None:
    for word in rebuilt():
        model = kind_of(word)
        assert (model.kind or model.family) == word


def test_a_model_is_rebuilt_from_its_row(model: RecurrentModel) -> None:
    kind = kind_of(model.kind or model.family)
    assert type(model) is kind
    again = kind(kind.config_kind.model_validate(model.config.model_dump()))
    assert again.config == model.config
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in model.state_dict().items()
    }


def test_a_model_offers_what_the_interface_says(
    model: RecurrentModel, tokenizer: Tokenizer, caption_tokenizer: Tokenizer
) -> None:
    contract = model.config.contract()
    own = caption_tokenizer if model.family == "captioner" else tokenizer
    assert isinstance(contract, Contract)
    assert isinstance(model.config.decoding(own), Decoding)
    assert model.config.vocabulary == own.vocabulary_size == contract.sizes["vocab"]
    assert isinstance(model.step_face(), type(model))


def test_every_graph_takes_and_gives_tensors_in_the_contracts_order(model: RecurrentModel) -> None:
    sizes = {**model.config.contract().sizes, "batch": 2, "time": 1}
    for graph in model.config.contract().graphs:
        given = [
            torch.zeros([sizes[axis] for axis in t.axes], dtype=getattr(torch, t.dtype))
            for t in graph.inputs
        ]
        with torch.no_grad():
            results = model.graph(graph.name, *given)
        assert isinstance(results, tuple)
        shapes = [list(result.shape) for result in results]
        assert shapes == [[sizes[axis] for axis in tensor.axes] for tensor in graph.outputs]
