"""A contract in one line a tensor: what it means, and what is refused."""

from __future__ import annotations

import pytest

from edgernn.contract import Contract
from edgernn.contract.build import build_contract
from edgernn.errors import UsageError
from edgernn.models.language import LanguageConfig


def test_a_language_model_is_the_familys_own() -> None:
    made = build_contract(
        inputs={"tokens": "int64[batch, time] below vocab=7"},
        states=dict.fromkeys(("h", "c"), "float32[layers=2, batch, hidden=3]"),
        outputs={"logits": "float32[batch, time, vocab]"},
    )
    config = LanguageConfig(vocabulary=7, cell="lstm", embedding=2, hidden=3, layers=2)
    assert made == config.contract()


def test_an_encode_graph_gives_contexts_and_first_states() -> None:
    made = build_contract(
        inputs={"frame": "float32[batch, time=1, width=4]"},
        states={"h": "float32[batch, hidden=3]", "count": "int64[]"},
        outputs={"sample": "float32[batch, time, width]"},
        contexts={"memory": "float32[batch, source, hidden]"},
        encode_inputs={"words": "int64[batch, source] below vocab=9"},
        encode_outputs={"salience": "float32[batch, source]"},
        initial_state={"h": "encode", "count": "stored"},
    )
    assert isinstance(made, Contract) and made.encode is not None
    assert [tensor.name for tensor in made.encode.outputs] == ["memory", "h", "salience"]
    assert made.open_axes == ("source",)
    assert [tensor.name for tensor in made.starting("stored")] == ["count"]


def test_an_encode_that_takes_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="encode takes or gives nothing"):
        build_contract(
            inputs={"frame": "float32[batch, width=4]"},
            states={"h": "float32[batch, hidden=3]"},
            outputs={"sample": "float32[batch, hidden]"},
            encode_outputs={"told": "float32[batch, hidden]"},
        )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("float32", "expected one as"),
        ("float12[batch]", "'float12'; expected one of"),
        ("float32[batch, width=0]", "greater than or equal to 1"),
        ("float32[batch, width]", "sizes has no width"),
        ("float32[batch, time, batch]", "the axis batch twice"),
        ("float32[batch] below vocab=4", "only integers can be"),
        ("float32[batch, hidden=9]", "hidden = 9, and before it was 3"),
    ],
)
def test_what_is_no_tensor_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build_contract(
            inputs={"frame": text},
            states={"h": "float32[batch, hidden=3]"},
            outputs={"sample": "float32[batch, hidden]"},
        )


def test_a_size_alone_is_an_axis_named_after_the_tensor():
    contract = build_contract(
        inputs={"X": "float32[batch, time, 40]"},
        states={"h": "float32[batch, 8]"},
        outputs={"y": "float32[batch, time, 2]"},
    )
    assert contract.step.inputs[0].axes == ("batch", "time", "x_2")
    assert contract.sizes == {"x_2": 40, "h_1": 8, "y_2": 2}


def test_an_axis_that_nobody_named_leaves_a_name_that_is_taken() -> None:
    long = "a" * 60
    contract = build_contract(
        inputs={"x": "float32[batch, time, h_0=4]", f"{long}x": "float32[batch, 3]"},
        states={"h": "float32[1, batch, 5]", "H": "float32[2, batch, 5]"},
        outputs={f"{long}y": "float32[batch, 6]"},
    )
    shapes = {s.name: contract.shape(s, batch=1, time=1) for s in contract.step.inputs}
    assert shapes == {"x": (1, 1, 4), f"{long}x": (1, 3), "h": (1, 1, 5), "H": (2, 1, 5)}
    assert contract.shape(contract.step.outputs[0], batch=1) == (1, 6)
