"""What a file that decodes in the graph takes and gives, and the random numbers that it is fed."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.contract.in_graph import (
    caption_interface,
    decoder_of,
    further_outputs,
    generate_interface,
)
from edgernn.contract.interface import FileTensor
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.generate import Generation, Snapshot
from edgernn.decoding.sampling import Sampler
from edgernn.errors import ContractError
from edgernn.families.captioner import captioner_contract
from edgernn.families.language import language_contract
from edgernn.sessions.fake import FakeSession

LANGUAGE = language_contract(("h", "c"), layers=2, hidden=3, vocabulary=7)
SIZES = {"regions": 4, "features": 6, "keys": 5, "gates": 12}


def captioner(conditioning: str) -> FileContract:
    sizes = {"layers": 1, "hidden": 3, "vocabulary": 7, "image_size": 32, "sizes": SIZES}
    return FileContract(contract=captioner_contract(("h", "c"), conditioning, **sizes))


def test_what_a_text_takes_and_gives() -> None:
    interface = generate_interface(LANGUAGE)
    states = (FileTensor("h", "float32", (2, 1, 3)), FileTensor("c", "float32", (2, 1, 3)))
    assert interface.inputs[:3] == (FileTensor("prompt", "int64", ("fed",)), *states)
    assert [(t.name, t.dtype) for t in interface.inputs[3:]] == [
        ("length", "int64"),
        ("temperature", "float64"),
        ("top_k", "int64"),
        ("top_p", "float64"),
        ("uniforms", "float64"),
        ("stop", "int64"),
    ]
    assert [t.name for t in interface.outputs] == [
        "tokens",
        "log_probabilities",
        "h_next",
        "c_next",
    ]


@pytest.mark.parametrize(
    ("conditioning", "further"), [("soft-attention", ["attention"]), ("every-step", [])]
)
def test_what_a_caption_takes_and_gives(conditioning: str, further: list[str]) -> None:
    contract = captioner(conditioning).contract
    interface = caption_interface(contract)
    assert [(t.name, t.dtype, t.shape) for t in interface.inputs] == [
        ("image", "uint8", (1, 32, 32, 3)),
        ("beam", "int64", ()),
        ("length", "int64", ()),
    ]
    assert [t.name for t in interface.outputs] == [
        "tokens",
        "score",
        "log_probability",
        "finished",
        *further,
    ]
    assert [t.shape for t in interface.outputs[4:]] == [("written", 4)] * len(further)
    assert [t.name for t in further_outputs(contract)] == further


FRAMES = build_contract(
    inputs={"frame": "float32[batch, time, width=2]"},
    states={"h": "float32[batch, hidden=3]"},
    outputs={"sample": "float32[batch, time, width]"},
)
TAGGER = build_contract(
    inputs={"tokens": "int64[batch, time] below vocab=7"},
    states={"h": "float32[batch, hidden=3]"},
    outputs={"tags": "float32[batch, time, tag=4]"},
)
TRANSLATOR = build_contract(
    encode_inputs={"source": "int64[batch, place] below vocab=7"},
    contexts={"keys": "float32[batch, place, hidden=3]"},
    inputs={"tokens": "int64[batch, time] below vocab=7"},
    states={"h": "float32[batch, hidden=3]"},
    outputs={"logits": "float32[batch, time, vocab=7]"},
)


@pytest.mark.parametrize(
    ("contract", "decoder"),
    [
        (LANGUAGE, "generate"),
        (captioner("first-token").contract, "caption"),
        (captioner("soft-attention").contract, "caption"),
        (FRAMES, None),
        (TAGGER, None),
        (TRANSLATOR, None),
    ],
)
def test_what_can_be_decoded_in_the_graph(contract: Contract, decoder: str | None) -> None:
    assert decoder_of(contract) == decoder


def test_each_kind_of_model_has_its_own() -> None:
    with pytest.raises(ContractError, match="the model has no encode graph; only a generate graph"):
        caption_interface(LANGUAGE)
    with pytest.raises(
        ContractError, match=r"the step graph takes \['features', 'feature_keys'\] beside tokens"
    ):
        generate_interface(captioner("soft-attention").contract)


def test_a_generation_draws_those_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    monkeypatch.setattr(
        Sampler, "pick", lambda self, logits, uniform, suppress: drawn.append(uniform) or 0
    )
    session = FakeSession(FileContract(contract=LANGUAGE))
    generation = Generation(
        session, Snapshot(session.initial_state(), np.array([1]), 4), sampler=Sampler(), seed=9
    )
    list(generation.write(6))
    assert drawn == uniform_numbers(9, 6, position=4).tolist()
