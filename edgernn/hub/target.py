"""What a person writes for a place to push to or pull from: a folder, or a repository of a hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgernn.errors import UsageError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_SCHEME = "hf://"


@dataclass(frozen=True)
class Repository:
    """A repository of models on a hub, ``OWNER/NAME``."""

    name: str


def target_of(text: str) -> Path | Repository:
    """Read ``OWNER/NAME`` or ``hf://OWNER/NAME`` as a repository, anything else as a path.

    Raises:
        UsageError: it is neither, or a folder stands where ``OWNER/NAME`` could be a path, too.
    """
    said, _, name = text.rpartition(_SCHEME)
    if said or "://" in name:
        raise UsageError(
            f"{text!r} is an address, expected OWNER/NAME of a repository, or a folder; another "
            "hub than the usual is set by HF_ENDPOINT"
        )
    if name.startswith("hf_") and "/" not in name:
        raise UsageError(
            "a token was given as an argument, where every process can read it; take it back "
            "on the hub's page, and set HF_TOKEN, or log in with: hf auth login"
        )
    if not _REPOSITORY.fullmatch(name):
        if name != text:
            raise UsageError(f"{text!r} names no repository; write hf://OWNER/NAME")
        return Path(text)
    if name == text and Path(text).exists():
        raise UsageError(
            f"{text!r} is a path here, and could be a repository; write ./{text} or {_SCHEME}{text}"
        )
    return Repository(name)
