"""What the C example makes of bundles: it refuses what does not fit, and checks what is there."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_cases
import frame_bundle
import host_cases
import pytest
from c_program import mutations
from hosts import Command

EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "more inputs": (
        lambda m: m["contract"]["graphs"][0]["inputs"].append(
            {"name": "more", "role": "input", "dtype": "float32", "axes": ["batch"]}
        ),
        "expected a model of text alone",
    ),
    "frames": (lambda m: m["contract"].update(step_frames=0), "step_frames is no number"),
    "huge size": (
        lambda m: m["files"]["tokenizer.json"].update(bytes=1e300),
        "manifest.json is damaged",
    ),
    "tolerance": (lambda m: m["artifacts"][0].update(tolerance="wide"), "manifest.json is damaged"),
    "other kind": (
        lambda m: m["tokenizer"].update(kind="word"),
        "it has no pattern that cuts a text",
    ),
    "no bytes": (lambda m: m["tokenizer"].update(kind="byte"), "it has no token for every byte"),
    "hidden": (
        lambda m: m["contract"]["sizes"].update(hidden=9),
        "onnxruntime refuses onnx/step.onnx",
    ),
    "huge": (lambda m: m["contract"]["sizes"].update(hidden=2**40), "beyond reason"),
    "default": (
        lambda m: m["decoding"].update(temperature="hot"),
        "--temperature is damaged in manifest.json",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_does_not_fit_is_refused(
    sanitized: Command, text: Path, tmp_path: Path, name: str
) -> None:
    edit, says = EDITS[name]
    assert says in sanitized.refusal(host_cases.changed(text, tmp_path / "b", edit), "--json")


def test_no_damage_to_a_general_network_is_more_than_a_line(
    sanitized: Command, tmp_path: Path
) -> None:
    """The reader of contracts under sanitizers: each damaged manifest is one line, or it is
    good.
    """
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=True)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    reached = set()
    for content in host_cases.damaged_manifests(
        {key: value for key, value in manifest.items() if key != "provenance"}, 8, 80
    ):
        (folder / "manifest.json").write_bytes(content)
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2), done.stderr
        reached.add(done.returncode)
    assert reached >= {0, 2}


def test_ids_that_no_tokenizer_has_are_refused(
    sanitized: Command, text: Path, tmp_path: Path
) -> None:
    folder = host_cases.changed(text, tmp_path / "b", lambda manifest: None)
    for wrong in (34, 10**9, -1, 0.5, 1, "1"):
        document = json.loads((text / "tokenizer.json").read_text("utf-8"))
        document["model"]["vocab"]["z"] = wrong
        host_cases.replace(folder, "tokenizer.json", json.dumps(document).encode())
        assert (
            "an id is no number below the size of the vocabulary, or comes twice"
            in sanitized.refusal(folder)
        )


def test_a_long_prompt_is_fed_in_parts_of_bounded_logits(drive: Callable[..., str]) -> None:
    source = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    for (size_t vocabulary = 2; vocabulary < (size_t)1 << 22; vocabulary *= 1024 * 4) {
        struct bundle open = {.vocabulary = vocabulary, .open_time = true};
        struct bundle closed = {.vocabulary = vocabulary};
        printf("%zu %zu ", prefill_width(&open), prefill_width(&closed));
    }
}
"""
    assert drive(source).split() == ["256", "1", "128", "1"]


def test_damaged_models_are_read_to_their_end_and_no_further(
    drive: Callable[..., str], text: Path
) -> None:
    source = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "onnx_guard.h"
int main(void) {
    uint32_t length = 0;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        struct bundle_error error;
        /* of no byte more, so that a sanitizer sees what is read beyond it */
        char *model = malloc(length);
        if (model == NULL || fread(model, 1, length, stdin) != length) return 1;
        putchar(refuse_foreign(model, length, "model", &error) ? '1' : '0');
        free(model);
    }
}
"""
    whole = [foreign_cases.foreign_model(text, kind) for kind in ("", "sub-graph")]
    given = [
        *whole,
        *mutations(whole[0], count=400, seed=8),
        *mutations(whole[1], count=400, seed=9),
    ]
    given = [content for content in given if content]
    said = drive(
        source, given=b"".join(struct.pack("<I", len(content)) + content for content in given)
    )
    assert (len(said), said[:2]) == (len(given), "10")
