"""What one connection may take from the others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Attributes:
        connections: at one time; more are told to come again.
        message_bytes: of one message.
        steps: along time, of one message.
        tokens: of one text.
        errors: messages in a row that are refused before a connection is closed.
        idle_seconds: without a message.
        send_seconds: that a client may take to read an answer.
        rows: of a call.
    """

    connections: int = 256
    message_bytes: int = 1 << 20
    steps: int = 1024
    tokens: int = 10_000
    errors: int = 8
    idle_seconds: float = 300.0
    send_seconds: float = 10.0
    rows: int = 64
