"""The time of one step beside other ways to run the same network: python benchmarks/peers.py
[--hidden 64,256] [--out FILE.md]

Every contender gets the same model (two layers, random weights, one seed), T = 1, B = 1, one
thread, and feeds its own state back as its user would. A row whose package is not installed says
so. All contenders of a model are timed in turns, in another order each round, so that a machine
that slows down slows all of them. A time is the median of single steps: a mean over a turn would
count how often the turn was interrupted. Before that each runs the same tokens as the reference,
and the largest difference of its logits shows that it computes the same network.

The peers go into an environment of their own, without constraints.txt: pip install -e ".[peers]"
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported

import _peer_edgernn
import _peer_executorch
import _peer_litert
import _peer_ncnn
import _peer_openvino
import _peer_ort
import _peer_torch
import numpy as np
import torch
from _peer_base import STATES, Peer, PeerError, Stepper, Work, version_of
from _peer_table import Row, about, section

FAMILIES = (
    _peer_torch,
    _peer_ort,
    _peer_openvino,
    _peer_litert,
    _peer_executorch,
    _peer_ncnn,
    _peer_edgernn,
)
PEERS: tuple[Peer, ...] = tuple(peer for family in FAMILIES for peer in family.PEERS)
REFERENCE = "torch-own"  # torch's own kernels round less than oneDNN's
CHAINED_STEPS = 64
ROUNDS = 30
TURN_S = 0.01  # about what one contender's turn takes
LEAST_STEPS, MOST_STEPS = 2, 200
_SHOWN = 160  # characters of an error
REFILL_STEPS = 2  # not timed: the other contenders have emptied the caches


@dataclass
class Contender:
    """A peer that is ready to run: how many steps a turn takes, and the time of every step so
    far.
    """

    peer: Peer
    stepper: Stepper
    difference: float
    steps: int
    times_us: list[float]

    def turn(self, tokens: Sequence[int]) -> None:
        """Run one turn from the first state."""
        step, state = self.stepper.step, self.stepper.first
        for token in tokens[:REFILL_STEPS]:
            _, state = step(token, state)
        for token in tokens[: self.steps]:
            began = time.perf_counter_ns()
            _, state = step(token, state)
            self.times_us.append((time.perf_counter_ns() - began) / 1e3)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    chosen = [peer for peer in PEERS if not options.only or peer.name in options.only]
    parts = [about(chosen)]
    began = time.perf_counter()
    for cell, hidden, vocabulary in itertools.product(
        options.cell, options.hidden, options.vocabulary
    ):
        with contextlib.redirect_stdout(
            sys.stderr
        ):  # converters tell what they do, and the result may go to stdout
            rows = measure(
                chosen, cell=cell, hidden=hidden, vocabulary=vocabulary, rounds=options.rounds
            )
        title = f"{cell}, H = {hidden}, V = {vocabulary}"
        parts.append(section(title, rows))
        print(f"{title}: {time.perf_counter() - began:.0f} s so far", file=sys.stderr, flush=True)
    text = "\n".join(parts)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text)


def measure(
    chosen: Sequence[Peer], *, cell: str, hidden: int, vocabulary: int, rounds: int
) -> list[Row]:
    """Return a row for every peer, in their order."""
    tokens = np.random.default_rng(0).integers(0, vocabulary, MOST_STEPS).tolist()
    with tempfile.TemporaryDirectory(prefix="edgernn-") as scratch:
        work = Work.seeded(Path(scratch), cell=cell, hidden=hidden, vocabulary=vocabulary)
        reference = chain(
            next(peer for peer in PEERS if peer.name == REFERENCE).prepare(work), tokens
        )
        entered: dict[str, Contender | str] = {}
        for peer in chosen:
            try:
                entered[peer.name] = enter(peer, work, tokens, reference)
            except PeerError as error:
                entered[peer.name] = str(error)
        contenders = [
            contender for contender in entered.values() if isinstance(contender, Contender)
        ]
        order = random.Random(0)
        for _ in range(rounds):
            for contender in order.sample(contenders, len(contenders)):
                contender.turn(tokens)
    return [_row(peer, entered[peer.name]) for peer in chosen]


def enter(peer: Peer, work: Work, tokens: Sequence[int], reference: np.ndarray) -> Contender:
    """Prepare a peer and compare it with the reference; raise PeerError where it cannot be had."""
    missing = [package for package in peer.packages if version_of(package) is None]
    if missing:
        raise PeerError(f"not installed: {', '.join(missing)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # converters warn of what they deprecate; the numbers are what counts
            stepper = peer.prepare(work)
            began = time.perf_counter()
            difference = float(np.abs(chain(stepper, tokens) - reference).max())
    except Exception as error:  # every runtime raises its own, and a peer that fails is a row
        raise PeerError(f"failed: {type(error).__name__}: {_shortened(str(error))}") from error
    a_step = (time.perf_counter() - began) / CHAINED_STEPS
    return Contender(
        peer, stepper, difference, min(MOST_STEPS, max(LEAST_STEPS, int(TURN_S / a_step))), []
    )


def chain(stepper: Stepper, tokens: Sequence[int]) -> np.ndarray:
    """Return the logits of a chained run from the first state, float32 ``[CHAINED_STEPS, V]``."""
    state, seen = stepper.first, []
    for token in tokens[:CHAINED_STEPS]:
        logits, state = stepper.step(token, state)
        seen.append(np.array(logits, np.float32).reshape(-1))
    return np.stack(seen)


def _shortened(text: str) -> str:
    """Return the first line with the folders of this machine left out."""
    return re.sub(r"(?:/[\w.@+-]+)+/", "…/", text.strip().partition("\n")[0])[:_SHOWN]


def _row(peer: Peer, entered: Contender | str) -> Row:
    if isinstance(entered, str):
        return Row(peer, note=entered)
    times = entered.times_us
    return Row(
        peer,
        step_us=statistics.median(times),
        bytes=entered.stepper.bytes,
        difference=entered.difference,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--hidden", type=_numbers, default=[64, 256, 512, 1024], help="sizes H, by comma"
    )
    parser.add_argument(
        "--vocabulary", type=_numbers, default=[96, 10000], help="vocabulary sizes V, by comma"
    )
    parser.add_argument(
        "--cell", type=_one_of(STATES), default=list(STATES), help=", ".join(STATES)
    )
    parser.add_argument(
        "--only",
        type=_one_of([peer.name for peer in PEERS]),
        help=", ".join(peer.name for peer in PEERS),
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of every contender")
    parser.add_argument(
        "--out", type=Path, help="a Markdown file to write; by default it is printed"
    )
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _one_of(known: Sequence[str]) -> object:
    def names(text: str) -> list[str]:
        parts = text.split(",")
        unknown = [part for part in parts if part not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown {', '.join(unknown)}; expected some of {', '.join(known)}"
            )
        return parts

    return names


if __name__ == "__main__":
    main()
