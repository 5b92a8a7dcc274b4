"""A text in one call: the tokens, the states and the probabilities of the host's own loop, for
every cell and setting.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgernn.contract import TIME, Decoding, FileContract, GraphSpec, Narrowing
from edgernn.contract.interface import FileTensor
from edgernn.decoding.beam import log_softmax
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.sampler_vectors import read_vectors, write_vectors
from edgernn.decoding.sampling import Sampler
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_onnx.generate_loop import generate_model, sampled
from edgernn.export.to_onnx.nodes import Scope
from edgernn.models.captioner import Captioner
from edgernn.models.language import LanguageModel
from edgernn.sessions.opening import open_session
from edgernn.sessions.ort.in_graph import OrtGenerator
from edgernn.sessions.ort.step import OrtSession

MakeModel = Callable[..., LanguageModel]
LAST = float(np.nextafter(1, 0))
SAMPLERS = (
    Sampler(0),
    Sampler(0, top_k=3, top_p=0.5),
    Sampler(0.8),
    Sampler(1.2, top_k=5),
    Sampler(1.0, top_k=10**6),
    Sampler(1.5, top_p=0.9),
    Sampler(1.0, top_p=1e-9),
    Sampler(2.0, top_k=7, top_p=0.8),
    Sampler(1e-300),
    Sampler(1e6),
)
PROMPTS = (np.array([4]), np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))


class StepFaceExporter(OnnxExporter):
    """Writes the step face in float32, too."""

    def narrowing(self, graph: GraphSpec, precision: str) -> Narrowing:
        return Narrowing(axes={TIME: 1})


def step_session(
    model: LanguageModel, folder: Path, *, exporter: OnnxExporter, precision: str = "float32"
) -> OrtSession:
    exporter.export(model, folder / "step.onnx", precision=precision, decoding=Decoding())
    session = open_session(folder / "step.onnx")
    assert isinstance(session, OrtSession)
    return session


def both(
    session: OrtSession, folder: Path, decoding: Decoding | None = None
) -> tuple[OrtSession, OrtGenerator]:
    """Write a ``generate`` file beside the step file; open it, too."""
    step, path = onnx.load(str(folder / "step.onnx")), folder / "generate.onnx"
    before = step.SerializeToString()
    onnx.save(
        generate_model(step, session.file_contract, decoding=decoding or Decoding()), str(path)
    )
    assert step.SerializeToString() == before
    return session, OrtGenerator.open(path, session.file_contract)


def spread(model: LanguageModel) -> LanguageModel:
    """Make the logits of a fresh model differ as those of a trained one do, in place."""
    model.head.weight.data.mul_(6)
    return model


def assert_same_text(
    step: OrtSession,
    whole: OrtGenerator,
    *,
    prompt: np.ndarray,
    sampler: Sampler,
    suppress: tuple[int, ...] = (),
) -> list[int]:
    generation = Generation(step, begin(step, prompt), sampler=sampler, seed=7, suppress=suppress)
    expected, logs = [], []
    for token in generation.write(60):
        expected.append(token)
        logs.append(log_softmax(generation.outputs["logits"])[0, token])
    found = whole.generate(prompt, length=60, sampler=sampler, seed=7)
    assert found.tokens.tolist() == expected
    assert (found.tokens.dtype, found.log_probabilities.dtype) == (np.int64, np.float32)
    np.testing.assert_allclose(found.log_probabilities, logs, atol=1e-5)
    for name, state in generation.snapshot.state.items():
        np.testing.assert_allclose(found.state[name], state, rtol=0, atol=1e-6)
    assert generation.snapshot.pending.tolist() == expected[-1:]
    return expected


BOUNDED = ("lstm", "gru", "rnn")  # a state that grows without end shows rounding, no more
FACES = [
    (cell, exporter, "float32")
    for cell in BOUNDED
    for exporter in (OnnxExporter(), StepFaceExporter())
]
FACES += [
    ("lstm", OnnxExporter(), "int4"),
    ("gru", OnnxExporter(), "int8"),
    ("lstm", OnnxExporter(), "float16"),
]


@pytest.mark.parametrize(
    ("cell", "exporter", "precision"),
    FACES,
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_a_text_is_the_same_as_from_the_host(
    make_model: MakeModel, tmp_path: Path, cell: str, exporter: OnnxExporter, precision: str
) -> None:
    model = spread(make_model(cell=cell, hidden=32, embedding=32))
    step, whole = both(
        step_session(model, tmp_path, exporter=exporter, precision=precision), tmp_path
    )
    texts = {
        tuple(assert_same_text(step, whole, prompt=prompt, sampler=sampler))
        for sampler in SAMPLERS
        for prompt in PROMPTS
    }
    assert len(texts) > len(SAMPLERS)  # else a setting that does nothing would not show


def test_the_states_are_those_of_the_step_file_to_the_last_bit(
    make_model: MakeModel, tmp_path: Path
) -> None:
    """What onnxruntime may fuse depends on the declared shapes, so the loop declares the step
    file's own.
    """
    model = make_model(hidden=256, embedding=64)
    step, whole = both(step_session(model, tmp_path, exporter=StepFaceExporter()), tmp_path)
    generation = Generation(step, begin(step, PROMPTS[1]), sampler=Sampler(0.9), seed=1)
    expected = list(generation.write(50))
    found = whole.generate(PROMPTS[1], length=50, sampler=Sampler(0.9), seed=1)
    assert found.tokens.tolist() == expected
    assert all(
        np.array_equal(found.state[name], state)
        for name, state in generation.snapshot.state.items()
    )


@pytest.mark.parametrize("sampler", [Sampler(0), Sampler(1.1, top_p=0.9)], ids=str)
def test_a_second_call_goes_on_as_one_long_call_would(
    make_model: MakeModel, tmp_path: Path, sampler: Sampler
) -> None:
    step, whole = both(
        step_session(spread(make_model()), tmp_path, exporter=OnnxExporter()), tmp_path
    )
    long = whole.generate(PROMPTS[1], length=40, sampler=sampler, seed=3)
    first = whole.generate(PROMPTS[1], length=15, sampler=sampler, seed=3)
    second = whole.generate(
        first.tokens[-1:], first.state, length=25, sampler=sampler, seed=3, position=15
    )
    assert [*first.tokens, *second.tokens] == long.tokens.tolist()
    assert all(np.array_equal(second.state[name], state) for name, state in long.state.items())
    third = Generation(step, begin(step, first.tokens[-1:]), sampler=sampler, seed=3)
    third.snapshot = type(third.snapshot)(first.state, first.tokens[-1:], 0)
    assert (
        next(third)
        == whole.generate(first.tokens[-1:], first.state, length=1, sampler=sampler, seed=3).tokens[
            0
        ]
    )


def test_what_is_suppressed_is_never_written_but_keeps_its_probability(
    make_model: MakeModel, tmp_path: Path
) -> None:
    session = step_session(spread(make_model()), tmp_path, exporter=OnnxExporter())
    common = np.bincount(written(session), minlength=3).argsort()[-3:]
    suppress = tuple(int(token) for token in common)
    step, whole = both(session, tmp_path, Decoding(suppress=suppress))
    for sampler in SAMPLERS:
        text = assert_same_text(step, whole, prompt=PROMPTS[0], sampler=sampler, suppress=suppress)
        assert not set(text) & set(suppress)


def written(session: OrtSession) -> list[int]:
    return list(Generation(session, begin(session, PROMPTS[0]), sampler=Sampler(1.5)).write(200))


def test_a_stop_token_ends_the_text_and_is_its_last(make_model: MakeModel, tmp_path: Path) -> None:
    step, whole = both(
        step_session(spread(make_model()), tmp_path, exporter=OnnxExporter()), tmp_path
    )
    free = whole.generate(PROMPTS[0], length=40, sampler=Sampler(1.5), seed=2).tokens.tolist()
    stop = {free[9], free[20]}
    generation = Generation(step, begin(step, PROMPTS[0]), sampler=Sampler(1.5), seed=2)
    expected = list(generation.write(40, stop=stop))
    found = whole.generate(PROMPTS[0], length=40, sampler=Sampler(1.5), seed=2, stop=stop)
    assert found.tokens.tolist() == expected == free[: len(expected)]
    assert len(expected) < 40
    assert expected[-1] in stop
    assert all(
        np.array_equal(found.state[name], state)
        for name, state in generation.snapshot.state.items()
    )


def test_the_file_is_standard_and_its_weights_stand_once(
    make_model: MakeModel, tmp_path: Path
) -> None:
    session = step_session(make_model(hidden=64), tmp_path, exporter=OnnxExporter())
    both(session, tmp_path)
    model, step = (onnx.load(str(tmp_path / f"{name}.onnx")) for name in ("generate", "step"))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert (model.ir_version, len(model.functions)) == (9, 0)
    assert [node.op_type for node in model.graph.node if node.op_type in {"Loop", "If"}] == [
        "Loop"
    ] * 3
    sizes = [sum(len(t.raw_data) for t in graph.initializer) for graph in (model.graph, step.graph)]
    assert sizes[0] < 1.1 * sizes[1]
    prefill = next(
        a.g
        for node in model.graph.node
        if node.op_type == "Loop"
        for a in node.attribute
        if a.name == "body"
    )
    assert not [
        node for node in prefill.node if node.op_type == "MatMul"
    ]  # the head, whose logits nobody reads


def test_onnxruntime_has_nothing_to_say(
    make_model: MakeModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, whole = both(step_session(make_model(), tmp_path, exporter=OnnxExporter()), tmp_path)
    whole.generate(PROMPTS[1], length=5, sampler=Sampler(1.0), stop=[3])
    whole.generate(PROMPTS[0], length=1, sampler=Sampler(0))
    assert capfd.readouterr().err == ""


def test_a_graph_that_its_contract_does_not_describe_is_refused(
    make_model: MakeModel, tmp_path: Path
) -> None:
    session = step_session(make_model(), tmp_path, exporter=OnnxExporter())
    step = onnx.load(str(tmp_path / "step.onnx"))
    step.graph.input[1].name = "hidden"
    with pytest.raises(
        ContractError,
        match=r"the graph takes \['tokens', 'hidden', 'c'\], expected \['tokens', 'h', 'c'\]",
    ):
        generate_model(step, session.file_contract, decoding=Decoding())


def test_a_captioner_is_refused(make_captioner: Callable[..., Captioner]) -> None:
    contract = FileContract(contract=make_captioner().config.contract())
    with pytest.raises(
        ContractError,
        match=r"takes \['features', 'feature_keys'\] beside tokens; only a caption graph",
    ):
        generate_model(onnx.ModelProto(), contract, decoding=Decoding())


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ((99,), "a suppressed token has the id 99, expected 0 to"),
        (tuple(range(36)), "ids are suppressed"),
    ],
)
def test_suppressed_ids_out_of_range_are_refused(
    make_model: MakeModel, tmp_path: Path, ids: tuple[int, ...], message: str
) -> None:
    session = step_session(make_model(), tmp_path, exporter=OnnxExporter())
    vocabulary = session.contract.sizes["vocab"]
    suppress = ids if ids == (99,) else tuple(range(vocabulary))
    with pytest.raises(UsageError, match=message):
        generate_model(
            onnx.load(str(tmp_path / "step.onnx")),
            session.file_contract,
            decoding=Decoding(suppress=suppress),
        )


@pytest.fixture(scope="module")
def pick() -> Callable[[np.ndarray, Sampler, float], int]:
    """The choice of one token, alone in a graph."""
    scope = Scope()
    token = sampled(scope, "logits", "k", "uniform")
    scope.rename(token, "token")
    inputs = [FileTensor("logits", "float32", (1, 1, "v")), FileTensor("k", "int64", (1,))]
    inputs += [FileTensor(name, "float64", ()) for name in ("uniform", "temperature", "top_p")]
    graph = scope.model("pick", inputs=inputs, outputs=[FileTensor("token", "int64", (1, 1, 1))])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.checker.check_model(model, full_check=True)
    runtime = onnxruntime.InferenceSession(model.SerializeToString())

    def run(logits: np.ndarray, sampler: Sampler, uniform: float) -> int:
        numbers = {"uniform": uniform, "temperature": sampler.temperature, "top_p": sampler.top_p}
        feeds = {name: np.array(value, np.float64) for name, value in numbers.items()}
        k = min(sampler.top_k or logits.size, logits.size)
        return int(
            runtime.run(None, {"logits": logits[None, None], "k": np.array([k]), **feeds})[0].item()
        )

    return run


Pick = Callable[[np.ndarray, Sampler, float], int]
STEPS = arrays.arrays(
    np.float32, st.integers(1, 40), elements=st.integers(-24, 24).map(lambda n: n / 4)
)  # many ties
SMOOTH = arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-20, 20, width=16))
UNIFORMS = st.one_of(st.sampled_from([0.0, LAST, 0.9999999]), st.floats(0, LAST))
SETTINGS = st.builds(
    Sampler,
    temperature=st.sampled_from([1e-320, 1e-3, 0.1, 0.7, 0.8, 1.0, 3.0, 1e5]),
    top_k=st.sampled_from([0, 1, 2, 5, 40, 999]),
    top_p=st.sampled_from([1e-9, 0.1, 0.5, 0.9, 0.95, 1.0]),
)


def nearest_edge(logits: np.ndarray, sampler: Sampler, uniform: float) -> float:
    """Return how far the number, or top-p, is from where one token ends and the next begins; equal
    logits end exactly.
    """
    below = np.sort(logits.astype(np.float64))[::-1][: sampler.top_k or None]
    with np.errstate(over="ignore"):
        sums = np.cumsum(np.exp((below - below[0]) / sampler.temperature))
    cumulative = sums / sums[-1]
    reached = np.searchsorted(cumulative, sampler.top_p)
    between = np.abs(cumulative[:reached] / cumulative[reached] - uniform)
    return float(
        min(between.min(initial=1), np.abs(cumulative[:-1] - sampler.top_p).min(initial=1))
    )


@settings(deadline=None, max_examples=400)
@given(logits=st.one_of(STEPS, SMOOTH), sampler=SETTINGS, uniform=UNIFORMS)
def test_the_choice_is_that_of_the_host(
    pick: Pick, logits: np.ndarray, sampler: Sampler, uniform: float
) -> None:
    # An exponential may differ in its last bit, which decides only if the number is as close to an
    # edge.
    assume(nearest_edge(logits, sampler, uniform) > 1e-14)
    assert pick(logits, sampler, uniform) == sampler.pick(logits, uniform)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 64])
def test_numbers_on_the_edge_between_equal_logits(pick: Pick, size: int) -> None:
    logits = np.zeros(size, np.float32)
    for at in range(size):
        for uniform in (at / size, float(np.nextafter((at + 1) / size, 0))):
            for sampler in (Sampler(0.7), Sampler(1.0, top_p=0.5), Sampler(1.0, top_k=3)):
                assert pick(logits, sampler, uniform) == sampler.pick(logits, uniform)
    assert pick(logits, Sampler(1.0), (size - 1) / size) == size - 1


def test_what_has_no_probability_never_comes(pick: Pick) -> None:
    logits = np.array([-np.inf, 1, -np.inf, 1, -1e30], np.float32)
    assert [pick(logits, Sampler(1.0), uniform) for uniform in (0.0, 0.49, 0.5, LAST)] == [
        1,
        1,
        3,
        3,
    ]


def test_the_graph_chooses_what_the_bundle_records(pick: Pick, tmp_path: Path) -> None:
    write_vectors(tmp_path / "sampler.json")
    drawn = [
        choice
        for choice in read_vectors(tmp_path / "sampler.json").tokens
        if choice.temperature > 0
    ]
    assert len(drawn) > 100
    for choice in drawn:
        logits = np.array(choice.logits, np.float32)
        logits[
            list(choice.suppress)
        ] = -np.inf  # as the bars that are added in the graph leave them
        assert pick(logits, choice.sampler, choice.uniform) == choice.token, choice
