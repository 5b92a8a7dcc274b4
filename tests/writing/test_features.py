"""Features from files: by name, with rows or without, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from feature_captioners import feature_contract, features

from edgernn.errors import DataError
from edgernn.storage import tensor_files
from edgernn.writing.features import features_words, read_features

CONTRACT, FEATURES = feature_contract(), features(3)
Save = Callable[[Path, dict[str, np.ndarray]], None]


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "f.npz", **arrays)
    return folder / "f.npz"


def test_what_is_expected_in_words() -> None:
    assert features_words(CONTRACT) == "fc [N, 5], att [N, regions, 4]"


def test_a_row_a_picture(tmp_path: Path) -> None:
    path = saved(tmp_path, **FEATURES, ids=np.arange(3))
    rows = read_features(path, CONTRACT)
    assert len(rows) == 3
    for at, row in enumerate(rows):
        assert all(np.array_equal(row[name], FEATURES[name][at : at + 1]) for name in ("fc", "att"))
    (tmp_path / "f.safetensors").write_bytes(tensor_files.save(FEATURES))
    again = read_features(tmp_path / "f.safetensors", CONTRACT)
    assert all(np.array_equal(a["fc"], b["fc"]) for a, b in zip(rows, again, strict=True))


def test_one_picture_without_rows_of_any_float(tmp_path: Path) -> None:
    path = saved(
        tmp_path, **{name: array[0].astype(np.float64) for name, array in FEATURES.items()}
    )
    (row,) = read_features(path, CONTRACT)
    assert {name: array.shape for name, array in row.items()} == {"fc": (1, 5), "att": (1, 5, 4)}
    assert {array.dtype for array in row.values()} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"fc": FEATURES["fc"]}, "has fc and no att; expected fc [N, 5], att [N, regions, 4]"),
        ({**FEATURES, "fc": FEATURES["fc"][:2]}, "has {'fc': 2, 'att': 3} rows, expected as many"),
        ({**FEATURES, "fc": FEATURES["fc"][:, :4]}, "fc float32 [3, 4], expected fc [N, 5], float"),
        ({**FEATURES, "att": FEATURES["fc"]}, "att float32 [3, 5], expected att [N, regions, 4]"),
        ({**FEATURES, "fc": np.ones((3, 5), int)}, "has fc int64 [3, 5], expected fc [N, 5]"),
        ({**FEATURES, "fc": np.full((3, 5), np.inf)}, "has a value in fc that is not finite"),
        ({"fc": FEATURES["fc"][:0], "att": FEATURES["att"][:0]}, "fc float32 [0, 5]"),
    ],
)  # fmt: skip
def test_other_features(tmp_path: Path, arrays: dict[str, np.ndarray], problem: str) -> None:
    with pytest.raises(DataError) as caught:
        read_features(saved(tmp_path, **arrays), CONTRACT)
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.csv", "a"])
def test_a_picture_is_no_features(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"sees no pictures but features of them; give fc \[N, 5\]"):
        read_features(tmp_path / name, CONTRACT)


def test_a_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected recorded arrays"):
        read_features(tmp_path / "f.npz", CONTRACT)
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(DataError, match="is damaged"):
        read_features(tmp_path / "f.npz", CONTRACT)
