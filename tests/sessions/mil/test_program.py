"""What surrounds the operators: blocks, states, lists, constants, dtypes, and errors that name
their operator.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mil_programs import ct, mb, save, types

from edgernn.errors import ContractError
from edgernn.sessions.mil import table as mil_table
from edgernn.sessions.mil.program import Program
from edgernn.sessions.mil.session import read_program

KINDS = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32}


def spec(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return mb.TensorSpec(shape, KINDS[dtype])


def saved(path: Path, build: Any, *specs: Any) -> Program:
    """Save the program that ``build`` makes, its operators as they are, and read it back."""
    program = mb.program(list(specs), opset_version=ct.target.iOS18)(build)
    save(program, path, target=ct.target.iOS18)
    return read_program(path)


def only(values: dict[str, np.ndarray]) -> np.ndarray:
    (value,) = values.values()
    return value


def test_a_loop_runs_until_its_condition_fails(tmp_path: Path) -> None:
    def power(x: Any, n: Any) -> Any:
        def more(i: Any, y: Any) -> Any:
            return mb.less(x=i, y=n)

        def multiply(i: Any, y: Any) -> Any:
            return mb.add(x=i, y=1), mb.mul(x=y, y=x)

        return mb.while_loop(
            _cond=more, _body=multiply, loop_vars=([0], mb.add(x=mb.sub(x=x, y=x), y=np.float32(1)))
        )[1]

    program = saved(tmp_path / "p.mlpackage", power, spec((2,)), spec((1,), "int32"))
    x = np.array([2, -3], np.float32)
    for n in (0, 1, 5):
        found = only(program.run({"x": x, "n": np.array([n], np.int32)}, {})[0])
        assert (found == x**n).all()


def test_a_loop_that_collects_its_results_in_a_list(tmp_path: Path) -> None:
    def running_sums(x: Any) -> tuple[Any, ...]:
        start = mb.make_list(
            init_length=1, dynamic_length=True, elem_shape=(np.int32(2),), dtype="fp32"
        )
        start = mb.list_scatter(
            ls=start, indices=[1, 0], value=mb.slice_by_size(x=x, begin=[0, 0], size=[2, -1])
        )

        def more(i: Any, total: Any, ls: Any) -> Any:
            return mb.less(x=i, y=4)

        def add(i: Any, total: Any, ls: Any) -> Any:
            row = mb.gather(x=x, indices=i, axis=0)
            total = mb.add(x=total, y=mb.squeeze(x=row, axes=[0]))
            return (
                mb.add(x=i, y=1),
                total,
                mb.list_write(ls=ls, index=mb.add(x=mb.squeeze(x=i, axes=[0]), y=2), value=total),
            )

        zero = mb.list_read(
            ls=mb.make_list(init_length=1, elem_shape=(np.int32(2),), dtype="fp32"), index=0
        )
        _, _, ls = mb.while_loop(_cond=more, _body=add, loop_vars=([0], zero, start))
        length = mb.expand_dims(x=mb.list_length(ls=ls), axes=[0])
        return mb.list_gather(ls=ls, indices=[0, 1, 2, 3, 4, 5]), length

    x = np.arange(8, dtype=np.float32).reshape(4, 2) ** 2
    program = saved(tmp_path / "p.mlpackage", running_sums, spec((4, 2)))
    collected, length = program.run({"x": x}, {})[0].values()
    assert (collected == np.concatenate([x[[1, 0]], np.cumsum(x, 0)])).all()
    assert length == [6]


def test_a_condition_runs_one_branch(tmp_path: Path) -> None:
    def choose(x: Any, n: Any) -> Any:
        chosen = mb.greater(x=mb.squeeze(x=n), y=2)
        return mb.cond(
            pred=chosen,
            _true_fn=lambda: mb.mul(x=x, y=x),
            _false_fn=lambda: mb.add(x=x, y=np.float32(10)),
        )

    program = saved(tmp_path / "p.mlpackage", choose, spec((2,)), spec((1,), "int32"))
    x = np.array([3, 4], np.float32)
    assert only(program.run({"x": x, "n": np.array([3], np.int32)}, {})[0]).tolist() == [9, 16]
    assert only(program.run({"x": x, "n": np.array([2], np.int32)}, {})[0]).tolist() == [13, 14]


def accumulate(x: Any, total: Any, last: Any) -> Any:
    """Read, write, read what was written, write again; ``last`` is written and not read."""
    before = mb.read_state(input=total)
    once = mb.coreml_update_state(state=total, value=mb.add(x=before, y=x))
    twice = mb.coreml_update_state(state=total, value=mb.add(x=once, y=x))
    mb.coreml_update_state(state=last, value=x)
    return mb.mul(x=twice, y=np.float16(0.5)), mb.identity(x=before)


def test_states_are_given_and_returned(tmp_path: Path) -> None:
    states = [mb.StateTensorSpec((2,), KINDS["float16"]) for _ in range(2)]
    program = saved(tmp_path / "p.mlpackage", accumulate, spec((2,), "float16"), *states)
    assert set(program.inputs) == {"x"}
    assert set(program.states) == {"total", "last"}
    x, total = np.array([1, 2], np.float16), np.array([10, 20], np.float16)
    for _ in range(2):  # the second run knows nothing of the first
        outputs, after = program.run({"x": x}, {"total": total, "last": total})
        assert [array.tolist() for array in outputs.values()] == [[6, 12], [10, 20]]
        assert {name: array.tolist() for name, array in after.items()} == {
            "total": [12, 24],
            "last": [1, 2],
        }
    assert total.tolist() == [10, 20]
    with pytest.raises(
        ContractError,
        match=r"the program has the states \['last', 'total'\], it was given \['total'\]",
    ):
        program.run({"x": x}, {"total": total})


def test_what_depends_on_constants_alone_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        calls.append(x)
        return x + y

    monkeypatch.setitem(mil_table.COMPUTING, "add", counted)
    one = np.ones(2, np.float32)
    program = saved(
        tmp_path / "p.mlpackage", lambda x: mb.mul(x=x, y=mb.add(x=one, y=one)), spec((2,))
    )
    assert len(calls) == 1
    for _ in range(3):
        assert only(program.run({"x": one}, {})[0]).tolist() == [2, 2]
    assert len(calls) == 1


def test_nothing_is_kept_between_runs(tmp_path: Path) -> None:
    program = saved(tmp_path / "p.mlpackage", lambda x: mb.mul(x=x, y=x), spec((2,)))
    given = np.ones(2, np.float32)
    kept = weakref.ref(given)
    program.run({"x": given}, {})
    del given
    assert kept() is None


def test_results_belong_to_the_caller(tmp_path: Path) -> None:
    given = np.array([1, 2], np.float32)
    program = saved(
        tmp_path / "p.mlpackage",
        lambda x: (mb.identity(x=x), mb.reshape(x=mb.const(val=np.float32([5, 6])), shape=[1, 2])),
        spec((2,)),
    )
    for result in program.run({"x": given}, {})[0].values():
        result[:] = 0
    assert given.tolist() == [1, 2]
    assert [array.tolist() for array in program.run({"x": given}, {})[0].values()] == [
        [1, 2],
        [[5, 6]],
    ]


def test_every_result_has_its_declared_dtype(tmp_path: Path) -> None:
    def narrow(x: Any, i: Any) -> tuple[Any, ...]:
        half = mb.cast(x=mb.cast(x=x, dtype="fp16"), dtype="fp32")
        short = mb.cast(x=mb.expand_dims(x=mb.cast(x=i, dtype="int16"), axes=[0]), dtype="int32")
        return half, short

    program = saved(tmp_path / "p.mlpackage", narrow, spec((2,)), spec((2,), "int32"))
    half, short = program.run(
        {"x": np.float32([1.0001, 1e6]), "i": np.array([7, 32768], np.int32)}, {}
    )[0].values()
    assert half.tolist() == [1, float("inf")]  # as float16 holds them, and without a warning
    assert short.tolist() == [[7, -32768]]


def test_long_sums_in_float16_are_rounded_once(tmp_path: Path) -> None:
    weight = np.ones((1, 4096), np.float16)
    program = saved(
        tmp_path / "p.mlpackage",
        lambda x: mb.linear(x=x, weight=weight),
        spec((1, 4096), "float16"),
    )
    assert (
        only(program.run({"x": np.ones((1, 4096), np.float16)}, {})[0]) == 4096
    )  # one by one they stop at 2048


def test_errors_name_what_went_wrong(tmp_path: Path) -> None:
    program = saved(
        tmp_path / "p.mlpackage",
        lambda x: mb.linear(x=x, weight=np.ones((2, 3), np.float32)),
        spec((1, 3)),
    )
    with pytest.raises(
        ContractError, match=r"the program has the inputs \['x'\], it was given \['y'\]"
    ):
        program.run({"y": np.zeros((1, 3))}, {})
    with pytest.raises(ContractError, match=r"the operator 'linear' \(linear_0\) failed: matmul"):
        program.run({"x": np.zeros((1, 4))}, {})


def unknown_inside_a_branch(x: Any) -> Any:
    chosen = mb.greater(x=mb.reduce_sum(x=x), y=np.float32(0))
    return mb.cond(
        pred=chosen, _true_fn=lambda: mb.l2_norm(x=x), _false_fn=lambda: mb.identity(x=x)
    )


@pytest.mark.parametrize(
    "build", [lambda x: mb.l2_norm(x=x), unknown_inside_a_branch], ids=["plain", "nested"]
)
def test_an_unknown_operator_is_named_at_opening(tmp_path: Path, build: Any) -> None:
    with pytest.raises(
        ContractError,
        match=r"p\.mlpackage uses operators that the interpreter does not know: l2_norm$",
    ):
        saved(tmp_path / "p.mlpackage", build, spec((1, 3, 4)))
