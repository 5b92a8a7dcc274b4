"""How threads wait for one another: asleep. To be decided before torch is loaded, so nothing heavy
is imported here.
"""

from __future__ import annotations

import os

_DECIDED_BY = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def let_waiting_threads_sleep() -> None:
    """Make the threads that share a matrix product sleep when they wait for one another, rather
    than spin.

    The OpenMP runtimes let them spin for milliseconds. Where another program needs the core, a
    thread that spins keeps its partner from ever getting there, and a step takes a hundred times as
    long. Whoever has set one of the variables keeps it. Without effect once torch is loaded.
    """
    if not any(name in os.environ for name in _DECIDED_BY):
        os.environ["OMP_WAIT_POLICY"] = "passive"
