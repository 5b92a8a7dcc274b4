"""The protocol, kept by every row of the table in each session that runs here, and by the
reference: a new format is held to all of it by its row alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from subjects import ENCODING, Arrays, Drive, Subject, called, copied, ids, near, pictures, same

from edgernn import formats
from edgernn.contract import BATCH, ENCODE, STEP, TIME, FileContract, TensorSpec, file_problems
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Session, State
from edgernn.sessions.opening import describe_file

Wrong = Iterator[tuple[Any, str]]  # a tensor that is refused, and what is said of it
ENCODES = pytest.mark.parametrize("subject", ENCODING, indirect=True, ids=called)
ELSEWHERE = [row for row in formats.FORMATS.values() if row.needs_platform() is not None]


def frozen(arrays: Arrays) -> Arrays:
    made = copied(arrays)
    for array in made.values():
        array.flags.writeable = False
    return made


def restored(state: State) -> State:
    """Return a state saved and read again."""
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def run(session: Session, calls: list[Arrays], state: State) -> State:
    for inputs in calls:
        _, state = session.step(inputs, state)
    return state


def test_each_file_says_what_its_contract_says(subject: Subject) -> None:
    for path, file_contract in subject.files.values():
        if subject.is_reference and file_contract.graph == ENCODE:
            continue  # a checkpoint is described as the step
        description, promised = subject.kind.describe(path), file_contract.interface()
        assert file_problems(description, file_contract) == []
        for part in ("inputs", "outputs", "states"):
            for found, wanted in zip(
                getattr(description.interface, part), getattr(promised, part), strict=True
            ):
                assert found in {wanted, FileTensor(wanted.name, None, None)}
        own = FileContract.from_metadata(description.metadata, source=str(path))
        if subject.is_reference:
            assert own.contract == file_contract.contract
            continue
        assert own == file_contract
        row, again = describe_file(path)
        assert row.family == subject.row.family
        assert again == description


def test_a_chained_run_is_the_references(
    subject: Subject, drive: Drive, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("torch")
    from edgernn.models.eager import EagerSession

    model = "language" if ENCODE not in subject.files else "captioner"
    folder = request.getfixturevalue(f"{'checkpoint' if model == 'language' else model}_folder")
    reference = EagerSession.open(folder, FileContract(contract=drive.session.contract))
    promise = subject.row.promise(subject.row.precisions[0])
    limit = promise.rollout / 10  # what it promises is for models that are not tiny
    longer = 5 if drive.session.file_contract.axis_size(TIME) is None else 0
    for batch, steps in {(1, 1), (1, drive.steps + longer), (drive.batch, drive.steps)}:
        _, ours = drive.call(1, batch=batch)
        theirs = copied(ours)
        for call in range(4):
            inputs, _ = drive.call(2 + call, batch=batch, steps=steps + (call if longer else 0))
            (outputs, ours), (expected, theirs) = (
                drive.session.step(inputs, ours),
                reference.step(inputs, copied(ours) if promise.forced else theirs),
            )
            near(outputs, expected, limit)
            near(ours, theirs, limit)


def test_every_input_context_and_state_matters(drive: Drive) -> None:
    (inputs, state), (others, other) = drive.call(1), drive.call(2)
    scores = drive.session.spec.text_scores.name
    outputs, _ = drive.session.step(inputs, state)
    for name in inputs:
        changed, _ = drive.session.step({**inputs, name: others[name]}, state)
        assert np.abs(changed[scores] - outputs[scores]).max() > 1e-4, name
    for name in state:
        changed, _ = drive.session.step(inputs, {**state, name: other[name] + 0.5})
        assert np.abs(changed[scores] - outputs[scores]).max() > 1e-4, name


def test_what_comes_out_is_as_the_contract_says(drive: Drive) -> None:
    spec, contract = drive.session.spec, drive.session.contract
    sizes = {**contract.sizes, BATCH: drive.batch, TIME: drive.steps * contract.step_frames}
    outputs, after = drive.session.step(*drive.call(1))
    assert list(outputs) == [tensor.name for tensor in spec.read_outputs]
    assert list(after) == [tensor.name for tensor in spec.states]
    for tensor in (*spec.read_outputs, *spec.states):
        array = {**outputs, **after}[tensor.name]
        assert array.dtype == tensor.dtype
        assert array.shape == tuple(sizes[axis] for axis in tensor.axes)


def test_read_only_arrays_go_in_and_stay_as_they_were(drive: Drive) -> None:
    inputs, state = drive.call(1)
    given, held = frozen(inputs), frozen(state)
    _, after = drive.session.step(given, held)
    assert same(given, inputs)
    assert same(held, state)
    assert not any(np.shares_memory(after[name], held[name]) for name in held)


def test_what_came_out_is_not_overwritten_by_later_calls(drive: Drive) -> None:
    for steps in {1, drive.steps}:
        inputs, state = drive.call(1, batch=1, steps=steps)
        outputs, after = drive.session.step(inputs, state)
        kept = copied(outputs), copied(after)
        run(drive.session, [drive.call(2 + n, batch=1, steps=steps)[0] for n in range(3)], after)
        assert same(outputs, kept[0])
        assert same(after, kept[1])


def test_a_session_remembers_nothing(drive: Drive) -> None:
    inputs, state = drive.call(1)
    outputs, after = drive.session.step(inputs, state)
    drive.session.step(drive.call(2)[0], after)
    again, after_again = drive.session.step(inputs, state)
    assert same(outputs, again)
    assert same(after, after_again)


def test_forked_saved_and_restored_streams_go_on_as_one(drive: Drive) -> None:
    calls = [drive.call(seed)[0] for seed in range(8)]
    fork = run(drive.session, calls[:2], drive.call(9)[1])
    saved, kept = restored(fork), copied(fork)
    left = right = fork
    for one, other in zip(calls[2:5], calls[5:], strict=True):  # in turns
        left, right = run(drive.session, [one], left), run(drive.session, [other], right)
    assert same(fork, kept)
    assert same(left, run(drive.session, calls[2:5], saved))
    assert same(right, run(drive.session, calls[5:], copied(saved)))
    assert not same(left, right)


def test_rows_of_a_batch_do_not_see_one_another(drive: Drive) -> None:
    spec = drive.session.spec
    inputs, state = drive.call(1)
    outputs, after = drive.session.step(inputs, state)

    def row(arrays: Arrays, specs: tuple[TensorSpec, ...]) -> Arrays:
        return {t.name: arrays[t.name].take([drive.batch - 1], t.axis(BATCH)) for t in specs}

    alone, alone_after = drive.session.step(
        row(inputs, spec.caller_inputs), row(state, spec.states)
    )
    near(alone, row(outputs, spec.read_outputs), 1e-6)
    near(alone_after, row(after, spec.states), 1e-6)


def test_a_call_of_many_steps_is_as_many_calls(drive: Drive) -> None:
    count = 1 if drive.session.file_contract.axis_size(TIME) else 7
    inputs, state = drive.call(1, steps=count)
    whole, after = drive.session.step(inputs, state)
    parts: list[Arrays] = []
    for t in range(count):
        now = {n: a[:, t : t + 1] if n in ids(drive.session) else a for n, a in inputs.items()}
        outputs, state = drive.session.step(now, state)
        parts.append(outputs)
    near({n: np.concatenate([p[n] for p in parts], axis=1) for n in whole}, whole, 1e-6)
    near(state, after, 1e-6)


def test_the_first_state_is_zeros_where_nothing_else_is_said(drive: Drive) -> None:
    if drive.session.contract.initial_state:
        return  # it comes from the encode graph: see there
    for rows in (1, 3):
        state = drive.session.initial_state(rows)
        assert list(state) == [tensor.name for tensor in drive.session.spec.states]
        for tensor in drive.session.spec.states:
            assert state[tensor.name].shape == drive.session.contract.shape(tensor, batch=rows)
            assert state[tensor.name].dtype == tensor.dtype
            assert not state[tensor.name].any()
    for wrong in (0, -1, 1.5, "1"):
        with pytest.raises(UsageError, match=f"^batch is {wrong!r}, expected "):
            drive.session.initial_state(wrong)  # type: ignore[arg-type]


def test_a_stored_first_state_is_every_rows(subject: Subject, drive: Drive) -> None:
    """Of the files of zeros, with a contract that says stored: the file does not hold the state."""
    if subject.is_reference:
        return  # its model holds the state: tests/models/test_eager.py
    path, own = subject.files[STEP]
    _, first = drive.call(4, batch=1)
    contract = own.contract.model_copy(update={"initial_state": dict.fromkeys(first, "stored")})
    promised = own.model_copy(update={"contract": contract})
    session = subject.kind.open(path, promised, first)
    state = session.initial_state(3)
    for tensor in session.spec.states:
        assert state[tensor.name].shape == contract.shape(tensor, batch=3)
        for row in range(3):
            assert np.array_equal(
                state[tensor.name].take([row], tensor.axis(BATCH)), first[tensor.name]
            )
        state[tensor.name][:] = 0  # the caller's to change
    assert same(session.initial_state(), first)
    last = next(reversed(first))
    for given in (None, {name: array for name, array in first.items() if name != last}):
        with pytest.raises(ContractError, match=rf"its values \[.*'{last}'.*through its bundle"):
            subject.kind.open(path, promised, given).initial_state()


@ENCODES
def test_encode_gives_what_step_takes(encode: Session, drive: Drive) -> None:
    given = frozen(pictures(encode, drive.batch))
    contexts, state = encode.encode(given)
    kept = copied(contexts), copied(state)
    assert same(given, pictures(encode, drive.batch))
    for tensor in (*encode.contract.step.contexts, *encode.contract.step.states):
        array = {**contexts, **state}[tensor.name]
        assert array.dtype == tensor.dtype
        assert array.shape == encode.contract.shape(tensor, batch=drive.batch)
    fresh = {name: drive.call(1)[0][name] for name in ids(drive.session)}
    drive.session.step({**fresh, **contexts}, state)
    encode.encode({name: array[::-1].copy() for name, array in given.items()})
    assert same(contexts, kept[0])
    assert same(state, kept[1])
    for session in (encode, drive.session):
        with pytest.raises(ContractError, match=r"^the first state comes from the encode graph"):
            session.initial_state()
