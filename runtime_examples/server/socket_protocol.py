"""uvicorn's WebSocket, but that a client which reads nothing is cut off: to close politely is to
wait until it has read what is left.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that ends with what served it."""

    async def run_asgi(self) -> None:
        """Serve; then drop what could not be sent."""
        await super().run_asgi()
        if not self.writable.is_set():
            self.transport.abort()
