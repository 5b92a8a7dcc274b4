"""Compressed weights and borrowed operators, saved and run from disk: against formulas, torch, and
the model with dequantised weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mil_programs import ct, mb, save, types
from torch.nn import functional

from edgernn.sessions.mil.borrowed import BORROWED, COMPRESSED
from edgernn.sessions.mil.session import read_program

INT4, UINT4, UINT1 = (
    types.nptype_from_builtin(kind) for kind in (types.int4, types.uint4, types.uint1)
)
X = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
ALPHA = np.float32([0.5, 0.5, 0.5])


def run(
    path: Path, build: Callable[[Any], dict[str, Any]], target: Any = ct.target.iOS18
) -> dict[str, np.ndarray]:
    """Save the program that ``build`` makes of a variable like ``X``, and run it; outputs by the
    names that it gives.
    """

    def function(x: Any) -> tuple[Any, ...]:
        outputs = build(x)
        for name, var in outputs.items():
            var.name = name
        return tuple(outputs.values())

    program = mb.program([mb.TensorSpec(X.shape)], opset_version=target)(function)
    save(program, path, target=target)
    return read_program(path).run({"x": X}, {})[0]


def banded(x: np.ndarray) -> np.ndarray:
    return np.triu(np.tril(x, 1), -1)


QUERY, KEY, VALUE = (
    np.random.default_rng(at).normal(size=(1, 3, 4)).astype(np.float32) for at in range(3)
)
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[torch.Tensor], Any]]] = {
    "argsort": (lambda x: mb.argsort(x=x, axis=1), lambda x: torch.argsort(x, 1, descending=True)),
    "band_part": (lambda x: mb.band_part(x=x, lower=1, upper=1), lambda x: banded(x.numpy())),
    "einsum": (
        lambda x: mb.einsum(values=(x, mb.transpose(x=x, perm=[2, 1, 0])), equation="chw,whr->chr"),
        lambda x: torch.einsum("chw,whr->chr", x, x.permute(2, 1, 0)),
    ),
    "erf": (lambda x: mb.erf(x=x), torch.erf),
    "flatten2d": (lambda x: mb.flatten2d(x=x, axis=2), lambda x: x.flatten(0, 1)),
    "gelu": (lambda x: mb.gelu(x=x, mode="EXACT"), functional.gelu),
    "gelu tanh": (
        lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: functional.gelu(x, approximate="tanh"),
    ),
    "non_zero": (lambda x: mb.non_zero(x=mb.relu(x=x)), lambda x: torch.relu(x).nonzero()),
    "pad": (
        lambda x: mb.pad(x=x, pad=[1, 2, 0, 1], mode="constant", constant_val=np.float32(7)),
        lambda x: functional.pad(x, (0, 1, 1, 2), value=7),
    ),
    "pad reflect": (
        lambda x: mb.pad(x=x, pad=[2, 1], mode="reflect"),
        lambda x: functional.pad(x, (2, 1), mode="reflect"),
    ),
    "prelu": (
        lambda x: mb.prelu(x=x, alpha=ALPHA),
        lambda x: functional.prelu(x, torch.tensor(ALPHA)),
    ),
    "quantize": (
        lambda x: mb.cast(
            x=mb.quantize(
                input=x, scale=np.float32(0.25), zero_point=np.uint8(3), output_dtype="uint8"
            ),
            dtype="int32",
        ),
        lambda x: (torch.round(x / 0.25) + 3).clamp(0, 255),
    ),
    "scaled_dot_product_attention": (
        lambda x: mb.scaled_dot_product_attention(
            query=QUERY, key=KEY, value=mb.slice_by_size(x=x, begin=[0] * 3, size=[1, 3, 4])
        ),
        lambda x: functional.scaled_dot_product_attention(
            torch.tensor(QUERY), torch.tensor(KEY), x[:1]
        ),
    ),
    "softplus_parametric": (
        lambda x: mb.softplus_parametric(x=x, alpha=ALPHA, beta=np.float32([1, 2, 3])),
        lambda x: 0.5 * functional.softplus(x * torch.tensor([1.0, 2, 3])[:, None]),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("borrowed") / "all.mlpackage"
    X.flags.writeable = (
        False  # some of coremltools' evaluations change their inputs; none of these may
    )
    yield run(
        path, lambda x: {f"out_{at}": build(x) for at, (build, _) in enumerate(CASES.values())}
    )


def test_every_borrowed_operator_has_a_case() -> None:
    assert {name.split()[0] for name in CASES} == BORROWED


@pytest.mark.parametrize("name", CASES)
def test_a_borrowed_operator_is_torchs(results: dict[str, np.ndarray], name: str) -> None:
    expected = np.asarray(CASES[name][1](torch.tensor(X)))
    found = results[f"out_{list(CASES).index(name)}"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-6)


# Each weight is [3, 4]. The expressions on the right are written out from the operators'
# definitions.
DATA = np.arange(12).reshape(3, 4) - 6
NIBBLES = np.arange(12, dtype=np.uint8).reshape(3, 4) % 16
MASK = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 0]], np.uint8)
SCALE = np.array([[0.5, 2], [1, -1], [3, 0.25]], np.float16)
OLD: dict[str, tuple[Callable[[], Any], np.ndarray]] = {  # iOS 16
    "constexpr_affine_dequantize": (
        lambda: mb.constexpr_affine_dequantize(
            quantized_data=DATA.astype(np.int8),
            zero_point=np.int8(2),
            scale=np.float16([0.5, 1, 2]),
            axis=0,
        ),
        (DATA - 2) * np.array([[0.5], [1], [2]]),
    ),
    "constexpr_cast": (
        lambda: mb.constexpr_cast(source_val=DATA.astype(np.float16), output_dtype="fp32"),
        DATA,
    ),
    "constexpr_lut_to_dense": (
        lambda: mb.constexpr_lut_to_dense(
            indices=np.uint8([0b10_01_00_11] * 3),
            lut=np.float16([1, 5, 9, 13]),
            shape=np.uint32([3, 4]),
        ),
        np.array([[13, 1, 5, 9]] * 3),  # the lowest bits come first
    ),
    "constexpr_sparse_to_dense": (
        lambda: mb.constexpr_sparse_to_dense(
            nonzero_data=np.float16([1, 2, 3, 4, 5]),
            mask=np.packbits(MASK.reshape(-1), bitorder="little"),
            shape=np.uint32([3, 4]),
        ),
        np.array([[1, 0, 0, 2], [0, 0, 3, 0], [4, 5, 0, 0]]),
    ),
}
NEW: dict[str, tuple[Callable[[], Any], np.ndarray]] = {  # iOS 18
    "constexpr_blockwise_shift_scale": (
        lambda: mb.constexpr_blockwise_shift_scale(
            data=(DATA % 8).astype(INT4),
            scale=SCALE,
            offset=np.array([[1, 0], [2, 3], [0, 1]]).astype(INT4),
        ),
        (DATA % 8 - np.array([[1, 1, 0, 0], [2, 2, 3, 3], [0, 0, 1, 1]])) * np.repeat(SCALE, 2, 1),
    ),
    "constexpr_lut_to_dense": (
        lambda: mb.constexpr_lut_to_dense(
            indices=NIBBLES.astype(UINT4),
            lut=(np.arange(32, dtype=np.float16) / 4).reshape(1, 2, 16, 1),
        ),
        (NIBBLES + np.array([0, 0, 16, 16])) / 4,  # two tables, one per pair of columns
    ),
    "constexpr_sparse_to_dense": (
        lambda: mb.constexpr_sparse_to_dense(
            nonzero_data=np.float16([1, 2, 3, 4, 5]), mask=MASK.astype(UINT1)
        ),
        np.array([[1, 0, 0, 2], [0, 0, 3, 0], [4, 5, 0, 0]]),
    ),
    "constexpr_lut_to_sparse": (
        lambda: mb.constexpr_sparse_to_dense(
            **dict(
                zip(
                    ("mask", "nonzero_data"),
                    mb.constexpr_lut_to_sparse(
                        indices_mask=MASK.astype(UINT1),
                        indices_nonzero_data=np.array([0, 1, 1, 0, 1]).astype(UINT1),
                        lut=np.float16([2, 3]).reshape(1, 1, 2, 1),
                    ),
                    strict=True,
                )
            )
        ),
        np.array([[2, 0, 0, 3], [0, 0, 3, 0], [2, 3, 0, 0]]),
    ),
    "constexpr_sparse_blockwise_shift_scale": (
        lambda: mb.constexpr_sparse_to_dense(
            **dict(
                zip(
                    ("mask", "nonzero_data"),
                    mb.constexpr_sparse_blockwise_shift_scale(
                        data_mask=MASK.astype(UINT1),
                        nonzero_data=np.int8([10, 11, 3, 4, 5]),
                        scale=np.float16([[1, 2, 3, 4]]),
                        offset=np.int8([[1, 2, 3, 4]]),
                    ),
                    strict=True,
                )
            )
        ),
        np.array([[9, 0, 0, 28], [0, 0, 0, 0], [3, 6, 0, 0]]),
    ),
}


@pytest.mark.parametrize(
    ("target", "cases"), [(ct.target.iOS16, OLD), (ct.target.iOS18, NEW)], ids=["iOS16", "iOS18"]
)
def test_compressed_weights_are_their_definition(
    tmp_path: Path, target: Any, cases: dict[str, Any]
) -> None:
    def build(x: Any) -> dict[str, Any]:
        return {
            name: mb.identity(x=mb.cast(x=make(), dtype="fp32"))
            for name, (make, _) in cases.items()
        }

    found = run(tmp_path / "weights.mlpackage", build, target)
    for name, (_, expected) in cases.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_every_kind_of_compressed_weight_has_a_case() -> None:
    assert {*OLD, *NEW} == COMPRESSED
