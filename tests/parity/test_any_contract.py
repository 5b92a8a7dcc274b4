"""Networks that are no text: whatever the names, axes and dtypes of a contract, an honest session
passes, and one that is wired wrongly is found.

``Net`` is one small network in numpy that takes its axes where the contract puts them. For the
frames x of a step, with a gate by frame and an offset of the whole run:

    drive       = Σ_frames gate · x @ A + offset / 100 @ A + keys.mean @ A'     # [B, H]
    h_next      = tanh(drive + h / 2 + memory @ M + g / 4)
    g_next      = g / 2 + h / 4
    memory_next = memory without its oldest row, then the last frame
    phase_next  = 0.9 phase + 0.05, shared by all rows
    count_next  = (count + 1) mod 5
    sample      = h_next @ S + x @ D + phase                                    # of every frame
    late        = count_next > 2
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgernn.contract import Contract, FileContract, GraphSpec, TensorSpec
from edgernn.errors import BundleError
from edgernn.formats import by_name
from edgernn.parity import golden, invariance, memory, rare
from edgernn.parity.drift import Drift
from edgernn.parity.feed import random_feed
from edgernn.parity.reordered import Forced, Reordered, rollouts
from edgernn.parity.rollout import compare, plans
from edgernn.parity.shapes import draw
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.fileless import FilelessSession

LIMIT, FORCED = by_name("onnx").promise("float32"), by_name("onnx").promise("int8")
SHAPES = draw(3)
SIZES = {"width": 3, "hidden": 4, "taps": 2, "vocab": 6, "out": 2, "codes": 2}
Feeds = dict[str, np.ndarray]
Change = Callable[[Feeds], Feeds]


def tensor(name: str, role: str, dtype: str, *axes: str, below: str | None = None) -> TensorSpec:
    return TensorSpec.model_validate(
        {"name": name, "role": role, "dtype": dtype, "axes": axes, "below": below}
    )


def contract(
    *, time: bool = True, time_first: bool = False, encode: bool = False, step_frames: int = 1
) -> Contract:
    """The contract of a ``Net``; ``h`` is encode's where there is one, ``g`` is stored."""
    lead = (("time", "batch") if time_first else ("batch", "time")) if time else ("batch",)
    states = [
        tensor("h", "state", "float32", "batch", "hidden"),
        tensor("memory", "state", "float64", "batch", "taps", "width"),
        tensor("g", "state", "float16" if time_first else "float32", "batch", "hidden"),
        tensor("phase", "state", "float32", "out"),
        tensor("count", "state", "int32", "batch"),
    ]
    keys = tensor("keys", "context", "float32", "batch", "source", "hidden")
    step = GraphSpec(
        name="step",
        inputs=(
            tensor("frame", "input", "float32", *lead, "width"),
            tensor("gate", "input", "bool", *lead),
            tensor("offset", "input", "int8", "width", "batch"),
            tensor("shift", "input", "float32", "out"),
            *([keys] if encode else []),
            *states,
        ),
        outputs=(
            tensor("sample", "output", "float32", *lead, "out"),
            tensor("late", "output", "bool", *lead),
            *(s.model_copy(update={"name": f"{s.name}_next"}) for s in states),
        ),
    )
    ids = tensor("source_ids", "input", "int32", "batch", "source", below="vocab")
    told = tensor("salience", "output", "float32", "batch", "source")
    first = GraphSpec(name="encode", inputs=(ids,), outputs=(keys, states[0], told))
    return Contract(
        graphs=(first, step) if encode else (step,),
        sizes=SIZES,
        initial_state={"g": "stored"} | ({"h": "encode"} if encode else {}),
        step_frames=step_frames,
    )


CONTRACTS = {
    "frames": contract(),
    "time first": contract(time_first=True),
    "four frames a step": contract(step_frames=4),
    "no time": contract(time=False),
    "encode": contract(encode=True),
}

# the last bits of a state in float16 are larger
NEAR = {name: 1e-2 if name == "time first" else LIMIT.rollout for name in CONTRACTS}


