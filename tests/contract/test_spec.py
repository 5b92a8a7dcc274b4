"""The step contract: what each cell promises, how files narrow it, and that no difference goes
unseen.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from edgernn.contract import (
    METADATA_KEY,
    SCHEMA_VERSION,
    Contract,
    Decoding,
    FileContract,
    GraphSpec,
    Narrowing,
    TensorSpec,
    file_problems,
    first_line,
    validated,
)
from edgernn.contract.interface import FileDescription, FileTensor, Interface, interface_problems
from edgernn.errors import ContractError, UsageError
from edgernn.families.language import language_contract

LSTM = language_contract(("h", "c"), layers=2, hidden=8, vocabulary=34)
STATELESS = GraphSpec(
    name="encode",
    inputs=(TensorSpec(name="image", role="input", dtype="uint8", axes=("batch", "height")),),
    outputs=(
        TensorSpec(name="features", role="context", dtype="float32", axes=("batch", "regions")),
    ),
)
TOKENS = FileTensor("tokens", "int64", ("batch", "time"))
H, C = FileTensor("h", "float32", (2, "batch", 8)), FileTensor("c", "float32", (2, "batch", 8))
LOGITS = FileTensor("logits", "float32", ("batch", "time", 34))
H_NEXT, C_NEXT = replace(H, name="h_next"), replace(C, name="c_next")
OPEN = Interface((TOKENS, H, C), (LOGITS, H_NEXT, C_NEXT))


def state(name: str, axes: tuple[str, ...] = ("layers", "batch", "hidden")) -> TensorSpec:
    return TensorSpec(name=name, role="state", dtype="float32", axes=axes)


@pytest.mark.parametrize("states", [("h",), ("h", "c"), ("h", "c", "m")], ids=str)
def test_the_contract_of_the_states_of_a_cell(states: tuple[str, ...]) -> None:
    contract = language_contract(states, layers=3, hidden=5, vocabulary=7)
    step = contract.step
    assert [(t.name, t.role, t.dtype, t.axes) for t in step.inputs] == [
        ("tokens", "input", "int64", ("batch", "time")),
        *((name, "state", "float32", ("layers", "batch", "hidden")) for name in states),
    ]
    assert [(t.name, t.role, t.dtype, t.axes) for t in step.outputs] == [
        ("logits", "output", "float32", ("batch", "time", "vocab")),
        *((f"{name}_next", "state", "float32", ("layers", "batch", "hidden")) for name in states),
    ]
    assert contract.sizes == {"layers": 3, "hidden": 5, "vocab": 7}
    assert contract.initial_state == {}


def test_a_learned_first_state_is_part_of_the_contract() -> None:
    assert language_contract(
        ("h",), layers=1, hidden=1, vocabulary=1, initial_state="learned"
    ).initial_state == {"h": "stored"}


def test_a_graph_sorts_its_tensors_by_role() -> None:
    step = LSTM.step
    assert [tensor.name for tensor in step.states] == ["h", "c"]
    assert [tensor.name for tensor in step.caller_inputs] == ["tokens"]
    assert [tensor.name for tensor in step.read_outputs] == ["logits"]


def test_a_graph_that_the_model_lacks_is_named() -> None:
    with pytest.raises(
        ContractError, match=r"no graph 'encode' in the contract; it has \['step'\]"
    ):
        LSTM.graph("encode")


@pytest.mark.parametrize(
    ("came_in", "came_out"),
    [
        ([state("h")], []),
        ([], [state("h_next")]),
        ([state("h")], [state("h")]),
        ([state("h")], [state("c_next")]),
        ([state("h"), state("c")], [state("h_next")]),
    ],
    ids=["never comes out", "never comes in", "same name", "other state", "one of two"],
)
def test_a_step_with_an_unpaired_state_is_refused(
    came_in: list[TensorSpec], came_out: list[TensorSpec]
) -> None:
    with pytest.raises(
        ValidationError, match="every state must come in as NAME and out as NAME_next"
    ):
        GraphSpec(name="step", inputs=tuple(came_in), outputs=tuple(came_out))


def test_an_encode_graph_needs_no_state_where_the_first_one_is_zeros() -> None:
    contract = Contract(
        graphs=(STATELESS, LSTM.step), sizes={**LSTM.sizes, "height": 4, "regions": 3}
    )
    assert contract.graph("encode") == contract.encode == STATELESS
    assert contract.step == LSTM.step
    assert LSTM.encode is None


def test_a_name_means_one_tensor_in_both_graphs() -> None:
    tokens = LSTM.step.inputs[0]
    told = tokens.model_copy(update={"name": "logits", "role": "output", "below": None})
    for graph in (
        STATELESS.model_copy(update={"inputs": (*STATELESS.inputs, tokens)}),
        STATELESS.model_copy(update={"outputs": (*STATELESS.outputs, told)}),
    ):
        sizes = {**LSTM.sizes, "height": 4, "regions": 3}
        with pytest.raises(ValidationError, match=r"encode and step both have (tokens|logits)"):
            Contract(graphs=(graph, LSTM.step), sizes=sizes)


@pytest.mark.parametrize("name", ["", "1h", "h next", "h.next", "../h"])
def test_a_tensor_name_that_some_runtime_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        state(name)


def test_unknown_keys_are_not_let_through_and_nothing_changes_afterwards() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Narrowing.model_validate({"rename": {"h": "hidden"}})
    with pytest.raises(ValidationError, match="frozen"):
        LSTM.step.states[0].name = "other"  # type: ignore[misc]


def test_an_interface_that_is_not_narrowed_is_the_contract() -> None:
    assert FileContract(contract=LSTM).interface() == OPEN


def test_a_narrowed_interface_has_sizes_and_dtypes_of_its_own() -> None:
    narrowing = Narrowing(
        axes={"batch": 1, "time": 1},
        dtypes={"tokens": "int32", "h": "float16", "h_next": "float16"},
    )
    found = FileContract(contract=LSTM, narrowing=narrowing).interface()
    assert found.inputs == (
        FileTensor("tokens", "int32", (1, 1)),
        FileTensor("h", "float16", (2, 1, 8)),
        FileTensor("c", "float32", (2, 1, 8)),
    )
    assert found.outputs == (
        FileTensor("logits", "float32", (1, 1, 34)),
        FileTensor("h_next", "float16", (2, 1, 8)),
        FileTensor("c_next", "float32", (2, 1, 8)),
    )
    assert found.states == ()


def test_a_state_that_the_runtime_keeps_is_neither_in_nor_output() -> None:
    narrowing = Narrowing(dtypes={"h": "float16", "c": "float16"}, runtime_state=True)
    found = FileContract(contract=LSTM, narrowing=narrowing).interface()
    assert found.inputs == (TOKENS,)
    assert found.outputs == (LOGITS,)
    assert found.states == (replace(H, dtype="float16"), replace(C, dtype="float16"))


def test_an_axis_has_the_narrowed_size_the_contracts_or_the_callers() -> None:
    file_contract = FileContract(contract=LSTM, narrowing=Narrowing(axes={"time": 4}))
    assert [file_contract.axis_size(axis) for axis in ("time", "batch", "hidden")] == [4, None, 8]


def test_metadata_round_trip() -> None:
    wrote = FileContract(
        contract=language_contract(
            ("h",), layers=1, hidden=4, vocabulary=9, initial_state="learned"
        ),
        narrowing=Narrowing(axes={"batch": 2}, dtypes={"tokens": "int32"}, runtime_state=True),
        decoding=Decoding(start=(3, 1), temperature=0.0, top_k=5, top_p=0.25),
    )
    metadata = wrote.to_metadata()
    assert list(metadata) == [METADATA_KEY]
    assert FileContract.from_metadata({**metadata, "someone": "else"}, source="x") == wrote


def changed(**changes: object) -> str:
    content = json.loads(FileContract(contract=LSTM).model_dump_json())
    content.update(changes)
    return json.dumps({key: value for key, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[1]", "damaged"),
        ("3", "damaged"),
        ("[" * 100_000, "damaged"),
        (changed(contract=None), "contract: Field required"),
        (changed(graph="No Graph"), "graph: "),
        (changed(surprise=1), "surprise: Extra inputs"),
        (changed(contract={"graphs": [], "sizes": {"hidden": 0}}), "contract.sizes.hidden: "),
        (
            changed(schema_version=SCHEMA_VERSION + 1),
            rf"schema version {SCHEMA_VERSION + 1}; this edgernn reads",
        ),
        (changed(schema_version=None), "schema version None"),
    ],
    ids=[
        "empty", "cut", "list", "number", "deep", "no contract", "graph", "unknown key", "size",
        "too new", "no version",
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_read_says_why_in_one_line(text: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        FileContract.from_metadata({METADATA_KEY: text}, source="model.onnx")
    assert str(caught.value).startswith("model.onnx ")
    assert "\n" not in str(caught.value)


def test_a_foreign_file_has_no_metadata_of_ours() -> None:
    with pytest.raises(
        ContractError, match=r"model.onnx has no 'edgernn' entry.*did not export it"
    ):
        FileContract.from_metadata({"author": "someone"}, source="model.onnx")


NARROW = FileTensor("tokens", "int64", (1, "time"))
DIFFERENCES = {
    "renamed input": (
        replace(OPEN, inputs=(TOKENS, replace(H, name="h0"), C)),
        "inputs are ['tokens', 'h0', 'c'], expected",
    ),
    "inputs swapped": (
        replace(OPEN, inputs=(TOKENS, C, H)),
        "inputs are ['tokens', 'c', 'h'], expected ['tokens', 'h', 'c']",
    ),
    "input missing": (replace(OPEN, inputs=(TOKENS, H)), "inputs are ['tokens', 'h'], expected"),
    "extra input": (
        replace(OPEN, inputs=(TOKENS, H, C, NARROW)),
        "inputs are ['tokens', 'h', 'c', 'tokens'], expected",
    ),
    "renamed output": (
        replace(OPEN, outputs=(LOGITS, H, C_NEXT)),
        "outputs are ['logits', 'h', 'c_next'], expected",
    ),
    "outputs swapped": (
        replace(OPEN, outputs=(LOGITS, C_NEXT, H_NEXT)),
        "outputs are ['logits', 'c_next', 'h_next'], expected",
    ),
    "kept state": (replace(OPEN, states=(H,)), "states are ['h'], expected []"),
    "dtype": (
        replace(OPEN, inputs=(replace(TOKENS, dtype="int32"), H, C)),
        "tokens is int32, expected int64",
    ),
    "fixed, not open": (
        replace(OPEN, inputs=(NARROW, H, C)),
        "tokens has shape [1, time], expected [batch, time]",
    ),
    "open, not fixed": (
        replace(OPEN, outputs=(LOGITS, replace(H_NEXT, shape=("L", "batch", 8)), C_NEXT)),
        "h_next has shape [L, batch, 8], expected [2, batch, 8]",
    ),
    "another size": (
        replace(OPEN, outputs=(replace(LOGITS, shape=("batch", "time", 33)), H_NEXT, C_NEXT)),
        "logits has shape [batch, time, 33], expected [batch, time, 34]",
    ),
    "another rank": (
        replace(OPEN, inputs=(TOKENS, H, replace(C, shape=("batch", 8)))),
        "c has shape [batch, 8], expected [2, batch, 8]",
    ),
}


@pytest.mark.parametrize(("found", "says"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_every_difference_of_an_interface_is_one_line(found: Interface, says: str) -> None:
    (problem,) = interface_problems(OPEN, found)
    assert problem.startswith(says)


def test_all_differences_are_told() -> None:
    found = Interface((replace(TOKENS, dtype="int32", shape=(1, 1)), H, C), (LOGITS,), (H,))
    assert len(interface_problems(OPEN, found)) == 4


def test_what_a_format_does_not_record_is_no_difference() -> None:
    found = Interface(
        tuple(FileTensor(tensor.name, None, None) for tensor in OPEN.inputs),
        tuple(FileTensor(tensor.name, None, None) for tensor in OPEN.outputs),
    )
    assert interface_problems(OPEN, found) == []
    assert interface_problems(OPEN, OPEN) == []


SEEN = ("batch", "height", "width", "channels")


@pytest.mark.parametrize(
    ("tensor", "kind", "ids", "picture"),
    [
        ({"dtype": "uint8", "axes": SEEN}, "u", False, True),
        ({"dtype": "uint8", "axes": ("time", *SEEN[1:])}, "u", False, True),
        ({"dtype": "uint8", "axes": (*SEEN, "views")}, "u", False, False),
        ({"dtype": "uint8", "axes": ("batch", "height")}, "u", False, False),
        ({"dtype": "uint8", "axes": SEEN, "below": "vocab"}, "u", True, False),
        ({"dtype": "float32", "axes": SEEN}, "f", False, False),
        ({"dtype": "int16", "axes": ("batch",), "below": "vocab"}, "i", True, False),
        ({"dtype": "bool", "axes": ("batch",)}, "b", False, False),
    ],
)
def test_what_the_values_of_a_tensor_are(
    tensor: dict[str, object], kind: str, ids: bool, picture: bool
) -> None:
    spec = TensorSpec.model_validate({"name": "x", "role": "input", **tensor})
    assert (spec.kind, spec.is_ids, spec.is_picture) == (kind, ids, picture)


@pytest.mark.parametrize(("axes", "unit"), [(SEEN, "picture"), (SEEN[:3], "sequence")])
def test_a_graph_that_runs_once_is_counted_in_what_it_takes(
    axes: tuple[str, ...], unit: str
) -> None:
    step = LSTM.step
    taken = TensorSpec(name="seen", role="input", dtype="uint8", axes=axes)
    encode = GraphSpec(name="encode", inputs=(taken,), outputs=step.states[:1])
    sizes = {**LSTM.sizes, "height": 4, "width": 4, "channels": 3}
    contract = Contract(graphs=(encode, step), sizes=sizes, initial_state={"h": "encode"})
    assert (contract.encode, encode.once, step.once) == (encode, True, False)
    assert [contract.unit(name) for name in ("encode", "step", "generate")] == [
        unit,
        "step",
        "step",
    ]


def test_a_file_that_keeps_its_contract_has_no_problems() -> None:
    file_contract = FileContract(contract=LSTM, decoding=Decoding(start=(5,)))
    assert file_problems(FileDescription(OPEN, file_contract.to_metadata()), file_contract) == []


OTHERS = {
    "initial state": FileContract(
        contract=LSTM.model_copy(
            update={"initial_state": {s.name: "stored" for s in LSTM.step.states}}
        )
    ),
    "decoding": FileContract(contract=LSTM, decoding=Decoding(start=(7,))),
    "narrowing": FileContract(contract=LSTM, narrowing=Narrowing(axes={"batch": 1})),
    "cell": FileContract(contract=language_contract(("h",), layers=2, hidden=8, vocabulary=34)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_contract_in_the_metadata_is_a_problem(other: FileContract) -> None:
    found = file_problems(FileDescription(OPEN, other.to_metadata()), FileContract(contract=LSTM))
    assert found == ["the contract in its metadata is another one"]


def test_metadata_that_is_missing_or_damaged_is_a_problem_beside_the_others() -> None:
    file_contract = FileContract(contract=LSTM)
    narrow = replace(OPEN, inputs=(NARROW, H, C))
    assert file_problems(FileDescription(OPEN), file_contract) == [
        "it has no contract in its metadata"
    ]
    assert len(file_problems(FileDescription(narrow), file_contract)) == 2
    shape, damaged = file_problems(FileDescription(narrow, {METADATA_KEY: "{"}), file_contract)
    assert shape.startswith("tokens has shape")
    assert damaged.startswith("it has a damaged 'edgernn' entry")


def test_first_lines() -> None:
    with pytest.raises(ValidationError) as caught:
        Decoding.model_validate({"top_p": 2, "top_k": -1})
    assert first_line(caught.value).startswith("top_k: ")
    assert first_line(ValueError("  one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"top_k": -1}, r"^top_k is -1: expected greater than or equal to 0$"),
        ({"start": [2, "x"]}, r"^start\.1 is 'x': expected a valid integer"),
        ({"beams": 3}, r"^beams is 3: Extra inputs are not permitted$"),
    ],
)
def test_values_that_a_person_gave_are_named_when_they_do_not_fit(
    values: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        validated(Decoding, **values)
    assert validated(Decoding, top_k=3) == Decoding(top_k=3)
