"""The contracts of captioners: what each conditioning makes once and feeds every step; and that two
graphs belong together.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.errors import UsageError
from edgernn.families.captioner import CONDITIONINGS, captioner_contract
from edgernn.families.language import language_contract
from edgernn.models.captioner import CaptionerConfig
from edgernn.models.conditioning import CONDITIONINGS as BUILT

SIZES = {"regions": 16, "features": 194, "keys": 5, "gates": 32}
STATE_AXES = ("layers", "batch", "hidden")
COMMON = {
    "height": 32,
    "width": 32,
    "channels": 3,
    "time": 1,
    "layers": 2,
    "hidden": 8,
    "vocab": 36,
}
ATTENDING = {"regions": 16, "feature_width": 194, "key_width": 5}
CONTEXTS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "soft-attention": [
        ("features", ("batch", "regions", "feature_width")),
        ("feature_keys", ("batch", "regions", "key_width")),
    ],
    "first-token": [],
    "initial-state": [],
    "every-step": [("image_gates", ("batch", "gates"))],
}
CONTEXTS["hard-attention"] = CONTEXTS["soft-attention"]


def contract(
    conditioning: str = "soft-attention", states: tuple[str, ...] = ("h", "c")
) -> Contract:
    return captioner_contract(
        states, conditioning, layers=2, hidden=8, vocabulary=36, image_size=32, sizes=SIZES
    )


def listed(tensors: tuple[TensorSpec, ...]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(tensor.name, tensor.role, tensor.dtype, tensor.axes) for tensor in tensors]


@pytest.mark.parametrize("states", [("h", "c"), ("h",)], ids=str)
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_two_graphs_of_each_conditioning(conditioning: str, states: tuple[str, ...]) -> None:
    made = contract(conditioning, states)
    encode, step = made.graph("encode"), made.step
    contexts = [(name, "context", "float32", axes) for name, axes in CONTEXTS[conditioning]]
    first = [(name, "state", "float32", STATE_AXES) for name in states]
    after = [(f"{name}_next", "state", "float32", STATE_AXES) for name in states]
    looked = (
        [("attention", "output", "float32", ("batch", "time", "regions"))]
        if "attention" in conditioning
        else []
    )
    assert [graph.name for graph in made.graphs] == ["encode", "step"]
    assert listed(encode.inputs) == [
        ("image", "input", "uint8", ("batch", "height", "width", "channels"))
    ]
    assert listed(encode.outputs) == [*contexts, *([] if conditioning == "every-step" else first)]
    assert listed(step.inputs) == [
        ("tokens", "input", "int64", ("batch", "time")),
        *contexts,
        *first,
    ]
    assert listed(step.outputs) == [
        ("logits", "output", "float32", ("batch", "time", "vocab")),
        *looked,
        *after,
    ]
    assert step.inputs[0].below == "vocab"
    encoded = conditioning != "every-step"
    assert made.initial_state == {name: "encode" for name in states if encoded}


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_the_sizes_are_those_that_the_conditioning_uses(conditioning: str) -> None:
    own = (
        ATTENDING
        if "attention" in conditioning
        else {"gates": 32}
        if conditioning == "every-step"
        else {}
    )
    assert contract(conditioning).sizes == {**COMMON, **own}


def test_the_names_of_the_contract_are_those_that_can_be_built() -> None:
    assert tuple(BUILT) == CONDITIONINGS
    assert set(CONTEXTS) == set(CONDITIONINGS)


def test_unknown_conditionings_name_the_known_ones() -> None:
    with pytest.raises(
        UsageError,
        match=r"unknown conditioning 'merge'; expected one of soft-attention, .*every-step",
    ):
        contract("merge")


def test_one_time_step_a_call_is_part_of_the_contract() -> None:
    """Attention needs the state between two words, so no file of a captioner takes more than
    one.
    """
    assert contract().sizes["time"] == 1


def without(graph: GraphSpec, name: str) -> GraphSpec:
    return graph.model_copy(
        update={"outputs": tuple(tensor for tensor in graph.outputs if tensor.name != name)}
    )


def changed(graph: GraphSpec, name: str, **values: Any) -> GraphSpec:
    outputs = tuple(t.model_copy(update=values) if t.name == name else t for t in graph.outputs)
    return graph.model_copy(update={"outputs": outputs})


ENCODE = contract().graph("encode")
BROKEN = {
    "no features": (without(ENCODE, "features"), "features"),
    "no keys": (without(ENCODE, "feature_keys"), "feature_keys"),
    "no first cell state": (without(ENCODE, "c"), "c"),
    "keys of other axes": (
        changed(ENCODE, "feature_keys", axes=("batch", "regions", "feature_width")),
        "feature_keys",
    ),
    "features of halves": (changed(ENCODE, "features", dtype="float16"), "features"),
    "features as an output": (changed(ENCODE, "features", role="output"), "features"),
    "states without layers": (changed(ENCODE, "h", axes=("batch", "hidden")), "h"),
    "encode of every-step": (
        contract("every-step").graph("encode"),
        "features', 'feature_keys', 'h', 'c",
    ),
}


@pytest.mark.parametrize(("encode", "lacking"), BROKEN.values(), ids=BROKEN)
def test_an_encode_that_does_not_fit_its_step_is_refused(encode: GraphSpec, lacking: str) -> None:
    whole = contract()
    with pytest.raises(
        ValidationError, match=rf"step takes \['{lacking}'\] from encode, which does not give them"
    ):
        Contract(graphs=(encode, whole.step), sizes=whole.sizes, initial_state="encode")
    with pytest.raises(ValidationError, match="from encode"):
        Contract(graphs=(whole.step,), sizes=whole.sizes, initial_state="encode")


LANGUAGE = language_contract(("h", "c"), layers=2, hidden=8, vocabulary=36)
STATES = LANGUAGE.step.states
STATELESS = GraphSpec(
    name="encode",
    inputs=(TensorSpec(name="image", role="input", dtype="uint8", axes=("batch", "height")),),
    outputs=(
        TensorSpec(name="features", role="context", dtype="float32", axes=("batch", "regions")),
    ),
)


def graph_with(
    graph: GraphSpec, *, inputs: tuple[TensorSpec, ...] = (), outputs: tuple[TensorSpec, ...] = ()
) -> GraphSpec:
    return graph.model_copy(
        update={"inputs": (*graph.inputs, *inputs), "outputs": (*graph.outputs, *outputs)}
    )


def test_encode_may_give_the_first_states_and_contexts_that_step_takes() -> None:
    encode = graph_with(STATELESS, outputs=STATES)
    step = graph_with(LANGUAGE.step, inputs=STATELESS.outputs)
    contract = Contract(
        graphs=(encode, step),
        sizes={**LANGUAGE.sizes, "height": 4, "regions": 3},
        initial_state="encode",
    )
    assert contract.encode == encode
    assert contract.encode.contexts == contract.step.contexts == STATELESS.outputs


@pytest.mark.parametrize(
    ("encode", "step", "initial_state", "lacking"),
    [
        (STATELESS, LANGUAGE.step, "encode", r"\['h', 'c'\]"),
        (graph_with(STATELESS, outputs=(STATES[0],)), LANGUAGE.step, "encode", r"\['c'\]"),
        (
            graph_with(
                STATELESS,
                outputs=(STATES[0], STATES[1].model_copy(update={"axes": ("batch", "hidden")})),
            ),
            LANGUAGE.step,
            "encode",
            r"\['c'\]",
        ),
        (None, graph_with(LANGUAGE.step, inputs=STATELESS.outputs), "zeros", r"\['features'\]"),
        (
            STATELESS,
            graph_with(
                LANGUAGE.step,
                inputs=(STATELESS.outputs[0].model_copy(update={"dtype": "float16"}),),
            ),
            "zeros",
            r"\['features'\]",
        ),
    ],
    ids=["no first states", "one of two", "other axes", "no encode", "other dtype"],
)
def test_an_encode_graph_that_gives_less_than_step_takes_is_refused(
    encode: GraphSpec | None, step: GraphSpec, initial_state: str, lacking: str
) -> None:
    graphs = (step,) if encode is None else (encode, step)
    with pytest.raises(
        ValidationError, match=f"step takes {lacking} from encode, which does not give them"
    ):
        Contract(
            graphs=graphs,
            sizes={**LANGUAGE.sizes, "height": 4, "regions": 3},
            initial_state=initial_state,
        )


def test_the_groups_of_a_graph_with_contexts() -> None:
    step = graph_with(LANGUAGE.step, inputs=STATELESS.outputs)
    assert [tensor.name for tensor in step.fresh_inputs] == ["tokens"]
    assert [tensor.name for tensor in step.contexts] == ["features"]
    assert [tensor.name for tensor in step.caller_inputs] == ["tokens", "features"]
    assert [tensor.name for tensor in step.states] == ["h", "c"]
    assert [tensor.name for tensor in STATELESS.read_outputs] == ["features"]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_contract_survives_json(conditioning: str) -> None:
    made = contract(conditioning)
    assert Contract.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_configuration_knows_its_contract_without_building_the_model(conditioning: str) -> None:
    shape: dict[str, Any] = {
        "vocabulary": 36,
        "hidden": 8,
        "layers": 2,
        "keys": 5,
        "image_size": 32,
    }
    assert CaptionerConfig(**shape, conditioning=conditioning).contract() == contract(conditioning)
    deep = CaptionerConfig(
        **{**shape, "image_size": 224}, encoder="resnet152", cell="gru", conditioning=conditioning
    )
    sizes = deep.contract().sizes
    wanted = {"regions": 49, "feature_width": 2048, "key_width": 5, "gates": 24}
    assert {name: size for name, size in sizes.items() if name in wanted} == {
        n: wanted[n] for n in wanted if n in sizes
    }
    assert (sizes["height"], sizes["width"]) == (224, 224)
