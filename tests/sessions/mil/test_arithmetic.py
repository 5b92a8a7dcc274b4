"""Every computing operator, saved in a program and run from disk, against torch in float64; in
float32 and in float16.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mil_programs import ct, mb, save, types
from torch.nn import functional

from edgernn.sessions.mil.arithmetic import ARITHMETIC
from edgernn.sessions.mil.session import read_program

KINDS = {"float32": types.fp32, "float16": types.fp16}
GAMMA, BETA = (
    np.linspace(0.5, 2, 4),
    np.linspace(-0.75, 0.75, 4),
)  # numbers that float16 holds exactly, as all constants here
WEIGHT, BIAS = (np.arange(20) / 8 - 1).reshape(5, 4), np.linspace(-2, 2, 5)


def positive(var: Any) -> Any:
    return mb.greater(x=var, y=np.int32(0))


# operator → what builds it from v.x, v.y > 0, v.u in (-1, 1) and integers v.i, v.j != 0, where n
# makes numbers of the program's dtype; and the same in torch
CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "abs": (lambda v, n: mb.abs(x=v.x), lambda v: v.x.abs()),
    "acos": (lambda v, n: mb.acos(x=v.u), lambda v: torch.acos(v.u)),
    "add": (lambda v, n: mb.add(x=v.x, y=v.y), lambda v: v.x + v.y),
    "asin": (lambda v, n: mb.asin(x=v.u), lambda v: torch.asin(v.u)),
    "atan": (lambda v, n: mb.atan(x=v.x), lambda v: torch.atan(v.x)),
    "atanh": (lambda v, n: mb.atanh(x=v.u), lambda v: torch.atanh(v.u)),
    "ceil": (lambda v, n: mb.ceil(x=v.x), lambda v: torch.ceil(v.x)),
    "clamped_relu": (
        lambda v, n: mb.clamped_relu(x=v.x, alpha=n(0.5), beta=n(0.75)),
        lambda v: torch.where(v.x >= 0, v.x, 0.5 * v.x).clamp(max=0.75),
    ),
    "clip": (
        lambda v, n: mb.clip(x=v.x, alpha=n(-0.5), beta=n(0.75)),
        lambda v: v.x.clamp(-0.5, 0.75),
    ),
    "cos": (lambda v, n: mb.cos(x=v.x), lambda v: torch.cos(v.x)),
    "cosh": (lambda v, n: mb.cosh(x=v.x), lambda v: torch.cosh(v.x)),
    "cumsum": (lambda v, n: mb.cumsum(x=v.x, axis=1), lambda v: torch.cumsum(v.x, 1)),
    "dequantize": (
        lambda v, n: mb.dequantize(
            input=np.int8([[-7, 8], [3, 5]]), zero_point=np.int8([1, 2]), scale=n([0.5, 2]), axis=1
        ),
        lambda v: (
            (torch.tensor([[-7.0, 8], [3, 5]], dtype=torch.float64) - torch.tensor([1, 2]))
            * torch.tensor([0.5, 2])
        ),
    ),
    "elu": (lambda v, n: mb.elu(x=v.x, alpha=n(0.5)), lambda v: functional.elu(v.x, 0.5)),
    "equal": (lambda v, n: mb.equal(x=v.i, y=v.j), lambda v: v.i == v.j),
    "exp": (lambda v, n: mb.exp(x=v.x), lambda v: torch.exp(v.x)),
    "exp2": (lambda v, n: mb.exp2(x=v.x), lambda v: torch.exp2(v.x)),
    "floor": (lambda v, n: mb.floor(x=v.x), lambda v: torch.floor(v.x)),
    "floor_div": (lambda v, n: mb.floor_div(x=v.i, y=v.j), lambda v: torch.floor_divide(v.i, v.j)),
    "greater": (lambda v, n: mb.greater(x=v.i, y=v.j), lambda v: v.i > v.j),
    "greater_equal": (lambda v, n: mb.greater_equal(x=v.i, y=v.j), lambda v: v.i >= v.j),
    "inverse": (lambda v, n: mb.inverse(x=v.y, epsilon=n(0.25)), lambda v: 1 / (v.y + 0.25)),
    "layer_norm": (
        lambda v, n: mb.layer_norm(
            x=v.x, axes=[-1], gamma=n(GAMMA), beta=n(BETA), epsilon=n(0.125)
        ),
        lambda v: functional.layer_norm(v.x, (4,), torch.tensor(GAMMA), torch.tensor(BETA), 0.125),
    ),
    "leaky_relu": (
        lambda v, n: mb.leaky_relu(x=v.x, alpha=n(0.25)),
        lambda v: functional.leaky_relu(v.x, 0.25),
    ),
    "less": (lambda v, n: mb.less(x=v.i, y=v.j), lambda v: v.i < v.j),
    "less_equal": (lambda v, n: mb.less_equal(x=v.i, y=v.j), lambda v: v.i <= v.j),
    "linear": (
        lambda v, n: mb.linear(x=v.x, weight=n(WEIGHT), bias=n(BIAS)),
        lambda v: functional.linear(v.x, torch.tensor(WEIGHT), torch.tensor(BIAS)),
    ),
    "linear_activation": (
        lambda v, n: mb.linear_activation(x=v.x, alpha=n(0.5), beta=n(0.75)),
        lambda v: 0.5 * v.x + 0.75,
    ),
    "log": (lambda v, n: mb.log(x=v.y, epsilon=n(0.25)), lambda v: torch.log(v.y + 0.25)),
    "logical_and": (
        lambda v, n: mb.logical_and(x=positive(v.i), y=positive(v.j)),
        lambda v: (v.i > 0) & (v.j > 0),
    ),
    "logical_not": (lambda v, n: mb.logical_not(x=positive(v.i)), lambda v: ~(v.i > 0)),
    "logical_or": (
        lambda v, n: mb.logical_or(x=positive(v.i), y=positive(v.j)),
        lambda v: (v.i > 0) | (v.j > 0),
    ),
    "logical_xor": (
        lambda v, n: mb.logical_xor(x=positive(v.i), y=positive(v.j)),
        lambda v: (v.i > 0) ^ (v.j > 0),
    ),
    "matmul": (lambda v, n: mb.matmul(x=v.x, y=v.y, transpose_y=True), lambda v: v.x @ v.y.T),
    "maximum": (lambda v, n: mb.maximum(x=v.x, y=v.y), lambda v: torch.maximum(v.x, v.y)),
    "minimum": (lambda v, n: mb.minimum(x=v.x, y=v.y), lambda v: torch.minimum(v.x, v.y)),
    "mod": (lambda v, n: mb.mod(x=v.i, y=v.j), lambda v: torch.remainder(v.i, v.j)),
    "mul": (lambda v, n: mb.mul(x=v.x, y=v.y), lambda v: v.x * v.y),
    "not_equal": (lambda v, n: mb.not_equal(x=v.i, y=v.j), lambda v: v.i != v.j),
    "pow": (lambda v, n: mb.pow(x=v.y, y=v.x), lambda v: v.y**v.x),
    "real_div": (lambda v, n: mb.real_div(x=v.x, y=v.y), lambda v: v.x / v.y),
    "reduce_argmax": (lambda v, n: mb.reduce_argmax(x=v.x, axis=1), lambda v: v.x.argmax(1)),
    "reduce_argmin": (
        lambda v, n: mb.reduce_argmin(x=v.x, axis=0, keep_dims=True),
        lambda v: v.x.argmin(0, keepdim=True),
    ),
    "reduce_l1_norm": (lambda v, n: mb.reduce_l1_norm(x=v.x, axes=[1]), lambda v: v.x.abs().sum(1)),
    "reduce_l2_norm": (lambda v, n: mb.reduce_l2_norm(x=v.x, axes=[0]), lambda v: v.x.norm(dim=0)),
    "reduce_log_sum": (lambda v, n: mb.reduce_log_sum(x=v.y, axes=[1]), lambda v: v.y.sum(1).log()),
    "reduce_log_sum_exp": (
        lambda v, n: mb.reduce_log_sum_exp(x=v.x, axes=[1]),
        lambda v: v.x.logsumexp(1),
    ),
    "reduce_max": (lambda v, n: mb.reduce_max(x=v.x, axes=[-1]), lambda v: v.x.amax(1)),
    "reduce_mean": (
        lambda v, n: mb.reduce_mean(x=v.x, axes=[1], keep_dims=True),
        lambda v: v.x.mean(1, keepdim=True),
    ),
    "reduce_min": (lambda v, n: mb.reduce_min(x=v.x, axes=[0]), lambda v: v.x.amin(0)),
    "reduce_prod": (lambda v, n: mb.reduce_prod(x=v.y, axes=[1]), lambda v: v.y.prod(1)),
    "reduce_sum": (
        lambda v, n: mb.reduce_sum(x=v.x, axes=[0, 1], keep_dims=True),
        lambda v: v.x.sum((0, 1), keepdim=True),
    ),
    "reduce_sum_square": (
        lambda v, n: mb.reduce_sum_square(x=v.x, axes=[1]),
        lambda v: v.x.square().sum(1),
    ),
    "relu": (lambda v, n: mb.relu(x=v.x), lambda v: functional.relu(v.x)),
    "relu6": (lambda v, n: mb.relu6(x=mb.mul(x=v.x, y=n(8))), lambda v: functional.relu6(8 * v.x)),
    "round": (lambda v, n: mb.round(x=v.x), lambda v: torch.round(v.x)),
    "rsqrt": (lambda v, n: mb.rsqrt(x=v.y, epsilon=n(0.25)), lambda v: torch.rsqrt(v.y + 0.25)),
    "scaled_tanh": (
        lambda v, n: mb.scaled_tanh(x=v.x, alpha=n(1.5), beta=n(0.75)),
        lambda v: 1.5 * torch.tanh(0.75 * v.x),
    ),
    "sigmoid": (lambda v, n: mb.sigmoid(x=v.x), lambda v: torch.sigmoid(v.x)),
    "sigmoid_hard": (
        lambda v, n: mb.sigmoid_hard(x=v.x, alpha=n(0.5), beta=n(0.375)),
        lambda v: (0.5 * v.x + 0.375).clamp(0, 1),
    ),
    "sign": (lambda v, n: mb.sign(x=v.x), lambda v: torch.sign(v.x)),
    "silu": (lambda v, n: mb.silu(x=v.x), lambda v: functional.silu(v.x)),
    "sin": (lambda v, n: mb.sin(x=v.x), lambda v: torch.sin(v.x)),
    "sinh": (lambda v, n: mb.sinh(x=v.x), lambda v: torch.sinh(v.x)),
    "softmax": (lambda v, n: mb.softmax(x=v.x, axis=0), lambda v: torch.softmax(v.x, 0)),
    "softplus": (lambda v, n: mb.softplus(x=v.x), lambda v: functional.softplus(v.x)),
    "softsign": (lambda v, n: mb.softsign(x=v.x), lambda v: functional.softsign(v.x)),
    "sqrt": (lambda v, n: mb.sqrt(x=v.y), lambda v: torch.sqrt(v.y)),
    "square": (lambda v, n: mb.square(x=v.x), lambda v: v.x * v.x),
    "sub": (lambda v, n: mb.sub(x=v.x, y=v.y), lambda v: v.x - v.y),
    "tan": (lambda v, n: mb.tan(x=v.x), lambda v: torch.tan(v.x)),
    "tanh": (lambda v, n: mb.tanh(x=v.x), lambda v: torch.tanh(v.x)),
    "threshold": (lambda v, n: mb.threshold(x=v.x, alpha=n(0.25)), lambda v: v.x.clamp(min=0.25)),
    "thresholded_relu": (
        lambda v, n: mb.thresholded_relu(x=v.x, alpha=n(0.25)),
        lambda v: torch.where(v.x >= 0.25, v.x, 0),
    ),
}


def values() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    return {
        "x": random.normal(size=(3, 4)),
        "y": random.uniform(0.5, 2, (3, 4)),
        "u": random.uniform(-0.9, 0.9, (3, 4)),
        "i": random.integers(-5, 6, (3, 4)),
        "j": np.where(random.random((3, 4)) < 0.5, -1, 1) * random.integers(1, 3, (3, 4)),
    }


@pytest.fixture(scope="module", params=KINDS)
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, Any]:
    """The dtype, what the saved operators return by name, and the inputs as that dtype holds them,
    in float64.
    """
    dtype = np.dtype(request.param)
    inputs = {
        name: array.astype(dtype if array.dtype.kind == "f" else np.int32)
        for name, array in values().items()
    }
    kinds = {
        name: KINDS[request.param] if array.dtype.kind == "f" else types.int32
        for name, array in inputs.items()
    }

    @mb.program(
        [mb.TensorSpec((3, 4), kinds[name]) for name in "xyuij"], opset_version=ct.target.iOS17
    )
    def program(x: Any, y: Any, u: Any, i: Any, j: Any) -> tuple[Any, ...]:
        outputs = []
        for name, (build, _) in CASES.items():
            built = build(
                SimpleNamespace(x=x, y=y, u=u, i=i, j=j),
                lambda number: np.asarray(number, dtype)[()],
            )
            assert built.op.op_type == name
            outputs.append(mb.cast(x=built, dtype="int32") if built.dtype == types.bool else built)
            outputs[-1].name = f"out_{name}"
        return tuple(outputs)

    path = save(program, tmp_path_factory.mktemp("arithmetic") / f"{dtype}.mlpackage")
    results, _ = read_program(path).run(inputs, {})
    wide = {
        name: torch.tensor(array.astype(np.float64 if array.dtype.kind == "f" else np.int64))
        for name, array in inputs.items()
    }
    return request.param, results, SimpleNamespace(**wide)


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == set(ARITHMETIC)


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_torchs(ran: tuple[str, Any, Any], name: str) -> None:
    dtype, results, inputs = ran
    found, expected = results[f"out_{name}"], CASES[name][1](inputs).numpy()
    assert found.shape == expected.shape
    if expected.dtype.kind != "f":
        assert found.dtype == np.int32
        assert (found == expected).all()
    elif dtype == "float32":
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    else:  # rounded once: next to nothing may differ from the right result in float16
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, expected, rtol=2.0**-11 * 1.01, atol=1e-6)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "real_div", "sqrt"])
def test_float16_arithmetic_is_correctly_rounded(ran: tuple[str, Any, Any], name: str) -> None:
    dtype, results, inputs = ran
    expected = CASES[name][1](inputs).numpy().astype(dtype)
    assert (results[f"out_{name}"] == expected).all()


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_cumulative_sums(exclusive: bool, backwards: bool) -> None:
    x = np.array([[1.0, 2, 4], [8, 16, 32]])
    found = ARITHMETIC["cumsum"](x, np.array(1), np.array(exclusive), np.array(backwards))
    for at in range(3):
        reach = slice(at + exclusive, None) if backwards else slice(0, at + 1 - exclusive)
        assert (found[:, at] == x[:, reach].sum(1)).all()


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_products_of_swapped_axes(left: bool, right: bool) -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 3, 4)), random.normal(size=(2, 4, 5))
    given = (x.swapaxes(1, 2) if left else x, y.swapaxes(1, 2) if right else y)
    np.testing.assert_allclose(
        ARITHMETIC["matmul"](*given, np.array(left), np.array(right)),
        torch.bmm(*map(torch.tensor, (x, y))),
    )


def test_reductions_without_axes_take_all() -> None:
    x, no = np.arange(6.0).reshape(2, 3), np.array(False)
    assert ARITHMETIC["reduce_sum"](x, no) == 15
    assert ARITHMETIC["reduce_log_sum_exp"](x, no) == pytest.approx(
        torch.tensor(x).flatten().logsumexp(0).item()
    )
    assert ARITHMETIC["reduce_log_sum_exp"](x, np.array(True)).shape == (1, 1)


def test_normalisation_over_two_axes_without_parameters() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    found = ARITHMETIC["layer_norm"](x, np.array([-1, 1]), np.array(1e-3))
    np.testing.assert_allclose(found, functional.layer_norm(torch.tensor(x), (3, 4), eps=1e-3))


def test_gates_saturate_without_a_fault() -> None:
    x = np.float32([-1000, 1000])
    with np.errstate(over="ignore"):
        assert ARITHMETIC["sigmoid"](x).tolist() == [0, 1]
        assert ARITHMETIC["softplus"](x).tolist() == [0, 1000]
    assert ARITHMETIC["softmax"](x, np.array(0)).tolist() == [0, 1]
