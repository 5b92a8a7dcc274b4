"""A built-in corpus of programs: the source files of the standard library.

Code has what prose has not: quotations, brackets and indentation that are opened and must be
closed again, so a network that predicts it well has to carry them along. The modules of one file
each come in the order of their names; a file with other characters than printable ASCII is left
out, which keeps the vocabulary small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgernn.data.text.standard_library import module_files

_FOREIGN = re.compile(rb"[^\r\n\t -~]")


def read_chunks() -> Iterator[str]:
    """Yield the corpus file by file: printable ASCII and newlines, each ending with two newlines.

    Tabs become spaces, and spaces at the ends of lines are dropped.

    Raises:
        UnavailableError: this Python ships without its sources.
    """
    for path in module_files():
        content = path.read_bytes()
        if _FOREIGN.search(content):
            continue
        lines = content.decode("ascii").expandtabs().splitlines()
        text = "\n".join(line.rstrip() for line in lines).strip("\n")
        if text:
            yield text + "\n\n"
