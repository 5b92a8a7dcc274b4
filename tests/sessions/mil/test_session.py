"""Whole packages in the interpreter: rolled out against the eager model, compressed, damaged, and
wired wrongly.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from edgernn.contract import Decoding, FileContract
from edgernn.errors import ContractError
from edgernn.export.to_coreml.exporter import CoreMLExporter, CoreMLStateExporter
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity import rollout
from edgernn.parity.feed import random_feed
from edgernn.sessions.coreml import CoreMLSession
from edgernn.sessions.mil.session import MilSession, read_program

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct
    import coremltools.optimize.coreml as cto

MakeModel = Callable[..., LanguageModel]
INSIDE = Path("Data", "com.apple.CoreML")
WEIGHTS = INSIDE / "weights" / "weight.bin"


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Hide coremltools' progress bars and warnings."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def export(
    model: LanguageModel,
    path: Path,
    precision: str,
    exporter: type[CoreMLExporter] = CoreMLExporter,
) -> FileContract:
    written = exporter().export(model, path, precision=precision, decoding=Decoding())
    return FileContract(contract=model.config.contract(), narrowing=written.narrowing)


def opened(
    model: LanguageModel,
    path: Path,
    precision: str,
    exporter: type[CoreMLExporter] = CoreMLExporter,
) -> MilSession:
    return MilSession.open(path, export(model, path, precision, exporter))


def drift(model: LanguageModel, session: MilSession, steps: int = 64) -> float:
    """The largest scaled difference of outputs and states from eager torch, from states that are
    not zero.
    """
    return rollout.compare(
        EagerSession(model), session, rollout.Plan(1, (1,) * steps), seed=11
    ).worst.scaled


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", FUSED)
def test_float32_packages_compute_what_the_model_computes(
    make_model: MakeModel, tmp_path: Path, cell: str, layers: int
) -> None:
    model = make_model(cell=cell, layers=layers)
    assert drift(model, opened(model, tmp_path / "step.mlpackage", "float32")) < 1e-5


@pytest.mark.parametrize("cell", FUSED)
def test_float16_packages(make_model: MakeModel, tmp_path: Path, cell: str) -> None:
    model = make_model(cell=cell)
    if cell == "rnn_relu":
        damp(model)
    explicit = opened(model, tmp_path / "explicit.mlpackage", "float16")
    kept = opened(model, tmp_path / "kept.mlpackage", "float16", CoreMLStateExporter)
    for session in (explicit, kept):
        assert 1e-5 < drift(model, session) < 5e-2  # float16 it is, and near enough
    feed = random_feed(explicit, batch=1, steps=64, seed=3)
    for left, right in zip(
        *(rollout.run(s, feed, lengths=[1] * 64) for s in (explicit, kept)), strict=True
    ):
        assert left.keys() == right.keys()
        assert all(
            (left[name] == right[name]).all() for name in left
        )  # the same operators on the same numbers


def damp(model: LanguageModel) -> None:
    """Halve the recurrent weights: the untrained rectified RNN grows without bound, and float16
    ends at 65504.
    """
    for name, parameter in model.named_parameters():
        parameter.data *= 0.5 if "weight_hh" in name else 1


def test_overflow_of_float16_shows(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model(cell="rnn_relu")
    single = opened(model, tmp_path / "single.mlpackage", "float32")
    half = opened(model, tmp_path / "half.mlpackage", "float16")
    assert drift(model, single) < 1e-5
    assert drift(model, half) == float("inf")


def test_other_model_settings(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model(cell="gru", layers=1, tied=True, embedding=8, learned_initial_state=True)
    path = tmp_path / "step.mlpackage"
    file_contract = export(model, path, "float32")
    first = EagerSession(model).initial_state()
    session = MilSession.open(path, file_contract, first)
    assert all((session.initial_state()[name] == first[name]).all() for name in first)
    assert drift(model, session) < 1e-5


def swapped_gates(model: LanguageModel) -> None:
    for name, parameter in model.recurrent.named_parameters():
        gates = list(parameter.data.chunk(4))
        parameter.data = (
            torch.cat([gates[1], gates[0], *gates[2:]]) if "weight_hh" in name else parameter.data
        )


def swapped_states(model: LanguageModel) -> None:
    recurrent = model.step_face().requires_grad_(False).recurrent
    forward = recurrent.forward
    recurrent.forward = lambda x, state: forward(x, state[::-1])  # type: ignore[method-assign]


@pytest.mark.parametrize("mistake", [swapped_gates, swapped_states])
def test_a_wrong_package_is_far_away(
    make_model: MakeModel, tmp_path: Path, mistake: Callable[[LanguageModel], None]
) -> None:
    right, wrong = make_model(), make_model()
    mistake(wrong)
    session = opened(wrong, tmp_path / "step.mlpackage", "float32")
    assert drift(right, session) > 1e-2


def by_rows(weight: torch.Tensor) -> torch.Tensor:
    """int8, one scale per row."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return torch.round(weight / scale) * scale


def by_blocks(weight: torch.Tensor) -> torch.Tensor:
    """int4, one scale per row and four columns; scales are float16, as the package holds them."""
    blocks = weight.reshape(len(weight), -1, 2)
    scale = (blocks.abs().amax(2, keepdim=True) / 7).half().float()
    return (torch.round(blocks / scale).clamp(-8, 7) * scale).reshape(weight.shape)


