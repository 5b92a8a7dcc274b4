"""TorchScript on the real file: opened by torch.jit alone, it computes what the reference
computes.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.contract import METADATA_KEY, FileContract, file_problems
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.sessions.base import Session
from edgernn.sessions.torchscript.session import TorchScriptSession


@pytest.fixture(scope="module")
def contract(bundle_folder: Path) -> FileContract:
    bundle = Bundle.open(bundle_folder)
    return bundle.file_contract(bundle.artifact("torchscript"))


@pytest.fixture(scope="module")
def path(bundle_folder: Path) -> Path:
    return bundle_folder / "torchscript" / "step.pt"


@pytest.fixture(scope="module")
def script(path: Path, contract: FileContract) -> TorchScriptSession:
    return TorchScriptSession.open(path, contract)


def random_tokens(session: Session, batch: int, time: int) -> dict[str, np.ndarray]:
    return {
        "tokens": np.random.default_rng(time).integers(
            0, session.contract.sizes["vocab"], (batch, time)
        )
    }


def save_script(module: torch.nn.Module, path: Path, metadata: dict[str, str | bytes]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), str(path), _extra_files=metadata)
    return path


class Echo(torch.nn.Module):
    """A foreign module with one input and one output."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Same(torch.nn.Module):
    """A step that gives one tensor as both of its states."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(
        self, tokens: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        after = h + c
        return torch.zeros(tokens.shape[0], tokens.shape[1], self.size), after, after


class OnlyHelper(torch.nn.Module):
    """A foreign module without a forward."""

    @torch.jit.export
    def helper(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Short(torch.nn.Module):
    """Takes what the step takes and forgets to return the last state."""

    def forward(
        self, tokens: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens[:, :, None] * h[:1].float(), h + c


def test_the_file_says_what_the_contract_says(path: Path, contract: FileContract) -> None:
    description = TorchScriptSession.describe(path)
    for kind in (
        "inputs",
        "outputs",
        "states",
    ):  # names in order; the format records neither dtypes nor shapes
        expected = tuple(
            FileTensor(tensor.name, None, None) for tensor in getattr(contract.interface(), kind)
        )
        assert getattr(description.interface, kind) == expected
    assert FileContract.from_metadata(description.metadata, source="x") == contract
    assert file_problems(description, contract) == []


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_a_checkpoint_of_weights_is_no_script(
    tmp_path: Path, contract: FileContract, *, zipped: bool
) -> None:
    torch.save(
        {"weight": torch.zeros(2)}, tmp_path / "weights.pt", _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(ContractError, match=r"weights\.pt is not a TorchScript file"):
        TorchScriptSession.open(tmp_path / "weights.pt", contract)


def test_a_foreign_script_is_described_as_it_is(tmp_path: Path, contract: FileContract) -> None:
    description = TorchScriptSession.describe(save_script(Echo(), tmp_path / "foreign.pt", {}))
    assert description.interface.inputs == (FileTensor("x", None, None),)
    assert description.interface.outputs == ()
    assert METADATA_KEY not in description.metadata
    assert len(file_problems(description, contract)) == 3


def test_a_script_without_a_forward_is_refused(tmp_path: Path) -> None:
    path = save_script(OnlyHelper(), tmp_path / "helper.pt", {})
    with pytest.raises(ContractError, match=r"helper\.pt"):
        TorchScriptSession.describe(path)


def test_metadata_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = save_script(Echo(), tmp_path / "bytes.pt", {METADATA_KEY: b"\xff\xfe"})
    with pytest.raises(ContractError, match=r"bytes\.pt"):
        TorchScriptSession.describe(path)


@pytest.mark.parametrize("module", [Echo(), Short()], ids=["other inputs", "an output too few"])
def test_a_file_that_does_not_keep_its_word_breaks_the_contract(
    module: torch.nn.Module, contract: FileContract, tmp_path: Path
) -> None:
    path = save_script(module, tmp_path / "liar.pt", {**contract.to_metadata()})
    with pytest.raises(ContractError):
        session = TorchScriptSession.open(path, contract)
        session.step(random_tokens(session, 1, 1), session.initial_state())


def test_what_comes_out_twice_has_a_memory_each(contract: FileContract, tmp_path: Path) -> None:
    module = Same(contract.contract.sizes["vocab"])
    path = save_script(module, tmp_path / "same.pt", {**contract.to_metadata()})
    session = TorchScriptSession.open(path, contract)
    _, after = session.step(random_tokens(session, 1, 1), session.initial_state())
    assert not np.shares_memory(after["h"], after["c"])
