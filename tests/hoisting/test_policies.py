"""Recurrent policies in the form of rsl_rl and of sb3-contrib: exported, and reset row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from edgernn.export.module_bundle import export_hoisted
from edgernn.hoisting.hoisted import Hoisted, hoist
from edgernn.hoisting.proof import prove
from edgernn.sessions.opening import open_session
from tests.hoisting.drawn import drawn

ROWS, STEPS = 4, 20


class Memory(nn.Module):
    """The state is an attribute; rows of it are set to zero in place."""

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(size, 6, num_layers=2)
        self.hidden_states: Any = None

    def forward(self, x: Tensor, masks: Any = None, hidden_states: Any = None) -> Tensor:
        if masks is not None:
            return self.rnn(x, hidden_states)[0] * masks
        out, self.hidden_states = self.rnn(x.unsqueeze(0), self.hidden_states)
        return out

    def reset(self, dones: Tensor | None = None) -> None:
        if dones is None:
            self.hidden_states = None
        elif self.hidden_states is not None:
            for hidden_state in self.hidden_states:
                hidden_state[..., dones == 1, :] = 0.0


class ActorCriticRecurrent(nn.Module):
    """As of rsl_rl: the step is act_inference, or act, or evaluate; forward is none."""

    is_recurrent = True

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.memory_a, self.memory_c = Memory(kind, 5), Memory(kind, 5)
        self.actor = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 3))
        self.critic = nn.Linear(6, 1)
        self.std = nn.Parameter(torch.ones(3))
        self.distribution: Normal | None = None

    def forward(self) -> None:
        raise NotImplementedError

    def reset(self, dones: Tensor | None = None) -> None:
        self.memory_a.reset(dones)
        self.memory_c.reset(dones)

    def act_inference(self, observations: Tensor) -> Tensor:
        mean = self.actor(self.memory_a(observations).squeeze(0))
        self.distribution = Normal(mean, self.std.abs() + 1)
        return mean

    def evaluate(self, critic_observations: Tensor, masks: Any = None) -> Tensor:
        return self.critic(self.memory_c(critic_observations, masks).squeeze(0))


class RNNStates(NamedTuple):
    pi: tuple[Tensor, ...]
    vf: tuple[Tensor, ...]


class RecurrentPolicy(nn.Module):
    """As of RecurrentPPO: states are arguments, rows that start anew are told by a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm_actor, self.lstm_critic = nn.LSTM(5, 6), nn.LSTM(5, 6)
        self.action_net, self.value_net = nn.Linear(6, 3), nn.Linear(6, 1)
        self.log_std = nn.Parameter(torch.zeros(3))

    @staticmethod
    def _process_sequence(
        features: Tensor, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor, lstm: nn.LSTM
    ) -> tuple[Tensor, Any]:
        n_seq = lstm_states[0].shape[1]
        sequence = features.reshape((n_seq, -1, lstm.input_size)).swapaxes(0, 1)
        episode_starts = episode_starts.reshape((n_seq, -1)).swapaxes(0, 1)
        if torch.all(episode_starts == 0.0):
            output, lstm_states = lstm(sequence, lstm_states)
            return torch.flatten(output.transpose(0, 1), start_dim=0, end_dim=1), lstm_states
        outputs = []
        for frame, start in zip(sequence, episode_starts, strict=True):
            keep = (1.0 - start).view(1, n_seq, 1)
            hidden, lstm_states = lstm(
                frame.unsqueeze(dim=0), (keep * lstm_states[0], keep * lstm_states[1])
            )
            outputs += [hidden]
        return torch.flatten(torch.cat(outputs).transpose(0, 1), end_dim=1), lstm_states

    def forward(
        self,
        obs: Tensor,
        lstm_states: RNNStates,
        episode_starts: Tensor,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates]:
        latent_pi, pi = self._process_sequence(obs, lstm_states.pi, episode_starts, self.lstm_actor)
        latent_vf, vf = self._process_sequence(
            obs, lstm_states.vf, episode_starts, self.lstm_critic
        )
        distribution = Normal(self.action_net(latent_pi), self.log_std.exp())
        actions = distribution.mean if deterministic else distribution.rsample()
        log_prob = distribution.log_prob(actions).sum(1)
        return actions, self.value_net(latent_vf), log_prob, RNNStates(pi, vf)


