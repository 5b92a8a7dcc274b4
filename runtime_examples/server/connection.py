"""One connection: its stream, and what it asks for, one message after the other.

The next message is read when the last one is answered, so that a client which sends faster than it
is served waits in its own socket, and one that does not read its answers is let go.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable

import messages
from fastapi import WebSocket, WebSocketDisconnect
from gathering import Gatherer
from limits import Limits
from writing import Writer

from edgernn.contract import TIME
from edgernn.errors import DataError, EdgernnError, UsageError, one_line
from edgernn.sessions.streams import Stream

TRY_AGAIN, POLICY, GOING_AWAY = 1013, 1008, 1001


class Connection:
    """Serves one WebSocket that was accepted."""

    def __init__(
        self, socket: WebSocket, gatherer: Gatherer, writer: Writer | None, limits: Limits
    ) -> None:
        self._socket, self._gatherer, self._limits = socket, gatherer, limits
        self._writer = writer
        self._stream: Stream | None = None
        self._errors = 0

    async def serve(self) -> None:
        """Answer until the client leaves, or is let go; its stream leaves with it."""
        try:
            if self._gatherer.model.encode is None:
                self._stream = await self._gatherer.begin({})
            while await self._answered():
                pass
        except (WebSocketDisconnect, TimeoutError, ConnectionError):
            pass  # gone, or reads nothing: there is nobody to tell
        finally:
            if self._stream is not None:
                await asyncio.shield(self._gatherer.leave(self._stream))

    async def _answered(self) -> bool:
        """Read a message and answer it; return whether the connection goes on."""
        try:
            event = await asyncio.wait_for(self._socket.receive(), self._limits.idle_seconds)
        except TimeoutError:
            await self._close(POLICY, f"no message for {self._limits.idle_seconds:g} s")
            return False
        if event["type"] == "websocket.disconnect":
            return False
        try:
            await self._answer(messages.read(event.get("bytes"), event.get("text")))
        except EdgernnError as problem:
            return await self._refused(one_line(str(problem)))
        self._errors = 0
        return True

    async def _refused(self, line: str) -> bool:
        self._errors += 1
        await self._tell({"error": line})
        if self._errors < self._limits.errors:
            return True
        await self._close(POLICY, f"{self._errors} messages in a row were refused")
        return False

    async def _answer(self, message: messages.Message) -> None:
        if message.do == "begin":
            await self._begin(message)
            return
        if self._stream is None:
            raise UsageError("the sequence has not begun; send the inputs of encode, do: begin")
        if self._writer is not None and message.do in ("step", "restore", "reset"):
            self._writer.begin()
        if message.do == "step":
            await self._step(self._stream, message)
        elif message.do == "write":
            await self._write(self._stream, message)
        elif message.do == "state":
            await self._send(messages.arrays(await self._gatherer.state(self._stream)))
        elif message.do == "restore":
            await self._gatherer.restore(self._stream, message.arrays)
            await self._tell({"done": "restore"})
        else:
            await self._begin(message)

    async def _begin(self, message: messages.Message) -> None:
        """Begin anew: the old stream is given up once the new one stands."""
        if message.do == "reset" and self._gatherer.model.encode is not None:
            raise UsageError("the model looks at something first; send it again, do: begin")
        before, self._stream = self._stream, await self._gatherer.begin(message.arrays)
        if before is not None:
            await self._gatherer.leave(before)
        await self._tell({"done": message.do})

    async def _step(self, stream: Stream, message: messages.Message) -> None:
        for spec in self._gatherer.model.step.spec.fresh_inputs:
            place, array = spec.axis(TIME), message.arrays.get(spec.name)
            if place is None or array is None or array.ndim <= place:
                continue
            if array.shape[place] > self._limits.steps:
                raise DataError(
                    f"{spec.name} has {array.shape[place]} steps, expected at most "
                    f"{self._limits.steps} a message; send them in parts"
                )
        await self._send(messages.arrays(await self._gatherer.step(stream, message.arrays)))

    async def _write(self, stream: Stream, message: messages.Message) -> None:
        if self._writer is None:
            raise UsageError("the model writes no text; send its inputs, do: step")
        wish = self._writer.wish(message.options, self._limits)
        async for piece in self._writer.write(stream, wish):
            if piece:
                await self._tell({"text": piece})
        await self._tell({"done": "write"})

    async def _tell(self, answer: dict[str, str]) -> None:
        await self._in_time(self._socket.send_text(json.dumps(answer)))

    async def _send(self, content: bytes) -> None:
        await self._in_time(self._socket.send_bytes(content))

    async def _close(self, code: int, reason: str) -> None:
        await self._in_time(self._socket.close(code, reason))

    async def _in_time(self, sending: Awaitable[None]) -> None:
        await asyncio.wait_for(sending, self._limits.send_seconds)
