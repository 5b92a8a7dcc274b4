"""Text as it is shown: nothing in it is markup, and what steers a terminal or reorders text is
written as an escape.
"""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.text import Text

# C0, DEL and C1 controls; line and paragraph separators; embeddings, overrides and isolates of
# writing direction; lone surrogates, as a file's name has them that is no UTF-8.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_STEERING_IN_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Return ``text`` with every character that steers a terminal or reorders text as its escape;
    newlines, too.
    """
    return _STEERING.sub(_escape, text)


def visible_text(text: str) -> str:
    """Do the same but for newlines and tabs, which belong to a text of several lines."""
    return _STEERING_IN_TEXT.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def styled(text: str, style: str = "") -> Text:
    """Return text in a style for ``say``, ``tell`` and ``Sheet``."""
    return Text(visible(text), style)


def joined(*parts: Text | str) -> Text:
    """Return one line of several parts."""
    return Text.assemble(*(part if isinstance(part, Text) else visible(part) for part in parts))


class TextConsole(Console):
    """A console that takes every string as text: no markup, no emoji codes, no control
    characters.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return ``text`` as it is, in the style asked for: strings in tables, titles and rules
        come through here.
        """
        return Text(visible(text), style=options.get("style") or "", justify=options.get("justify"))