@lru_cache
def weight(name: str, *shape: int) -> np.ndarray:
    return np.random.default_rng([ord(letter) for letter in name]).normal(0, 0.4, shape)


class Net(FilelessSession):
    """See the module."""

    runtime = "numpy"

    def __init__(self, file_contract: FileContract) -> None:
        stored = {"g": weight("first", 1, SIZES["hidden"])}
        super().__init__(file_contract, stored)

    def _run(self, feeds: Feeds) -> Feeds:
        if "source_ids" in feeds:
            keys = weight("table", SIZES["vocab"], SIZES["hidden"])[feeds["source_ids"]]
            made = {"keys": keys, "h": np.tanh(keys.sum(1)), "salience": keys.sum(-1)}
            return {t.name: made[t.name].astype(t.dtype) for t in self.spec.outputs}
        order = list(self.spec.inputs[0].axes)
        timed = "time" in order
        turn = "time" in order and order[0] == "time"
        x, gate = feeds["frame"].astype(np.float64), feeds["gate"]
        x, gate = (x, gate) if timed else (x[:, None], gate[:, None])
        x, gate = (x.swapaxes(0, 1), gate.swapaxes(0, 1)) if turn else (x, gate)  # [B, T, ...]
        state = {s.name: feeds[s.name].astype(np.float64) for s in self.spec.states}
        frames, samples, lates = self.contract.step_frames, [], []
        for at in range(0, x.shape[1], frames):
            part = slice(at, at + frames)
            state, sample, late = self._step(feeds, x[:, part], gate[:, part], state)
            samples.append(sample)
            lates.append(late)
        made = {"sample": np.concatenate(samples, 1), "late": np.concatenate(lates, 1)}
        made = {n: a.swapaxes(0, 1) for n, a in made.items()} if turn else made
        made = made if timed else {n: a[:, 0] for n, a in made.items()}
        made |= {f"{name}_next": array for name, array in state.items()}
        return {t.name: made[t.name].astype(t.dtype) for t in self.spec.outputs}

    def _step(
        self, feeds: Feeds, x: np.ndarray, gate: np.ndarray, state: Feeds
    ) -> tuple[Feeds, np.ndarray, np.ndarray]:
        width, hidden, out = SIZES["width"], SIZES["hidden"], SIZES["out"]
        inward = weight("A", width, hidden)
        drive = (x * gate[..., None]).sum(1) @ inward + feeds["offset"].T / 100 @ inward  # [B, H]
        if "keys" in feeds:
            drive = drive + feeds["keys"].mean(1)
        taps = weight("M", SIZES["taps"] * width, hidden)
        flat = state["memory"].reshape(len(x), -1)  # [B, taps · width]
        h = np.tanh(drive + state["h"] / 2 + flat @ taps / 4 + state["g"] / 4)
        count = (state["count"] + 1) % 5
        after = {
            "h": h,
            "memory": np.concatenate([state["memory"][:, 1:], x[:, -1:]], 1),
            "g": state["g"] / 2 + state["h"] / 4,
            "phase": 0.9 * state["phase"] + 0.05,
            "count": count,
        }
        said = h @ weight("S", hidden, out) + after["phase"] + feeds["shift"]  # [B, out]
        sample = said[:, None] + x @ weight("D", width, out)  # [B, frames, out]
        return after, sample, np.repeat((count > 2)[:, None], x.shape[1], 1)


class Wrong(Net):
    """A net whose feeds or results are changed on the way."""

    def __init__(
        self,
        file_contract: FileContract,
        feeds: Change = lambda given: given,
        results: Callable[[Feeds, Feeds], Feeds] = lambda made, _: made,
    ) -> None:
        super().__init__(file_contract)
        self.feeds, self.results = feeds, results

    def _run(self, feeds: Feeds) -> Feeds:
        changed = self.feeds(dict(feeds)) if "frame" in feeds else feeds
        made = super()._run(changed)
        return self.results(made, feeds) if "frame" in feeds else made


