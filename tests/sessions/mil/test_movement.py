"""Every operator that moves values, saved in a program and run from disk, against numpy and torch:
exactly equal.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mil_programs import ct, mb, save, types

from edgernn.errors import ContractError
from edgernn.sessions.mil.indexing import SCATTERS
from edgernn.sessions.mil.movement import MOVEMENT, reshape, squeeze
from edgernn.sessions.mil.session import read_program

HALF = np.float16
INPUTS = {
    "x": (np.arange(24).reshape(2, 3, 4) / 8 - 1).astype(HALF),
    "y": (np.arange(8).reshape(2, 1, 4) * -1.5).astype(HALF),
    "i": np.array([[2, 0, 1, 1], [0, 0, 2, 1]], np.int32),
    "one": np.array([1], np.int32),
}
MASKS = {
    "begin_mask": [False, True, False],
    "end_mask": [True, False, False],
    "squeeze_mask": [False, False, True],
}


def along(v: Any) -> torch.Tensor:
    """[2, 3, 4]: positions along axis 1, from the input ``i [2, 4]``."""
    return torch.tensor(v.i)[:, None].expand(2, 3, 4).long()


def updated(x: np.ndarray, place: Any, update: np.ndarray) -> np.ndarray:
    changed = x.copy()
    changed[place] = update
    return changed


def scattered(mode: str) -> Callable[[Any], np.ndarray]:
    """Indices 2, 0, 2 along axis 1, one after the other."""

    def expected(v: Any) -> np.ndarray:
        changed = v.x.astype(np.float32)
        for at, part in zip(
            [2, 0, 2], np.moveaxis(v.x[:, ::-1], 1, 0).astype(np.float32), strict=True
        ):
            old = changed[:, at]
            changed[:, at] = {
                "update": part,
                "add": old + part,
                "sub": old - part,
                "mul": old * part,
                "max": np.maximum(old, part),
                "min": np.minimum(old, part),
                "div": old / np.where(part == 0, 1, part),
            }[mode]
        return changed.astype(HALF)

    return expected


def scatter(v: Any, mode: str) -> Any:
    updates = mb.reverse(x=v.x, axes=[1])
    if mode == "div":
        updates = mb.select(cond=mb.equal(x=updates, y=HALF(0)), a=HALF(1), b=updates)
    return mb.scatter(data=v.x, indices=[2, 0, 2], updates=updates, axis=1, mode=mode)


# operator, or operator and option → what builds it, and the same in numpy or torch
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "cast": (
        lambda v: mb.cast(x=mb.mul(x=v.x, y=HALF(3)), dtype="int32"),
        lambda v: np.trunc(v.x * HALF(3)).astype(np.int32),
    ),
    "cast bool": (lambda v: mb.cast(x=v.x, dtype="bool"), lambda v: v.x != 0),
    "cast fp32": (lambda v: mb.cast(x=v.x, dtype="fp32"), lambda v: v.x.astype(np.float32)),
    "concat": (
        lambda v: mb.concat(values=(v.x, v.y, v.x), axis=-2),
        lambda v: np.concatenate([v.x, v.y, v.x], 1),
    ),
    "concat interleave": (
        lambda v: mb.concat(values=(v.x, mb.relu(x=v.x)), axis=1, interleave=True),
        lambda v: np.stack([v.x, np.maximum(v.x, 0)], 2).reshape(2, 6, 4),
    ),
    "expand_dims": (lambda v: mb.expand_dims(x=v.x, axes=[0, -1]), lambda v: v.x[None, ..., None]),
    "fill": (
        lambda v: mb.fill(shape=[2, 5], value=HALF(1.5)),
        lambda v: np.full((2, 5), 1.5, HALF),
    ),
    "fill_like": (
        lambda v: mb.fill_like(ref_tensor=v.x, value=np.int32(7)),
        lambda v: np.full((2, 3, 4), 7, np.int32),
    ),
    "gather": (lambda v: mb.gather(x=v.x, indices=v.i, axis=1), lambda v: v.x[:, v.i]),
    "gather batch_dims": (
        lambda v: mb.gather(x=v.x, indices=v.i, axis=1, batch_dims=1),
        lambda v: np.stack([v.x[0][v.i[0]], v.x[1][v.i[1]]]),
    ),
    "gather_along_axis": (
        lambda v: mb.gather_along_axis(
            x=v.x, indices=mb.tile(x=mb.expand_dims(x=v.i, axes=[1]), reps=[1, 3, 1]), axis=1
        ),
        lambda v: torch.gather(torch.tensor(v.x), 1, along(v)).numpy(),
    ),
    "gather_nd": (
        lambda v: mb.gather_nd(x=v.x, indices=np.array([[1, 2], [0, 1], [1, 0]], np.int32)),
        lambda v: np.stack([v.x[1, 2], v.x[0, 1], v.x[1, 0]]),
    ),
    "identity": (lambda v: mb.identity(x=v.x), lambda v: v.x),
    "one_hot": (
        lambda v: mb.one_hot(
            indices=v.i, one_hot_vector_size=3, axis=1, on_value=HALF(2), off_value=HALF(-1)
        ),
        lambda v: (3 * np.moveaxis(np.eye(3)[v.i], -1, 1) - 1).astype(HALF),
    ),
    "range_1d": (
        lambda v: mb.range_1d(start=2, end=11, step=3),
        lambda v: np.array([2, 5, 8], np.int32),
    ),
    "reshape": (lambda v: mb.reshape(x=v.x, shape=[0, -1, 2]), lambda v: v.x.reshape(2, 6, 2)),
    "reverse": (lambda v: mb.reverse(x=v.x, axes=[0, 2]), lambda v: v.x[::-1, :, ::-1]),
    "scatter": (lambda v: scatter(v, "update"), scattered("update")),
    "scatter add": (lambda v: scatter(v, "add"), scattered("add")),
    "scatter sub": (lambda v: scatter(v, "sub"), scattered("sub")),
    "scatter mul": (lambda v: scatter(v, "mul"), scattered("mul")),
    "scatter div": (lambda v: scatter(v, "div"), scattered("div")),
    "scatter max": (lambda v: scatter(v, "max"), scattered("max")),
    "scatter min": (lambda v: scatter(v, "min"), scattered("min")),
    "scatter_along_axis": (
        lambda v: mb.scatter_along_axis(
            data=v.x,
            indices=mb.tile(x=mb.expand_dims(x=v.i, axes=[1]), reps=[1, 3, 1]),
            updates=v.x,
            axis=1,
            mode="add",
        ),
        lambda v: (
            torch.tensor(v.x)
            .float()
            .scatter_add(1, along(v), torch.tensor(v.x).float())
            .half()
            .numpy()
        ),
    ),
    "scatter_nd": (
        lambda v: mb.scatter_nd(
            data=v.x,
            indices=np.array([[1, 2], [0, 1]], np.int32),
            updates=mb.squeeze(x=v.y, axes=[1]),
            mode="add",
        ),
        lambda v: updated(
            updated(v.x, (1, 2), v.x[1, 2] + v.y[0, 0]), (0, 1), v.x[0, 1] + v.y[1, 0]
        ),
    ),
    "select": (
        lambda v: mb.select(
            cond=mb.greater(x=v.x, y=HALF(0)), a=v.x, b=mb.tile(x=v.y, reps=[1, 3, 1])
        ),
        lambda v: np.where(v.x > 0, v.x, v.y),
    ),
    "shape": (lambda v: mb.shape(x=v.x), lambda v: np.array([2, 3, 4], np.int32)),
    "slice_by_index": (
        lambda v: mb.slice_by_index(x=v.x, begin=[0, 0, -1], end=[2, 3, 1], stride=[1, 2, -2]),
        lambda v: v.x[0:2, 0:3:2, -1:1:-2],
    ),
    "slice_by_index masks": (
        lambda v: mb.slice_by_index(x=v.x, begin=[1, 9, -2], end=[0, 2, 0], **MASKS),
        lambda v: v.x[1:, :2, -2],
    ),
    "slice_by_index of a value": (
        lambda v: mb.slice_by_index(
            x=v.i, begin=mb.concat(values=(v.one, v.one), axis=0), end=[2, 3]
        ),
        lambda v: v.i[1:2, 1:3],
    ),
    "slice_by_size": (
        lambda v: mb.slice_by_size(x=v.x, begin=[1, 0, -3], size=[1, 2, -1]),
        lambda v: v.x[1:2, 0:2, 1:],
    ),
    "slice_update": (
        lambda v: mb.slice_update(
            x=v.x,
            update=mb.reshape(x=v.y, shape=[2, 2, 2]),
            begin=[0, 1, 0],
            end=[2, 3, 4],
            stride=[1, 1, 2],
        ),
        lambda v: updated(v.x, (slice(0, 2), slice(1, 3), slice(0, 4, 2)), v.y.reshape(2, 2, 2)),
    ),
    "split": (
        lambda v: mb.split(x=v.x, num_splits=2, axis=-1),
        lambda v: (v.x[..., :2], v.x[..., 2:]),
    ),
    "split split_sizes": (
        lambda v: mb.split(x=v.x, split_sizes=[1, 2], axis=1),
        lambda v: (v.x[:, :1], v.x[:, 1:]),
    ),
    "squeeze": (lambda v: mb.squeeze(x=v.y, axes=[-2]), lambda v: v.y[:, 0]),
    "stack": (
        lambda v: mb.stack(values=(v.x, mb.relu(x=v.x)), axis=-1),
        lambda v: np.stack([v.x, np.maximum(v.x, 0)], -1),
    ),
    "tile": (lambda v: mb.tile(x=v.x, reps=[1, 2, 3]), lambda v: np.tile(v.x, (1, 2, 3))),
    "topk": (
        lambda v: mb.topk(x=v.x, k=2, axis=1),
        lambda v: tuple(found.numpy() for found in torch.topk(torch.tensor(v.x), 2, dim=1)),
    ),
    "topk ascending": (
        lambda v: mb.topk(x=v.i, k=1, axis=0, ascending=True, return_indices=False),
        lambda v: v.i.min(0, keepdims=True),
    ),
    "transpose": (lambda v: mb.transpose(x=v.x, perm=[2, 0, -2]), lambda v: v.x.transpose(2, 0, 1)),
}


def saved(build: Any, path: Path, target: Any) -> Path:
    """Save a program that is a function of variables with the names, shapes and dtypes of
    ``INPUTS``.
    """
    kinds = [types.fp16 if array.dtype == HALF else types.int32 for array in INPUTS.values()]
    specs = [
        mb.TensorSpec(array.shape, kind) for array, kind in zip(INPUTS.values(), kinds, strict=True)
    ]

    @mb.program(specs, opset_version=target)
    def program(x: Any, y: Any, i: Any, one: Any) -> Any:
        return build(SimpleNamespace(x=x, y=y, i=i, one=one))

    return save(program, path, target=target)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What the saved operators return: each output as its case's number and its own."""

    def build(v: Any) -> tuple[Any, ...]:
        outputs = []
        for number, (name, (make, _)) in enumerate(CASES.items()):
            built = make(v)
            for index, var in enumerate(built if isinstance(built, (list, tuple)) else [built]):
                assert var.op.op_type == name.split()[0]
                out = (
                    mb.cast(x=var, dtype="int32") if var.dtype == types.bool else mb.identity(x=var)
                )
                out.name = f"out_{number}_{index}"
                outputs.append(out)
        return tuple(outputs)

    path = saved(build, tmp_path_factory.mktemp("movement") / "all.mlpackage", ct.target.iOS18)
    found, _ = read_program(path).run(INPUTS, {})
    return found


