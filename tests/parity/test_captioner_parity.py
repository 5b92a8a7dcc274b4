"""Rollouts, invariances and golden runs of two graphs: honest sessions agree, and each classic
defect of a captioner shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgernn.bundle import Bundle
from edgernn.contract import Contract, FileContract
from edgernn.errors import BundleError
from edgernn.models.captioner import Captioner
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.eager import EagerSession
from edgernn.parity import golden, invariance
from edgernn.parity.drift import Drift
from edgernn.parity.feed import random_feed
from edgernn.parity.rollout import MOST_PICTURES, Plan, compare, plans, run
from edgernn.parity.shapes import draw
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.base import Session
from edgernn.sessions.draw import random_pictures
from edgernn.sessions.fileless import FilelessSession
from edgernn.sessions.opening import open_session

Feeds = dict[str, np.ndarray]
Change = Callable[[Feeds], Feeds]
SHAPES = draw(1)
Sessions = dict[str, Session]


class Spoiled(FilelessSession):
    """A right session whose feeds or results are changed on the way: one classic defect each."""

    def __init__(self, inner: Session, *, feeds: Change = dict, results: Change = dict) -> None:
        super().__init__(inner.file_contract)
        self.inner, self.change_feeds, self.change_results = inner, feeds, results

    def _run(self, feeds: Feeds) -> Feeds:
        changed = {
            name: np.ascontiguousarray(array) for name, array in self.change_feeds(feeds).items()
        }
        return self.change_results(self.inner._run(changed))


def sessions_of(model: Captioner) -> Sessions:
    contract = model.config.contract()
    return {
        graph.name: EagerSession(model, FileContract(contract=contract, graph=graph.name))
        for graph in contract.graphs
    }


@pytest.fixture(scope="module")
def eager(make_captioner: Callable[..., Captioner]) -> Sessions:
    return sessions_of(make_captioner(layers=2))


@pytest.fixture(scope="module")
def gated(make_captioner: Callable[..., Captioner]) -> Sessions:
    return sessions_of(make_captioner(conditioning="every-step"))


def worst(drifts: tuple[Drift, ...]) -> float:
    return max(drift.scaled for drift in drifts)


def zeroed(name: str) -> Change:
    return lambda tensors: {**tensors, name: np.zeros_like(tensors[name])}


def exchanged(one: str, other: str) -> Change:
    return lambda tensors: {**tensors, one: tensors[other], other: tensors[one]}


def of_another_row(name: str) -> Change:
    return lambda tensors: {**tensors, name: np.roll(tensors[name], 1, axis=0)}


ENCODE_FEEDS: dict[str, Change] = {
    "blue first": lambda feeds: {"image": feeds["image"][..., ::-1]},
    "rows for columns": lambda feeds: {"image": feeds["image"].transpose(0, 2, 1, 3)},
    "divided by 255 twice": lambda feeds: {"image": (feeds["image"] / 255).astype(np.uint8)},
}
ENCODE_RESULTS: dict[str, Change] = {
    "h and c exchanged": exchanged("h", "c"),
    "first state of zeros": zeroed("h"),
    "keys of another picture": of_another_row("feature_keys"),
    "regions in another order": lambda made: {**made, "features": made["features"][:, ::-1]},
}
STEP_FEEDS: dict[str, Change] = {
    "features of zeros": zeroed("features"),
    "keys of zeros": zeroed("feature_keys"),
    "features of another row": of_another_row("features"),
}


@pytest.mark.parametrize("change", ENCODE_FEEDS.values(), ids=ENCODE_FEEDS)
def test_a_picture_taken_wrongly_shows(eager: Sessions, change: Change) -> None:
    found = compare(
        eager["encode"], Spoiled(eager["encode"], feeds=change), Plan(3, (1,) * 4), seed=1
    )
    assert found.worst.scaled > 1e-2


@pytest.mark.parametrize("change", ENCODE_RESULTS.values(), ids=ENCODE_RESULTS)
def test_wrong_results_of_encode_show(eager: Sessions, change: Change) -> None:
    found = compare(
        eager["encode"], Spoiled(eager["encode"], results=change), Plan(3, (1,) * 4), seed=1
    )
    assert found.worst.scaled > 1e-2


@pytest.mark.parametrize("change", STEP_FEEDS.values(), ids=STEP_FEEDS)
def test_contexts_that_do_not_arrive_show(eager: Sessions, change: Change) -> None:
    found = compare(eager["step"], Spoiled(eager["step"], feeds=change), Plan(3, (1,) * 4), seed=1)
    assert found.worst.scaled > 1e-2


def test_gates_that_are_not_heard_show(gated: Sessions) -> None:
    deaf = Spoiled(gated["step"], feeds=zeroed("image_gates"))
    assert compare(gated["step"], deaf, Plan(1, (1,) * 4), seed=1).worst.scaled > 1e-2


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_session_against_itself_is_equal(
    make_captioner: Callable[..., Captioner], conditioning: str
) -> None:
    for session in sessions_of(make_captioner(conditioning=conditioning)).values():
        found = compare(session, Spoiled(session), Plan(2, (1,) * 3), seed=1)
        assert found.worst.worst == 0
        assert all(drift.scale > 0 for drift in found.drifts)
        wanted = [tensor.name for tensor in session.spec.outputs]
        assert sorted(drift.tensor for drift in found.drifts) == sorted(wanted)


def test_a_rollout_of_encode_is_a_row_of_pictures(eager: Sessions) -> None:
    one, several, many = plans(eager["encode"], 256, seed=1)
    assert one == Plan(1, (1,) * MOST_PICTURES)
    assert several.lengths == (1,) * 4
    assert 1 < several.batch < many.batch
    assert many.lengths == (1,)
    assert plans(eager["encode"], 5, seed=1)[0] == Plan(1, (1,) * 5)
    words = plans(eager["step"], 5, seed=1)
    assert {length for plan in words for length in plan.lengths} == {
        1
    }  # one word a call, by contract


def test_random_pictures_are_objects_in_noise(eager: Sessions) -> None:
    contract = eager["encode"].contract
    (made,) = random_pictures(contract, batch=2, count=5, seed=3).values()
    assert (made.shape, made.dtype) == ((2, 5, 32, 32, 3), np.uint8)
    assert made[:, 0].max() == 0
    assert made[:, 1].min() == 255
    rest = made[:, 2:].reshape(6, -1)
    assert len(np.unique(rest, axis=0)) == 6
    assert all(10 < picture.std() < 120 for picture in rest)
    assert not np.array_equal(made[0, 2, ..., 0], made[0, 2, ..., 2])  # red is not blue
    (again,), (other,) = (
        random_pictures(contract, batch=2, count=5, seed=seed).values() for seed in (3, 4)
    )
    assert np.array_equal(made, again)
    assert not np.array_equal(made, other)


def test_a_random_feed_has_contexts_of_its_own(eager: Sessions) -> None:
    feed = random_feed(eager["step"], batch=3, steps=4, seed=5)
    assert feed.contexts.keys() == {"features", "feature_keys"}
    values = np.concatenate(
        [array.ravel() for array in (*feed.contexts.values(), *feed.state.values())]
    )
    assert len(np.unique(values)) > 0.99 * len(values)
    again = random_feed(eager["step"], batch=3, steps=4, seed=5)
    assert all(np.array_equal(feed.contexts[name], again.contexts[name]) for name in feed.contexts)
    made = list(run(eager["step"], feed, lengths=(1,) * 4))
    assert [step.keys() for step in made] == [{"logits", "attention", "h_next", "c_next"}] * 4
    first, _ = eager["step"].step(
        {"tokens": feed.inputs["tokens"][:, :1], **feed.contexts}, feed.state
    )
    assert np.array_equal(first["attention"], made[0]["attention"])


def test_what_encode_gives_is_told_by_name(
    eager: Sessions, gated: Sessions, pictures: np.ndarray
) -> None:
    assert list(eager["encode"].encoded({"image": pictures[:2]})) == [
        "features",
        "feature_keys",
        "h",
        "c",
    ]
    assert list(gated["encode"].encoded({"image": pictures[:2]})) == [
        "image_gates"
    ]  # the zeros are not encode's


class Remembering(Spoiled):
    """Sees the picture before through this one."""

    before: np.ndarray | None = None

    def _run(self, feeds: Feeds) -> Feeds:
        image, before = feeds["image"], self.before
        self.before = image
        return super()._run({"image": image if before is None else image // 2 + before // 2})


@pytest.mark.parametrize("graph", ["encode", "step"])
def test_honest_files_are_invariant(captioner_bundle: Bundle, graph: str) -> None:
    for session in (
        open_session(captioner_bundle, f"onnx/{graph}.onnx"),
        open_session(captioner_bundle, f"torchscript/{graph}.pt"),
    ):
        assert (
            invariance.chunks(session, SHAPES, 6) == ()
        )  # a captioner's file takes one word a call
        assert worst(invariance.rows(session, SHAPES, 6)) < 1e-5
        assert worst(invariance.state_is_data(session, SHAPES, 6)) < 1e-6


def test_pictures_that_hear_one_another_break_the_invariance_of_rows(eager: Sessions) -> None:
    leaky = Spoiled(
        eager["encode"], results=lambda made: {**made, "h": made["h"] + 0.01 * made["h"][:, :1]}
    )
    assert worst(invariance.rows(leaky, SHAPES, 4)) > 1e-3
    assert (
        worst(invariance.rows(eager["encode"], SHAPES, 4)) < 5e-5
    )  # other batches choose other kernels
    mixed = Spoiled(eager["step"], feeds=of_another_row("feature_keys"))
    assert worst(invariance.rows(mixed, SHAPES, 4)) > 1e-3


def test_an_encoder_that_remembers_shows(eager: Sessions) -> None:
    assert worst(invariance.state_is_data(Remembering(eager["encode"]), SHAPES, 4)) > 1e-2
    assert worst(invariance.state_is_data(eager["encode"], SHAPES, 4)) == 0


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_golden_run_begins_with_a_picture_and_replays_to_the_bit(
    make_captioner: Callable[..., Captioner], tmp_path: Path, conditioning: str
) -> None:
    sessions, path = (
        sessions_of(make_captioner(conditioning=conditioning, cell="gru")),
        tmp_path / "golden.safetensors",
    )
    golden.record(sessions["step"], path, encoder=sessions["encode"], steps=5)
    tensors, contract = safetensors.numpy.load_file(path), sessions["step"].contract
    assert {name: array.shape for name, array in tensors.items()} == documented(contract, 5)
    assert all(array.any() for array in tensors.values())
    contexts, first = sessions["encode"].encode({"image": tensors["image"]})
    given = {**contexts, **(first if contract.starting("encode") else {})}
    assert all(np.array_equal(array, tensors[name]) for name, array in given.items())
    for graph, calls in (("encode", 1), ("step", 5)):
        drifts = golden.replay(sessions[graph], path)
        assert {drift.tensor for drift in drifts} == {
            tensor.name for tensor in contract.graph(graph).outputs
        }
        assert all(drift.curve.tolist() == [0.0] * calls for drift in drifts)


def documented(contract: Contract, steps: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the module's docstring."""
    sizes = {**contract.sizes, "batch": 1}
    step = contract.step
    once = [*contract.graph("encode").inputs, *step.contexts, *step.states]
    shapes = {tensor.name: tuple(sizes[axis] for axis in tensor.axes) for tensor in once}
    each = [*step.fresh_inputs, *step.outputs]
    return shapes | {
        tensor.name: (steps, *(sizes[axis] for axis in tensor.axes)) for tensor in each
    }


