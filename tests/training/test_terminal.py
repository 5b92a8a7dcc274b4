"""What is printed off a terminal, and that a closed one stops nothing."""

from __future__ import annotations

import io

from rich.console import Console

from edgernn.training.progress import EvaluationReport, StepReport
from edgernn.training.terminal import Terminal

EVALUATION = EvaluationReport(20, 0.2, 2.4, 2.6, "last 10 % of a.txt", True, 2.0, "a sample")


def _step(step: int, seconds: float) -> StepReport:
    return StepReport(step, 0.1, 2.5, 1e-3, 5000.0, seconds, seconds / 100)


def test_off_a_terminal_a_plain_line_comes_every_few_seconds() -> None:
    clock = [0.0]
    console = Console(file=io.StringIO(), width=200)
    terminal = Terminal(console, clock=lambda: clock[0])
    for second in range(13):
        clock[0] = float(second)
        (terminal.on_step if second % 2 else terminal.on_progress)(_step(second, second))
    terminal.close()
    lines = console.file.getvalue().splitlines()
    assert lines == [
        "step      5 · 5 % · train 2.500 nats/token · 5,000 tokens/s · 95 s left",
        "step     10 · 10 % · train 2.500 nats/token · 5,000 tokens/s · 90 s left",
    ]
    assert "\r" not in console.file.getvalue()
    assert "\x1b" not in console.file.getvalue()


def test_before_anything_is_done_no_time_left_is_claimed() -> None:
    clock = [0.0]
    console = Console(file=io.StringIO(), width=200)
    terminal = Terminal(console, clock=lambda: clock[0])
    clock[0] = 9.0
    terminal.on_step(_step(0, 0.0))
    assert "left" not in console.file.getvalue()


class Closed(io.StringIO):
    """A terminal that has gone: the kernel answers EIO."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_was_closed_stops_nothing() -> None:
    for options in ({}, {"force_terminal": True}):
        terminal = Terminal(Console(file=Closed(), width=200, **options))
        terminal.on_note("training with 2 threads")
        terminal.on_step(_step(10, 1.0))
        terminal.on_evaluation(EVALUATION)
        terminal.close()