FEED_DEFECTS: dict[str, Change] = {
    "two states swapped": lambda f: {**f, "h": f["g"], "g": f["h"]},
    "an axis transposed": lambda f: {
        **f,
        "memory": f["memory"].swapaxes(1, 2).reshape(f["memory"].shape),
    },
    "a state of zeros": lambda f: {**f, "phase": 0 * f["phase"]},
    "the gate turned": lambda f: {**f, "gate": ~f["gate"]},
    "int8 read as uint8": lambda f: {**f, "offset": (f["offset"] - 1).astype(np.uint8)},
    "a shared input lost": lambda f: {**f, "shift": 0 * f["shift"]},
}
RESULT_DEFECTS: dict[str, Callable[[Feeds, Feeds], Feeds]] = {
    "one state not fed back": lambda made, f: {**made, "memory_next": f["memory"]},
    "a counter that stands": lambda made, f: {**made, "count_next": f["count"]},
    "bools turned": lambda made, _: {**made, "late": ~made["late"]},
}


def net(name: str, graph: str = "step") -> Net:
    return Net(FileContract(contract=CONTRACTS[name], graph=graph))


def worst(drifts: tuple[Drift, ...]) -> float:
    return max(drift.scaled for drift in drifts)


def graphs(name: str) -> list[str]:
    return [graph.name for graph in CONTRACTS[name].graphs]


EVERY = [(name, graph) for name in CONTRACTS for graph in graphs(name)]


@pytest.mark.parametrize(("name", "graph"), EVERY)
@pytest.mark.parametrize("limit", [LIMIT, FORCED], ids=["free", "forced"])
def test_an_honest_session_rolls_out_to_the_bit(name: str, graph: str, limit: object) -> None:
    found = rollouts(net(name, graph), net(name, graph), 12, limit=limit, seed=2)  # type: ignore[arg-type]
    assert {run.worst.scaled for run in found} == {0}
    assert all(drift.scale > 0 for run in found for drift in run.drifts if drift.tensor != "late")
    names = {drift.tensor for run in found for drift in run.drifts}
    spec = CONTRACTS[name].graph(graph)
    assert names == {tensor.name for tensor in spec.outputs}  # no row stands for a layer


@pytest.mark.parametrize(("name", "graph"), EVERY)
@pytest.mark.parametrize("check", invariance.INVARIANCES.values(), ids=invariance.INVARIANCES)
def test_an_honest_session_is_invariant(
    name: str, graph: str, check: invariance.Invariance
) -> None:
    session = net(name, graph)
    made = check(session, SHAPES, 8)
    alone = check is invariance.chunks and (name == "no time" or graph == "encode")
    alone |= check is invariance.free_rows and graph == "encode"
    assert (made == ()) == alone
    assert alone or worst(made) < LIMIT.rollout
    if check in (invariance.rows, invariance.free_rows):
        assert "phase_next" not in {drift.tensor for drift in made}
    assert worst(memory.repeats(session, net(name, graph), SHAPES)) == 0


@pytest.mark.parametrize("name", CONTRACTS)
def test_states_of_every_kind_are_asked_where_there_are_no_ids(name: str) -> None:
    found = rare.probe(net(name), net(name), limit=LIMIT, seed=1)
    assert found.is_right
    assert "inputs from states drawn, all zero" in found.words
    clipped = Wrong(net(name).file_contract, feeds=lambda f: {**f, "h": np.clip(f["h"], -3, 3)})
    wrong = rare.probe(net(name), clipped, limit=LIMIT, seed=1)
    assert not wrong.is_right
    assert "from a state of large values" in wrong.words


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("defect", [*FEED_DEFECTS, *RESULT_DEFECTS])
def test_a_wrong_wire_is_found(name: str, defect: str, tmp_path: Path) -> None:
    wrong = Wrong(
        net(name).file_contract,
        FEED_DEFECTS.get(defect, lambda given: given),
        RESULT_DEFECTS.get(defect, lambda made, _: made),
    )
    for limit in (LIMIT, FORCED):
        found = rollouts(net(name), wrong, 12, limit=limit, seed=2)
        assert max(run.worst.scaled for run in found) > limit.rollout
    recorded(name, tmp_path / "golden")
    assert worst(golden.replay(wrong, tmp_path / "golden")) > LIMIT.rollout
    assert worst(golden.replay(wrong, tmp_path / "golden", forced=True)) > 1e-2


