"""Networks with an encode graph, against plain torch: attention over features, states from vectors,
states from a run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import TOKENS, V, layer

B, T, R, F, K, E, H = 2, 5, 3, 6, 4, 5, 7
FEATURES = {"name": "features", "axes": ["batch", "regions", "feature_width"]}


def attentive(**changes: Any) -> dict[str, Any]:
    """Return the description of Xu et al.'s captioner over features: soft attention asked by the
    state before the step, a gate on what was seen, first states from the mean.
    """
    return {
        "family": "module",
        "inputs": [TOKENS],
        "given": [FEATURES],
        "sizes": {"vocab": V, "regions": R, "feature_width": F},
        "encode": [
            layer("keys_of", "linear", "features", width=K),
            layer("mean", "mean", "features"),
            layer("init_h", "linear", "mean", width=H),
            layer("init_c", "linear", "mean", width=H, activation="tanh"),
        ],
        "contexts": {"regions_seen": "features", "keys_seen": "keys_of"},
        "first": {"h": "init_h", "c": "init_c"},
        "layers": [
            layer("embedding", "embedding", "tokens", width=E),
            layer("query", "before", layer="lstm"),
            layer("seen", "attention", "regions_seen", "keys_seen", "query", activation="relu"),
            layer("f_beta", "linear", "query", width=F, activation="sigmoid"),
            layer("gated", "multiply", "seen", "f_beta"),
            layer("joined", "concat", "embedding", "gated"),
            layer("lstm", "recurrent", "joined", cell="lstm", hidden=H),
            layer("head", "linear", "lstm", width="vocab"),
        ],
        "outputs": {"logits": "head", "attention": "seen.alpha"},
        **changes,
    }


def seeded(config: dict[str, Any]) -> Network:
    """Return the network, no parameter near zero."""
    torch.manual_seed(6)
    network = Network(NetworkConfig.model_validate(config)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.7, 0.7)
    return network


def begun(network: Network, *given: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the contexts and the first states."""
    with torch.no_grad():
        made = network.graph("encode", *given)
    count = len(network.config.contract().step.contexts)
    state = network.initial_state(len(given[0]))
    return made[:count], made[count:] or state


def written(network: Network, tokens: Tensor, *given: Tensor) -> list[tuple[Tensor, ...]]:
    """Return what the step gives for each of ``tokens [B, T]``."""
    contexts, state = begun(network, *given)
    count, every = len(network.config.contract().step.read_outputs), []
    for t in range(tokens.shape[1]):
        with torch.no_grad():
            made = network.graph("step", tokens[:, t : t + 1], *contexts, *state)
        every.append(made[:count])
        state = made[count:]
    return every


