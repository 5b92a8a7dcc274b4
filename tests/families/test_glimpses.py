"""What a worse file of glimpses loses: along the reference's path of looks, and how many are right
along its own.
"""

from __future__ import annotations

import numpy as np
import torch
from family_networks import ROWS

from edgernn.contract import ENCODE, FileContract
from edgernn.families.table import family_of
from edgernn.models.eager import EagerSession
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.sessions.model import Model


def _model(network: Network) -> Model:
    encode = FileContract(contract=network.config.contract(), graph=ENCODE)
    return Model(EagerSession(network), EagerSession(network, encode))


def _network() -> Network:
    torch.manual_seed(5)
    return Network(NetworkConfig.model_validate(ROWS["glimpses"]().config)).eval()


def test_scores_are_compared_where_the_reference_looks() -> None:
    reference, astray, worse = _network(), _network(), _network()
    with torch.no_grad():
        astray.get_parameter("layers.next.bias").add_(1.0)  # it looks elsewhere, and sees the same
        worse.get_parameter("layers.scores.bias").add_(torch.tensor([0.0, 0.0, 3.0]))
    sample, family = ROWS["glimpses"]().sample, family_of("glimpses")
    for candidate, far in ((astray, False), (worse, True)):
        loss = family.loss(_model(reference), _model(candidate), sample)
        assert loss.tokens == 48
        assert (loss.mean_kl > 0.1) == far
        assert (abs(loss.perplexity_change) > 1e-5) == far

    def right(network: Network) -> float:
        with torch.no_grad():
            (context,) = network.graph("encode", torch.from_numpy(sample["image"]))
            state = network.initial_state(48)
            for t in range(4):
                noise = torch.from_numpy(sample["location_noise"][:, t : t + 1])
                logits, _, *state = network.graph("step", noise, context, *state)
        return float(np.mean(logits[:, 0].argmax(1).numpy() == sample["target"]))

    loss = family.loss(_model(reference), _model(worse), sample)
    assert (loss.reference_accuracy, loss.accuracy) == (right(reference), right(worse))
