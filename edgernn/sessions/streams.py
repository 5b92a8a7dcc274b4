"""Many independent streams over one session: each has its own state, and all that have something
to say at one time are stepped in one call.

A step of one row reads all weights for one product each; a step of 64 rows reads them once. So
what 64 callers send is gathered, stepped together, and given back to each. A stream joins and
leaves at any time; what it gets is what it would get alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock

import numpy as np

from edgernn.contract import BATCH
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.feeds import CheckedFeeds
from edgernn.sessions.model import NO_INPUTS
from edgernn.sessions.stream_rows import PendingStep, Places, StreamRows
from edgernn.wording import whole

MOST_ROWS = 64  # of a call: beyond it a stream's step hardly becomes cheaper


class Stream:
    """One of many, made by ``Streams.join``."""

    __slots__ = ("_lock", "_rows")

    def __init__(self, rows: StreamRows[Stream], lock: RLock) -> None:
        self._rows: StreamRows[Stream] | None = rows
        self._lock = lock  # that of its streams

    @property
    def joined(self) -> bool:
        """Whether it has not left."""
        return self._rows is not None

    @property
    def state(self) -> State:
        """Its state, each tensor of one row: a copy, to be saved, or given to another stream.

        Raises:
            UsageError: it has left.
        """
        with self._lock:
            return _rows_of(self).state_of(self)

    @state.setter
    def state(self, state: Arrays) -> None:
        with self._lock:
            _rows_of(self).set_state(self, _as_dict(state, "state"))


class Streams:
    """Independent streams over one session of a step file.

    Of two threads that share them the second one waits until the first one's call is through;
    ``check`` and ``len`` wait for nobody.

    Args:
        session: of a step file. Where the file takes a fixed number of rows, as one exported with
            ``--streams`` does, so many streams share a call; else up to ``rows`` of them.
        rows: most rows of a call, at least 1.

    Raises:
        ContractError: the file is no step, or a tensor of it has no axis ``batch``.
        UsageError: ``session`` is none; or ``rows`` is no number or less than 1.
    """

    def __init__(self, session: Session, *, rows: int = MOST_ROWS) -> None:
        if not isinstance(session, Session):
            raise UsageError(
                f"session is {type(session).__name__}, expected a session; give that of "
                "edgernn.open_session(PATH), or of a model its step"
            )
        most = whole(rows, "rows")
        self.session = session
        self._lock = RLock()
        self._places = Places(session)
        self._most = session.file_contract.axis_size(BATCH) or most
        single, spec = self._places.single, session.spec
        self._checked_fresh = CheckedFeeds(single, spec.fresh_inputs, ())
        contexts = tuple(t for t in spec.caller_inputs if t not in spec.fresh_inputs)
        self._checked_kept = CheckedFeeds(single, contexts, spec.states)
        self._groups: list[StreamRows[Stream]] = []

    def __len__(self) -> int:
        return sum(len(group.members) for group in self._groups)

    @property
    def every(self) -> list[Stream]:
        """The streams, in the order in which ``step`` takes and gives their rows."""
        with self._lock:
            return [stream for group in self._groups for stream in group.members]

    def join(self, contexts: Arrays = NO_INPUTS, state: Arrays | None = None) -> Stream:
        """Begin a stream.

        Args:
            contexts: what ``encode`` made, by name, each of one row; nothing where the model has
                no encode graph.
            state: the state that it goes on from, by name, each of one row: a first state, or one
                that was saved; by default the first one. Both are copied.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape; or the
                first state comes from ``encode`` and was not given.
        """
        first = self.session.initial_state(1) if state is None else _as_dict(state, "state")
        contexts = _as_dict(contexts, "contexts")
        with self._lock:
            self._checked_kept(contexts, first)
            group = self._group_for(contexts)
            stream = Stream(group, self._lock)
            group.add(stream, contexts, first)
            if group not in self._groups:
                self._groups.append(group)
        return stream

    def leave(self, stream: Stream) -> None:
        """End a stream; the others stay as they are.

        Raises:
            UsageError: it is not one of these, or has left already.
        """
        with self._lock:
            group = self._group_of(stream)
            group.remove(stream)
            stream._rows = None
            if not group.members:
                self._groups.remove(group)

    def check(self, inputs: Arrays) -> None:
        """Look at what one stream says, before it is put beside what others say.

        Args:
            inputs: every fresh input by name, each of one row.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape.
        """
        self._checked_fresh(inputs, {})

    def step(
        self, inputs: Arrays, streams: Sequence[Stream] | None = None
    ) -> dict[str, np.ndarray]:
        """Advance streams by the T steps in ``inputs``, and keep their next states.

        Args:
            inputs: every fresh input by name, row i that of ``streams[i]`` (``tokens [N, T]``).
            streams: each at most once; by default ``every``.

        Returns:
            The outputs by name, row i of ``streams[i]`` (``logits [N, T, V]`` float32). Nothing of
            it is kept here.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape.
            UsageError: a stream given twice, or one that is not of these; or contexts of several
                sizes, which an output has too. No stream has advanced then.
        """
        if streams is not None and not isinstance(streams, Sequence):
            raise UsageError(
                f"streams is {type(streams).__name__}, expected a list of them, in the order of "
                "the rows"
            )
        with self._lock:
            wanted = self.every if streams is None else list(streams)
            parts = self._computed(inputs, wanted)
            outputs = parts[0][0].outputs
            if len(parts) > 1:
                order = [place for _, places in parts for place in places]
                outputs = self._places.joined([step.outputs for step, _ in parts], order)
            for step, _ in parts:
                step.keep()
        return outputs

    def step_each(self, inputs: Mapping[Stream, Arrays]) -> dict[Stream, dict[str, np.ndarray]]:
        """Advance streams by as many steps as each has something to say.

        Args:
            inputs: stream → every fresh input by name, each of one row; those of one length share
                a call.

        Returns:
            Stream → its outputs by name, each of one row.

        Raises:
            ContractError, UsageError: see ``step``; no stream has advanced then.
        """
        if not isinstance(inputs, Mapping):
            raise UsageError(
                f"inputs is {type(inputs).__name__}, expected a dict of stream → its inputs"
            )
        made: dict[Stream, dict[str, np.ndarray]] = {}
        with self._lock:
            calls = [
                (alike, self._computed(self._places.stacked([inputs[s] for s in alike]), alike))
                for alike in self._alike(inputs)
            ]
            for streams, parts in calls:
                for step, places in parts:
                    step.keep()
                    rows = self._places.apart(step.outputs, len(places))
                    made.update(zip((streams[place] for place in places), rows, strict=True))
        return {stream: made[stream] for stream in inputs}

    def _alike(self, inputs: Mapping[Stream, Arrays]) -> list[list[Stream]]:
        """Return the streams apart by the shapes of what they say, which is checked."""
        alike: dict[tuple[tuple[int, ...], ...], list[Stream]] = {}
        for stream, given in inputs.items():
            self.check(given)
            shapes = tuple(given[name].shape for name in self._places.fresh)
            alike.setdefault(shapes, []).append(stream)
        return list(alike.values())

    def _computed(
        self, inputs: Arrays, streams: Sequence[Stream]
    ) -> list[tuple[PendingStep[Stream], list[int]]]:
        """Return the calls of a step, not kept yet, and where each one's rows stand in it."""
        if not isinstance(inputs, dict):
            raise ContractError(f"inputs is {type(inputs).__name__}, expected a dict of arrays")
        self._places.check_rows(inputs, len(streams))
        parts = self._parts(streams)
        if len(parts) == 1:
            group, rows, places = parts[0]
            return [(group.step(rows, inputs), places)]
        return [
            (group.step(rows, self._places.take(inputs, places)), places)
            for group, rows, places in parts
        ]

    def _parts(
        self, streams: Sequence[Stream]
    ) -> list[tuple[StreamRows[Stream], list[int], list[int]]]:
        """Return which rows of which group take part, and where each stands in the call."""
        if len(self._groups) == 1 and streams == self._groups[0].members:
            every = list(range(len(streams)))
            return [(self._groups[0], every, every)]
        parts: dict[StreamRows[Stream], tuple[list[int], list[int]]] = {}
        for place, stream in enumerate(streams):
            group = self._group_of(stream)
            rows, places = parts.setdefault(group, ([], []))
            rows.append(group.row_of(stream))
            places.append(place)
        for rows, _ in parts.values():
            if len(set(rows)) < len(rows):
                raise UsageError("a stream stands twice in one call; step it once, with T inputs")
        return [(group, rows, places) for group, (rows, places) in parts.items()]

    def _group_of(self, stream: Stream) -> StreamRows[Stream]:
        group = _rows_of(stream)
        if group not in self._groups:
            raise UsageError("the stream belongs to other streams; give one that joined these")
        return group

    def _group_for(self, contexts: Arrays) -> StreamRows[Stream]:
        """Return a group of streams with contexts of these shapes that has room, or a new one."""
        for group in self._groups:
            if len(group.members) < self._most and group.takes(contexts):
                return group
        return StreamRows(self.session, self._places, self._checked_kept)


def _as_dict(given: Arrays, name: str) -> dict[str, np.ndarray]:
    if not isinstance(given, Mapping):
        raise ContractError(f"{name} is {type(given).__name__}, expected a dict of arrays by name")
    return dict(given)


def _rows_of(stream: Stream) -> StreamRows[Stream]:
    if not isinstance(stream, Stream):
        raise UsageError(f"{stream!r:.40} is no stream; give one that join returned")
    if stream._rows is None:
        raise UsageError("the stream has left; join again, with the state that it had")
    return stream._rows
