"""What must not matter, asked of an imported network before anything is written: how a sequence is
cut, which rows share a batch, whether the state was put aside meanwhile.
"""

from __future__ import annotations

from edgernn.contract import ENCODE, STEP, FileContract
from edgernn.errors import CheckFailedError
from edgernn.models.eager import EagerSession
from edgernn.models.family import RecurrentModel
from edgernn.parity.invariance import INVARIANCES, measure
from edgernn.parity.shapes import Shapes
from edgernn.sessions.model import Model, model_of

# Small and fixed: the network is one that ran elsewhere, and every export draws shapes of its own.
_SHAPES = Shapes(several=3, many=5, lengths=(2, 3, 5, 7, 9), order=1)
_STEPS, _LIMIT = 8, 1e-4


def session_model(model: RecurrentModel) -> Model:
    """Return ``model`` as sessions of its graphs."""
    contract, writes = model.config.contract(), getattr(model.config, "writes", None)

    def session_of(graph: str) -> EagerSession:
        words = {
            word: FileContract(contract=contract, graph=word, decoding=writes)
            for word in (ENCODE, STEP)
        }
        return EagerSession(model, words[graph])  # type: ignore[index] # one of the two

    return model_of(contract, session_of)


def proved(model: RecurrentModel) -> str:
    """Measure every invariance of every graph of ``model`` on drawn inputs; return in words what
    they came to.

    Raises:
        CheckFailedError: one of them does not hold.
    """
    made, worst = [], 0.0
    for session in session_model(model).sessions:
        for name, check in INVARIANCES.items():
            found = measure(check, session, _SHAPES, _STEPS, judge=None, limit=_LIMIT, half=False)
            if not found.drifts:
                continue
            made.append(name)
            worst = max(worst, found.worst)
            if found.worst > _LIMIT:
                drift = max(found.drifts, key=lambda each: each.scaled)
                raise CheckFailedError(
                    f"what was read is no network that can be stepped: {name} changes "
                    f"{drift.tensor} by {drift.scaled:.1e} at call {drift.worst_call} (allowed "
                    f"{_LIMIT:g}); nothing was written. This is a fault of edgernn: please report "
                    "it with the family and the shapes"
                )
    return f"{', '.join(dict.fromkeys(made))} hold over {_STEPS} steps (worst {worst:.1e})"
