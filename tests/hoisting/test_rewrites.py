"""Every operator that is written in others gives what torch's own gives."""

from __future__ import annotations

import math

import pytest
import torch

from edgernn.hoisting.rewrites import REWRITES

_aten = torch.ops.aten
X = torch.tensor([[-1.5, 0.25, 0.0, 2.0], [3.0, -0.75, 1.25, -2.5]])
Y = torch.tensor([[0.5, -0.25, -2.0, 1.5], [1.0, 0.75, -0.5, 2.0]])
N = torch.tensor([[-7, 3, 0, 5], [9, -4, 6, -1]])
T = X > 0
PLACES = torch.tensor([[1, 0, 3, 2], [0, 0, 1, 3]])
CALLS = {
    "absolute": (X,),
    "acosh": (X.abs() + 1.5,),
    "addcdiv": (X, Y, Y),
    "addcmul": (X, Y, X),
    "addmv": (X[:, 0], X, Y[0]),
    "addr": (X, X[:, 0], Y[0]),
    "alias": (X,),
    "arccos": (X / 4,),
    "arcsin": (X / 4,),
    "arctan": (X,),
    "asinh": (X,),
    "atan2": (X, Y),
    "atanh": (X / 4,),
    "bilinear": (X, Y, torch.arange(48.0).view(3, 4, 4) / 48, None),
    "bitwise_and": (N, 7),
    "bitwise_left_shift": (N, 2),
    "bitwise_or": (T, ~T),
    "bitwise_right_shift": (N, 1),
    "bitwise_xor": (T, Y > 0),
    "broadcast_to": (X[:1], [2, 4]),
    "bucketize": (X, torch.tensor([-1.0, 0.25, 2.0])),
    "cdist": (X, Y),
    "celu": (X,),
    "clip": (X, -1, 1),
    "concat": ([X, Y], 1),
    "concatenate": ([X, Y], 1),
    "cosh": (X,),
    "cosine_similarity": (X, Y),
    "cummax": (X, 1),
    "cummin": (X, 1),
    "cumprod": (X, 1),
    "deg2rad": (X,),
    "diag_embed": (X,),
    "diagonal": (X.view(2, 2, 2), 0, 1, 2),
    "diff": (X, 1, 1),
    "div": (N, 3),
    "divide": (X, Y),
    "erfc": (X,),
    "exp2": (X,),
    "expm1": (X,),
    "fix": (X,),
    "fliplr": (X,),
    "flipud": (X,),
    "floor_divide": (N, 2),
    "fmod": (X, Y),
    "frac": (X,),
    "ger": (X[0], Y[0]),
    "greater": (X, Y),
    "greater_equal": (X, Y),
    "hardshrink": (X,),
    "hardtanh": (X, -1, 1),
    "hstack": ([X, Y],),
    "hypot": (X, Y),
    "index_add": (X, 1, torch.tensor([1, 1]), Y[:, :2]),
    "index_copy": (X, 1, torch.tensor([3, 1]), Y[:, :2]),
    "isfinite": (X / X,),
    "isinf": (X / 0,),
    "isnan": (X / X,),
    "kthvalue": (X, 2, 1),
    "lerp": (X, Y, 0.25),
    "less": (X, Y),
    "less_equal": (X, Y),
    "linalg_vector_norm": (X, 2, [1], True),
    "log_sigmoid": (X,),
    "logaddexp": (X, Y),
    "logcumsumexp": (X, 1),
    "mT": (X,),
    "median": (X, 1),
    "moveaxis": (X[None], 0, 2),
    "movedim": (X[None], [0, 1], [2, 0]),
    "multiply": (X, Y),
    "nan_to_num": (torch.tensor([math.nan, math.inf, -math.inf, 1.0]),),
    "negative": (X,),
    "not_equal": (X, Y),
    "numpy_T": (X,),
    "prod": (X, 1, True),
    "ravel": (X,),
    "remainder": (X, Y),
    "rms_norm": (X, [4]),
    "scatter_add": (X, 1, PLACES, Y),
    "select_scatter": (X, Y[:, 0], 1, 2),
    "sgn": (X,),
    "sinh": (X,),
    "slice_scatter": (X, Y[:, :2], 1, 0, 4, 2),
    "softshrink": (X,),
    "special_erf": (X,),
    "special_exp2": (X,),
    "special_expit": (X,),
    "special_expm1": (X,),
    "special_log1p": (X.abs(),),
    "subtract": (X, Y),
    "swapaxes": (X, 0, 1),
    "swapdims": (X, 0, 1),
    "take_along_dim": (X, PLACES, 1),
    "tensor_split": (X, 3, 1),
    "tensordot": (X, Y, [1], [1]),
    "threshold": (X, 0.5, -1.0),
    "true_divide": (X, Y),
    "trunc": (X,),
    "unfold": (torch.arange(40.0).view(2, 20), 1, 10, 3),
    "var_mean": (X, [1]),
    "vdot": (X[0], Y[0]),
    "view_as": (X, Y.view(4, 2)),
    "xlogy": (X, Y.abs()),
    "__and__": (T, Y > 0),
    "__lshift__": (N, 2),
    "__or__": (T, Y > 0),
    "__rshift__": (N, 1),
    "__xor__": (T, Y > 0),
}


def test_every_one_is_called():
    assert CALLS.keys() == REWRITES.keys()


@pytest.mark.parametrize("name", CALLS)
def test_it_gives_what_torch_gives(name):
    found, wanted = REWRITES[name](*CALLS[name]), getattr(_aten, name)(*CALLS[name])
    torch.testing.assert_close(found, wanted, check_stride=False, equal_nan=True)


@pytest.mark.parametrize("rounding", ["floor", "trunc", None])
@pytest.mark.parametrize("by", [3, -3])
def test_whole_numbers_are_rounded_as_torch_rounds_them(rounding, by):
    found = REWRITES["div"](N, by, rounding_mode=rounding)
    assert torch.equal(found, torch.div(N, by, rounding_mode=rounding))
    assert torch.equal(REWRITES["remainder"](N, by), torch.remainder(N, by))


@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_diagonals_beside_the_middle(offset):
    assert torch.equal(REWRITES["diag_embed"](X, offset), torch.diag_embed(X, offset))
    square = torch.arange(24.0).view(2, 3, 4)
    found = REWRITES["diagonal"](square, offset, 1, 2)
    assert torch.equal(found, torch.diagonal(square, offset, 1, 2))
