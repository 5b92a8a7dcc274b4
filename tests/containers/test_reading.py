"""Checkpoint files are told by their content, and read without running anything in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.containers.reading import read
from edgernn.containers.walk import tensors
from edgernn.errors import DataError


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_has_its_tensors(tmp_path: Path, zipped: bool) -> None:
    net = nn.LSTM(3, 4, num_layers=2)
    path = tmp_path / "weights.anything"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=zipped)
    found = tensors(read(path).tree)
    assert list(found) == list(net.state_dict())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("once upon a time")
    with pytest.raises(DataError, match=r"words\.txt is a text file, .* expected one of torch"):
        read(tmp_path / "words.txt")
    with pytest.raises(DataError, match=r"nothing\.pt is not there; check the name"):
        read(tmp_path / "nothing.pt")
    with pytest.raises(DataError, match=r"is a folder.*, expected a checkpoint file"):
        read(tmp_path)
    (tmp_path / "empty.pt").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.pt is an empty file"):
        read(tmp_path / "empty.pt")
