"""Bulk work on an object store: a server that speaks S3, in a process of its own threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("moto", reason="moto is not installed; .ci/s3 runs this")
pytest.importorskip("s3fs", reason="s3fs is not installed; .ci/s3 runs this")

import s3fs
from moto.server import ThreadedMotoServer

from edgernn.batch.local import run_local
from edgernn.batch.places import Place
from edgernn.batch.plan import PLAN
from edgernn.batch.run import run_plan
from edgernn.errors import DataError, UsageError

from .runs import planned

TABLE = b"text\n" + b"ab\nba\n" * 20


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3fs.S3FileSystem]:
    """The files of a server on which the environment of the workers leads, with a bucket."""
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("bucket")
        files.pipe_file("bucket/in/a.csv", TABLE)
        yield files
    running.stop()


def test_a_store_is_read_and_written(bucket: s3fs.S3FileSystem, classifier: Path) -> None:
    plan = planned(classifier, "s3://bucket/in/*.csv", rows=20)
    made = run_plan(plan, classifier, "s3://bucket/out", engine=run_local, workers=2)
    assert (made.rows, made.refused, made.parts, made.found) == (40, 0, 2, 0)
    again = run_plan(plan, classifier, "s3://bucket/out", engine=run_local, workers=2)
    assert (again.rows, again.found, again.workers) == (40, 2, 0)
    names = sorted(path.rpartition("/")[2] for path in bucket.find("bucket/out"))
    assert names == ["_done.json", PLAN, "part-00000.parquet", "part-00001.parquet"]
    bucket.pipe_file("bucket/in/a.csv", TABLE[:-3])
    s3fs.S3FileSystem.clear_instance_cache()  # as in another process
    with pytest.raises(UsageError, match=r"another run: s3://bucket/in/a.csv was changed; give"):
        run_plan(
            planned(classifier, "s3://bucket/in", rows=20), classifier, "s3://bucket/out", workers=1
        )


def test_of_two_that_make_a_plan_one_does(bucket: s3fs.S3FileSystem) -> None:
    place = Place.of("s3://bucket/race/_plan.json")
    assert [place.create(b"one"), place.create(b"other"), place.read()] == [True, False, b"one"]


def test_what_is_not_there_is_told(bucket: s3fs.S3FileSystem, classifier: Path) -> None:
    with pytest.raises(DataError, match=r"^s3://nowhere/in is missing; check the path$"):
        planned(classifier, "s3://nowhere/in")
