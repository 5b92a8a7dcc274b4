"""What goes into a file: every tensor checked by the contract, then in the file's own dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgernn.contract import PICTURE, TIME, FileContract, TensorSpec
from edgernn.errors import ContractError

if TYPE_CHECKING:
    from edgernn.sessions.base import Arrays

Layout = dict[str, tuple[np.dtype, tuple[int, ...]]]  # name → dtype and shape


class CheckedFeeds:
    """The check of the calls of one file: ``(inputs, state) -> feeds``.

    Args:
        file_contract: what the file promises.
        inputs: which of the file's inputs are looked at; all that a caller gives without.
        states: which of its states; all without.
    """

    def __init__(
        self,
        file_contract: FileContract,
        inputs: tuple[TensorSpec, ...] | None = None,
        states: tuple[TensorSpec, ...] | None = None,
    ) -> None:
        spec = file_contract.spec
        self._file_contract = file_contract
        self._inputs = spec.caller_inputs if inputs is None else inputs
        self._states = spec.states if states is None else states
        own = {tensor.name for tensor in (*self._inputs, *self._states)}
        self._dtypes = {
            t.name: _numpy_dtype(file_contract.dtype(t), t) for t in spec.inputs if t.name in own
        }
        self._right: tuple[Layout, Layout] | None = (
            None  # of the inputs and states of the last call that was found right
        )

    def __call__(self, inputs: Arrays, state: Arrays) -> dict[str, np.ndarray]:
        """Return every input of the file in its own dtype.

        A call laid out like the last one that was right is right too, but for its values: that is
        one comparison a tensor, 2 µs in place of the 10 µs in which everything is looked at and
        what is wrong can be named.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape; names it.
        """
        for given, kind in ((inputs, "inputs"), (state, "state")):
            if not isinstance(given, dict):
                raise ContractError(
                    f"{kind} is {type(given).__name__}, expected a dict of arrays by name"
                )
        if self._right and all(map(_is_laid_out, (inputs, state), self._right)):
            for spec in self._inputs:
                self._check_values(spec, inputs[spec.name])
        else:
            self._check_all(inputs, state)
            self._right = (_layout(inputs), _layout(state))
        given = {**inputs, **state}
        return {
            name: np.asarray(given[name], dtype, order="C") for name, dtype in self._dtypes.items()
        }

    def _check_all(self, inputs: Arrays, state: Arrays) -> None:
        sizes: dict[str, tuple[int, str]] = {}  # open axis → its size, and the tensor that set it
        for given, specs, kind in (
            (inputs, self._inputs, "input"),
            (state, self._states, "state"),
        ):
            unknown = given.keys() - {spec.name for spec in specs}
            if unknown:
                raise ContractError(
                    f"unknown {kind} {sorted(unknown)}; expected {[spec.name for spec in specs]}"
                )
            for spec in specs:
                if spec.name not in given:
                    raise ContractError(
                        f"{kind} {spec.name!r} is missing; "
                        + (
                            "feed back what the last step returned"
                            if kind == "state"
                            else f"it is {_text(spec)}"
                        )
                    )
                self._check(spec, given[spec.name], sizes)
                self._check_values(spec, given[spec.name])
        time, frames = sizes.get(TIME), self._file_contract.contract.step_frames
        if time is not None and time[0] % frames:
            raise ContractError(
                f"{time[1]} has {time[0]} frames, expected a multiple of the {frames} of a step"
            )

    def _check(
        self, spec: TensorSpec, array: np.ndarray, sizes: dict[str, tuple[int, str]]
    ) -> None:
        if not isinstance(array, np.ndarray) or array.dtype != spec.dtype:
            found = getattr(array, "dtype", type(array).__name__)
            raise ContractError(f"{spec.name} is {found}, expected {_text(spec)}")
        if array.ndim != len(spec.axes):
            raise ContractError(
                f"{spec.name} has shape {list(array.shape)}, expected {_text(spec)}"
            )
        for axis, size in zip(spec.axes, array.shape, strict=True):
            fixed = self._file_contract.axis_size(axis)
            wanted, origin = (
                (fixed, "this file") if fixed else sizes.setdefault(axis, (size, spec.name))
            )
            if size != wanted or size == 0:
                raise ContractError(
                    f"{spec.name} has {axis} = {size} (shape {list(array.shape)}), "
                    + (f"expected {wanted} as in {origin}" if size else "expected at least 1")
                )

    def _check_values(self, spec: TensorSpec, array: np.ndarray) -> None:
        """Refuse ids outside their range: some runtimes read another row of the table for them
        without a word.
        """
        if spec.below is not None:
            size = self._file_contract.contract.sizes[spec.below]
            if array.min() < 0 or array.max() >= size:
                outside = array[(array < 0) | (array >= size)]
                raise ContractError(
                    f"{spec.name} has the value {outside[0]}, expected 0 to {size - 1}"
                )


def _layout(given: Arrays) -> Layout:
    return {name: (array.dtype, array.shape) for name, array in given.items()}


def _is_laid_out(given: Arrays, layout: Layout) -> bool:
    return given.keys() == layout.keys() and all(
        isinstance(array, np.ndarray) and (array.dtype, array.shape) == layout[name]
        for name, array in given.items()
    )


def _numpy_dtype(name: str, spec: TensorSpec) -> np.dtype:
    return np.dtype(spec.dtype if name == PICTURE else name)


def _text(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join(spec.axes)}]"
