"""What OpenVINO would read as something else is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")

from onnx import helper  # noqa: E402

from edgernn.errors import ContractError  # noqa: E402
from edgernn.export.to_openvino.reading import refuse_misread  # noqa: E402


def graph(kind: str, inputs: list[str], **attributes: Any) -> Any:
    node = helper.make_node(kind, inputs, ["y"], name="/model/layer", **attributes)
    return helper.make_model(helper.make_graph([node], "g", [], []))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (graph("LSTM", [*"xwrb", "", *"hcp"]), "the peepholes of LSTM"),
        (graph("LSTM", [*"xwrblhc"]), "sequence_lens of LSTM"),
        (graph("GRU", [*"xwrblh"]), "sequence_lens of GRU"),
        (graph("RNN", [*"xwrb", "", "h"], layout=1), "layout of RNN"),
        (graph("LSTM", [*"xwrb", "", *"hc"], input_forget=1), "input_forget of LSTM"),
    ],
)
def test_what_would_be_dropped_is_refused_by_name(model: Any, named: str) -> None:
    with pytest.raises(ContractError, match=rf"^OpenVINO ignores {named} \(/model/layer\) "):
        refuse_misread(model)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_operators_of_defaults_pass(kind: str) -> None:
    refuse_misread(graph(kind, [*"xwrb", "", "h"], layout=0, hidden_size=4))
