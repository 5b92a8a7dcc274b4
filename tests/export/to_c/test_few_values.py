"""Recurrent matrices of two or three values a row, packed in C: bits, numbers, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.blocks import few_valued
from edgernn.export.to_c.matrices import PANEL, IntegerMatrix
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.few_values import settle
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.opening import open_artifact

EMBEDDING, HIDDEN = 32, 64  # so that a joined row has two scales, and 32 is their block


Make = Callable[..., Checkpoint]


@pytest.fixture
def make(make_model: Callable[..., LanguageModel], tokenizer: Tokenizer) -> Make:
    """Return what makes a checkpoint whose recurrent matrices have few values."""

    def made(weights: str, **own: object) -> Checkpoint:
        shape = {"embedding": EMBEDDING, "hidden": HIDDEN, "layers": 2, **own}
        model = make_model(**shape, weights=weights)
        settle(model.recurrent, weights)
        evaluation = {"tokens": tokenizer.encode("the quick brown fox\n" * 4)}
        return Checkpoint(model, tokenizer, evaluation=evaluation)

    return made


def test_blocks_are_exact_or_none() -> None:
    rows = np.float32(0.3) * np.sign(np.random.default_rng(1).normal(size=(5, 40)))
    rows[:, 16:] *= np.float32(2)
    blocks = few_valued(rows)
    assert blocks is not None
    assert (blocks.block_size, {*blocks.integers.ravel()}) == (16, {-1, 0, 1})  # 0 is padding
    np.testing.assert_array_equal(blocks.values(), rows.astype(np.float32))
    rows[0, 3] = 0.1
    assert few_valued(rows) is None


def test_a_block_of_zeros_is_of_signs_alone() -> None:
    rows = np.float32(0.3) * np.sign(np.random.default_rng(1).normal(size=(4, 32)))
    rows[:, 16:] *= np.float32(2)
    rows[1, :16] = 0  # of a gate that does not see the input
    blocks = few_valued(rows)
    assert blocks is not None and blocks.scales[1, 0] == 0
    assert {*blocks.integers.ravel()} == {-1, 1}
    np.testing.assert_array_equal(blocks.values(), rows.astype(np.float32))


@pytest.mark.parametrize(("values", "bits"), [([-1, 1], 1), ([-1, 0, 1], 2)])
def test_panels_hold_a_bit_or_two_of_each_value(values: list[int], bits: int) -> None:
    random = np.random.default_rng(2)
    integers = random.choice(np.array(values, np.int8), (20, 70))
    scales = random.uniform(0.1, 1, (20, 2)).astype(np.float32)
    matrix = IntegerMatrix(integers, scales, 4, 64)
    assert matrix.packed_for(8) is matrix
    packed = matrix.packed_for(16)
    assert packed.bits == bits
    raw = packed.packed(None, sums=False)
    assert len(raw) == 2 * packed.panel_bytes(sums=False)
    line = np.frombuffer(raw, np.uint8)[4 * PANEL + 4 * PANEL :][:64].reshape(PANEL, 4)
    for row in range(PANEL):  # of the first line of the first block
        word = int.from_bytes(bytes(line[row]), "little")
        for at in range(32 // bits):
            code = word >> (bits * at) & (2**bits - 1)
            meant = {0: 1, 1: -1}[code] if bits == 1 else {0: 0, 1: 1, 2: -1}[code]
            assert meant == integers[row, at]


@pytest.mark.parametrize(
    ("cell", "weights", "bits"), [("lstm", "binary", 1), ("gru", "ternary", 2)]
)
def test_the_file_of_few_values_is_small_equal_and_verified(
    make: Make, cell: str, weights: str, bits: int, tmp_path: Path
) -> None:
    loaded = make(weights, cell=cell)
    made = export_bundle(
        loaded, tmp_path / "bundle", to="c", precision=["float32", "int8", weights], steps=8
    )
    report = verify_bundle(made.folder, steps=8)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    few = next(a for a in made.manifest.artifacts if a.precision == weights)
    recurrent = [w for w in few.weights if w.recurrent]
    assert recurrent and {w.dtype for w in recurrent} == {f"int{bits}"}
    for weight in recurrent:
        values = np.prod(weight.shape)
        scales = 4 * weight.shape[0] * -(-weight.shape[1] // weight.block_size)
        assert weight.bytes == values * bits // 8 + scales
    sizes = {a.precision: weights_bytes(made, a.path) for a in made.manifest.artifacts}
    assert sizes[weights] < 0.5 * sizes["int8"] < 0.16 * sizes["float32"], sizes
    outputs = {a.precision: outputs_of(made, a.path) for a in made.manifest.artifacts}
    np.testing.assert_allclose(outputs[weights], outputs["float32"], atol=0.02)
    assert np.abs(outputs["float32"]).max() > 0.1


def test_blocks_may_end_within_a_line(make: Make, tmp_path: Path) -> None:
    loaded = make("binary", embedding=16, hidden=48)  # a line has 32
    made = export_bundle(loaded, tmp_path / "bundle", to="c", precision="binary", steps=8)
    report = verify_bundle(made.folder, steps=8)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    sizes = {w.block_size for w in made.manifest.artifacts[0].weights if w.recurrent}
    assert sizes == {16, 64}  # of joined rows, and of 48 columns


def weights_bytes(bundle: Bundle, path: str) -> int:
    return sum(file.stat().st_size for file in (bundle.folder / path).glob("*.bin"))


def outputs_of(bundle: Bundle, path: str) -> np.ndarray:
    artifact = next(a for a in bundle.manifest.artifacts if a.path == path)
    session = open_artifact(bundle, artifact)
    state, made = session.initial_state(1), []
    for token in (3, 1, 4, 1, 5):
        read, state = session.step({"tokens": np.array([[token]])}, state)
        made.append(read["logits"])
    return np.concatenate(made)


def test_what_was_not_trained_so_is_refused(make: Make, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for own, told in (("float", "train with --weights binary"), ("ternary", "more than 2 values")):
        loaded = make(own)
        with pytest.raises(UsageError, match=told):
            export_bundle(loaded, tmp_path / own, to="c", precision="binary", steps=4)