def test_every_operator_has_a_case() -> None:
    assert {name.split()[0] for name in CASES} == {*MOVEMENT, *SCATTERS}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_moves_what_numpy_moves(results: dict[str, np.ndarray], name: str) -> None:
    number = list(CASES).index(name)
    expected = CASES[name][1](SimpleNamespace(**INPUTS))
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert f"out_{number}_{len(expected)}" not in results
    for index, right in enumerate(expected):
        found = results[f"out_{number}_{index}"]
        assert found.dtype == (right.dtype if right.dtype.kind == "f" else np.int32)
        assert found.shape == right.shape
        assert (found == right).all()


def gather_negative(v: Any) -> Any:
    return mb.gather(x=v.x, indices=mb.sub(x=v.i, y=np.int32(3)), axis=1)


def test_before_ios17_a_negative_index_counts_from_the_end(tmp_path: Path) -> None:
    program = read_program(saved(gather_negative, tmp_path / "old.mlpackage", ct.target.iOS16))
    (found,) = program.run(INPUTS, {})[0].values()
    assert (found == INPUTS["x"][:, INPUTS["i"] - 3]).all()


def test_from_ios17_a_negative_index_is_undefined_and_refused(tmp_path: Path) -> None:
    program = read_program(saved(gather_negative, tmp_path / "new.mlpackage", ct.target.iOS17))
    with pytest.raises(
        ContractError, match=r"the operator 'gather' \(.*\) failed: the index -1 is outside 0 to 2"
    ):
        program.run(INPUTS, {})


def test_reshape_reads_zeros_from_the_right() -> None:
    x = np.zeros((2, 50))
    assert reshape(x, np.array([1, 0, -1, 0])).shape == (
        1,
        1,
        2,
        50,
    )  # the example in coremltools' documentation
    assert reshape(np.zeros((2, 3, 4)), np.array([-1, 0])).shape == (6, 4)
    assert reshape(np.zeros((2, 3)), np.array([6])).shape == (6,)


def test_squeeze_leaves_longer_axes_as_torch_does() -> None:
    x = np.zeros((1, 3, 1))
    assert squeeze(x).shape == (3,)
    assert squeeze(x, np.array([0, 1])).shape == (3, 1)
