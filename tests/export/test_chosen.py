"""Which formats are written where a model has an axis whose size encode chooses, or none."""

from __future__ import annotations

import pytest
from feature_captioners import feature_contract

from edgernn import formats
from edgernn.export.chosen import chosen_of, fitting

CONTRACT = feature_contract()
FIXED = CONTRACT.model_copy(update={"sizes": {**CONTRACT.sizes, "regions": 5}})
PLAIN = ("onnx", "torchscript")


def names(contract, to=None) -> tuple[list[str], list[str]]:  # type: ignore[no-untyped-def]
    told: list[str] = []
    made = fitting(chosen_of(to, None, told.append), contract, to, told.append)
    return [row.name for row, _ in made], told


def test_formats_of_fixed_sizes_are_left_out_and_told() -> None:
    found, told = names(CONTRACT)
    assert [name for name in found if name in PLAIN] == [*PLAIN]
    assert not {name for name in found if formats.by_name(name).fixed_sizes}
    assert any("left out: it takes fixed sizes, and the axis regions is open" in t for t in told)
    assert {"coreml"} <= {*names(FIXED)[0]}


@pytest.mark.parametrize("to", [["coreml"], ["onnx", "coreml"]])
def test_what_is_asked_for_stays_for_its_exporter_to_refuse(to: list[str]) -> None:
    found, told = names(CONTRACT, to)
    assert "coreml" in found
    assert told == []
