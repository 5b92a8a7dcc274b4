"""Both directions over rows of any length, against torch's own layer over each row alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape, translator_config

E, H, S, V = 5, 6, 8, 11
LENGTHS = (8, 1, 5)


def network(**shape: Any) -> Network:
    torch.manual_seed(0)
    own = TranslatorShape(hidden=H, encoder=H, embedding=E, **shape)
    return Network(translator_config(own, V)).eval().requires_grad_(False)


def rows() -> torch.Tensor:
    """Return ids ``[3, S]`` of the rows of LENGTHS, each padded by 0."""
    made = torch.randint(1, V, (len(LENGTHS), S), generator=torch.Generator().manual_seed(1))
    for row, length in enumerate(LENGTHS):
        made[row, length:] = 0
    return made


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_each_row_is_what_torch_reads_of_it_alone(cell: str, layers: int, shared: bool) -> None:
    own, source = network(cell=cell, layers=layers, shared=shared), rows()
    encoder = own.encode["encoder"]
    stacks = (
        [own.layers["rnn"].stack] * 2 if shared else [encoder.forward_stack, encoder.backward_stack]
    )
    ahead, behind = (stack.fused for stack in stacks)
    table = (own.layers["embedding"] if shared else own.encode["letters"]).weight
    x = table[source]
    (both, last, mask), _ = encoder((x, source), ())
    for row, length in enumerate(LENGTHS):
        alone = x[row : row + 1, :length]
        forward, backward = ahead(alone)[0], behind(alone.flip(1))[0]
        torch.testing.assert_close(both[row, :length, :H], forward[0])
        torch.testing.assert_close(both[row, :length, H:], backward.flip(1)[0])
        torch.testing.assert_close(last[row], torch.cat([forward[0, -1], backward[0, -1]]))
        assert mask[row].tolist() == [1] * length + [0] * (S - length)


@pytest.mark.parametrize("attention", [True, False])
def test_padding_changes_nothing(attention: bool) -> None:
    own, source = network(attention=attention), rows()
    tokens = torch.full((1, 1), 3)
    whole = own.graph("encode", source)
    for row, length in enumerate(LENGTHS):
        alone = own.graph("encode", source[row : row + 1, :length])
        contexts = 3 if attention else 0
        padded = [
            *(value[row : row + 1] for value in whole[:contexts]),
            *(value[:, row : row + 1].contiguous() for value in whole[contexts:]),
        ]
        found, wanted = (own.graph("step", tokens, *given) for given in (padded, alone))
        torch.testing.assert_close(found[0], wanted[0])
        if attention:
            torch.testing.assert_close(found[1][:, :, :length], wanted[1])
            assert not found[1][:, :, length:].any()


def test_several_tokens_at_once_are_what_they_are_one_after_another() -> None:
    own, tokens = network(), torch.randint(1, V, (len(LENGTHS), 4))
    features, keys, mask, *state = own.graph("encode", rows())
    logits, attention, *_ = own.graph("step", tokens, features, keys, mask, *state)
    for t in range(tokens.shape[1]):
        one, looked, *state = own.graph("step", tokens[:, t : t + 1], features, keys, mask, *state)
        torch.testing.assert_close(one[:, 0], logits[:, t])
        torch.testing.assert_close(looked[:, 0], attention[:, t])


@pytest.mark.parametrize("score", ["additive", "product"])
def test_masked_attention_is_a_softmax_over_what_is_there(score: str) -> None:
    described = translator_config(TranslatorShape(hidden=H, encoder=H, embedding=E), V).model_dump()
    for own in described["layers"]:
        if own["kind"] == "attention":
            own["options"] = {"score": score}
    layer = (
        Network(NetworkConfig.model_validate(described)).requires_grad_(False).layers["attention"]
    )
    random = np.random.default_rng(0)
    features, keys = random.normal(size=(2, 4, 2 * H)), random.normal(size=(2, 4, H))
    query, mask = random.normal(size=(2, 1, H)), np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    floats = (torch.tensor(x, dtype=torch.float32) for x in (features, keys, query))
    given = (*floats, torch.tensor(mask))
    (value, alpha), _ = layer(given, ())
    weight, bias = (p.double().numpy() for p in (layer.query.weight, layer.query.bias))
    for row, there in enumerate((4, 2)):
        asked, own = query[row, 0] @ weight.T + bias, keys[row, :there]
        if score == "product":
            energy = own @ asked / np.sqrt(H)
        else:
            energy = np.tanh(own + asked) @ layer.energy.weight.double().numpy()[0]
            energy += layer.energy.bias.item()
        wanted = np.exp(energy) / np.exp(energy).sum()
        np.testing.assert_allclose(alpha[row, 0, :there], wanted, atol=1e-6)
        assert not alpha[row, 0, there:].any()
        np.testing.assert_allclose(value[row, 0], wanted @ features[row, :there], atol=1e-5)


@pytest.mark.parametrize("score", ["additive", "product"])
def test_several_queries_at_once_are_what_each_is(score: str) -> None:
    described = translator_config(TranslatorShape(hidden=H, encoder=H, embedding=E), V).model_dump()
    for own in described["layers"]:
        if own["kind"] == "attention":
            own["options"] = {"score": score}
    layer = (
        Network(NetworkConfig.model_validate(described)).requires_grad_(False).layers["attention"]
    )
    features, keys, query = torch.randn(2, 4, 2 * H), torch.randn(2, 4, H), torch.randn(2, 3, H)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    (whole, looked), _ = layer((features, keys, query, mask), ())
    for t in range(3):
        (one, alpha), _ = layer((features, keys, query[:, t : t + 1], mask), ())
        torch.testing.assert_close(one[:, 0], whole[:, t])
        torch.testing.assert_close(alpha[:, 0], looked[:, t])


def test_shared_weights_are_there_once() -> None:
    names = {name for name, _ in network(shared=True).named_parameters()}
    assert not {name for name in names if name.startswith(("encode.letters", "encode.encoder"))}
    assert {"layers.embedding.weight", "layers.rnn.stack.fused.weight_hh_l0"} <= names


def test_a_cell_that_torch_lacks_is_refused() -> None:
    for options in ({"shared": True}, {"encoder_cell": "lstm_peephole"}):
        with pytest.raises(UsageError, match=r"no layer of this lstm_peephole .* axis source"):
            network(cell="lstm_peephole", **options)


def test_the_step_takes_every_cell_and_an_lstm_reads_where_torch_lacks_it() -> None:
    shapes = {name: tuple(p.shape) for name, p in network(cell="lstm_peephole").named_parameters()}
    assert shapes["layers.rnn.stack.layers.0.from_hidden.weight"] == (4 * H, H)
    assert shapes["encode.encoder.forward_stack.fused.weight_hh_l0"] == (4 * H, H)
    read = network(layers=3, between="residual").get_submodule("encode.encoder.forward_stack")
    assert len(read.ways) == 2
    with pytest.raises(UsageError, match=r"causal_convolution is no recurrent cell: --no-att"):
        network(cell="causal_convolution", attention=False)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (
            "encoder",
            {"of": "head"},
            r"of is 'head', expected a recurrent layer of the step: \['rnn",
        ),
        ("encoder", {"cell": "gru"}, "option hidden is missing"),
        ("letters", {"width": E, "of": "rnn"}, r"expected, in encode, an embedding of the step"),
        ("letters", {"width": 4, "of": "embedding"}, r"needs a matrix \[11, 4\]"),
    ],
)
def test_what_does_not_fit_is_told(layer: str, options: dict[str, Any], message: str) -> None:
    shape = TranslatorShape(hidden=H, encoder=H, embedding=E)
    described = translator_config(shape, V).model_dump()
    for own in described["encode"]:
        if own["name"] == layer:
            own["options"] = options
    with pytest.raises(UsageError, match=message):
        Network(NetworkConfig.model_validate(described))


def test_a_stack_is_torchs_own() -> None:
    encoder = network(cell="gru").encode["encoder"]
    assert isinstance(encoder.forward_stack.fused, nn.GRU)
