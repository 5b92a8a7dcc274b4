"""One operator of a graph as its handler sees it: what it reads, and its attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_c.builder import Builder
from edgernn.export.to_c.views import View
from edgernn.sessions.ort.graph import OnnxNode, OnnxTensor


@dataclass(frozen=True)
class Call:
    """An operator, the values that it is given, and what its result is built with."""

    node: OnnxNode
    given: list[View | None]
    build: Builder

    def __getitem__(self, place: int) -> View:
        found = self.maybe(place)
        if found is None:
            raise self.refusal(f"lacks its input {place}")
        return found

    def maybe(self, place: int) -> View | None:
        """Return an input that may be left out."""
        return self.given[place] if place < len(self.given) else None

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name, default)

    def axis(self, default: int, rank: int) -> int:
        """Return the attribute ``axis``, counted from the front."""
        found = int(self.get("axis", default))
        return found + rank if found < 0 else found

    def known(self, place: int) -> np.ndarray:
        """Return an input that must be constant, as shapes and places must."""
        values = self[place].values()
        if values is None:
            raise self.refusal(f"takes its input {place} from data, expected a constant")
        return values

    def numbers(self, place: int, name: str) -> list[int] | None:
        """Return whole numbers given as an input or, in older opsets, as an attribute."""
        if self.maybe(place) is not None:
            return [int(number) for number in self.known(place).ravel()]
        found = self.get(name)
        return None if found is None else [int(number) for number in found]

    def tensor(self, name: str) -> np.ndarray | None:
        """Return an attribute that is a constant."""
        found = self.get(name)
        return found.values() if isinstance(found, OnnxTensor) else None

    def refusal(self, what: str) -> ContractError:
        """Return the error that says what of this operator is not taken."""
        return ContractError(
            f"c does not take {self.node.op} as it is here: it {what}; leave c out"
        )