def recorded(name: str, path: Path) -> Feeds:
    encoder = net(name, "encode") if "encode" in graphs(name) else None
    golden.record(net(name), path, encoder=encoder, steps=10)
    return safetensors.numpy.load_file(path)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_golden_run_replays_to_the_bit(name: str, tmp_path: Path) -> None:
    path, known = tmp_path / "golden", CONTRACTS[name]
    tensors = recorded(name, path)
    for graph in graphs(name):
        for forced in (False, True):
            assert worst(golden.replay(net(name, graph), path, forced=forced)) == 0
    sizes = {**SIZES, "batch": 1, "time": known.step_frames}
    sizes |= {"source": tensors["keys"].shape[1]} if "keys" in tensors else {}
    for spec in (*known.step.fresh_inputs, *known.step.outputs):
        assert tensors[spec.name].shape == (10, *(sizes[axis] for axis in spec.axes))
        assert str(tensors[spec.name].dtype) == spec.dtype
    assert np.array_equal(tensors["g"][0], weight("first", 1, 4)[0].astype(tensors["g"].dtype))
    assert tensors["memory"].any()  # starts at zeros, and is recorded from elsewhere
    own = net(name)
    assert golden.parting(own, Reordered(own), path) < NEAR[name]


@pytest.mark.parametrize("name", ["frames", "four frames a step"])
def test_an_input_without_time_is_the_same_at_every_recorded_step(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "golden"
    tensors = recorded(name, path)
    assert (tensors["offset"] == tensors["offset"][:1]).all()
    tensors["offset"][3] += 1
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(BundleError, match="offset has no time, but is not the same"):
        golden.replay(net(name), path)


def test_a_run_of_the_usual_length_falls_short_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "golden"
    golden.record(net("frames"), path)
    assert golden.shortfall(path, CONTRACTS["frames"]) == ""
    recorded("frames", path)
    assert "has 10 steps, expected 32" in golden.shortfall(path, CONTRACTS["frames"])


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_feed_is_as_the_contract_says(name: str) -> None:
    known = CONTRACTS[name]
    feed = random_feed(net(name), batch=3, steps=40, seed=4)
    assert feed.inputs["gate"].dtype == bool
    assert 0 < feed.inputs["gate"].mean() < 1
    assert set(np.unique(feed.inputs["offset"])) <= {0, 1}
    lead = () if known.step.has_time else (40,)
    assert feed.inputs["offset"].shape == (*lead, 3, 3)
    place = known.step.fresh_inputs[0].axis("time")
    assert place is None or feed.inputs["frame"].shape[place] == 40 * known.step_frames
    again = random_feed(net(name), batch=3, steps=40, seed=4)
    assert all(np.array_equal(a, again.inputs[n]) for n, a in feed.inputs.items())
    assert all(np.array_equal(a, again.state[n]) for n, a in feed.state.items())


@pytest.mark.parametrize(("name", "graph"), EVERY)
def test_the_session_without_a_model_takes_any_contract(name: str, graph: str) -> None:
    fake = FakeSession(net(name, graph).file_contract, {"g": weight("first", 1, SIZES["hidden"])})
    found = rollouts(fake, fake, 6, limit=LIMIT, seed=2)
    assert {run.worst.scaled for run in found} == {0}
    for check in invariance.INVARIANCES.values():
        assert max([0.0, *(drift.scaled for drift in check(fake, SHAPES, 6))]) < 1e-5


def test_encode_is_fed_sources_of_several_lengths() -> None:
    sources = {
        random_feed(net("encode", "encode"), batch=2, steps=3, seed=seed).inputs["source_ids"].shape
        for seed in range(6)
    }
    assert {shape[:2] for shape in sources} == {(3, 2)}
    assert len({shape[2] for shape in sources}) > 1


def leaking(made: Feeds, _: Feeds) -> Feeds:
    return {**made, "h_next": made["h_next"] + 0.01 * made["h_next"][:1]}


@pytest.mark.parametrize("name", CONTRACTS)
def test_what_must_not_matter_is_found_where_it_does(name: str) -> None:
    assert worst(invariance.rows(Wrong(net(name).file_contract, results=leaking), SHAPES, 4)) > 1e-3
    kept = Feeds()

    def remembered(given: Feeds) -> Feeds:
        own = {**given, "g": kept.get("g", given["g"])}
        kept["g"] = given["g"]
        return own if own["g"].shape == given["g"].shape else given

    secretive = Wrong(net(name).file_contract, feeds=remembered)
    assert worst(invariance.state_is_data(secretive, SHAPES, 6)) > 1e-3


@pytest.mark.parametrize("name", ["frames", "time first", "four frames a step", "encode"])
def test_a_call_that_sees_its_first_frames_alone_breaks_chunks(name: str) -> None:
    place = CONTRACTS[name].step.fresh_inputs[0].axes.index("time")

    def frozen(given: Feeds) -> Feeds:
        frames = CONTRACTS[name].step_frames
        count = given["frame"].shape[place] // frames
        first = given["frame"].take(range(frames), axis=place)
        return {**given, "frame": np.concatenate([first] * count, place)}

    session = Wrong(net(name).file_contract, feeds=frozen)
    assert worst(invariance.chunks(session, SHAPES, 8)) > 1e-3


@pytest.mark.parametrize("name", CONTRACTS)
def test_sessions_made_of_others_take_any_contract(name: str) -> None:
    session = net(name)
    plan = plans(session, 8, seed=1)[-1]
    near = compare(session, Reordered(session), plan, seed=5)
    assert 0 < near.worst.scaled < NEAR[name]
    feed = random_feed(session, batch=2, steps=1, seed=1)
    forced = Forced(session, session)
    assert forced.contract.step_frames == CONTRACTS[name].step_frames
    assert feed.state.keys() == {state.name for state in session.spec.states}


@pytest.mark.parametrize(
    "kind",
    ["another id", "places in another order", "a first state of zeros", "another salience"],
)
def test_an_encoder_that_is_wired_wrongly_is_found(kind: str, tmp_path: Path) -> None:
    class Other(Net):
        def _run(self, feeds: Feeds) -> Feeds:
            if kind == "another id":
                return super()._run({"source_ids": (feeds["source_ids"] + 1) % SIZES["vocab"]})
            made = super()._run(feeds)
            if kind == "places in another order":
                return {**made, "keys": made["keys"][:, ::-1]}
            if kind == "another salience":
                return {**made, "salience": made["salience"] + np.float32(0.1)}
            return {**made, "h": 0 * made["h"]}

    wrong = Other(net("encode", "encode").file_contract)
    found = rollouts(net("encode", "encode"), wrong, 6, limit=LIMIT, seed=2)
    assert max(run.worst.scaled for run in found) > LIMIT.rollout
    recorded("encode", tmp_path / "golden")
    assert worst(golden.replay(wrong, tmp_path / "golden")) > LIMIT.rollout


def test_it_is_said_where_nothing_that_comes_out_has_rows() -> None:
    one = [
        tensor("x", "input", "float32", "time", "width"),
        tensor("phase", "state", "float32", "out"),
    ]
    two = [
        tensor("y", "output", "float32", "time", "width"),
        tensor("phase_next", "state", "float32", "out"),
    ]
    step = GraphSpec(name="step", inputs=tuple(one), outputs=tuple(two))
    known = FileContract(contract=Contract(graphs=(step,), sizes=SIZES))
    fake = FakeSession(known)
    assert invariance.rows(fake, SHAPES, 6) == ()
    assert invariance.left_out(fake) == "nothing that comes out has rows to compare"
    assert invariance.left_out(net("frames")) == ""
    assert {plan.batch for plan in plans(fake, 6, seed=1)} == {1}
    assert {run.worst.scaled for run in rollouts(fake, fake, 6, limit=LIMIT, seed=1)} == {0}
