"""Clips of frames from npz files, in each of their forms; what does not fit is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.data.labelled.clips import read_clips
from edgernn.errors import DataError

LENGTHS = np.array([3, 5, 2])
CLIPS = [
    np.random.default_rng(n).normal(size=(t, 4)).astype("float32") for n, t in enumerate(LENGTHS)
]
PADDED = np.zeros((3, 5, 4), np.float32)
for row, clip in zip(PADDED, CLIPS, strict=True):
    row[: len(clip)] = clip


def saved(folder: Path, *given: np.ndarray, **named: Any) -> Path:
    np.savez(folder / "clips.npz", *given, **named)
    return folder / "clips.npz"


@pytest.mark.parametrize("form", ["padded", "joined", "list"])
def test_every_form_reads_alike(tmp_path: Path, form: str) -> None:
    label = np.array(["b", "a", "b"])
    arrays = {
        "padded": {"frames": PADDED, "lengths": LENGTHS},
        "joined": {"frames": np.concatenate(CLIPS), "lengths": LENGTHS},
        "list": {},
    }[form]
    path = saved(tmp_path, *(CLIPS if form == "list" else ()), label=label, **arrays)
    found = read_clips(path)
    assert found.labels == ["b", "a", "b"] and found.width == 4
    for clip, expected in zip(found.frames, CLIPS, strict=True):
        np.testing.assert_array_equal(clip, expected)


def test_clips_of_one_length_and_whole_numbers_as_labels(tmp_path: Path) -> None:
    found = read_clips(saved(tmp_path, frames=PADDED.astype("float64"), label=np.array([2, 0, 1])))
    assert found.labels == ["2", "0", "1"]
    assert {clip.shape for clip in found.frames} == {(5, 4)}
    assert found.frames[0].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": PADDED}, "has the arrays label, x, expected frames"),
        ({"frames": PADDED[0]}, r"has frames float32 \[5, 4\], expected"),
        ({"frames": PADDED, "lengths": LENGTHS + 1}, "3 lengths of up to 6"),
        ({"frames": PADDED, "lengths": LENGTHS * 1.0}, "lengths float64"),
        ({"frames": PADDED[0], "lengths": LENGTHS}, "lengths that make 10"),
        ({"frames": PADDED * np.nan}, "clip 0, frame 0: a value that is not finite"),
        ({"frames": PADDED > 0}, r"clip 0: bool \[5, 4\], expected numbers"),
        ({"frames": PADDED, "label": np.zeros(2, int)}, r"label int64 \[2\]"),
        ({"frames": PADDED, "label": np.zeros(3)}, r"label float64 \[3\]"),
        ({"frames": PADDED, "label": np.array(["a", " ", "b"])}, "clip 1: its label is empty"),
        (
            {"frames": PADDED, "label": np.array([b"a", b"\xe9", b"b"])},
            r"label with b'\\xe9', which is not UTF-8; save them as text",
        ),
        ({"frames": np.array([[1], [1, 2]], object)}, "frames as Python objects"),
        (
            {"frames": np.zeros((2, 3, 1)), "label": np.array(["a", "b"], object)},
            r"label holds Python objects, .* np\.array\(label, dtype=str\)",
        ),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_clips(saved(tmp_path, **{"label": np.array([0, 1, 2]), **arrays}))


def test_labels_may_be_lacking_where_none_are_needed(tmp_path: Path) -> None:
    path = saved(tmp_path, frames=PADDED)
    assert read_clips(path, labelled=False).labels == []
    with pytest.raises(DataError, match="has no label, it has frames"):
        read_clips(path)


def test_frames_of_two_widths(tmp_path: Path) -> None:
    path = saved(tmp_path, CLIPS[0], CLIPS[1][:, :2], label=np.array([0, 1]))
    with pytest.raises(DataError, match="clip 1: frames of 2 numbers, the first has 4"):
        read_clips(path)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = saved(tmp_path, frames=PADDED)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="is damaged"):
        read_clips(path)
