"""What hoisting a network of 10 million parameters takes, and its step beside one written by hand:
python benchmarks/hoisting.py

Memory is the process's peak above what it is after the imports, those of torch's tracer included:
a network of one layer is hoisted first. The network itself counts.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import torch
from _report import table
from torch import Tensor, nn

from edgernn import hoist
from edgernn.hoisting.hoisted import Hoisted

_INPUTS, _HIDDEN, _TURNS = 64, 900, 300


class Network(nn.Module):
    """Two LSTM layers and a head over whole sequences, its state nowhere to be seen."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(_INPUTS, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, _INPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Take frames ``[B, T, 64]``."""
        return self.head(self.layers(x)[0])


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _hoist(hidden: int) -> tuple[Network, Hoisted, float]:
    network = Network(hidden).eval()
    start = time.perf_counter()
    hoisted = hoist(network, {"x": f"float32[batch, time, {_INPUTS}]"})
    return network, hoisted, time.perf_counter() - start


def _steps(network: Network, hoisted: Hoisted) -> dict[str, Callable[[], object]]:
    x, state = torch.randn(1, 1, _INPUTS), hoisted.initial_state(1)
    given = [state[spec.name] for spec in hoisted.contract.step.states]
    held = (torch.zeros(2, 1, _HIDDEN), torch.zeros(2, 1, _HIDDEN))

    def by_hand() -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, after = network.layers(x, held)
        return network.head(y), after

    return {"hoisted": lambda: hoisted.step(x, *given), "by hand": by_hand}


def _medians(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in steps}
    with torch.no_grad():
        for turn in range(_TURNS):
            for name in (list(steps), list(steps)[::-1])[turn % 2]:
                start = time.perf_counter()
                steps[name]()
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    torch.set_num_threads(1)
    _, _, first = _hoist(4)
    imported = _peak()
    network, hoisted, seconds = _hoist(_HIDDEN)
    peak = _peak() - imported
    count = sum(parameter.numel() for parameter in network.parameters())
    times = _medians(_steps(network, hoisted))
    rows = [
        ("parameters", f"{count / 1e6:.1f} million"),
        ("hoist", f"{seconds:.2f} s"),
        ("the first hoist of a process, imports of torch's tracer included", f"{first:.2f} s"),
        ("peak memory, times the network's own", f"{peak / (4 * count):.2f}"),
        ("a step, hoisted, ms", f"{1e3 * times['hoisted']:.2f}"),
        ("a step by hand, ms", f"{1e3 * times['by hand']:.2f}"),
        ("hoisted over by hand", f"{times['hoisted'] / times['by hand']:.3f}"),
    ]
    table(("what", "figure"), rows)


if __name__ == "__main__":
    main()