def by_table(weight: torch.Tensor) -> torch.Tensor:
    """Four bits, sixteen values spread evenly from the smallest to the largest."""
    table = torch.linspace(weight.min().item(), weight.max().item(), 16)
    return table[(weight[..., None] - table).abs().argmin(-1)]


INT8 = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
INT4 = cto.OpLinearQuantizerConfig(
    mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=2, weight_threshold=0
)
TABLE = cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=0)
# name → exporter, precision, how it is compressed, the same for torch, and how near they are
COMPRESSIONS = {
    "int8": (CoreMLExporter, "float32", cto.linear_quantize_weights, INT8, by_rows, 1e-5),
    "table": (CoreMLExporter, "float32", cto.palettize_weights, TABLE, by_table, 1e-5),
    "int4": (CoreMLStateExporter, "float16", cto.linear_quantize_weights, INT4, by_blocks, 3e-2),
}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressed_packages_are_the_model_with_dequantised_weights(
    make_model: MakeModel, tmp_path: Path, name: str
) -> None:
    exporter, precision, compress, config, rule, near = COMPRESSIONS[name]
    model = make_model()
    path, smaller = tmp_path / "step.mlpackage", tmp_path / "smaller.mlpackage"
    file_contract = export(model, path, precision, exporter)
    with silence():
        package = ct.models.MLModel(str(path), skip_model_load=True)
        compress(package, cto.OptimizationConfig(global_config=config)).save(str(smaller))
    session = MilSession.open(smaller, file_contract)
    same = (
        copy.deepcopy(model).step_face().requires_grad_(False)
    )  # the matrices that are in the package
    for parameter in same.parameters():
        parameter.data = rule(parameter.data) if parameter.ndim == 2 else parameter.data
    assert drift(same, session) < near
    assert drift(model, session) > 2 * near  # not the weights that were there before


def cut(package: Path) -> None:
    (package / INSIDE / "model.mlmodel").write_bytes(
        (package / INSIDE / "model.mlmodel").read_bytes()[:3000]
    )


def remove_weights(package: Path) -> None:
    (package / WEIGHTS).unlink()


def cut_weights(package: Path) -> None:
    (package / WEIGHTS).write_bytes((package / WEIGHTS).read_bytes()[:500])


def overwrite_weights(package: Path) -> None:
    (package / WEIGHTS).write_bytes(b"\xff" * 5000)


@pytest.mark.parametrize("damage", [cut, remove_weights, cut_weights, overwrite_weights])
def test_a_damaged_package_is_refused(
    make_model: MakeModel, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    package = tmp_path / "damaged.mlpackage"
    file_contract = export(make_model(), package, "float16")
    damage(package)
    with pytest.raises(
        ContractError, match=r"damaged\.mlpackage is not a Core ML package"
    ) as caught:
        MilSession.open(package, file_contract)
    assert "\n" not in str(caught.value)


def test_a_package_of_another_kind_is_refused(tmp_path: Path) -> None:
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    spec.identity.SetInParent()
    (tmp_path / "old.mlmodel").write_bytes(spec.SerializeToString())
    with pytest.raises(ContractError, match=r"old\.mlmodel holds identity, expected mlProgram"):
        read_program(tmp_path / "old.mlmodel")
    with pytest.raises(ContractError, match=r"missing\.mlpackage is not a Core ML package"):
        read_program(tmp_path / "missing.mlpackage")


def test_a_package_with_another_interface_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    explicit = export(model, tmp_path / "explicit.mlpackage", "float16")
    export(model, tmp_path / "kept.mlpackage", "float16", CoreMLStateExporter)
    with pytest.raises(
        ContractError,
        match=r"has the inputs \['tokens'\], its contract promises \['c', 'h', 'tokens'\]",
    ):
        MilSession.open(tmp_path / "kept.mlpackage", explicit)


def test_of_several_functions_main_is_run(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    file_contract = export(model, tmp_path / "step.mlpackage", "float32")
    paths = {}
    for second in ("main", "other"):
        functions = ct.utils.MultiFunctionDescriptor()
        for target in ("first", second):
            functions.add_function(
                str(tmp_path / "step.mlpackage"),
                src_function_name="main",
                target_function_name=target,
            )
        functions.default_function_name = second
        paths[second] = tmp_path / f"{second}.mlpackage"
        with silence():
            ct.utils.save_multifunction(functions, str(paths[second]))
            gc.collect()  # coremltools leaves its temporary folders to be found
    assert drift(model, MilSession.open(paths["main"], file_contract), steps=4) < 1e-5
    with pytest.raises(
        ContractError,
        match=r"has the functions \['first', 'other'\], expected one, or one named main",
    ):
        read_program(paths["other"])


def test_it_describes_a_package_as_the_runtime_does(make_model: MakeModel, tmp_path: Path) -> None:
    path = tmp_path / "step.mlpackage"
    file_contract = export(make_model(), path, "float16")
    assert MilSession.describe(path) == CoreMLSession.describe(path)
    assert MilSession.describe(path).interface == file_contract.interface()
