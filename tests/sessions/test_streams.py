"""Streams: whoever joins, steps, leaves or goes on from a state gets what it would get alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_captioners import feature_contract

from edgernn.bundle import Bundle
from edgernn.contract import Contract, FileContract, Narrowing
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Session, State
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.model import open_model
from edgernn.sessions.one_row import one_row
from edgernn.sessions.streams import Stream, Streams

ACTS = ("join", "join", "leave", "all", "some", "each", "restore")
VOCABULARY = 8  # at most that of the bundles


class Alone:
    """What streams are held against: each with a session call of its own."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.state: dict[Stream, State] = {}
        self.contexts: dict[Stream, State] = {}

    def step(self, stream: Stream, inputs: State) -> dict[str, np.ndarray]:
        given = {**inputs, **self.contexts[stream]}
        outputs, self.state[stream] = self.session.step(given, self.state[stream])
        return outputs


def near(found: Any, wanted: Any) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].shape == wanted[name].shape
        and np.allclose(found[name], wanted[name], atol=2e-6)
        for name in found
    )


def tokens_of(rng: np.random.Generator, rows: int, length: int = 1) -> State:
    return {"tokens": rng.integers(0, VOCABULARY, (rows, length))}


def with_rows(contract: Contract, rows: int | None) -> FileContract:
    axes = {} if rows is None else {"batch": rows}
    return FileContract(contract=contract, narrowing=Narrowing(axes=axes))


def play(
    streams: Streams,
    alone: Alone,
    begin: Callable[[], tuple[State, State]],
    seed: int,
    *,
    most: int = 3,
    acts: Sequence[str] = ACTS,
) -> None:
    """Do what callers do, in a random order, and compare every output and state."""
    rng, pick, joined = np.random.default_rng(seed), random.Random(seed), list[Stream]()
    for _ in range(60):
        act = pick.choice(acts)
        if act == "join" or not joined:
            contexts, state = begin()
            stream = streams.join(contexts, state)
            alone.contexts[stream], alone.state[stream] = contexts, state
            joined.append(stream)
        elif act == "leave":
            stream = joined.pop(pick.randrange(len(joined)))
            assert near(stream.state, alone.state[stream])
            streams.leave(stream)
        elif act == "restore":
            one, other = pick.choice(joined), pick.choice(joined)
            one.state = other.state
            alone.state[one] = alone.state[other]
        elif act == "each":
            some = pick.sample(joined, pick.randint(1, len(joined)))
            given = {stream: tokens_of(rng, 1, pick.choice((1, most))) for stream in some}
            made = streams.step_each(given)
            assert list(made) == some
            assert all(near(made[s], alone.step(s, given[s])) for s in some)
        else:
            some = (
                streams.every if act == "all" else pick.sample(joined, pick.randint(1, len(joined)))
            )
            inputs = tokens_of(rng, len(some), min(2, most))
            outputs = streams.step(inputs, None if act == "all" else some)
            for row, stream in enumerate(some):
                wanted = alone.step(stream, {"tokens": inputs["tokens"][row : row + 1]})
                assert near({n: a[row : row + 1] for n, a in outputs.items()}, wanted)
        assert len(streams) == len(joined)
        assert set(streams.every) == set(joined)
    assert all(near(stream.state, alone.state[stream]) for stream in joined)


@pytest.mark.parametrize("rows", [None, 1, 3])
def test_each_gets_what_it_gets_alone(bundle: Bundle, rows: int | None) -> None:
    contract = bundle.manifest.contract
    alone = Alone(FakeSession(with_rows(contract, None)))
    for seed in range(8):
        streams = Streams(FakeSession(with_rows(contract, rows)), rows=4)
        play(streams, alone, lambda: ({}, alone.session.initial_state(1)), seed)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_in_real_files(bundle: Bundle, kind: str) -> None:
    session = open_model(bundle, kind).step
    play(Streams(session), Alone(session), lambda: ({}, session.initial_state(1)), 3)


