"""What libraries print is hidden while they are spoken to, and comes through before and after."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

from edgernn.sessions.quiet import quiet, quiet_descriptor


def test_what_is_printed_warned_and_logged_is_hidden(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with quiet():
        print("a greeting")
        print("another", file=sys.stderr)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("a library").error("no kernel")
    print("after")
    logging.getLogger("a library").error("later")
    assert capsys.readouterr() == ("after\n", "")
    assert [record.message for record in caplog.records] == ["later"]


def test_what_is_raised_goes_through_and_all_is_as_before() -> None:
    before = logging.root.manager.disable
    with pytest.raises(ValueError, match="wrong"), quiet():
        raise ValueError("wrong")
    assert logging.root.manager.disable == before


def test_what_no_python_writes_is_hidden_too(capfd: pytest.CaptureFixture[str]) -> None:
    listed = Path("/dev/fd")
    before = len(list(listed.iterdir()))
    os.write(2, b"before\n")
    with quiet_descriptor():
        os.write(2, b"a greeting\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
    assert len(list(listed.iterdir())) == before
