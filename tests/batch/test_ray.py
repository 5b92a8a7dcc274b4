"""A Ray cluster of two nodes, real ones on this machine: it makes what processes make, and a node
that is lost in the middle loses and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from edgernn.batch.ray_engine import run_on_ray
from edgernn.batch.run import plan_run, run_plan
from edgernn.bundle import Bundle
from edgernn.bundle.packed import pack

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 400
Read = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing, and two nodes of one processor each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes = [made.add_node(num_cpus=1), made.add_node(num_cpus=1)]
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def packed(classifier: Path, tmp_path: Path) -> bytes:
    """A bundle as it travels to other machines."""
    pack(classifier, tmp_path / "model.edgernn")
    return (tmp_path / "model.edgernn").read_bytes()


def test_a_lost_node_loses_and_repeats_nothing(
    cluster: Any, classifier: Path, packed: bytes, rows_of: Read, tmp_path: Path
) -> None:
    texts = [f"{'abcdefg'[row % 7]}{'bead' * (row % 5)}" for row in range(ROWS)]
    (tmp_path / "a.txt").write_text("\n".join(texts) + "\n", "utf-8")
    with Bundle.open(classifier) as bundle:
        plan = plan_run(bundle, str(tmp_path / "a.txt"), options={}, rows=10)
    wanted = run_plan(plan, classifier, str(tmp_path / "local"), workers=1)

    def lose_a_node(done: int, rows: int) -> None:
        if done >= ROWS // 8 and cluster.nodes:
            cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
            del cluster.nodes[:]

    out = tmp_path / "ray"
    made = run_plan(plan, packed, str(out), engine=run_on_ray, workers=2, progress=lose_a_node)
    assert not cluster.nodes
    assert (made.rows, made.refused, made.parts) == (wanted.rows, wanted.refused, wanted.parts)
    assert rows_of(out) == rows_of(tmp_path / "local")
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith("_")) == [
        part.name for part in plan.parts
    ]
