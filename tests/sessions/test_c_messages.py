"""What is written to the process's standard error, kept or let through."""

from __future__ import annotations

import os

import pytest

from edgernn.sessions.c_messages import kept_messages


def test_lines_are_kept_meanwhile_and_let_through_after(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with kept_messages() as told:
        assert told() == []
        os.write(2, "one\ntwo \xff\n".encode("latin-1"))
        assert told() == ["one", "two \ufffd"]
        os.write(2, b"three\n")
    os.write(2, b"four\n")
    assert capfd.readouterr().err == "four\n"


def test_an_error_leaves_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), kept_messages():
        raise RuntimeError
    os.write(2, b"four\n")
    assert capfd.readouterr().err == "four\n"
