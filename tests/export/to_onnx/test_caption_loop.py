"""A caption in one call: the words, the score and the attention of the host's beam search, with and
without attention.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from edgernn.contract import ENCODE, STEP, Decoding, FileContract
from edgernn.data.pictures.caption_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from edgernn.decoding.captions import search_caption
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.caption_loop import caption_model
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models.captioner import Captioner
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.language import LanguageModel
from edgernn.sessions.model import Model
from edgernn.sessions.opening import open_session
from edgernn.sessions.ort.in_graph import OrtCaptioner

MakeCaptioner = Callable[..., Captioner]
LENGTH = 7
DECODING = Decoding(
    start=(START_ID,),
    temperature=0.0,
    stop=(END_ID,),
    suppress=(PAD_ID, START_ID, UNKNOWN_ID),
    length=LENGTH,
)
BEAMS = (1, 2, 3, 5)


@dataclass(frozen=True)
class Files:
    """The two graphs of a captioner, opened and as models."""

    sessions: Model
    encode: onnx.ModelProto
    step: onnx.ModelProto
    folder: Path

    @property
    def contract(self) -> FileContract:
        return self.sessions.step.file_contract

    def captioner(self, decoding: Decoding = DECODING) -> OrtCaptioner:
        model = caption_model(self.encode, self.step, self.contract, decoding=decoding)
        onnx.save(model, str(self.folder / "caption.onnx"))
        contract = self.contract.model_copy(update={"decoding": decoding})
        return OrtCaptioner.open(self.folder / "caption.onnx", contract)


def exported(model: Captioner, folder: Path) -> Files:
    paths = [folder / f"{graph}.onnx" for graph in (ENCODE, STEP)]
    for graph, path in zip((ENCODE, STEP), paths, strict=True):
        OnnxExporter().export(model, path, precision="float32", decoding=DECODING, graph=graph)
    encode, step = (onnx.load(str(path)) for path in paths)
    return Files(Model(*(open_session(path) for path in reversed(paths))), encode, step, folder)


def biased(model: Captioner, end: float) -> Captioner:
    """Make captions shorter or longer, in place."""
    with torch.no_grad():
        model.head.bias[END_ID] += end
    return model


def assert_same_caption(
    files: Files,
    captioner: OrtCaptioner,
    image: np.ndarray,
    *,
    beam: int,
    decoding: Decoding = DECODING,
) -> tuple[int, ...]:
    expected = search_caption(files.sessions, image, decoding, beam=beam)
    found = captioner.caption(image, beam=beam, length=decoding.length)
    assert (found.tokens, found.finished) == (expected.tokens, expected.finished)
    assert found.score == pytest.approx(expected.score, abs=1e-5)
    assert found.log_probability == pytest.approx(expected.log_probability, abs=1e-5)
    assert found.outputs.keys() == expected.outputs.keys()
    for name, output in expected.outputs.items():
        assert found.outputs[name].shape == output.shape
        np.testing.assert_allclose(found.outputs[name], output, rtol=0, atol=1e-6)
    return found.tokens


@pytest.mark.parametrize("end", [-2.0, 0.0, 1.0])
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_caption_is_the_same_as_from_the_host(
    make_captioner: MakeCaptioner,
    pictures: np.ndarray,
    tmp_path: Path,
    conditioning: str,
    end: float,
) -> None:
    cell = "gru" if conditioning in {"hard-attention", "first-token"} else "lstm"
    files = exported(
        biased(make_captioner(conditioning=conditioning, cell=cell, layers=2), end), tmp_path
    )
    captioner = files.captioner()
    found = {
        assert_same_caption(files, captioner, image[None], beam=beam)
        for beam in BEAMS
        for image in pictures
    }
    assert len(found) > 1


@pytest.fixture(scope="module")
def unchanged(make_captioner: MakeCaptioner, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return exported(biased(make_captioner(), 1.0), tmp_path_factory.mktemp("captioner"))


@pytest.fixture
def files(unchanged: Files) -> Files:
    return replace(
        unchanged, encode=copy.deepcopy(unchanged.encode), step=copy.deepcopy(unchanged.step)
    )


def test_beams_find_what_greedy_does_not(files: Files, pictures: np.ndarray) -> None:
    captioner = files.captioner()
    wide, narrow = (
        [captioner.caption(image[None], beam=beam) for image in pictures] for beam in (5, 1)
    )
    assert any(
        found.score > greedy.score + 1e-3 for found, greedy in zip(wide, narrow, strict=True)
    )


@pytest.mark.parametrize("length", [1, 2, 30])
@pytest.mark.parametrize("beam", [1, 3, 99])
def test_any_length_and_a_beam_wider_than_the_vocabulary(
    files: Files, pictures: np.ndarray, length: int, beam: int
) -> None:
    decoding = DECODING.model_copy(update={"length": length})
    for image in pictures[:3]:
        assert_same_caption(
            files, files.captioner(decoding), image[None], beam=beam, decoding=decoding
        )


@pytest.mark.parametrize(
    "change",
    [
        {"start": (START_ID, 5, 7)},
        {"stop": ()},
        {"stop": (END_ID, 6, 9, 12)},
        {"suppress": ()},
        {"suppress": tuple(token for token in range(20) if token not in {4, 11, END_ID})},
    ],
    ids=str,
)
def test_what_is_built_in_is_heard(
    files: Files, pictures: np.ndarray, change: dict[str, tuple[int, ...]]
) -> None:
    decoding = DECODING.model_copy(update=change)
    captioner = files.captioner(decoding)
    for beam in BEAMS:
        for image in pictures[:3]:
            assert_same_caption(files, captioner, image[None], beam=beam, decoding=decoding)


@pytest.fixture(scope="module")
def blind(make_captioner: MakeCaptioner, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A captioner without contexts."""
    return exported(
        make_captioner(conditioning="first-token", cell="gru"), tmp_path_factory.mktemp("blind")
    )


