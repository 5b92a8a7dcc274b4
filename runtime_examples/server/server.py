"""A bundle behind a WebSocket, a stream a connection: python server.py BUNDLE [--port 8000]

GET /contract   the contract, as in the manifest: names, dtypes and axes of all tensors
GET /health     streams, calls, and the mean rows of a call
/stream         the WebSocket; its messages are those of messages.py
"""

from __future__ import annotations

import argparse
import dataclasses
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from connection import Connection
from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from gathering import Gatherer
from limits import Limits
from socket_protocol import SocketProtocol
from writing import Writer

from edgernn.bundle import Bundle
from edgernn.errors import EdgernnError, UsageError, one_line
from edgernn.sessions.model import choose_model
from edgernn.writing.text import open_tokenizer


def create_app(
    bundle: Bundle, artifact: str | None, limits: Limits, origins: frozenset[str] = frozenset()
) -> FastAPI:
    """Return the application; ``origins`` are those of pages, beside its own, that may connect."""
    model = choose_model(bundle, artifact, threads=1)[1]
    gatherer = Gatherer(model, rows=limits.rows)
    writes = bundle.manifest.tokenizer is not None and model.encode is None
    tokenizer = open_tokenizer(bundle) if writes else None
    open_connections: set[Connection] = set()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gatherer:
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/contract")
    async def contract() -> JSONResponse:
        return JSONResponse(model.contract.model_dump(mode="json"))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        rows = gatherer.steps / gatherer.calls if gatherer.calls else 0.0
        return {"streams": len(gatherer.streams), "calls": gatherer.calls, "rows": round(rows, 2)}

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        origin, host = socket.headers.get("origin"), socket.headers.get("host")
        if origin and origin not in {f"http://{host}", f"https://{host}", *origins}:
            refused = PlainTextResponse(f"pages of {origin} may not connect", 403)
            await socket.send_denial_response(refused)
            return
        if len(open_connections) >= limits.connections:
            line = f"{limits.connections} connections are open; come again"
            headers = {"Retry-After": "5"}
            await socket.send_denial_response(PlainTextResponse(line, 503, headers))
            return
        writer = (
            Writer(gatherer, tokenizer, bundle.manifest.decoding_defaults) if tokenizer else None
        )
        connection = Connection(socket, gatherer, writer, limits)
        open_connections.add(connection)
        try:
            await socket.accept()
            await connection.serve()
        finally:
            open_connections.discard(connection)

    return app


def main() -> int:
    """Serve until SIGTERM or Ctrl-C: steps that run are answered, then connections are closed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle")
    parser.add_argument("--artifact", help="a step file or format of the bundle; default the first")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one and prints it")
    parser.add_argument("--origin", action="append", default=[], help="of a page that may connect")
    for field in dataclasses.fields(Limits):
        kind, flag = type(field.default), f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=field.default)
    said = parser.parse_args()
    if not 0 <= said.port < 1 << 16:
        parser.error(f"--port is {said.port}, expected 0 to 65535")
    limits = Limits(
        **{field.name: getattr(said, field.name) for field in dataclasses.fields(Limits)}
    )
    try:
        _refuse_taken(said.host, said.port)
        with Bundle.open(said.bundle) as bundle:
            app = create_app(bundle, said.artifact, limits, frozenset(said.origin))
            uvicorn.run(
                app,
                host=said.host,
                port=said.port,
                ws=SocketProtocol,
                ws_max_size=limits.message_bytes,
                timeout_graceful_shutdown=5,
                log_level="info",
            )
    except EdgernnError as problem:
        sys.stderr.write(f"{one_line(str(problem))}\n")
        return 2
    return 0


def _refuse_taken(host: str, port: int) -> None:
    """Raise UsageError where nothing can listen; uvicorn would tell it in lines of its own."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --port (0 takes "
            "a free one) or --host"
        ) from error


if __name__ == "__main__":
    raise SystemExit(main())
