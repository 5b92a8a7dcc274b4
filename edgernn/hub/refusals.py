"""What a hub refuses, in one line without secrets.

Errors of the library below may quote a header, an address or a body. None of them is passed on as
it is, nor kept as the cause of ours, which a traceback would print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from edgernn.errors import EdgernnError, HubError, one_line
from edgernn.storage import reason, remedy

_TOKENS = re.compile(r"hf_\w{4,}|(?<=//)[^/\s@]+@")
_LOGIN = "log in with: hf auth login, or set HF_TOKEN"
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (OfflineModeIsEnabled, "HF_HUB_OFFLINE is set, so {host} is not asked; unset it"),
    (RevisionNotFoundError, "there is no such revision (404); give a branch, a tag or a commit"),
    (LocalEntryNotFoundError, "cannot reach {host}; see that the network is there, and try again"),
    (EntryNotFoundError, "there is no such file (404); whoever made it is to push it again"),
    (HFValidationError, "that is no name of a repository ({said}); write OWNER/NAME"),
)
_NETWORK = (
    "cannot reach {host} ({said}); see that the network is there, and that HF_ENDPOINT, if it is "
    "set, is right"
)
# Where a connection fails, one thread of an upload closes the session that the others are to use.
_LOST = "the connection to {host} was lost; see that the network is there, and try again"
# an upload's thread failed; a file could not be asked for, for whatever reason
_WRAPPERS = (RuntimeError, LocalEntryNotFoundError)
_NO_HUB = "{host} does not answer as a hub does ({said}); see that HF_ENDPOINT is right"
# of the library, of what it calls, and of an answer that it does not expect
_RAISED = (HTTPError, OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError)
_MOST = 200  # characters of what a server says
_WORDS = {
    400: ("takes this for wrong", "see what it says"),
    401: ("knows no such token, or was given none, or hides this from you", _LOGIN),
    403: ("forbids this", "take a token that may, or ask the owner of the repository"),
    404: (
        "has no such repository, or hides it from you",
        f"see that the name is right, or {_LOGIN}",
    ),
    409: ("has something else there", "choose another name, or try again"),
    412: ("was changed by somebody else meanwhile", "push again"),
    413: ("takes no files of this size", "push fewer or smaller artifacts"),
    429: ("is asked too often", "wait, and try again"),
}


@contextmanager
def refusing(endpoint: str, what: str) -> Iterator[None]:
    """Raise what the library raises in the body as HubError: ``what`` was done at ``endpoint``."""
    host = urlsplit(endpoint).hostname or "the hub"
    told = ""
    try:
        yield
    except _RAISED as error:
        if isinstance(error, EdgernnError):
            raise
        told = _told(error, host)
    if told:
        raise HubError(f"{what}: {told}") from None


def _told(error: BaseException, host: str) -> str:
    """Say what an error of the library means, and what to do."""
    if type(error) in _WRAPPERS and error.__cause__ is not None:
        return _told(error.__cause__, host)
    if isinstance(error, AttributeError) and error.obj is None and error.name == "request":
        return _LOST.replace("{host}", host)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{_safe(reason(error))}. {remedy(error)}"
    said = _safe(str(error)) or type(error).__name__
    known = next((words for kind, words in _KINDS if isinstance(error, kind)), None)
    if known is None and isinstance(error, HfHubHTTPError):
        return _of_status(error, host)
    if known is None:  # else an answer that is none of a hub's, a token that no header can hold
        known = _NETWORK if isinstance(error, HTTPError) else _NO_HUB
    return known.replace("{host}", host).replace("{said}", said)


def endpoint_of(given: str | None) -> str:
    """Return the address of the hub that is asked."""
    return (given or constants.ENDPOINT).rstrip("/")


def _of_status(error: HfHubHTTPError, host: str) -> str:
    """Say what a status of HTTP means here, and what the server said."""
    status = error.response.status_code
    words, to_do = _WORDS.get(
        status, ("has a fault of its own" if status >= 500 else "refuses", "try again later")
    )
    said = _safe(str(error.server_message or "")).rstrip(".")
    waits = error.response.headers.get("Retry-After", "")
    after = f", after {waits} s" if waits.isdigit() else ""
    return f"{host} {words} ({status}{f': {said}' if said else ''}){after}; {to_do}"


def _safe(text: str) -> str:
    """Return text of the library or a server as one short line without tokens and passwords."""
    try:
        token = get_token()
    except (OSError, ValueError):
        token = None
    if token:
        text = text.replace(token, "…")
    line = _TOKENS.sub("…", one_line(text))
    return line if len(line) <= _MOST else f"{line[:_MOST]} …"
