"""Networks of layers against torch's own layers, run whole over the sequence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, UsageError
from edgernn.models.cells.blocks import Block
from edgernn.models.checkpoint import Checkpoint, load, save
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.layered.tensors import recurrent_tensors
from tests.models.layered.networks import (
    TOKENS,
    B,
    T,
    V,
    chained,
    filled,
    language,
    layer,
    parameters,
)


def test_three_lstm_layers_and_a_tied_head_give_what_torch_gives() -> None:
    torch.manual_seed(0)
    embedding, head = nn.Embedding(V, 5), nn.Linear(5, V)
    rnns = [nn.LSTM(a, b, batch_first=True) for a, b in ((5, 8), (8, 6), (6, 5))]
    tensors = {"layers.embedding.weight": embedding.weight.detach(), "layers.head.bias": head.bias}
    for place, rnn in enumerate(rnns):
        tensors |= parameters(f"rnn{place}", "lstm", rnn)
    network = filled(language(), tensors)
    tokens = torch.randint(V, (B, T))
    with torch.no_grad():
        x = embedding(tokens)
        for rnn in rnns:
            x = rnn(x)[0]
        wanted = nn.functional.linear(x, embedding.weight, head.bias)
        whole = network.graph("step", tokens, *network.initial_state(B))[0]
    assert torch.allclose(whole, wanted, atol=1e-5)
    assert torch.allclose(chained(network, tokens), wanted, atol=1e-5)
    assert torch.allclose(chained(network.step_face(), tokens), wanted, atol=1e-5)


def test_states_are_called_after_their_layers_and_of_one_layer_h_and_c() -> None:
    contract = NetworkConfig.model_validate(language()).contract()
    assert [s.name for s in contract.step.states][:3] == ["rnn0_h", "rnn0_c", "rnn1_h"]
    assert contract.step.states[0].axes == ("rnn0_layers", "batch", "rnn0_hidden")
    assert contract.step.text_scores.axes == ("batch", "time", "vocab")
    layers = [
        layer("embedding", "embedding", "tokens", width=5),
        layer("rnn", "recurrent", "embedding", cell="gru", hidden=6, layers=2),
        layer("head", "linear", "rnn", width="vocab"),
    ]
    alone = NetworkConfig.model_validate(language(layers=layers)).contract()
    assert [(s.name, s.axes) for s in alone.step.states] == [("h", ("layers", "batch", "hidden"))]
    assert alone.sizes == {"vocab": V, "layers": 2, "hidden": 6}


def test_a_stored_first_state_and_a_function_at_the_end() -> None:
    torch.manual_seed(1)
    rnn, head = nn.LSTM(1, 4, num_layers=2, batch_first=True), nn.Linear(4, 1)
    first = {key: torch.randn(2, 1, 4) for key in ("h", "c")}
    tensors = parameters(
        "rnn", "lstm", rnn, first={key: value.numpy() for key, value in first.items()}
    )
    tensors |= {"layers.head.weight": head.weight, "layers.head.bias": head.bias}
    network = filled(
        {
            "family": "module",
            "inputs": [{"name": "audio", "axes": ["batch", "time", "channels"]}],
            "sizes": {"channels": 1},
            "layers": [
                layer("rnn", "recurrent", "audio", cell="lstm", hidden=4, layers=2, first="stored"),
                layer("head", "linear", "rnn", width="channels", activation="tanh"),
            ],
            "outputs": {"out": "head"},
        },
        tensors,
    )
    assert [s.name for s in network.config.contract().starting("stored")] == ["h", "c"]
    audio = torch.randn(B, T, 1)
    with torch.no_grad():
        state = tuple(first[key].expand(2, B, 4).contiguous() for key in ("h", "c"))
        wanted = torch.tanh(head(rnn(audio, state)[0]))
    assert torch.allclose(chained(network, audio), wanted, atol=1e-5)
    assert torch.allclose(chained(network.step_face(), audio), wanted, atol=1e-5)


def test_missing_biases_are_zeros() -> None:
    torch.manual_seed(2)
    rnn = nn.GRU(3, 4, batch_first=True, bias=False)
    weights = [Block(*(t.detach().numpy() for t in pair)) for pair in rnn.all_weights]
    tensors = {
        key: torch.from_numpy(value)
        for key, value in recurrent_tensors("rnn", "gru", weights).items()
    }
    network = filled(
        {
            "family": "module",
            "inputs": [{"name": "x", "axes": ["batch", "time", "width"]}],
            "sizes": {"width": 3},
            "layers": [
                layer("rnn", "recurrent", "x", cell="gru", hidden=4),
                layer("out", "activation", "rnn", function="relu"),
            ],
            "outputs": {"out": "out"},
        },
        tensors,
    )
    x = torch.randn(B, T, 3)
    with torch.no_grad():
        wanted = torch.relu(rnn(x)[0])
    assert torch.allclose(chained(network, x), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"outputs": {"logits": "tail"}}, "no value is called 'tail'"),
        ({"layers": [layer("a", "linear", "b", width=3)]}, "takes 'b'; expected one of tokens"),
        (
            {"layers": [layer("a", "linear", "b", width=3), layer("b", "linear", "a", width=3)]},
            "which comes after it",
        ),
        ({"layers": [layer("a", "lineal", "tokens", width=3)]}, "did you mean linear"),
        ({"sizes": {"vocab": V, "time": 4}}, "sizes has time, which a caller chooses"),
        ({"layers": [layer("tokens", "embedding", "tokens", width=3)]}, "two values are called"),
        ({"layers": [layer("keys", "embedding", "tokens", width=3)]}, "can be called 'keys'"),
    ],
)
def test_a_description_that_does_not_hold_together_is_refused(
    change: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        NetworkConfig.model_validate(language(**change))
    assert "\n" not in caught.value.errors()[0]["msg"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (layer("bad", "linear", "rnn2", width="vocab", tied="rnn0"), "expected an embedding"),
        (
            layer("bad", "linear", "rnn0", width="vocab", tied="embedding"),
            r"needs a matrix \[11, 8",
        ),
        (layer("bad", "linear", "rnn2", width="letters"), "'letters', which sizes has not"),
        (layer("bad", "linear", "tokens", width=3), "expected vectors of floats"),
        (layer("bad", "linear", "rnn2"), "option width"),
        (layer("bad", "recurrent", "rnn2", cell="lstn", hidden=3), "did you mean lstm"),
        (layer("bad", "embedding", "rnn2", width=3), "takes ids"),
        (layer("bad", "activation", "rnn2", function="tan"), "function: "),
        (layer("bad", "linear", "rnn2.h", width=3), "but rnn2 gives rnn2"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(bad: dict[str, Any], told: str) -> None:
    layers = [*language()["layers"], bad]
    with pytest.raises(UsageError, match=told) as caught:
        NetworkConfig.model_validate(language(layers=layers)).contract()
    assert "'bad'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folded_step_face_gives_the_same_and_keeps_the_tied_head() -> None:
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(language())).eval()
    tokens = torch.randint(V, (B, T))
    wanted = chained(network, tokens)
    assert (network.folded_table, network.folding_pays(8)) == ("embedding", True)
    folded = network.step_face(folded=True)
    assert folded.layers["embedding"].weight.shape == (V, 4 * 8)
    assert folded.layers["head"].weight.shape == (V, 5)
    assert torch.allclose(chained(folded, tokens), wanted, atol=1e-6)


def test_an_embedding_with_another_use_is_not_folded() -> None:
    layers = language()["layers"]
    layers[-1] = layer("both", "concat", "rnn2", "embedding")
    layers.append(layer("head", "linear", "both", width="vocab"))
    network = Network(NetworkConfig.model_validate(language(layers=layers))).eval()
    tokens = torch.randint(V, (B, T))
    wanted = chained(network, tokens)
    assert not network.folding_pays(8)
    assert torch.allclose(chained(network.step_face(folded=True), tokens), wanted, atol=1e-6)


def test_an_input_that_nothing_takes_is_refused() -> None:
    unused = {"name": "x", "axes": ["batch", "time", "w"]}
    config = language(inputs=[TOKENS, unused], sizes={"vocab": V, "w": 1})
    with pytest.raises(UsageError, match="given x, which no layer takes"):
        NetworkConfig.model_validate(config).contract()


@pytest.mark.parametrize("hidden", [1 << 20, 1 << 21, -1, "letters"])
def test_a_run_that_says_another_size_is_refused_before_memory_is_asked_for(
    make_network: Callable[..., Network], tokenizer: Tokenizer, hidden: object, tmp_path: Path
) -> None:
    save(Checkpoint(make_network(), tokenizer), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["model"]["layers"][1]["options"]["hidden"] = hidden
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