def following(files: Files, folder: Path, table: np.ndarray) -> Files:
    """Replace the step graph by a table: row t holds the logits of what may follow token t."""
    step = onnx.ModelProto()
    step.CopyFrom(files.step)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["logits"]),
        helper.make_node("Identity", ["h"], ["h_next"]),
    ]
    del step.graph.node[:], step.graph.initializer[:]
    step.graph.node.extend(nodes)
    step.graph.initializer.append(numpy_helper.from_array(table.astype(np.float32), "table"))
    onnx.save(step, str(folder / "step.onnx"))
    return Files(
        Model(open_session(folder / "step.onnx"), files.sessions.encode),
        files.encode,
        step,
        folder,
    )


@pytest.mark.parametrize("seed", range(12))
def test_equal_sums_go_by_the_lower_id_then_the_earlier_beam(
    blind: Files, pictures: np.ndarray, tmp_path: Path, seed: int
) -> None:
    size, random = blind.contract.contract.sizes["vocab"], np.random.default_rng(seed)
    table = np.full((size, size), -1e4)
    for row in table:  # three words may follow each, all as probable: nothing but ties
        row[random.choice(np.arange(4, 16), 3, replace=False)] = 0
    table[random.choice(np.arange(4, 16), 2), END_ID] = 0.01  # two words end a caption
    files = following(blind, tmp_path, table)
    captioner = files.captioner()
    for beam in (*BEAMS, 8):
        assert_same_caption(files, captioner, pictures[:1], beam=beam)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ending", [0.0, 1.5])
def test_the_search_does_not_end_too_early(
    blind: Files, pictures: np.ndarray, tmp_path: Path, seed: int, ending: float
) -> None:
    size, random = blind.contract.contract.sizes["vocab"], np.random.default_rng(seed)
    table = random.normal(
        0, 4, (size, size)
    )  # a sure word may follow an unlikely one: late captions can win
    table[:, END_ID] += ending
    files = following(blind, tmp_path, table)
    decoding = DECODING.model_copy(update={"length": 12})
    captioner = files.captioner(decoding)
    for beam in BEAMS:
        assert_same_caption(files, captioner, pictures[:1], beam=beam, decoding=decoding)


def test_the_file_is_standard_and_its_weights_stand_once(files: Files) -> None:
    files.captioner()
    model = onnx.load(str(files.folder / "caption.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert (model.ir_version, len(model.functions)) == (9, 0)
    sources = [
        tensor for source in (files.encode, files.step) for tensor in source.graph.initializer
    ]
    sizes = [
        sum(len(tensor.raw_data) for tensor in tensors)
        for tensors in (model.graph.initializer, sources)
    ]
    assert sizes[0] < 1.1 * sizes[1]


def test_onnxruntime_has_nothing_to_say(
    files: Files, pictures: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    files.captioner().caption(pictures[:1], beam=3)
    assert capfd.readouterr().err == ""


def test_a_step_file_of_one_row_is_refused(files: Files) -> None:
    for value in files.step.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ContractError, match="takes one row a call, expected an open batch axis"):
        files.captioner()


def test_graphs_of_two_operator_sets_are_refused(files: Files) -> None:
    files.encode.opset_import[0].version = 16
    with pytest.raises(
        ContractError,
        match="the graphs use versions 16 and 17 of the operators of onnx, expected one",
    ):
        files.captioner()


def test_graphs_given_the_wrong_way_round_are_refused(files: Files) -> None:
    with pytest.raises(ContractError, match=r"the graph takes \['tokens', .*expected \['image'\]"):
        caption_model(files.step, files.encode, files.contract, decoding=DECODING)


def test_decoding_without_a_start_token_is_refused(files: Files) -> None:
    with pytest.raises(UsageError, match="no start token; give at least one"):
        files.captioner(DECODING.model_copy(update={"start": ()}))


def test_a_stop_token_outside_the_vocabulary_is_refused(files: Files) -> None:
    with pytest.raises(UsageError, match="a stop token has the id 999, expected 0 to"):
        files.captioner(DECODING.model_copy(update={"stop": (999,)}))


def test_a_language_model_is_refused(make_model: Callable[..., LanguageModel]) -> None:
    contract = FileContract(contract=make_model().config.contract())
    with pytest.raises(ContractError, match="no encode graph; only a generate graph"):
        caption_model(onnx.ModelProto(), onnx.ModelProto(), contract, decoding=DECODING)
