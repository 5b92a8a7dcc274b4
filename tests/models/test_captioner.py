"""A captioner step by step: the equations of its docstring, teacher forcing, scheduled sampling,
and gradients everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from edgernn.data.pictures.caption_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.models.cells.base import State
from edgernn.models.cells.lstm import LSTM
from edgernn.models.cells.table import cell_class
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.image_encoder import normalise
from edgernn.models.recurrent import MAX_LAYERS

MakeCaptioner = Callable[..., Captioner]
ENCODING = [name for name in CONDITIONINGS if name != "every-step"]
BATCH = 3

each_conditioning = pytest.mark.parametrize("conditioning", CONDITIONINGS)
each_cell = pytest.mark.parametrize("cell", ["lstm", "gru"])


@pytest.fixture
def image(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures[:BATCH].copy())


@pytest.fixture
def tokens(caption_ids: np.ndarray) -> Tensor:
    return torch.from_numpy(caption_ids[:BATCH, 0, :6].copy())


def stepped(
    model: Captioner, contexts: Any, state: State, tokens: Tensor
) -> tuple[list[Tensor], list[Any], State]:
    logits, conditioned = [], []
    for t in range(tokens.shape[1]):
        word, one, state = model.step(tokens[:, t : t + 1], contexts, state)
        logits.append(word)
        conditioned.append(one)
    return logits, conditioned, state


@each_cell
@each_conditioning
def test_the_graphs_give_what_the_contract_says(
    make_captioner: MakeCaptioner, image: Tensor, conditioning: str, cell: str
) -> None:
    model = make_captioner(conditioning=conditioning, cell=cell, layers=2)
    contract = model.config.contract()
    sizes = {**contract.sizes, "batch": BATCH}
    with torch.no_grad():
        encoded = model.graph("encode", image)
        given = dict(
            zip((tensor.name for tensor in contract.graph("encode").outputs), encoded, strict=True)
        )
        given |= {"tokens": torch.tensor([[START_ID]] * BATCH)}
        first = model.initial_state(BATCH) if conditioning == "every-step" else ()
        given |= dict(zip(cell_class(cell).states, first, strict=False))
        made = model.graph("step", *(given[tensor.name] for tensor in contract.step.inputs))
    for graph, results in (("encode", encoded), ("step", made)):
        for tensor, result in zip(contract.graph(graph).outputs, results, strict=True):
            assert list(result.shape) == [sizes[axis] for axis in tensor.axes], tensor.name
            assert result.dtype == torch.float32


@pytest.mark.parametrize("conditioning", ENCODING)
def test_a_first_state_without_a_picture_is_refused(
    make_captioner: MakeCaptioner, conditioning: str
) -> None:
    with pytest.raises(
        UsageError, match="the first state of this captioner comes from a picture; use encode"
    ):
        make_captioner(conditioning=conditioning).initial_state(1)


def test_every_step_begins_with_zeros(make_captioner: MakeCaptioner, image: Tensor) -> None:
    model = make_captioner(conditioning="every-step", layers=2)
    for state in (model.initial_state(BATCH), model.encode(image)[1]):
        assert [tuple(tensor.shape) for tensor in state] == [(2, BATCH, 8)] * 2
        assert not any(tensor.any() for tensor in state)


@each_conditioning
def test_a_picture_is_normalised_by_the_model_itself(
    make_captioner: MakeCaptioner, pictures: np.ndarray, conditioning: str
) -> None:
    """What is given is RGB as decoded; what the encoder sees is ImageNet's scale, and it sees red
    first.
    """
    model = make_captioner(conditioning=conditioning)
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image = torch.from_numpy(pictures[:2].copy())
    with torch.no_grad():
        encoded = model.graph("encode", image)
        again = model.graph("encode", image.float())
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    by_hand = ((pictures[:2] / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(seen[0].numpy(), by_hand, rtol=0, atol=2e-6)
    assert all(torch.equal(a, b) for a, b in zip(encoded, again, strict=True))
    assert torch.equal(seen[0], normalise(image))


@pytest.mark.parametrize("conditioning", ["soft-attention", "hard-attention"])
def test_a_step_is_its_equations(
    make_captioner: MakeCaptioner, image: Tensor, conditioning: str
) -> None:
    model = make_captioner(conditioning=conditioning).requires_grad_(False)
    contexts, (h, c) = model.encode(image)
    word = model.embedding.weight[[4, 5, 6]]
    found, conditioned, (h_next, c_next) = model.step(
        torch.tensor([[4], [5], [6]]), contexts, (h, c)
    )
    joined = model.conditioning.step(word, contexts, (h, c)).joined
    assert joined is not None
    from_input, from_hidden = model.decoder.from_input[0], model.decoder.from_hidden[0]
    (layer,) = model.decoder.cells()
    assert isinstance(layer, LSTM)
    x = from_input(torch.cat([word, joined], 1))
    y, cell = layer.advance(x, from_hidden(h[0]), (h[0], c[0]))
    torch.testing.assert_close(h_next[0], y)
    torch.testing.assert_close(c_next[0], cell)
    torch.testing.assert_close(
        found[:, 0], torch.cat([y, joined], 1) @ model.head.weight.T + model.head.bias
    )
    assert conditioned.attention is not None
    torch.testing.assert_close(conditioned.attention.sum(1), torch.ones(BATCH))


@pytest.mark.parametrize("conditioning", ["first-token", "initial-state", "every-step"])
def test_a_step_without_attention_is_the_decoder_and_the_head(
    make_captioner: MakeCaptioner, image: Tensor, conditioning: str
) -> None:
    model = make_captioner(conditioning=conditioning).requires_grad_(False)
    contexts, (h, c) = model.encode(image)
    word, gates = model.embedding.weight[[4, 5, 6]], contexts[0] if contexts else torch.zeros(1)
    found, conditioned, (h_next, c_next) = model.step(
        torch.tensor([[4], [5], [6]]), contexts, (h, c)
    )
    from_input, from_hidden = model.decoder.from_input[0], model.decoder.from_hidden[0]
    (layer,) = model.decoder.cells()
    assert isinstance(layer, LSTM)
    y, cell = layer.advance(from_input(word) + gates, from_hidden(h[0]), (h[0], c[0]))
    torch.testing.assert_close(h_next[0], y)
    torch.testing.assert_close(c_next[0], cell)
    torch.testing.assert_close(found[:, 0], y @ model.head.weight.T + model.head.bias)
    assert conditioned.attention is conditioned.joined is None


@each_cell
@each_conditioning
def test_teacher_forcing_equals_step_by_step(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor, conditioning: str, cell: str
) -> None:
    model = make_captioner(conditioning=conditioning, cell=cell, layers=2).requires_grad_(False)
    contexts, state = model.encode(image)
    forced = model(contexts, state, tokens)
    logits, conditioned, _ = stepped(model, contexts, state, tokens)
    assert torch.equal(forced.logits, torch.cat(logits, 1))
    assert forced.drawn is None
    if "attention" in conditioning:
        assert forced.attention is not None
        assert torch.equal(forced.attention, torch.stack([one.attention for one in conditioned], 1))
        assert (
            forced.attention[:, 0] - forced.attention[:, 3]
        ).abs().max() > 1e-4  # it looks elsewhere for another word
    else:
        assert forced.attention is None


def test_what_hard_attention_draws_is_told_of_every_step(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor
) -> None:
    model = make_captioner(conditioning="hard-attention").requires_grad_(False)
    contexts, state = model.encode(image)
    model.conditioning.train()
    forced = model(contexts, state, tokens)
    assert forced.drawn is not None
    assert forced.drawn.shape == tokens.shape
    assert forced.drawn.max() <= 0
    assert forced.drawn.min() < 0


@each_conditioning
def test_scheduled_sampling_that_marks_no_step_changes_nothing(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor, conditioning: str
) -> None:
    model = make_captioner(conditioning=conditioning).requires_grad_(False)
    contexts, state = model.encode(image)
    plain = model(contexts, state, tokens)
    none = model(contexts, state, tokens, torch.zeros_like(tokens, dtype=torch.bool))
    first = torch.zeros_like(tokens, dtype=torch.bool)
    first[:, 0] = True  # before any prediction there is nothing of its own
    assert torch.equal(plain.logits, none.logits)
    assert torch.equal(plain.logits, model(contexts, state, tokens, first).logits)


def test_scheduled_sampling_feeds_the_models_own_words(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_captioner().requires_grad_(False)
    contexts, state = model.encode(image)
    fed: list[Tensor] = []
    step = model.step
    monkeypatch.setattr(
        model, "step", lambda words, *rest: (fed.append(words), step(words, *rest))[1]
    )
    own = torch.zeros_like(tokens, dtype=torch.bool)
    own[0, 2:], own[1, 3] = True, True
    torch.manual_seed(0)
    forced = model(contexts, state, tokens, own)
    given = torch.cat(fed, 1)
    assert torch.equal(given[~own], tokens[~own])
    logits, _, _ = stepped(model, contexts, state, given)
    torch.testing.assert_close(forced.logits, torch.cat(logits, 1))
    chances = torch.softmax(forced.logits, 2)
    assert all(chances[row, t - 1, given[row, t]] > 1e-3 for row, t in own.nonzero().tolist())


def test_its_own_words_are_drawn_from_its_prediction(
    make_captioner: MakeCaptioner, image: Tensor
) -> None:
    """A model that is sure of a word feeds that word."""
    model = make_captioner().requires_grad_(False)
    model.head.bias[9] = 1e4
    contexts, state = model.encode(image)
    tokens = torch.full((BATCH, 4), START_ID)
    forced = model(contexts, state, tokens, torch.ones_like(tokens, dtype=torch.bool))
    nine = torch.tensor([[START_ID, 9, 9, 9]] * BATCH)
    assert torch.equal(forced.logits, model(contexts, state, nine).logits)


@each_cell
@each_conditioning
def test_gradients_reach_every_parameter(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor, conditioning: str, cell: str
) -> None:
    model = make_captioner(conditioning=conditioning, cell=cell, layers=2).train()
    torch.manual_seed(1)
    contexts, state = model.encode(image)
    logits = model(contexts, state, tokens[:, :-1]).logits
    torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:]).backward()
    still = [
        name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0
    ]
    assert still == []


@each_conditioning
def test_dropout_acts_in_training_only(
    make_captioner: MakeCaptioner, image: Tensor, tokens: Tensor, conditioning: str
) -> None:
    model, other = (
        make_captioner(conditioning=conditioning, dropout=rate).requires_grad_(False)
        for rate in (0.5, 0.0)
    )
    contexts, state = model.encode(image)
    forced = model(contexts, state, tokens).logits
    assert torch.equal(forced, model(contexts, state, tokens).logits)
    assert torch.equal(forced, other(contexts, state, tokens).logits)
    model.dropout.train()
    assert not torch.equal(forced, model(contexts, state, tokens).logits)


def test_the_step_face_is_the_model_itself(make_captioner: MakeCaptioner) -> None:
    model = make_captioner()
    assert model.step_face() is model


def test_how_captions_are_written(
    make_captioner: MakeCaptioner, caption_tokenizer: Tokenizer
) -> None:
    decoding = make_captioner(length=9).config.decoding(caption_tokenizer)
    assert (decoding.start, decoding.stop, decoding.length) == ((START_ID,), (END_ID,), 9)
    assert decoding.temperature == 0
    assert set(decoding.suppress) == {PAD_ID, START_ID, UNKNOWN_ID}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": "elman"}, "expected one of lstm, gru, rnn, rnn_relu"),
        (
            {"conditioning": "merge"},
            "expected one of soft-attention, hard-attention, first-token, initial-state, "
            "every-step",
        ),
        ({"encoder": "vgg16"}, "expected one of compact, small, resnet18"),
        ({"layers": MAX_LAYERS + 1}, "layers"),
        ({"image_size": 16}, "image_size"),
        ({"hiden": 8}, "hiden"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CaptionerConfig.model_validate({"vocabulary": 9, **options})


def test_a_cell_without_gates_takes_every_conditioning_but_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LSTM, "gates", 0)
    config = CaptionerConfig(vocabulary=9, conditioning="every-step", image_size=32)
    with pytest.raises(UsageError, match="every-step, which adds to gates, and the cell 'lstm'"):
        config.contract()
