"""What every row of the table, in each session that runs here, refuses before it runs, naming it;
and so does the reference.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subjects import ENCODING, Drive, Subject, called, ids, near, pictures, same

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import BATCH, ENCODE, STEP, TensorSpec
from edgernn.errors import ContractError, EdgernnError, UnavailableError, UsageError
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_artifact, session_class

Wrong = Iterator[tuple[Any, str]]  # a tensor that is refused, and what is said of it
ENCODES = pytest.mark.parametrize("subject", ENCODING, indirect=True, ids=called)
ELSEWHERE = [row for row in formats.FORMATS.values() if row.needs_platform() is not None]


def wrong_tensors(drive: Drive, spec: TensorSpec, array: np.ndarray) -> Wrong:
    """Yield what is no tensor of ``spec``."""
    other = np.float64 if spec.dtype == "float32" else np.float32
    yield array.astype(other), f"^{spec.name} is {np.dtype(other)}, expected {spec.dtype}"
    yield array.tolist(), f"^{spec.name} is list, expected {spec.dtype}"
    yield None, f"^{spec.name} is NoneType, expected {spec.dtype}"
    yield 1, f"^{spec.name} is int, expected {spec.dtype}"
    yield array[0], f"^{spec.name} has shape .*, expected {spec.dtype}"
    for place, axis in enumerate(spec.axes):
        if drive.session.file_contract.axis_size(axis):
            larger = np.concatenate([array, array.take([0], place)], axis=place)
            yield larger, f"^{spec.name} has {axis} = {larger.shape[place]} "
        yield array.take([], place), f"^{spec.name} has {axis} = 0 "


def refused(drive: Drive, inputs: Any, state: Any, says: str) -> None:
    """Refused both in a stream and after it, where what was right before is remembered."""
    right = drive.call(3)
    for _ in range(2):
        before = drive.session.step(*right)
        with pytest.raises(ContractError, match=says) as caught:
            drive.session.step(inputs, state)
        assert "\n" not in str(caught.value)
        after = drive.session.step(*right)
        assert same(before[0], after[0])
        assert same(before[1], after[1])


def test_a_tensor_of_another_dtype_or_shape_is_named(drive: Drive) -> None:
    inputs, state = drive.call(1)
    for spec in drive.session.spec.caller_inputs:
        for wrong, says in wrong_tensors(drive, spec, inputs[spec.name]):
            refused(drive, {**inputs, spec.name: wrong}, state, says)
    for spec in drive.session.spec.states:
        for wrong, says in wrong_tensors(drive, spec, state[spec.name]):
            refused(drive, inputs, {**state, spec.name: wrong}, says)


@pytest.mark.parametrize(
    "content", [b"", b"no model" * 99, None], ids=["empty", "foreign", "cut off"]
)
def test_a_damaged_file_is_refused_in_one_line(
    subject: Subject, tmp_path: Path, content: bytes | None
) -> None:
    for path, file_contract in subject.files.values():
        if path.is_dir():
            continue  # a package or a checkpoint; their tests damage each of their files
        damaged = tmp_path / f"damaged{path.suffix}"
        damaged.write_bytes(path.read_bytes()[:-2000] if content is None else content)
        for place in (damaged, tmp_path / f"missing{path.suffix}", tmp_path):
            with pytest.raises(ContractError, match=re.escape(place.name)) as described:
                subject.kind.describe(place)
            with pytest.raises(ContractError, match=re.escape(place.name)) as opened:
                subject.kind.open(place, file_contract)
            assert "\n" not in str(described.value)
            assert "\n" not in str(opened.value)


def test_tensors_of_another_batch_than_the_first_are_named(drive: Drive) -> None:
    (inputs, state), (others, other) = drive.call(1, batch=1), drive.call(2, batch=2)
    first, *rest = drive.session.spec.caller_inputs
    for name in (tensor.name for tensor in rest):
        refused(drive, {**inputs, name: others[name]}, state, f"^{name} has batch = 2 ")
    for name in state:
        refused(drive, inputs, {**state, name: other[name]}, f"^{name} has batch = 2 ")
    assert first.axis(BATCH) is not None


def test_a_missing_or_unknown_tensor_is_named(drive: Drive) -> None:
    inputs, state = drive.call(1)
    for name in inputs:
        fewer = {other: array for other, array in inputs.items() if other != name}
        refused(drive, fewer, state, f"^input '{name}' is missing")
    for name, array in state.items():
        fewer = {other: kept for other, kept in state.items() if other != name}
        refused(drive, inputs, fewer, f"^state '{name}' is missing; feed back what")
        refused(drive, inputs, {**fewer, f"{name}_next": array}, rf"^unknown state \['{name}_next'")
        refused(drive, {**inputs, name: array}, fewer, rf"^unknown input \['{name}'\]; expected")
    mask = {"mask": np.ones(1, np.float32)}
    refused(drive, {**inputs, **mask}, state, r"^unknown input \['mask'\]; expected \[")
    refused(drive, inputs, {**state, **mask}, r"^unknown state \['mask'\]; expected \[")


@pytest.mark.parametrize("wrong", [None, [], "tokens"], ids=["None", "a list", "a text"])
def test_what_is_no_dict_is_named(drive: Drive, wrong: object) -> None:
    inputs, state = drive.call(1)
    kind = type(wrong).__name__
    refused(drive, wrong, state, f"^inputs is {kind}, expected a dict of arrays by name$")
    refused(drive, inputs, wrong, f"^state is {kind}, expected a dict of arrays by name$")


def test_ids_out_of_range_are_refused(drive: Drive) -> None:
    inputs, state = drive.call(1)
    (name,) = ids(drive.session)
    size = drive.session.contract.vocabulary
    for wrong in (-1, size, 10**6):
        array = inputs[name].copy()
        array.flat[-1] = wrong
        says = f"^{name} has the value {wrong}, expected 0 to {size - 1}$"
        refused(drive, {**inputs, name: array}, state, says)


def test_less_than_one_thread_is_refused(
    subject: Subject, drive: Drive, request: pytest.FixtureRequest
) -> None:
    """By whatever opens a session for a user; more than one computes the same."""
    two = subject.open(threads=2)
    outputs, after = two.step(*drive.call(1))
    expected, expected_after = drive.session.step(*drive.call(1))
    near(outputs, expected, 1e-6)
    near(after, expected_after, 1e-6)
    if not subject.is_reference:
        path, _ = subject.files[STEP]
        bundle = Bundle.open(path.parents[1])
        artifact = bundle.artifact(str(path.relative_to(bundle.folder)))
        for threads in (0, -2):
            with pytest.raises(UsageError, match=f"^threads is {threads}, expected 1 or more"):
                open_artifact(bundle, artifact, subject.kind, threads=threads)


def test_a_file_computes_one_graph_only(subject: Subject, drive: Drive) -> None:
    inputs, state = drive.call(1)
    with pytest.raises(ContractError, match=r"^this file computes step, not encode; open the"):
        drive.session.encode(inputs)
    if ENCODE in subject.files:
        with pytest.raises(ContractError, match=r"^this file computes encode, not step; open the"):
            subject.open(ENCODE).step(inputs, state)


@ENCODES
def test_pictures_that_do_not_fit_are_named(encode: Session, drive: Drive) -> None:
    given = pictures(encode, drive.batch)
    (name,) = given
    picture = given[name]
    for wrong, says in (
        (picture.astype(np.float32), f"^{name} is float32, expected uint8"),
        (picture[:, :16], f"^{name} has height = 16 "),
        (picture[0], f"^{name} has shape .*, expected uint8"),
        (picture[..., :2], f"^{name} has channels = 2 "),
    ):
        with pytest.raises(ContractError, match=says):
            encode.encode({name: np.ascontiguousarray(wrong)})
    with pytest.raises(ContractError, match=f"^input '{name}' is missing"):
        encode.encode({})


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: b"no model" * 99, lambda data: data[:-2000]],
    ids=["empty", "foreign", "cut off"],
)
def test_a_damaged_file_is_refused(
    subject: Subject, tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]
) -> None:
    path, own = subject.files[STEP]
    if subject.is_reference:
        return  # a checkpoint is no model file: tests/models/test_checkpoint.py
    damaged = tmp_path_factory.mktemp("damaged") / f"damaged{path.suffix}"
    (shutil.copytree if path.is_dir() else shutil.copy)(path, damaged)
    for file in [damaged] if damaged.is_file() else filter(Path.is_file, damaged.rglob("*")):
        file.write_bytes(damage(file.read_bytes()))
    for look in (subject.kind.describe, lambda place: subject.kind.open(place, own)):
        with pytest.raises(ContractError, match=damaged.name) as caught:
            look(damaged)
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(
    subject: Subject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("nothing")
    _, own = subject.files[STEP]
    for place in (folder / f"missing{subject.row.suffix}", folder):
        with pytest.raises(EdgernnError) as caught:
            subject.kind.open(place, own)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: row.name)
def test_where_there_is_no_runtime_it_is_unavailable(row: formats.Format, bundle: Bundle) -> None:
    artifact = next((a for a in bundle.manifest.artifacts if a.format == row.name), None)
    if artifact is None:
        pytest.skip("the shared bundle does not have it")
    with pytest.raises(UnavailableError, match="only, this is "):
        session_class(row.name).open(bundle.path(artifact.path), bundle.file_contract(artifact))
