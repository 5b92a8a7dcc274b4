"""The C of a bundle that writes text, and its recorded choices as C: python text.py BUNDLE OUT

OUT gets the C of ``c/text`` but its ``main.c`` as it is, and ``vectors.c``, which holds what
``sampler.json`` does (see ``vectors.h``). Ends with 2 and one line where the bundle is not as its
manifest says. Python's own modules are enough.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bundle import AGAIN, BundleError, read_listed, read_manifest

MOST_LOGITS = 64  # of a choice: write.c has memory for so many
SOURCES = ("text.h", "text.c")
TABLE = "tokens.c"  # there where the tokenizer is of characters or bytes


def main() -> None:
    """Write what the Makefile compiles."""
    if len(sys.argv) != 3:
        raise BundleError(f"{len(sys.argv) - 1} arguments, expected two: text.py BUNDLE OUT")
    bundle, out = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = read_manifest(bundle)
    missing = [name for name in SOURCES if f"c/text/{name}" not in manifest["files"]]
    if missing:
        raise BundleError(
            f"the bundle has no c/text/{missing[0]}, expected a model that writes text; export "
            "such a one with --to c"
        )
    table = [TABLE] if f"c/text/{TABLE}" in manifest["files"] else []
    made = {name: read_listed(bundle, manifest, f"c/text/{name}") for name in (*SOURCES, *table)}
    vectors = json.loads(read_listed(bundle, manifest, manifest["sampler"]))
    made["vectors.c"] = source(vectors).encode()
    out.mkdir(parents=True, exist_ok=True)
    for name, held in made.items():
        (out / name).write_bytes(held)


def source(vectors: dict[str, Any]) -> str:
    """Return what ``vectors.h`` promises."""
    numbers = [
        f"{{{group['seed']}u, {at}u, {float(value).hex()}}}"
        for group in vectors["uniforms"]
        for at, value in enumerate(group["values"], group["position"])
    ]
    choices, logits, suppressed = [], list[str](), list[str]()
    for choice in vectors["tokens"]:
        own, never = choice["logits"], choice["suppress"]
        if len(own) > MOST_LOGITS:
            raise BundleError(f"a choice has {len(own)} scores, expected {MOST_LOGITS} at most")
        reals = [float(choice[name]).hex() for name in ("uniform", "temperature", "top_p")]
        places = [len(logits), len(own), len(suppressed), len(never)]
        wholes = [*places, choice["top_k"], choice["token"]]
        choices.append(f"{{{', '.join(map(str, [*reals, *wholes]))}}}")
        logits += [f"{float(value).hex()}f" for value in own]
        suppressed += map(str, never)
    return "\n".join(
        [
            "/* Written by text.py: the recorded random numbers and choices. */",
            '#include "vectors.h"',
            "",
            f"const int32_t vectors_numbers_count = {len(numbers)};",
            f"const int32_t vectors_choices_count = {len(choices)};",
            _list("vectors_number vectors_numbers", numbers),
            _list("vectors_choice vectors_choices", choices),
            _list("float vectors_logits", logits),
            _list("int32_t vectors_suppressed", suppressed or ["0"]),
            "",
        ]
    )


def _list(name: str, items: list[str]) -> str:
    body = "".join(f"    {item},\n" for item in items)
    return f"const {name}[] = {{\n{body}}};"


if __name__ == "__main__":
    try:
        main()
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        seen = f"{type(error).__name__} {error}".strip()
        print(f"error: manifest.json or sampler.json is damaged ({seen}); {AGAIN}", file=sys.stderr)
        raise SystemExit(2) from error
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
