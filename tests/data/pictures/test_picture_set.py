"""A picture set holds exactly the pictures and captions that it was given, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgernn.data.pictures import picture_set
from edgernn.data.pictures.picture_set import Example, PictureSet
from edgernn.errors import DataError, UsageError

RANDOM = np.random.default_rng(0)
EXAMPLES = [
    Example(
        RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8),
        tuple(f"Caption {n} of {i}." for n in range(1 + i % 3)),
        f"{i}.png",
    )
    for i in range(7)
]


def write(folder: Path, *, size: int = 4, **splits: list[Example]) -> PictureSet:
    examples = {split: (len(chosen), iter(chosen)) for split, chosen in splits.items()}
    return PictureSet.write(folder, examples, size=size, source="tests")


def test_it_holds_what_it_was_given(tmp_path: Path) -> None:
    written = write(
        tmp_path / "set", train=EXAMPLES[:4], validation=EXAMPLES[4:6], unseen=EXAMPLES[6:]
    )
    for made in (written, PictureSet.open(tmp_path / "set")):
        assert np.array_equal(made.pictures, [example.picture for example in EXAMPLES])
        assert made.captions == tuple(example.captions for example in EXAMPLES)
        assert made.names == tuple(example.name for example in EXAMPLES)
        assert (made.source, made.size) == ("tests", 4)
        assert [made.split(name) for name in ("train", "validation", "unseen")] == [
            range(4),
            range(4, 6),
            range(6, 7),
        ]
        assert isinstance(made.pictures, np.memmap)
        assert made.pictures.dtype == np.uint8
        assert not made.pictures.flags.writeable
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "pictures.json",
        "pictures.npy",
    ]
    assert np.array_equal(np.load(tmp_path / "set" / "pictures.npy"), written.pictures)


def test_a_split_may_be_empty_or_unknown(tmp_path: Path) -> None:
    made = write(tmp_path / "set", train=EXAMPLES[:2], validation=[])
    assert made.split("validation") == range(2, 2)
    with pytest.raises(
        UsageError, match="the set of tests has no split 'test'; it has train, validation"
    ):
        made.split("test")


def test_names_and_captions_of_any_text(tmp_path: Path) -> None:
    example = Example(
        EXAMPLES[0].picture, ("\u65e5\u672c \U0001f600\n\u2028", "\ud800"), "na\u00efve/\udcff.jpg"
    )
    made = write(tmp_path / "set", train=[example])
    assert (made.captions, made.names) == ((example.captions,), (example.name,))


def test_pictures_that_are_no_contiguous_arrays(tmp_path: Path) -> None:
    turned = EXAMPLES[0].picture.transpose(1, 0, 2)
    made = write(tmp_path / "set", train=[Example(turned, ("A thing.",), "a")])
    assert np.array_equal(made.pictures[0], turned)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            Example(np.zeros((4, 5, 3), np.uint8), ("A thing.",), "a"),
            r"the picture a is uint8 \[4, 5, 3\], expected uint8 \[4, 4, 3\]",
        ),
        (Example(np.zeros((4, 4, 3), np.int8), ("A thing.",), "a"), r"the picture a is int8"),
        (
            Example(np.zeros((4, 4, 3), np.uint8), (), "a"),
            "the picture a has no caption or an empty one",
        ),
        (
            Example(np.zeros((4, 4, 3), np.uint8), ("A thing.", ""), "a"),
            "the picture a has no caption or an empty one",
        ),
    ],
)
def test_examples_that_do_not_fit(example: Example, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "set", train=[EXAMPLES[0], example])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "seen"),
    [
        (8, "7 pictures, but 8"),
        (6, "7 pictures or more, but 6"),
        (-3, "1 pictures or more, but -3"),
    ],
)
def test_a_wrong_count(count: int, seen: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"split train has {seen} were promised; give the true count"
    ):
        PictureSet.write(tmp_path / "set", {"train": (count, EXAMPLES)}, size=4, source="tests")
    assert list(tmp_path.iterdir()) == []


def test_examples_without_end_are_noticed(tmp_path: Path) -> None:
    def endless() -> Iterator[Example]:
        while True:
            yield EXAMPLES[0]

    with pytest.raises(UsageError, match="split train has 4 pictures or more, but 3 were promised"):
        PictureSet.write(tmp_path / "set", {"train": (3, endless())}, size=4, source="tests")


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no picture to write; give one at least"):
        write(tmp_path / "set", train=[])
    with pytest.raises(UsageError, match="picture of 0 pixels a side"):
        write(tmp_path / "set", size=0, train=EXAMPLES)
    assert list(tmp_path.iterdir()) == []


def test_a_new_set_replaces_the_old_one(tmp_path: Path) -> None:
    old = write(tmp_path / "set", train=EXAMPLES)
    new = write(tmp_path / "set", train=EXAMPLES[:1])
    assert len(new.pictures) == 1
    assert np.array_equal(old.pictures[6], EXAMPLES[6].picture)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(
        UsageError, match=r"holds other files \(holiday.jpg\); give a new or an empty folder"
    ):
        write(tmp_path, train=EXAMPLES)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_stream_that_breaks_off_leaves_the_old_set(tmp_path: Path) -> None:
    write(tmp_path / "set", train=EXAMPLES)

    def broken() -> Iterator[Example]:
        yield EXAMPLES[0]
        raise DataError("the picture 1.png is damaged")

    with pytest.raises(DataError, match=r"1\.png is damaged"):
        PictureSet.write(tmp_path / "set", {"train": (2, broken())}, size=4, source="tests")
    assert len(PictureSet.open(tmp_path / "set").pictures) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_damaged_files_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "set", train=EXAMPLES)
    path = tmp_path / "set" / "pictures.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"pictures\.npy is damaged"):
        PictureSet.open(tmp_path / "set")
    (tmp_path / "set" / "pictures.json").unlink()
    with pytest.raises(DataError, match="no picture set in"):
        PictureSet.open(tmp_path / "set")


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from edgernn.bench.alone import peak_bytes
from edgernn.data.pictures.picture_set import Example, PictureSet
from edgernn.errors import StorageError
{limit}
greys = (np.full((64, 64, 3), n % 256, np.uint8) for n in range({count}))
examples = (Example(grey, ("A grey.",), str(n)) for n, grey in enumerate(greys))
before = peak_bytes()
try:
    PictureSet.write(Path(sys.argv[1]), {{"train": ({count}, examples)}}, size=64, source="greys")
except StorageError as error:
    print(error)
print(peak_bytes() - before)
"""


def run_limited(folder: Path, *, limit: str, count: int) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(picture_set.__file__).parents[2])}
    command = [sys.executable, "-c", LIMITED.format(limit=limit, count=count), str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True
    ).stdout.splitlines()


def test_a_disk_that_fills_leaves_the_old_set(tmp_path: Path) -> None:
    write(tmp_path / "set", train=EXAMPLES)
    message, _ = run_limited(
        tmp_path / "set",
        limit="resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))",
        count=100,
    )
    assert message.startswith(
        f"could not write {tmp_path / 'set'}: File too large; what was saved before is unchanged."
    )
    assert len(PictureSet.open(tmp_path / "set").pictures) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_writing_holds_no_pictures_in_memory(tmp_path: Path) -> None:
    (grown,) = run_limited(tmp_path / "set", limit="", count=4000)  # 49 MB
    assert int(grown) < 10_000_000  # bytes
