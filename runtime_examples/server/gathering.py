"""Steps what connections ask for, together: while one call runs, what arrives is gathered for the
next one.

So a single connection waits for nobody, and under load a call grows to as many rows as there are
connections. Everything that touches the model runs on one thread of its own; the event loop stays
free.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from edgernn.sessions.base import Arrays, State
from edgernn.sessions.model import Model
from edgernn.sessions.one_row import one_row
from edgernn.sessions.streams import Stream, Streams

Result = TypeVar("Result")
Outputs = dict[str, np.ndarray]


class Gatherer:
    """The streams of all connections; used as ``async with Gatherer(model) as gatherer``.

    Args:
        model: the opened files of a bundle.
        rows: most rows of a call.
    """

    def __init__(self, model: Model, *, rows: int) -> None:
        encode = None if model.encode is None else one_row(model.encode)
        self.model = Model(model.step, encode)
        self.streams = Streams(model.step, rows=rows)
        self.calls = self.steps = 0
        self._thread = ThreadPoolExecutor(1, "model")
        self._asked: dict[Stream, tuple[Arrays, asyncio.Future[Outputs]]] = {}
        self._some = asyncio.Event()

    async def __aenter__(self) -> Gatherer:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        for _, answer in self._asked.values():
            answer.cancel()
        self._thread.shutdown()  # the call that runs comes to its end

    async def begin(self, inputs: Arrays) -> Stream:
        """Join; ``inputs`` are those of the encode graph, nothing where there is none."""

        def join() -> Stream:
            return self.streams.join(*self.model.begin(inputs))

        return await self._run(join)

    async def leave(self, stream: Stream) -> None:
        """End a stream; what it still asked for is given up."""
        if (asked := self._asked.pop(stream, None)) is not None:
            asked[1].cancel()
        await self._run(lambda: self.streams.leave(stream))

    async def state(self, stream: Stream) -> State:
        """Return a copy of a stream's state."""
        return await self._run(lambda: stream.state)

    async def restore(self, stream: Stream, state: Arrays) -> None:
        """Let a stream go on from ``state``; raises ContractError."""

        def restore() -> None:
            stream.state = dict(state)

        await self._run(restore)

    async def step(self, stream: Stream, inputs: Arrays) -> Outputs:
        """Advance a stream by what it says, with whoever else says something now.

        Raises:
            ContractError: the inputs are not those of the contract; nobody else notices.
        """
        self.streams.check(inputs)
        answer = asyncio.get_running_loop().create_future()
        self._asked[stream] = (inputs, answer)
        self._some.set()
        return await answer

    async def _serve(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            asked, self._asked = self._asked, {}
            given = {stream: inputs for stream, (inputs, _) in asked.items()}
            for stream, made in (await self._run(lambda given=given: self._made(given))).items():
                answer = asked[stream][1]
                if answer.done():
                    continue  # its connection is gone
                if isinstance(made, Exception):
                    answer.set_exception(made)
                else:
                    answer.set_result(made)

    def _made(self, given: dict[Stream, Arrays]) -> dict[Stream, Outputs | Exception]:
        """Step all together; where that fails, each alone, so that one fails alone."""
        given = {stream: inputs for stream, inputs in given.items() if stream.joined}
        if not given:
            return {}
        self.calls, self.steps = self.calls + 1, self.steps + len(given)
        try:
            return dict(self.streams.step_each(given))
        except Exception as problem:  # noqa: BLE001 - whatever the runtime raises, it is told to one
            if len(given) == 1:
                return dict.fromkeys(given, problem)
        alone: dict[Stream, Outputs | Exception] = {}
        for stream, inputs in given.items():
            alone |= self._made({stream: inputs})
        return alone

    async def _run(self, call: Callable[[], Result]) -> Result:
        done: Any = asyncio.get_running_loop().run_in_executor(self._thread, call)
        return await asyncio.shield(done)  # a connection that goes away takes no call with it
