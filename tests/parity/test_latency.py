"""A late output must depend on the frame that it is said to speak of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.bundle import Bundle
from edgernn.cli.card_text import model_card
from edgernn.cli.tables import frames
from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError
from edgernn.export import export_step
from edgernn.models.eager import EagerSession
from edgernn.models.module import ModuleModel
from edgernn.parity.latency import latency_problem
from edgernn.sessions.fake import FakeSession

TAPS = 3


class Delayed(nn.Module):
    """Each frame comes out ``TAPS`` frames later, and is forgotten."""

    def forward(self, x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat((line, x), 1)  # [B, taps + T, w]
        return 2 * whole[:, : x.shape[1]], whole[:, x.shape[1] :]


class Frame(nn.Module):
    """The same of a network that takes a frame a call, without time."""

    def forward(self, x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * line[:, 0], torch.cat((line[:, 1:], x[:, None]), 1)


def contract(late: int, *, step_frames: int = 1, time: bool = True) -> Contract:
    axes = "batch, time, w=2" if time else "batch, w=2"
    return build_contract(
        inputs={"x": f"float32[{axes}]"},
        states={"line": f"float32[batch, taps={TAPS}, w=2]"},
        outputs={"y": f"float32[{axes}]"},
        step_frames=step_frames,
        latency_frames=late,
    )


def problem(late: int, *, step_frames: int = 1, time: bool = True) -> str:
    known = contract(late, step_frames=step_frames, time=time)
    session = EagerSession(ModuleModel(Delayed() if time else Frame(), known))
    return latency_problem(session, late)


@pytest.mark.parametrize("step_frames", [1, 2, 3, 4])
def test_what_is_as_late_as_is_said_is_right(step_frames: int) -> None:
    assert problem(TAPS, step_frames=step_frames) == ""
    assert problem(0, step_frames=step_frames) == ""
    assert problem(TAPS, time=False) == ""


@pytest.mark.parametrize("late", [1, 2, 4, 9, 300])
def test_a_frame_that_nothing_speaks_of_is_named(late: int) -> None:
    told = f"{late} frames late, and those at frame t do not depend on frame t - {late}"
    assert told in problem(late)
    assert told in problem(late, time=False)


def test_of_several_frames_a_step_one_may_be_spoken_of() -> None:
    assert problem(8, step_frames=4) != ""
    assert problem(1, step_frames=4) == ""  # frames 1 to 4 hear frames -2 to 1


def test_a_state_that_remembers_is_never_too_late() -> None:
    known = contract(5)
    assert latency_problem(FakeSession(FileContract(contract=known)), 5) == ""


def test_an_export_that_says_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"4 frames late.*give latency_frames"):
        export_step(Frame(), contract(4, time=False), tmp_path / "b", steps=4)
    assert not (tmp_path / "b").exists()


def test_verify_holds_a_bundle_to_it_and_who_reads_it_is_told(tmp_path: Path) -> None:
    bundle = export_step(Frame(), contract(TAPS, time=False), tmp_path / "b", steps=4)
    assert frames(bundle.manifest.contract) == "outputs at frame t speak of frame t - 3"
    assert "- frames: outputs at frame t speak of frame t - 3" in model_card(bundle.manifest, "b")
    assert verify_bundle(bundle.folder, steps=4).passed
    path = bundle.folder / "manifest.json"
    path.write_text(path.read_text().replace('"latency_frames": 3', '"latency_frames": 9'))
    (found,) = verify_bundle(Bundle.open(bundle.folder), steps=4).artifacts
    (broken,) = (check for check in found.checks if check.name == "invariance")
    assert broken.status == "failed"
    assert "BROKEN: latency; the contract says that outputs are 9 frames late" in broken.detail


def test_frames_in_words() -> None:
    assert frames(contract(0)) == ""
    assert frames(contract(3, step_frames=4)) == (
        "4 a step, outputs at frame t speak of frame t - 3"
    )