def zeros(rows: int) -> RNNStates:
    one = (torch.zeros(1, rows, 6), torch.zeros(1, rows, 6))
    return RNNStates(one, one)


def exported(hoisted: Hoisted, folder: Path) -> list[Any]:
    to = ["onnx", "torchscript"]
    bundle = export_hoisted(hoisted, folder / "policy.edgernn", to=to, steps=16)
    return [open_session(bundle, one) for one in to]


def reset_rows(session: Any, state: dict[str, np.ndarray], dones: np.ndarray) -> dict[str, Any]:
    """Put the first value into the rows that are done, along the axis that holds rows."""
    first = session.initial_state(ROWS)
    made = {}
    for spec in session.spec.states:
        shape = [1] * state[spec.name].ndim
        shape[spec.axes.index("batch")] = ROWS
        made[spec.name] = np.where(dones.reshape(shape), first[spec.name], state[spec.name])
    return made


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("method", ["act_inference", "evaluate"])
def test_a_policy_of_rsl_rl_is_reset_by_row(kind, method, tmp_path):
    net = drawn(ActorCriticRecurrent(kind))
    name = {"act_inference": "observations", "evaluate": "critic_observations"}[method]
    hoisted = hoist(net, {name: "float32[batch, 5]"}, method=method)
    letters = "01" if kind == "LSTM" else [""]
    memory = "memory_a" if method == "act_inference" else "memory_c"
    names = [f"{memory}_hidden_states{'_' * bool(n)}{n}" for n in letters]
    assert [state.name for state in hoisted.contract.step.states] == names
    assert net.memory_a.hidden_states is None
    assert prove(hoisted).error <= 1e-5
    sessions = exported(hoisted, tmp_path)
    generator = np.random.default_rng(5)
    states = [session.initial_state(ROWS) for session in sessions]
    net.reset()
    for _ in range(STEPS):
        x = generator.standard_normal((ROWS, 5)).astype(np.float32)
        with torch.no_grad():
            wanted = getattr(net, method)(torch.from_numpy(x)).numpy()
        dones = generator.random(ROWS) < 0.3
        net.reset(torch.from_numpy(dones))
        for at, session in enumerate(sessions):
            outputs, state = session.step({name: x}, states[at])
            assert np.abs(outputs["y"] - wanted).max() <= 1e-5
            states[at] = reset_rows(session, state, dones)


def test_a_policy_of_recurrent_ppo_starts_rows_anew(tmp_path):
    net = drawn(RecurrentPolicy())
    hoisted = hoist(
        net,
        {"obs": "float32[batch, 5]", "episode_starts": "float32[batch]"},
        fixed={"deterministic": True},
        state={"lstm_states": zeros},
    )
    names = [state.name for state in hoisted.contract.step.states]
    assert names == [f"lstm_states_{part}_{at}" for part in ("pi", "vf") for at in (0, 1)]
    assert prove(hoisted).error <= 1e-5
    sessions = exported(hoisted, tmp_path)
    generator = np.random.default_rng(6)
    own, states = zeros(ROWS), [session.initial_state(ROWS) for session in sessions]
    for at in range(STEPS):
        x = generator.standard_normal((ROWS, 5)).astype(np.float32)
        starts = (generator.random(ROWS) < 0.3 * (at % 3 > 0)).astype(np.float32)
        with torch.no_grad():
            given = torch.from_numpy(x), own, torch.from_numpy(starts)
            *wanted, own = net(*given, deterministic=True)
        for place, session in enumerate(sessions):
            inputs = {"obs": x, "episode_starts": starts}
            outputs, states[place] = session.step(inputs, states[place])
            for name, value in zip(("y_0", "y_1", "y_2"), wanted, strict=True):
                assert np.abs(outputs[name] - value.numpy()).max() <= 1e-5
