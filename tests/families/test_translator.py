"""The family of translators: its contract, its sample, what is lost, what is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.contract import ENCODE, Contract, FileContract
from edgernn.data.pairs.pair_ids import END_ID, PAD_ID, START_ID, pair_decoding
from edgernn.families.language import language_contract
from edgernn.families.translator import TranslatorFamily
from edgernn.models.eager import EagerSession
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape, translator_config
from edgernn.sessions.model import Model

V, LENGTHS = 9, (2, 5, 3)
FAMILY = TranslatorFamily()


def network(**shape: bool) -> Network:
    torch.manual_seed(0)
    own = TranslatorShape(hidden=8, encoder=4, embedding=5, **shape)
    return Network(translator_config(own, V, writes=pair_decoding(6))).eval()


def opened(own: Network) -> Model:
    contract = own.config.contract()
    encode = EagerSession(own, FileContract(contract=contract, graph=ENCODE))
    return Model(EagerSession(own), encode)


def sample() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    source = np.full((3, 5), PAD_ID, np.int64)
    texts = np.full((3, 1, 7), PAD_ID, np.int64)
    for row, length in enumerate(LENGTHS):
        source[row, :length] = random.integers(3, V, length)
        words = random.integers(3, V, length)
        texts[row, 0, : length + 2] = [START_ID, *words, END_ID]
    return {"source": source, "translations": texts}


@pytest.mark.parametrize("attention", [True, False])
def test_the_contract_is_a_translators(attention: bool) -> None:
    contract = network(attention=attention).config.contract()
    assert FAMILY.problem(contract) == ""
    assert contract.open_axes == ("source",)
    assert (contract.step.attention is not None) == attention
    assert ("time" in contract.sizes) == attention


def test_other_contracts_are_told() -> None:
    language = language_contract(("h",), layers=1, hidden=4, vocabulary=V)
    assert "no encode graph" in FAMILY.problem(language)
    told = network().config.contract().model_dump(mode="json")
    told["graphs"][0]["inputs"][0] |= {"dtype": "float32", "below": None}
    assert "expected one text" in FAMILY.problem(Contract.model_validate(told))


def test_a_sample_is_held_to_its_layout() -> None:
    contract, own = network().config.contract(), sample()
    assert FAMILY.sample_problem(own, contract) == ""
    assert "source int64 [N, S]" in FAMILY.sample_problem({"source": own["source"]}, contract)
    far = {**own, "source": own["source"] + V}
    assert "the id 17, the vocabulary has 9 ids" in FAMILY.sample_problem(far, contract)
    short = {**own, "source": own["source"][:2]}
    assert "2 sources" in FAMILY.sample_problem(short, contract)


def test_the_loss_is_that_of_every_next_id() -> None:
    own, given = network(), sample()
    model = opened(own)
    total, count = 0.0, 0
    for source, (text,), length in zip(*given.values(), LENGTHS, strict=True):
        ids = torch.from_numpy(text[: length + 2])[None]
        contexts = own.graph("encode", torch.from_numpy(source[:length])[None])
        logits = own.graph("step", ids[:, :-1], *contexts)[0]
        total += torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        count += length + 1
    loss = FAMILY.loss(model, model, given)
    assert loss.tokens == count == FAMILY.count(given, own.config.contract()) - 3
    assert loss.nats == pytest.approx(total / count, rel=1e-5)
    assert loss.mean_kl == 0


def test_texts_are_written_greedily_and_by_beam() -> None:
    own, given = network(), sample()
    made = FAMILY.written(opened(own), FAMILY.seen_of(given), pair_decoding(6))
    assert next(iter(made)) == "greedy translation of text 0"
    assert list(made)[-1] == "beam-3 translation of text 2"
    alone = {"source": given["source"][:1, : LENGTHS[0]]}
    again = FAMILY.written(opened(own), alone, pair_decoding(6))
    assert again["greedy translation of text 0"] == made["greedy translation of text 0"]
    assert again["beam-3 translation of text 0"] == made["beam-3 translation of text 0"]


def test_measured_calls_are_fed_the_sample() -> None:
    contract, given = network().config.contract(), sample()
    feed = FAMILY.feed(contract, given, seed=0)
    assert feed.encode["source"].shape == (3, 1, 5)
    assert feed.step["tokens"].ravel().tolist() == [
        int(token) for row in given["translations"] for token in row[0] if token != PAD_ID
    ]
    assert "random tokens and texts" in FAMILY.feed(contract, None, seed=0).source
