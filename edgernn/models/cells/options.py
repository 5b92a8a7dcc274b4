"""What may be said of a cell beside its name: a Record of options, which are given as text.

A cell's own is a subclass of ``CellOptions``, each of whose fields has a default, and the class
names it in ``options_kind``. With all options at their defaults a cell is what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from edgernn.contract import Record, first_line
from edgernn.errors import UsageError
from edgernn.models.activations import Activation
from edgernn.wording import expected_one_of

O = TypeVar("O", bound="CellOptions")  # noqa: E741


class CellOptions(Record):
    """No options."""


class Activated(CellOptions):
    """Of a cell whose one function may be another than the hyperbolic tangent."""

    activation: Activation = "tanh"


class GateActivated(Activated):
    """And the function of its gates another than the logistic sigmoid."""

    recurrent_activation: Activation = "sigmoid"


def read_options(kind: type[O], given: Mapping[str, str]) -> O:
    """Read options that were given as text by name.

    Raises:
        UsageError: a name that is none of ``kind``'s, or a value that does not fit.
    """
    for name in given:
        if name not in kind.model_fields:
            known = expected_one_of(name, kind.model_fields) if kind.model_fields else "it has none"
            raise UsageError(f"unknown option {name!r} of a cell; {known}")
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise UsageError(f"the option of a cell {first_line(error)}") from error
