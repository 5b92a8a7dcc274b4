"""What a reduced precision loses is measured as verify measures it, and more than is allowed is
refused with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.bundle.records import LossRecord
from edgernn.contract import Decoding, FileContract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, UsageError
from edgernn.export.rounding.compression import Budget
from edgernn.export.rounding.loss import measure_loss, refuse_loss
from edgernn.families.language import measure_text
from edgernn.formats import by_name
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.family import RecurrentModel
from edgernn.models.language import LanguageModel
from edgernn.sessions.model import Model

MakeModel = Callable[..., LanguageModel]
LIMIT = by_name("onnx").promise("int4")
RECORD = LossRecord(
    tokens=90, reference_perplexity=4.0, perplexity=4.1, mean_kl=0.01, top1=0.9, allowed=0.02
)
CIDER = RECORD.model_copy(
    update={"allowed": 0.5, "reference_cider": 0.8, "cider": 0.6, "allowed_cider_drop": 0.2}
)


def sessions(model: RecurrentModel, decoding: Decoding | None = None) -> Model:
    contract, own = model.config.contract(), decoding or Decoding()
    opened = {
        g.name: EagerSession(model, FileContract(contract=contract, graph=g.name, decoding=own))
        for g in contract.graphs
    }
    return Model(opened["step"], opened.get("encode"))


def another(model: RecurrentModel) -> RecurrentModel:
    """The same model with a head a little worse."""
    with torch.no_grad():
        model.head.weight.mul_(0.9)  # type: ignore[union-attr, operator]
    return model


def test_the_numbers_are_those_of_the_text_loss(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model()
    tokens = np.tile(tokenizer.encode("the end\n"), 9)
    candidate = sessions(another(make_model())).step
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": tokens})
    found = measure_loss(loaded, sessions(model), candidate, budget=Budget(), limit=LIMIT)
    wanted = measure_text(sessions(model).step, candidate, tokens)
    assert found is not None
    assert (found.tokens, found.perplexity, found.mean_kl) == (
        len(tokens) - 1,
        wanted.perplexity,
        wanted.mean_kl,
    )
    assert found.increase == pytest.approx(wanted.perplexity_change)
    assert found.allowed == LIMIT.perplexity
    assert found.cider_drop is None


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [(Budget(), LIMIT.perplexity), (Budget(0.3), 0.3), (Budget(0.0), 0.0)],
    ids=str,
)
def test_who_says_what_is_allowed(
    make_model: MakeModel, tokenizer: Tokenizer, budget: Budget, allowed: float
) -> None:
    model = make_model()
    loaded = Checkpoint(model, tokenizer, {}, {"tokens": np.arange(40) % 34})
    found = measure_loss(loaded, sessions(model), sessions(model).step, budget=budget, limit=LIMIT)
    assert found is not None
    assert (found.allowed, found.increase, found.mean_kl, found.top1) == (allowed, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "evaluation", [{}, {"tokens": np.zeros(31, np.int64)}], ids=["none", "few"]
)
def test_too_little_to_read(
    make_model: MakeModel, tokenizer: Tokenizer, evaluation: dict[str, np.ndarray]
) -> None:
    model = make_model()
    loaded, references = Checkpoint(model, tokenizer, {}, evaluation), sessions(model)
    assert measure_loss(loaded, references, references.step, budget=Budget(), limit=LIMIT) is None
    says = (
        r"the checkpoint holds \d+ held-out tokens to measure it on, at least 32 are needed; train "
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r""
        r"with a validation text"
    )
    with pytest.raises(UsageError, match=says):
        measure_loss(loaded, references, references.step, budget=Budget(0.01), limit=LIMIT)


def test_a_model_of_text_has_no_captions_to_score(
    make_model: MakeModel, tokenizer: Tokenizer
) -> None:
    model = make_model()
    loaded, references = (
        Checkpoint(model, tokenizer, {}, {"tokens": np.arange(40) % 34}),
        sessions(model),
    )
    with pytest.raises(
        UsageError, match="a model that writes no captions; give a perplexity increase"
    ):
        measure_loss(loaded, references, references.step, budget=Budget(cider=0.01), limit=LIMIT)


@pytest.mark.parametrize("cider", [None, 0.25])
def test_captions_are_scored_where_their_loss_is_limited(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    cider: float | None,
) -> None:
    if cider is not None:
        pytest.importorskip("pycocoevalcap")
    model = make_captioner()
    decoding = model.config.decoding(caption_tokenizer)
    loaded = Checkpoint(model, caption_tokenizer, {}, {"image": pictures, "captions": caption_ids})
    candidate = sessions(another(make_captioner()), decoding).step
    found = measure_loss(
        loaded, sessions(model, decoding), candidate, budget=Budget(cider=cider), limit=LIMIT
    )
    assert found is not None
    assert (found.reference_cider is None, found.allowed_cider_drop) == (cider is None, cider)
    assert found.allowed == (LIMIT.perplexity if cider is None else None), (
        "who limits the score alone limits nothing else"
    )
    same = measure_loss(
        loaded,
        sessions(model, decoding),
        sessions(model, decoding).step,
        budget=Budget(cider=cider),
        limit=LIMIT,
    )
    assert same is not None
    assert same.cider_drop == (None if cider is None else 0.0)
    assert same.increase == 0 != found.increase


@pytest.mark.parametrize(
    "record",
    [
        RECORD.model_copy(update={"allowed": 0.03}),
        RECORD.model_copy(update={"perplexity": 4.0, "allowed": 0.0}),
        RECORD.model_copy(update={"perplexity": 3.0}),
        RECORD.model_copy(
            update={"allowed": 0.03, "mean_kl": 3.0}
        ),  # who allows more perplexity allows what makes it
        CIDER.model_copy(update={"allowed_cider_drop": 0.26}),
        CIDER.model_copy(
            update={
                "allowed": None,
                "perplexity": 400.0,
                "mean_kl": 3.0,
                "allowed_cider_drop": 0.26,
            }
        ),
    ],
    ids=[
        "a little worse",
        "none allowed and none lost",
        "better",
        "more allowed than promised",
        "captions",
        "captions alone",
    ],
)
def test_what_is_within_its_limits_is_let_through(record: LossRecord) -> None:
    refuse_loss(record, "onnx int4", limit=LIMIT)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (
            RECORD,
            r"raises the perplexity .* by 2.50% \(from 4.0000 to 4.1000\), and 2.00% is "
            r"allowed; .*--max-perplexity-increase",
        ),
        (
            CIDER,
            r"lowers the CIDEr-D .* by 25.00% \(from 0.8000 to 0.6000\), and 20.00% is "
            r"allowed; .*--max-cider-drop",
        ),
        (
            RECORD.model_copy(update={"perplexity": 3.9, "mean_kl": 0.06}),
            r"diverges from the reference by 6.0e-02 nats a token .*, and 5e-02 is allowed; "
            r".*--max-perplexity-increase",
        ),
    ],
    ids=["perplexity", "captions", "divergence"],
)
def test_what_is_beyond_them_is_refused_with_the_numbers(record: LossRecord, says: str) -> None:
    with pytest.raises(ContractError, match=f"onnx int4 {says}") as caught:
        refuse_loss(record, "onnx int4", limit=LIMIT)
    assert "nothing was written" in str(caught.value)


def test_a_reference_without_any_score_loses_none() -> None:
    assert CIDER.model_copy(update={"reference_cider": 0.0, "cider": 0.0}).cider_drop == 0.0