def test_in_c_of_four_rows(checkpoint_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edgernn.export.pack import ReducedOptions, export_bundle

    path = tmp_path / "b"
    bundle = export_bundle(checkpoint_folder, path, to="c", options=ReducedOptions(streams=4))
    session, single = open_model(bundle).step, one_row(open_model(bundle).step)
    assert session.file_contract.axis_size("batch") == 4
    play(Streams(session), Alone(single), lambda: ({}, single.initial_state(1)), 4, most=1)


def test_contexts_of_a_picture_each(captioner_bundle: Bundle, pictures: np.ndarray) -> None:
    model, turn = open_model(captioner_bundle), iter(range(1000))

    def begin() -> tuple[State, State]:
        return model.look(pictures[next(turn) % len(pictures)][None])

    play(Streams(model.step), Alone(model.step), begin, 5, most=1)


def test_contexts_of_several_sizes() -> None:
    session, turn = FakeSession(FileContract(contract=feature_contract())), iter(range(1000))

    def begin() -> tuple[State, State]:
        rng = np.random.default_rng(next(turn))
        seen = rng.normal(size=(1, rng.integers(1, 4), 4)).astype("f4")  # 1 to 3 regions
        return {"seen": seen}, {"h": rng.normal(size=(1, 1, 8)).astype("f4")}

    streams = Streams(session)
    contexts, state = begin()
    with pytest.raises(ContractError, match=r"^input 'seen' is missing"):
        streams.join({}, state)
    with pytest.raises(ContractError, match=r"^seen has batch = 2 "):
        streams.join({"seen": np.repeat(contexts["seen"], 2, 0)}, state)
    with pytest.raises(ContractError, match=r"^the first state comes from the encode graph"):
        streams.join(contexts)
    assert len(streams) == 0
    play(streams, Alone(session), begin, 6, most=1, acts=("join", "leave", "each", "restore"))
    tokens = {"tokens": np.zeros((len(streams), 1), np.int64)}
    before = [stream.state for stream in streams.every]
    with pytest.raises(UsageError, match=r"^attention has several sizes, \[\(1, 1\), .*step_each$"):
        streams.step(tokens)
    assert all(map(near, (stream.state for stream in streams.every), before))


def test_nothing_is_shared_with_the_caller(bundle: Bundle) -> None:
    session = FakeSession(with_rows(bundle.manifest.contract, None))
    streams, saved = Streams(session), session.initial_state(1)
    one, other = streams.join(state=saved), streams.join(state=saved)
    tokens = {"tokens": np.array([[3], [4]])}
    streams.step(tokens)
    before, kept = other.state, streams.step(tokens)
    again = {name: array.copy() for name, array in kept.items()}
    told = one.state
    for array in (*saved.values(), *told.values()):
        np.add(array, 7, out=array)
    streams.step({"tokens": tokens["tokens"][:1]}, [one])  # writes into rows of what is kept
    assert near(kept, again)
    assert not near(other.state, before)
    one.state = before
    before["h"] += 1
    assert not np.allclose(one.state["h"], before["h"])


class Keeping(FakeSession):
    """A session whose runtime goes on holding the states that it gave."""

    def step(self, inputs: Any, state: Any) -> tuple[dict[str, np.ndarray], State]:
        outputs, after = super().step(inputs, state)
        self.given = getattr(self, "given", [])
        self.given += [(array, array.copy()) for array in after.values()]
        return outputs, after


def test_what_a_session_gave_is_never_written_to(bundle: Bundle) -> None:
    session = Keeping(with_rows(bundle.manifest.contract, None))
    streams = Streams(session)
    one, _ = streams.join(), streams.join()
    streams.step({"tokens": np.array([[3], [4]])})
    streams.step({"tokens": np.array([[5]])}, [one])
    assert len(session.given) >= 2
    assert all(np.array_equal(array, before) for array, before in session.given)


def test_a_failed_step_advances_nobody(bundle: Bundle) -> None:
    session = FakeSession(with_rows(bundle.manifest.contract, None))
    streams = Streams(session, rows=2)
    joined = [streams.join() for _ in range(5)]
    states = [stream.state for stream in joined]
    bad = np.array([[1], [2], [3], [4], [9999]])
    with pytest.raises(ContractError, match=r"^tokens has the value 9999, expected 0 to "):
        streams.step({"tokens": bad})
    with pytest.raises(ContractError, match=r"^tokens has the value 9999, expected 0 to "):
        streams.step_each({s: {"tokens": bad[i : i + 1]} for i, s in enumerate(joined)})
    assert all(near(stream.state, state) for stream, state in zip(joined, states, strict=True))


def test_what_is_refused(bundle: Bundle) -> None:
    contract = bundle.manifest.contract
    session = FakeSession(with_rows(contract, None))
    streams, others = Streams(session), Streams(session)
    one, two, foreign = streams.join(), streams.join(), others.join()
    tokens = {"tokens": np.array([[1], [2]])}
    with pytest.raises(UsageError, match=r"^a stream stands twice in one call; "):
        streams.step(tokens, [one, one])
    with pytest.raises(UsageError, match=r"^the stream belongs to other streams; "):
        streams.step(tokens, [one, foreign])
    with pytest.raises(
        ContractError, match=r"^tokens has batch = 2 \(shape \[2, 1\]\), expected 1, "
    ):
        streams.step(tokens, [one])
    with pytest.raises(ContractError, match="is missing"):
        streams.step({})
    with pytest.raises(ContractError, match="expected a dict of arrays"):
        streams.step([[1], [2]])  # type: ignore[arg-type]
    with pytest.raises(
        ContractError, match=r"^tokens has shape \[2\], expected int64 \[batch, time\]"
    ):
        streams.step({"tokens": np.array([1, 2])})
    with pytest.raises(ContractError, match=r"^h has batch = 2 "):
        one.state = session.initial_state(2)
    streams.leave(two)
    assert (one.joined, two.joined) == (True, False)
    for late in (
        lambda: streams.leave(two),
        lambda: two.state,
        lambda: streams.step(tokens, [one, two]),
    ):
        with pytest.raises(UsageError, match=r"^the stream has left; "):
            late()
    with pytest.raises(UsageError, match="rows"):
        Streams(session, rows=0)


GARBAGE = (None, [[1], [2], [3]], np.int64(1), np.array(1))


@pytest.mark.parametrize("rows", [None, 1, 4], ids=["one call", "a call each", "rows of a file"])
def test_garbage_is_told_in_a_line(bundle: Bundle, rows: int | None) -> None:
    session = FakeSession(with_rows(bundle.manifest.contract, 4 if rows == 4 else None))
    streams = Streams(session, rows=rows or 64)
    joined = [streams.join() for _ in range(3)]
    states, tokens = [stream.state for stream in joined], {"tokens": np.array([[1], [2], [3]])}
    refused: list[tuple[str, Callable[[], Any]]] = [
        (
            r"^unknown input \['h'\]; expected \['tokens'\]$",
            lambda: streams.step({**tokens, "h": states[0]["h"]}),
        ),
        ("^streams is set, expected a list of them", lambda: streams.step(tokens, set(joined))),  # type: ignore[arg-type]
        ("^streams is Stream, expected a list", lambda: streams.step(tokens, joined[0])),  # type: ignore[arg-type]
        ("^0 is no stream; give one that join", lambda: streams.step(tokens, [0, 1, 2])),  # type: ignore[list-item]
        ("^None is no stream; give one that join", lambda: streams.leave(None)),  # type: ignore[arg-type]
        ("^inputs is list, expected a dict of stream", lambda: streams.step_each([])),  # type: ignore[arg-type]
        ("^contexts is list, expected a dict of arrays", lambda: streams.join([1])),  # type: ignore[arg-type]
        ("^state is int, expected a dict of arrays", lambda: streams.join(state=5)),  # type: ignore[arg-type]
    ]
    refused += [
        (
            r"^tokens (is|has shape \[\]).*, expected int64 \[batch, time\]$",
            lambda bad=bad: streams.step({"tokens": bad}),
        )
        for bad in GARBAGE
    ]
    for words, act in refused:
        with pytest.raises((ContractError, UsageError), match=words):
            act()
    assert streams.every == joined
    assert all(near(stream.state, state) for stream, state in zip(joined, states, strict=True))
    with pytest.raises(UsageError, match=r"^session is str, expected a session; give that of "):
        Streams("docs.edgernn")  # type: ignore[arg-type]


class Slow(FakeSession):
    """A session in whose steps other threads run."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        time.sleep(1e-4)
        return super()._run(feeds)


def test_threads_share_them(bundle: Bundle) -> None:
    alone = Alone(FakeSession(with_rows(bundle.manifest.contract, None)))
    streams = Streams(Slow(with_rows(bundle.manifest.contract, None)), rows=3)

    def one_of_many(seed: int) -> bool:
        rng, right = np.random.default_rng(seed), True
        for _ in range(4):
            stream = streams.join()
            alone.contexts[stream], alone.state[stream] = {}, alone.session.initial_state(1)
            for _ in range(4):
                given = tokens_of(rng, 1)
                right &= near(streams.step(given, [stream]), alone.step(stream, given))
            streams.leave(stream)
        return right

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(one_of_many, range(4)))
    assert len(streams) == 0


def test_what_has_no_rows_is_refused() -> None:
    contract = feature_contract()
    with pytest.raises(ContractError, match=r"^the file computes encode; open the bundle's step"):
        Streams(FakeSession(FileContract(contract=contract, graph="encode")))
    states = {"h": ("layers", "hidden"), "h_next": ("layers", "hidden")}
    graphs = [
        graph.model_copy(
            update={
                way: tuple(
                    tensor.model_copy(update={"axes": states.get(tensor.name, tensor.axes)})
                    for tensor in getattr(graph, way)
                )
                for way in ("inputs", "outputs")
            }
        )
        for graph in contract.graphs
    ]
    flat = contract.model_copy(update={"graphs": tuple(graphs)})
    with pytest.raises(
        ContractError, match=r"^h has no axis batch \(\[layers, hidden\]\), so that"
    ):
        Streams(FakeSession(FileContract(contract=flat)))
