"""A context in the place of the first step's own input, against a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.importers.invariances import proved, session_model
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network

B, T, W, H = 3, 5, 4, 6


def described(**changes: Any) -> dict[str, Any]:
    """Return a network of frames whose first one is what encode was given."""
    frame = {"name": "frame", "axes": ["batch", "time", "frame_width"]}
    cell = {"cell": "gru", "hidden": H}
    layers = [
        {"name": "first", "kind": "opening", "inputs": ["seen", "frame"]},
        {"name": "top", "kind": "recurrent", "inputs": ["first"], "options": cell},
    ]
    return {
        "family": "module",
        "inputs": [frame],
        "given": [{"name": "given", "axes": ["batch", "frame_width"]}],
        "sizes": {"frame_width": W},
        "contexts": {"seen": "given"},
        "layers": layers,
        "outputs": {"y": "top"},
        **changes,
    }


def test_the_first_step_sees_the_context_and_the_others_their_input() -> None:
    torch.manual_seed(0)
    network = Network(NetworkConfig.model_validate(described())).eval()
    model, given, frames = session_model(network), torch.randn(B, W), torch.randn(B, T, W)
    contexts, state = model.begin({"given": given.numpy()})
    assert state["first_begun"].tolist() == [[0.0]] * B
    made = []
    for t in range(T):
        outputs, state = model.step({"frame": frames[:, t : t + 1].numpy(), **contexts}, state)
        made.append(outputs["y"])
        assert state["first_begun"].tolist() == [[1.0]] * B
    whole = torch.cat([given.unsqueeze(1), frames[:, 1:]], 1)
    with torch.no_grad():
        expected, _ = network.layers["top"].stack(whole, (torch.zeros(1, B, H),))  # type: ignore[operator, union-attr]
    np.testing.assert_allclose(np.concatenate(made, 1), expected.numpy(), atol=1e-6)
    assert network.config.contract().sizes["time"] == 1
    assert proved(network)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (["frame", "frame"], "expected a context [batch, width] and a value of each step"),
        (["seen", "seen"], "expected a context [batch, width] and a value of each step"),
        (["seen"], "it takes 2 inputs, got 1"),
    ],
)
def test_other_inputs(inputs: list[str], problem: str) -> None:
    content = described()
    content["layers"][0]["inputs"] = inputs
    with pytest.raises(UsageError) as caught:
        NetworkConfig.model_validate(content).contract()
    assert problem in str(caught.value)


def test_another_width() -> None:
    given = [{"name": "given", "axes": ["batch", "other"]}]
    content = described(given=given, sizes={"frame_width": W, "other": W + 1})
    with pytest.raises(UsageError, match="the widths 5 and 4, expected one"):
        NetworkConfig.model_validate(content).contract()
