"""A hub that refuses, lies or is not there: one line each, nothing lost, and no token anywhere."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub.utils import logging as hub_logging

from edgernn.bundle import Bundle
from edgernn.errors import HubError
from edgernn.hub.pull import pull
from edgernn.hub.push import push
from edgernn.hub.refusals import refusing
from edgernn.hub.target import Repository

if TYPE_CHECKING:
    from conftest import Hub

PLACE = Repository("ann/tiny")
TOKEN = "hf_onlyForTests0123456789"


def pushes(bundle: Path, _: Path) -> object:
    with Bundle.open(bundle) as opened:
        return push(opened, PLACE, card="# a card\n")


def pulls(_: Path, tmp_path: Path) -> object:
    return pull(PLACE, tmp_path / "out")


STATUS = {
    401: "knows no such token, or was given none",
    403: "forbids this (403",
    404: "404",
    429: "is asked too often (429",
    500: "has a fault of its own (500",
    503: "has a fault of its own (503",
}


@pytest.mark.parametrize("status", STATUS)
@pytest.mark.parametrize("place", ["/api/models", "/ann/tiny/resolve"])
def test_a_pull_that_is_refused_is_one_line(
    status: int, place: str, bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.put("ann/tiny", bundle)
    hub.refuse[place] = (status, {"Retry-After": "0"})
    (tmp_path / "out").mkdir()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(HubError) as raised:
        pulls(bundle, tmp_path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("ann/tiny")
    assert "; " in str(raised.value)
    assert STATUS[status] in str(raised.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("status", [401, 403, 413, 418, 429, 503])
@pytest.mark.parametrize(
    "place",
    [
        "/api/models/ann/tiny/preupload",
        "/api/models/ann/tiny/commit",
        "/ann/tiny.git",
        "/upload",
        "/api/repos/create",
    ],
)
def test_a_push_that_is_refused_is_one_line(
    status: int, place: str, bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.refuse[place] = (status, {})
    with pytest.raises(HubError) as raised:
        pushes(bundle, tmp_path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("ann/tiny was not changed: ")
    assert str(status) in str(raised.value)
    assert all(len(commits) == 1 for commits in hub.repositories.values())


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_a_push_does_not_take_a_refusal_for_a_new_repository(
    status: int, bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.refuse["/api/models"] = (status, {})
    with pytest.raises(HubError, match=str(status)):
        pushes(bundle, tmp_path)
    assert not [path for _, path, _ in hub.asked if path == "/api/repos/create"]


@pytest.mark.parametrize("do", [pushes, pulls])
def test_no_network_is_one_line(
    do: Callable[[Path, Path], object], bundle: Path, hub: Hub, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://u:secret@127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(HubError, match=r"cannot reach 127\.0\.0\.1 \(") as raised:
            do(bundle, tmp_path)
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_session_that_another_thread_closed_is_a_lost_connection() -> None:
    nothing: Any = None
    with (
        pytest.raises(HubError, match=r"ann/tiny: the connection to hub\.example was lost; see"),
        refusing("https://hub.example", "ann/tiny"),
    ):
        nothing.request("POST")


def test_an_answer_that_is_none_of_a_hubs_is_one_line(
    bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.refuse["/api/models"] = (200, {"Content-Type": "text/html"})
    with pytest.raises(HubError, match="does not answer as a hub does") as raised:
        pulls(bundle, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_revision_that_is_not_there_is_named(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    hub.put("ann/tiny", bundle)
    with pytest.raises(HubError, match=r"ann/tiny at v9: there is no such revision"):
        pull(PLACE, tmp_path / "out", revision="v9")


@pytest.mark.parametrize("token", [TOKEN, "hf_with\u00e9accent", "hf_with\ninside", "plain secret"])
@pytest.mark.parametrize("do", [pushes, pulls])
def test_no_token_is_ever_told(
    token: str, do: Callable[[Path, Path], object], bundle: Path, hub: Hub, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(
        type(hub), "at", lambda *_: (_ for _ in ()).throw(OSError("the line is cut"))
    )
    hub.put("ann/tiny", bundle)
    hub_logging.set_verbosity_debug()
    caplog.set_level(logging.DEBUG)
    try:
        with pytest.raises(HubError) as raised:
            do(bundle, tmp_path)
    finally:
        hub_logging.set_verbosity_warning()
    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    out = capfd.readouterr()
    assert token.split("\n", maxsplit=1)[0] not in told
    assert repr(token)[1:-1] not in told
    assert token not in out.out


def test_the_token_is_sent_and_not_printed(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    """As a process of its own, with the library's own debugging on."""
    environment = {
        **os.environ,
        "HF_DEBUG": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    printed = ""
    for arguments in (
        ["push", str(bundle), "ann/tiny"],
        ["pull", "ann/tiny", "--out", str(tmp_path / "out")],
        ["pull", "ann/other", "--out", str(tmp_path / "other")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "edgernn", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == (2 if "ann/other" in arguments else 0), done.stderr
        printed += done.stdout + done.stderr
    assert TOKEN not in printed
    sent = {token for _, path, token in hub.asked if path.startswith("/api/models")}
    assert sent == {f"Bearer {TOKEN}"}
    assert not {token for _, path, token in hub.asked if path.startswith("/upload")} - {""}