@pytest.mark.parametrize(
    ("name", "graph"), [("image", "encode"), ("features", "step"), ("h", "step")]
)
def test_a_golden_run_with_something_of_another_picture_shows(
    eager: Sessions, pictures: np.ndarray, tmp_path: Path, name: str, graph: str
) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(eager["step"], path, encoder=eager["encode"], steps=4)
    tensors = safetensors.numpy.load_file(path)
    contexts, state = eager["encode"].encode({"image": pictures[:1]})
    tensors[name] = {"image": pictures[:1], **contexts, **state}[name]
    safetensors.numpy.save_file(
        {n: np.ascontiguousarray(array) for n, array in tensors.items()}, path
    )
    assert worst(golden.replay(eager[graph], path)) > 1e-2


def test_a_golden_run_without_its_picture_is_refused(eager: Sessions, tmp_path: Path) -> None:
    path = tmp_path / "golden.safetensors"
    golden.record(eager["step"], path, steps=4, encoder=eager["encode"])
    tensors = safetensors.numpy.load_file(path)
    del tensors["image"]
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(
        BundleError,
        match=r"golden.safetensors does not fit the contract in image; export the bundle again",
    ):
        golden.replay(eager["encode"], path)


def test_every_check_of_an_honest_bundle_passes(captioner_bundle: Bundle) -> None:
    report = verify_bundle(captioner_bundle, steps=8)
    assert len(report.artifacts) == 7
    for artifact in report.artifacts:
        assert {check.name: check.status for check in artifact.checks} == dict.fromkeys(
            ("contract", "structure", "rollout", "invariance", "text", "greedy", "golden"), "passed"
        ), artifact.path
    details = {check.name: check.detail for check in report.artifacts[0].checks}
    assert details["rollout"].startswith("3 runs of 8, 4, 1 pictures, batch [1, ")
    assert details["golden"].startswith("1 recorded picture; worst")
    assert (
        details["greedy"]
        == "greedy captions of 6 held-out pictures identical, beam-3 captions of 6"
    )
