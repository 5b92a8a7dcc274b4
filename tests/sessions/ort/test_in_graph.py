"""Files that decode in the graph, opened: what is given is checked as by any session, and what is
wrong is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import Decoding, FileContract
from edgernn.contract.in_graph import caption_interface, generate_interface
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.sampling import Sampler
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.caption_loop import caption_model
from edgernn.export.to_onnx.generate_loop import generate_model
from edgernn.sessions.base import Session
from edgernn.sessions.in_graph import Captioned
from edgernn.sessions.ort.in_graph import OrtCaptioner, OrtGenerator

GREEDY, PROMPT = Sampler(0), np.array([1, 2, 3])
DECODING = Decoding(stop=(), length=5)


def opened_model(bundle: Bundle, graph: str) -> onnx.ModelProto:
    return onnx.load(str(bundle.path(f"onnx/{graph}.onnx")))


@pytest.fixture(scope="module")
def text_file(
    bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FileContract]:
    with Bundle.open(bundle_folder) as bundle:
        contract = bundle.file_contract(bundle.artifact("onnx"))
        model = generate_model(opened_model(bundle, "step"), contract, decoding=DECODING)
    path = tmp_path_factory.mktemp("generate") / "generate.onnx"
    onnx.save(model, str(path))
    return path, contract


@pytest.fixture
def generator(text_file: tuple[Path, FileContract]) -> OrtGenerator:
    return OrtGenerator.open(*text_file)


@pytest.fixture(scope="module")
def captioner(
    captioner_bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> OrtCaptioner:
    with Bundle.open(captioner_bundle_folder) as bundle:
        contract = bundle.file_contract(bundle.artifact("onnx/step.onnx"))
        graphs = [opened_model(bundle, name) for name in ("encode", "step")]
    path = tmp_path_factory.mktemp("caption") / "caption.onnx"
    onnx.save(caption_model(*graphs, contract, decoding=contract.decoding), str(path))
    assert OrtCaptioner.describe(path).interface == caption_interface(contract.contract)
    return OrtCaptioner.open(path, contract)


def test_the_file_says_what_the_interface_says(text_file: tuple[Path, FileContract]) -> None:
    path, contract = text_file
    description = OrtGenerator.describe(path)
    assert description.interface == generate_interface(contract.contract)
    assert description.target == "opset 17, IR 9"
    assert FileContract.from_metadata(description.metadata, source="x").decoding == DECODING


def test_a_seed_and_its_numbers_write_the_same(generator: OrtGenerator) -> None:
    sampler = Sampler(1.5)
    by_seed = generator.generate(PROMPT, length=20, sampler=sampler, seed=5, position=3)
    by_numbers = generator.generate(
        PROMPT, length=20, sampler=sampler, uniforms=uniform_numbers(5, 20, position=3)
    )
    other = generator.generate(PROMPT, length=20, sampler=sampler, seed=6)
    assert by_seed.tokens.tolist() == by_numbers.tokens.tolist() != other.tokens.tolist()
    assert all(
        np.array_equal(by_seed.state[name], by_numbers.state[name]) for name in by_seed.state
    )


def test_what_is_given_stays_as_it_was(generator: OrtGenerator) -> None:
    state = generator.initial_state()
    for array in (PROMPT, *state.values()):
        array.flags.writeable = False
    written = generator.generate(PROMPT, state, length=4, sampler=GREEDY)
    assert all(not array.any() for array in state.values())
    assert all(array.any() for array in written.state.values())
    assert {name: array.shape for name, array in written.state.items()} == {
        n: a.shape for n, a in state.items()
    }


def test_the_state_that_is_given_counts(generator: OrtGenerator) -> None:
    state = {name: array + 0.5 for name, array in generator.initial_state().items()}
    written, fresh = (
        generator.generate(PROMPT, s, length=1, sampler=GREEDY).log_probabilities
        for s in (state, None)
    )
    assert abs(written - fresh).max() > 1e-4


def test_the_stop_tokens_of_the_defaults_are_taken_where_none_are_given(
    text_file: tuple[Path, FileContract],
) -> None:
    path, contract = text_file
    free = (
        OrtGenerator.open(path, contract)
        .generate(PROMPT, length=8, sampler=Sampler(2.0))
        .tokens.tolist()
    )
    stopping = contract.model_copy(update={"decoding": Decoding(stop=(free[3],))})
    generator = OrtGenerator.open(path, stopping)
    assert (
        generator.generate(PROMPT, length=8, sampler=Sampler(2.0)).tokens.tolist()
        == free[: free.index(free[3]) + 1]
    )
    assert (
        generator.generate(PROMPT, length=8, sampler=Sampler(2.0), stop=()).tokens.tolist() == free
    )


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"prompt": np.array([1, 999])}, ContractError, "tokens has the value 999, expected 0 to"),
    ({"prompt": np.array([], np.int64)}, ContractError, "tokens has time = 0"),
    (
        {"prompt": np.array([1.0])},
        ContractError,
        r"tokens is float64, expected int64 \[batch, time\]",
    ),
    ({"state": {}}, ContractError, "state 'h' is missing; feed back what the last step returned"),
    (
        {"state": {"h": np.zeros((2, 2, 8), np.float32)}},
        ContractError,
        "h has batch = 2.*expected 1 as in this file",
    ),
    ({"length": 0}, UsageError, "the length is 0, expected 1 or more"),
    ({"stop": [-1]}, UsageError, "a stop token has the id -1, expected 0 to"),
    (
        {"uniforms": np.zeros(3)},
        ContractError,
        r"uniforms is float64 \[3\], expected float64 \[4\]",
    ),
    (
        {"uniforms": np.zeros(4, np.float32)},
        ContractError,
        r"uniforms is float32 \[4\], expected float64 \[4\]",
    ),
    (
        {"uniforms": np.array([0, 0.5, 1.0, 0])},
        UsageError,
        "uniforms has the value 1.0, expected 0 or more and below 1",
    ),
    ({"uniforms": np.full(4, np.nan)}, UsageError, "uniforms has the value nan"),
]


@pytest.mark.parametrize(
    ("given", "error", "message"), BAD, ids=lambda part: part if isinstance(part, str) else ""
)
def test_what_is_wrong_is_named(
    generator: OrtGenerator, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"prompt": PROMPT, "length": 4, "sampler": GREEDY, **given}
    with pytest.raises(error, match=message):
        generator.generate(**arguments)


def test_such_a_file_is_no_session(generator: OrtGenerator, captioner: OrtCaptioner) -> None:
    for decoder in (generator, captioner):
        assert not isinstance(decoder, Session)
        assert not {"step", "encode"} & set(dir(decoder))


def test_an_output_that_is_lacking_is_named(
    text_file: tuple[Path, FileContract], tmp_path: Path
) -> None:
    model = onnx.load(str(text_file[0]))
    del model.graph.output[1]
    onnx.save(model, str(tmp_path / "generate.onnx"))
    generator = OrtGenerator.open(tmp_path / "generate.onnx", text_file[1])
    with pytest.raises(ContractError, match=r"does not return \['log_probabilities'\]"):
        generator.generate(PROMPT, length=2, sampler=GREEDY)


def test_a_damaged_file_is_refused(text_file: tuple[Path, FileContract], tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"no model" * 99)
    with pytest.raises(
        ContractError, match=r"damaged\.onnx is not a model that onnxruntime can open"
    ):
        OrtGenerator.open(tmp_path / "damaged.onnx", text_file[1])


def test_another_file_than_it_was_opened_as(
    captioner_bundle_folder: Path, text_file: tuple[Path, FileContract]
) -> None:
    other = OrtGenerator.open(captioner_bundle_folder / "onnx" / "step.onnx", text_file[1])
    with pytest.raises(ContractError, match="onnxruntime could not run generate: "):
        other.generate(PROMPT, length=2, sampler=GREEDY)


def test_a_caption_has_what_a_hypothesis_has(captioner: OrtCaptioner, pictures: np.ndarray) -> None:
    found = captioner.caption(pictures[:1], beam=2)
    assert (
        vars(found).keys()
        == Hypothesis.__dataclass_fields__.keys()
        == Captioned.__dataclass_fields__.keys()
    )
    assert found.outputs["attention"].shape == (
        len(found.tokens),
        captioner.contract.sizes["regions"],
    )
    np.testing.assert_allclose(found.outputs["attention"].sum(1), 1, atol=1e-5)
    assert len(captioner.caption(pictures[:1], length=1).tokens) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "the beam is 0, expected 1 or more"),
        ({"length": 0}, "the length is 0, expected 1 or more"),
    ],
)
def test_a_search_out_of_range_is_refused(
    captioner: OrtCaptioner, pictures: np.ndarray, options: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        captioner.caption(pictures[:1], **options)


def test_pictures_of_another_kind_are_refused(
    captioner: OrtCaptioner, pictures: np.ndarray
) -> None:
    with pytest.raises(ContractError, match=r"image has batch = 2.*expected 1 as in this file"):
        captioner.caption(pictures[:2])
    with pytest.raises(ContractError, match="image is float64, expected uint8"):
        captioner.caption(pictures[:1] / 255)


def test_a_model_that_gives_no_numbers_is_refused(
    captioner_bundle_folder: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    with Bundle.open(captioner_bundle_folder) as bundle:
        contract = bundle.file_contract(bundle.artifact("onnx/step.onnx"))
        encode, step = (opened_model(bundle, name) for name in ("encode", "step"))
    bias = next(tensor for tensor in step.graph.initializer if tensor.name.endswith("head.bias"))
    bias.raw_data = np.full(bias.dims[0], np.nan, np.float32).tobytes()
    onnx.save(
        caption_model(encode, step, contract, decoding=contract.decoding),
        str(tmp_path / "caption.onnx"),
    )
    with pytest.raises(
        ContractError, match=r"score is .*, expected a finite number; verify the file"
    ):
        OrtCaptioner.open(tmp_path / "caption.onnx", contract).caption(pictures[:1])
