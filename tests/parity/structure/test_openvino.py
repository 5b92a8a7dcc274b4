"""The structure of folders of OpenVINO: proved of what the exporter writes, and each thing that is
refused.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from edgernn import formats
from edgernn.contract import ENCODE, STEP, Decoding, FileContract
from edgernn.data.pairs.pair_ids import pair_decoding
from edgernn.models.cells.table import CELLS
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape, translator_config
from edgernn.parity.structure.openvino import OpenVinoStructure
from edgernn.parity.structure.sizes import SizeError, UnknownError
from edgernn.sessions.openvino.described import describe
from edgernn.sessions.openvino.ir import XML


def export(
    model: Any,
    path: Path,
    *,
    name: str = "openvino",
    precision: str = "float32",
    decoding: Decoding | None = Decoding(),  # noqa: B008  it is frozen
) -> Path:
    row = formats.by_name(name)
    kind = formats.resolve(row.exporter or "", needed_for="a test", extra=None)
    kind().export(model, path, precision=precision, decoding=decoding)
    return path


def prove(path: Path) -> str:
    own = FileContract.from_metadata(describe(path).metadata, source="it")
    return OpenVinoStructure(path).prove(own)


@pytest.fixture(scope="module")
def written(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(make_model(), tmp_path_factory.mktemp("structure") / "step")


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "step"))


def change(path: Path, old: str, new: str) -> None:
    text = (path / XML).read_text()
    assert re.search(old, text), old
    (path / XML).write_text(re.sub(old, new, text, count=1))


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_proved(make_model: Callable[..., Any], tmp_path: Path, cell: str) -> None:
    told = prove(export(make_model(cell=cell), tmp_path / "step"))
    assert re.fullmatch(r"\d+ operators, the same at every size: none .*; keeps nothing", told)


@pytest.mark.parametrize("precision", ["float16", "int8", "int4"])
@pytest.mark.parametrize("name", ["openvino", "openvino-stateful"])
def test_every_precision_is_proved(
    make_model: Callable[..., Any], tmp_path: Path, name: str, precision: str
) -> None:
    told = prove(export(make_model(), tmp_path / "step", name=name, precision=precision))
    assert told.endswith("keeps h, c" if name.endswith("stateful") else "keeps nothing")


def test_a_matrix_of_one_row_in_4_bits_is_as_wide_as_its_values(
    make_network: Callable[..., Any], tmp_path: Path
) -> None:
    frames = {"name": "x", "dtype": "float32", "axes": ["batch", "time", "features"]}
    layers = [
        {"name": "rnn", "kind": "recurrent", "inputs": ["x"], "options": {"hidden": 40}},
        {"name": "head", "kind": "linear", "inputs": ["rnn"], "options": {"width": 1}},
    ]
    layers[0]["options"]["cell"] = "lstm"
    model = make_network(
        family="module",
        inputs=[frames],
        sizes={"features": 5},
        layers=layers,
        outputs={"y": "head"},
    )
    path = export(model, tmp_path / "step", precision="int4", decoding=None)
    assert "the same at every size" in prove(path)


@pytest.mark.parametrize("graph", [ENCODE, STEP])
def test_a_captioner_is_proved(
    make_captioner: Callable[..., Any], tmp_path: Path, graph: str
) -> None:
    from edgernn.export.to_openvino.exporter import OpenVinoExporter

    path = tmp_path / graph
    decoding = Decoding(start=(1,))
    OpenVinoExporter().export(
        make_captioner(), path, precision="float32", decoding=decoding, graph=graph
    )
    assert prove(path).endswith("keeps nothing")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('type="Add"', 'type="RandomUniform"', "draws random numbers"),
        ('type="Add"', 'type="TensorIterator"', "branches or repeats"),
        ('type="Add"', 'type="NonZero"', "size depends on data"),
        ('direction="forward"', 'direction="reverse"', "does not go forward in time alone"),
    ],
)
def test_what_does_more_than_compute_is_refused(
    copied: Path, old: str, new: str, named: str
) -> None:
    change(copied, old, new)
    with pytest.raises(SizeError, match=named):
        prove(copied)


def test_an_operator_that_is_not_known_proves_nothing(copied: Path) -> None:
    change(copied, 'type="Add"', 'type="Addition"')
    with pytest.raises(UnknownError, match=r"does not know Addition"):
        prove(copied)


def test_a_variable_in_a_file_that_keeps_nothing_is_refused(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    path = export(make_model(), tmp_path / "step", name="openvino-stateful")
    own = FileContract.from_metadata(describe(path).metadata, source="it")
    plain = own.narrowing.model_copy(update={"runtime_state": False})
    with pytest.raises(SizeError):
        OpenVinoStructure(path).prove(own.model_copy(update={"narrowing": plain}))


@pytest.mark.parametrize("attention", [True, False])
def test_a_sequence_of_any_length_is_followed(attention: bool, tmp_path: Path) -> None:
    """A translator: masks of padding, places within a row, attention over an open axis."""
    shape = TranslatorShape(hidden=8, encoder=4, embedding=5, attention=attention)
    network = Network(translator_config(shape, 9, writes=pair_decoding(6)))
    kind = formats.resolve(formats.by_name("openvino").exporter or "", needed_for="it", extra=None)
    for graph in (ENCODE, STEP):
        path = tmp_path / graph
        kind().export(network, path, precision="float32", decoding=pair_decoding(6), graph=graph)
        assert "the same at every size" in prove(path)
    change(tmp_path / ENCODE, r'type="LogicalNot"', 'type="IsNaN"')
    with pytest.raises(UnknownError, match="decides by ids"):
        prove(tmp_path / ENCODE)