def _plain(network: Network, tokens: Tensor, a: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Compute the captioner in plain torch, one word after another."""
    p = {name: value.detach() for name, value in network.named_parameters()}

    def linear(name: str, x: Tensor) -> Tensor:
        return nn.functional.linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))

    keys, mean = linear("encode.keys_of", a), a.mean(1)
    h, c = linear("encode.init_h", mean), torch.tanh(linear("encode.init_c", mean))
    fused = "layers.lstm.stack.fused."
    cell, every = nn.LSTMCell(E + F, H), []
    cell.load_state_dict(
        {n.removesuffix("_l0"): p[f"{fused}{n}"] for n in (f"{k}_l0" for k in cell.state_dict())}
    )
    for t in range(tokens.shape[1]):
        e = torch.relu(keys + linear("layers.seen.query", h).unsqueeze(1))
        alpha = torch.softmax(linear("layers.seen.energy", e).squeeze(2), 1)  # [B, R]
        seen = (alpha.unsqueeze(2) * a).sum(1) * torch.sigmoid(linear("layers.f_beta", h))
        x = torch.cat((p["layers.embedding.weight"][tokens[:, t]], seen), 1)
        h, c = cell(x, (h, c))
        every.append((linear("layers.head", h).unsqueeze(1), alpha.unsqueeze(1)))
    return every


def test_attention_over_features_gives_what_plain_torch_gives() -> None:
    network = seeded(attentive())
    tokens, a = torch.randint(V, (B, T)), torch.randn(B, R, F)
    with torch.no_grad():
        wanted = _plain(network, tokens, a)
    for face in (network, network.step_face()):
        for (logits, alpha), (own, looked) in zip(written(face, tokens, a), wanted, strict=True):
            assert torch.allclose(logits, own, atol=1e-5)
            assert torch.allclose(alpha, looked, atol=1e-6)


def test_its_contract_has_two_graphs_and_one_word_a_call() -> None:
    contract = NetworkConfig.model_validate(attentive()).contract()
    encode = contract.encode
    assert encode is not None
    assert [(t.name, t.role) for t in encode.outputs] == [
        ("regions_seen", "context"),
        ("keys_seen", "context"),
        ("h", "state"),
        ("c", "state"),
    ]
    assert encode.outputs[1].axes == ("batch", "regions", "keys_of_width")
    assert contract.step.attention is not None
    assert contract.step.attention.name == "attention"
    assert contract.step.scores is not None
    assert (contract.sizes["time"], contract.initial_state) == (1, {"h": "encode", "c": "encode"})


def test_regions_may_be_as_many_as_there_are() -> None:
    config = attentive(sizes={"vocab": V, "feature_width": F})
    assert NetworkConfig.model_validate(config).contract().open_axes == ("regions",)
    network = seeded(config)
    tokens, a = torch.randint(V, (B, 2)), torch.randn(B, 9, F)
    assert written(network, tokens, a)[1][1].shape == (B, 1, 9)


def test_axes_can_be_called_otherwise() -> None:
    config = attentive(axes={"keys_seen": ["batch", "regions", "keys"]})
    assert NetworkConfig.model_validate(config).contract().sizes["keys"] == K


@pytest.mark.parametrize("layers", [1, 2])
def test_a_run_of_vectors_gives_the_first_states_that_torchs_layer_reaches(layers: int) -> None:
    """The picture as the first token (Vinyals et al. 2015), and one vector more."""
    config = attentive(
        given=[{"name": "vector", "axes": ["batch", "feature_width"]}],
        encode=[
            layer("norm", "normalise", "vector"),
            layer("word", "linear", "norm", width=E),
            layer("second", "scale", "word", factor=-1.0),
            layer("told", "run", "word", "second", layer="lstm"),
        ],
        contexts={},
        first={"h": "told.h", "c": "told.c"},
        layers=[
            layer("embedding", "embedding", "tokens", width=E),
            layer("lstm", "recurrent", "embedding", cell="lstm", hidden=H, layers=layers),
            layer("head", "linear", "lstm", width="vocab"),
        ],
        outputs={"logits": "head"},
    )
    network = seeded(config)
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == len({*names})
    assert not [name for name in names if name.startswith("encode.told")]
    fused = nn.LSTM(E, H, num_layers=layers, batch_first=True)
    fused.load_state_dict(network.layers["lstm"].stack.fused.state_dict())
    vector, tokens = torch.randn(B, F), torch.randint(V, (B, T))
    get = network.get_parameter
    with torch.no_grad():
        normed = nn.functional.batch_norm(
            vector,
            network.get_buffer("encode.norm.running_mean"),
            network.get_buffer("encode.norm.running_var"),
            get("encode.norm.weight"),
            get("encode.norm.bias"),
        )
        word = nn.functional.linear(normed, get("encode.word.weight"), get("encode.word.bias"))
        words = get("layers.embedding.weight")[tokens]
        y = fused(torch.cat((torch.stack((word, -word), 1), words), 1))[0][:, 2:]
        wanted = nn.functional.linear(y, get("layers.head.weight"), get("layers.head.bias"))
    for face in (network, network.step_face()):
        made = torch.cat([each[0] for each in written(face, tokens, vector)], 1)
        assert torch.allclose(made, wanted, atol=1e-5)


def test_two_cells_that_look_at_each_other() -> None:
    """Top-down attention (Anderson et al. 2018): the first layer is fed the second's state before
    the step, and a context at every step.
    """
    config = attentive(
        encode=[layer("keys_of", "linear", "features", width=K), layer("all", "mean", "features")],
        contexts={"regions_seen": "features", "keys_seen": "keys_of", "mean_seen": "all"},
        first={},
        layers=[
            layer("embedding", "embedding", "tokens", width=E),
            layer("lang_before", "before", layer="lang"),
            layer("fed", "concat", "lang_before", "mean_seen", "embedding"),
            layer("att", "recurrent", "fed", cell="lstm", hidden=H),
            layer("seen", "attention", "regions_seen", "keys_seen", "att"),
            layer("both", "concat", "seen", "att"),
            layer("lang", "recurrent", "both", cell="lstm", hidden=H),
            layer("head", "linear", "lang", width="vocab"),
        ],
    )
    network = seeded(config)
    p = {name: value.detach() for name, value in network.named_parameters()}
    cells = {}
    for name, width in (("att", H + F + E), ("lang", F + H)):
        cells[name] = nn.LSTMCell(width, H)
        own = {k: p[f"layers.{name}.stack.fused.{k}_l0"] for k in cells[name].state_dict()}
        cells[name].load_state_dict(own)
    tokens, a = torch.randint(V, (B, T)), torch.randn(B, R, F)
    keys = a @ p["encode.keys_of.weight"].T + p["encode.keys_of.bias"]
    state = {name: (torch.zeros(B, H), torch.zeros(B, H)) for name in cells}
    made = written(network, tokens, a)
    for t in range(T):
        word = p["layers.embedding.weight"][tokens[:, t]]
        with torch.no_grad():
            state["att"] = cells["att"](
                torch.cat((state["lang"][0], a.mean(1), word), 1), state["att"]
            )
            query = state["att"][0] @ p["layers.seen.query.weight"].T + p["layers.seen.query.bias"]
            energies = torch.tanh(keys + query.unsqueeze(1)) @ p["layers.seen.energy.weight"].T
            alpha = torch.softmax(energies.squeeze(2), 1)
            seen = torch.einsum("br,brf->bf", alpha, a)
            state["lang"] = cells["lang"](torch.cat((seen, state["att"][0]), 1), state["lang"])
        logits = state["lang"][0] @ p["layers.head.weight"].T + p["layers.head.bias"]
        assert torch.allclose(made[t][0][:, 0], logits, atol=1e-5)
    assert np.isclose(float(made[0][1].sum()), B)


def test_a_picture_goes_through_an_image_encoder() -> None:
    config = attentive(
        given=[
            {"name": "image", "dtype": "uint8", "axes": ["batch", "height", "width", "channels"]}
        ],
        sizes={"vocab": V, "height": 32, "width": 32, "channels": 3},
        encode=[
            layer("cnn", "image", "image", encoder="compact"),
            layer("keys_of", "linear", "cnn", width=K),
            layer("mean", "mean", "cnn"),
            layer("init_h", "linear", "mean", width=H),
            layer("init_c", "linear", "mean", width=H),
        ],
        contexts={"regions_seen": "cnn", "keys_seen": "keys_of"},
    )
    layers = [dict(row) for row in config["layers"]]
    layers[3]["options"] = {"width": 194, "activation": "sigmoid"}  # as wide as what is seen
    network = seeded({**config, "layers": layers})
    contexts, _ = begun(network, torch.randint(256, (B, 32, 32, 3), dtype=torch.uint8))
    assert contexts[0].shape == (B, 16, 194)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"first": {"s": "init_h"}}, "first names s, expected a state of h, c"),
        ({"first": {"h": "init_h", "c": "keys_of"}}, "the state c"),
        (
            {"contexts": {"regions_seen": "features", "keys_seen": "keys_of.h"}},
            "but keys_of gives keys_of",
        ),
        ({"axes": {"keys_seen": ["batch", "keys"]}}, r"axes gives keys_seen \['batch', 'keys'\]"),
        ({"axes": {"keys_seen": ["batch", "regions", "vocab"]}}, "the axis vocab"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        NetworkConfig.model_validate(attentive(**change)).contract()
    assert "\n" not in str(caught.value)
