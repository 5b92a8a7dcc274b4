"""A reference that parts from itself explains a file that parts from it; what is wrong at a single
step is found still.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError
from edgernn.export.pack import export_bundle
from edgernn.formats import by_name
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.reordered import Forced, Reordered, rollouts
from edgernn.parity.rollout import Plan, compare
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.base import Session

LIMIT = by_name("onnx").promise("float32")
TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n" * 4
Feeds = dict[str, np.ndarray]


def chaotic(make_model: Callable[..., LanguageModel]) -> LanguageModel:
    """A network without gates whose recurrent weights are far beyond trained ones."""
    model = make_model(cell="rnn", hidden=64, embedding=16, layers=1)
    with torch.no_grad():
        model.recurrent.get_parameter("fused.weight_hh_l0").mul_(4)
    return model


class OffByAThousandth(EagerSession):
    """Each step a little off: in one step far beyond float32, after many no further than a chaotic
    reference from itself.
    """

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        return {**results, "h_next": results["h_next"] + np.float32(1e-3)}


def test_a_tame_network_stays_with_itself(make_model: Callable[..., LanguageModel]) -> None:
    for cell in ("lstm", "gru", "rnn"):
        judge = EagerSession(make_model(cell=cell))
        for plan in (Plan(1, (1,) * 64), Plan(3, (5, 1, 16))):
            assert 0 < compare(judge, Reordered(judge), plan, seed=1).worst.scaled < 1e-5
        assert (
            compare(judge, Reordered(judge, half=True), Plan(1, (1,) * 8), seed=1).worst.scaled
            < 0.01
        )


def test_a_chaotic_reference_parts_from_itself_and_a_file_is_judged_by_steps(
    make_model: Callable[..., LanguageModel],
) -> None:
    judge = EagerSession(chaotic(make_model))
    assert compare(judge, Reordered(judge), Plan(1, (1,) * 128), seed=1).worst.scaled > 0.1
    honest = rollouts(judge, Reordered(judge), 128, limit=LIMIT, seed=1)
    assert any(run.own is not None for run in honest)
    assert all(run.worst.scaled <= LIMIT.rollout for run in honest)
    wrong = rollouts(judge, OffByAThousandth(judge.model), 128, limit=LIMIT, seed=1)
    assert all(run.worst.scaled > LIMIT.rollout for run in wrong)


def test_what_is_wrong_in_a_tame_network_is_not_explained_away(
    make_model: Callable[..., LanguageModel],
) -> None:
    judge = EagerSession(make_model())
    found = rollouts(judge, OffByAThousandth(judge.model), 64, limit=LIMIT, seed=1)
    assert [run.own for run in found] == [None] * 4
    assert max(run.worst.scaled for run in found) > 1e-3


def test_every_check_of_an_honest_chaotic_model_passes_and_says_so(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(
        chaotic(make_model), tokenizer, evaluation={"tokens": tokenizer.encode(TEXT)}
    )
    bundle = export_bundle(checkpoint, tmp_path / "bundle", to=["onnx"], steps=128)
    (artifact,) = verify_bundle(bundle, steps=128).artifacts
    assert [check.name for check in artifact.checks if check.status == "failed"] == []
    details = {check.name: check.detail for check in artifact.checks}
    for name in ("rollout", "text"):
        assert "the reference parts from itself by" in details[name]


def test_a_forced_session_goes_where_the_reference_goes(
    make_model: Callable[..., LanguageModel],
) -> None:
    judge = EagerSession(make_model())
    forced = Forced(judge, OffByAThousandth(judge.model))
    tokens, state = np.array([[3]], np.int64), judge.initial_state(1)
    outputs, after = forced.step({"tokens": tokens}, state)
    assert np.array_equal(after["h"], judge.step({"tokens": tokens}, state)[1]["h"])
    assert outputs["logits"].shape == (1, 1, judge.contract.sizes["vocab"])


@pytest.mark.parametrize("kind", [Forced, Reordered])
def test_what_is_no_file_is_not_opened(
    kind: type[Session], tmp_path: Path, make_model: Callable[..., LanguageModel]
) -> None:
    contract = EagerSession(make_model()).file_contract
    with pytest.raises(ContractError, match="is no file"):
        kind.open(tmp_path, contract)
    with pytest.raises(ContractError, match="is no file"):
        kind.describe(tmp_path)
