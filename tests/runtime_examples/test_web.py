"""The web example, end to end in headless Chromium: ``runtime_examples/web/test.mjs`` plays,
each scenario is a test here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frame_bundle
import host_cases
import numpy as np
import pytest
import web_cases
from family_networks import export_tiny
from PIL import Image

from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.sessions import compiler
from edgernn.writing.answers import Answerer
from edgernn.writing.captions import CaptionWriter
from edgernn.writing.text import write_text
from edgernn.writing.translations import TranslationWriter

WEB = Path(__file__).resolve().parents[2] / "runtime_examples" / "web"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LENGTH = 500
PROMPT = "the quick "
SCENARIOS = tuple(
    name
    for file in ("test.mjs", "test_inputs.mjs")
    for name in re.findall(r"^  async '(.+)'\(", (WEB / file).read_text("utf-8"), re.MULTILINE)
)


def _lacking() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not Path(CHROMIUM).is_file():
        return f"there is no chromium at {CHROMIUM}; set CHROMIUM"
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        return "npm packages are missing: npm ci --ignore-scripts in runtime_examples/web"
    if not (WEB / "vendor" / "ort.wasm.min.mjs").is_file():
        return "the runtime is missing: npm run vendor in runtime_examples/web"
    return None


pytestmark = pytest.mark.skipif(_lacking() is not None, reason=_lacking() or "")


def _greedy(bundle: Path, prompt: str) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "length": LENGTH,
        "text": write_text(bundle, prompt, length=LENGTH, temperature=0)["text"],
    }


def _seeded(bundle: Path, seed: int, *, prompt: str = PROMPT) -> dict[str, Any]:
    options: dict[str, Any] = {"length": LENGTH, "temperature": 0.8, "seed": seed}
    text = write_text(bundle, prompt, **options)["text"]
    return {**options, "seed": str(seed), "prompt": prompt, "text": text}


def _of_words(bundle: Path) -> dict[str, Any]:
    """What is written after words, and what where it is continued: each text whole."""
    options: dict[str, Any] = {"length": 5, "temperature": 2.0, "seed": 7}
    tokenizer = host_cases.tokenizer_of("spaced")
    prompt = tokenizer.encode("the quick")
    made = write_text(bundle, "the quick", **{**options, "length": 10})["tokens"]
    texts = [tokenizer.decode([*prompt, *made[:count]]) for count in (5, 10)]
    return {**options, "prompt": " the  quick ", "texts": texts}


def _asked(bundle: Path, picture: Path) -> dict[str, Any]:
    """A question about a picture, and what is answered after each of its words."""
    question = "What colour, is the small star?"
    with Answerer(bundle) as answerer:
        found = answerer.ask(answerer.look(picture), question)
    running = [
        [f"{found.labels[at]} {row[at]:.1%}".replace("%", " %") for at in np.argsort(-row)]
        for row in found.running
    ]
    said = {"question": question, "words": list(found.words), "answer": found.best(1)[0][0]}
    return {**said, "bundle": bundle.name, "running": running}


def _translated(bundle: Path) -> dict[str, Any]:
    """A text, its translation and where the model looked for each character of that."""
    text = "bad cafe"
    with TranslationWriter(bundle) as writer:
        found = writer.write(text)
    assert found.attention is not None
    said = {"text": text, "translation": found.text, "attention": found.attention.tolist()}
    return {**said, "bundle": bundle.name}


def _compiled(checkpoint: Path, folder: Path) -> dict[str, Any] | None:
    """A bundle with modules beside files for the runtime; None where nothing makes modules."""
    if compiler.lacking() is not None or compiler.zig() is None:
        return None
    precision, target = ["float32", "int8"], ["wasm", "wasm-relaxed"]
    export_bundle(
        checkpoint, folder, to=["onnx", "c"], precision=precision, target=target, steps=16
    )
    found = {"place": str(folder), "name": folder.name}
    return {**found, "greedy": _greedy(folder, PROMPT), "small": "c/step-int8"}


def _damage(source: Path, target: Path, change: Callable[[Path], object]) -> str:
    shutil.copytree(source, target)
    change(target)
    return str(target)


def _edit(folder: Path, old: str, new: str) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new), encoding="utf-8")


def _flip(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))


def _take_golden(folder: Path, other: Path) -> None:
    """Put the golden run of another model in, with the digest that belongs to it."""
    entries = [
        json.loads((each / "manifest.json").read_text(encoding="utf-8"))["files"]
        for each in (folder, other)
    ]
    shutil.copy(other / "golden.safetensors", folder)
    mine, theirs = (entry["golden.safetensors"] for entry in entries)
    _edit(folder, mine["sha256"], theirs["sha256"])


def _damaged(folder: Path, text: Path) -> dict[str, tuple[str, str]]:
    """Make damaged copies: name → folder and what the page says of it."""
    made = {
        "flipped": (lambda f: _flip(f, "onnx/step.onnx"), "onnx/step.onnx has the SHA-256"),
        "cut": (
            lambda f: (f / "onnx/step.onnx").write_bytes(b"ONNX"),
            "onnx/step.onnx has 4 bytes",
        ),
        "missing": (lambda f: (f / "onnx/step.onnx").unlink(), "onnx/step.onnx is missing"),
        "newer": (
            lambda f: _edit(f, '"schema_version": ', '"schema_version": 3'),
            "schema_version 3",
        ),
        "no-json": (
            lambda f: (f / "manifest.json").write_text("{", encoding="utf-8"),
            "manifest.json of no-json is damaged",
        ),
        "foreign": (
            lambda f: _edit(f, '"kind": "char"', '"kind": "custom"'),
            "the tokenizer is of kind custom",
        ),
        "bytes": (lambda f: _edit(f, '"kind": "char"', '"kind": "byte"'), "tokenizer.json"),
        "negative": (lambda f: _edit(f, '"hidden": ', '"hidden": -'), "contract.sizes.hidden is -"),
        "tokens": (lambda f: _flip(f, "tokenizer.json"), "tokenizer.json has the SHA-256"),
    }
    return {
        name: (_damage(text, folder / name, change), said) for name, (change, said) in made.items()
    }


def _turn_artifacts(folder: Path) -> None:
    """Put the file in integers before that in floats."""
    manifest = folder / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["artifacts"].reverse()
    assert content["artifacts"][0]["precision"] == "int8"
    manifest.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def spec(
    tmp_path_factory: pytest.TempPathFactory,
    checkpoint_folder: Path,
    captioner_folder: Path,
    make_model: Callable[..., Any],
    tokenizer: Any,
) -> dict[str, Any]:
    """What test.mjs reads: bundles, and what Python makes of them."""
    folder = tmp_path_factory.mktemp("web")
    text, learned, captions, other = (
        folder / name for name in ("text", "learned", "captions", "other")
    )
    evaluation = {"tokens": np.arange(20, dtype=np.int64)}
    gru = make_model(cell="gru", learned_initial_state=True)
    for name, parameter in gru.named_parameters():
        if "first_state" in name:
            parameter.data *= 30  # far enough from zeros for the text to tell
    save(Checkpoint(gru, tokenizer, {}, evaluation), folder / "gru")
    precisions = ["float32", "int8"]
    export_bundle(checkpoint_folder, text, to="onnx", precision=precisions, steps=16)
    export_bundle(folder / "gru", learned, to="onnx", precision=precisions, steps=16)
    export_bundle(captioner_folder, captions, to="onnx", steps=8)
    export_bundle(checkpoint_folder, folder / "packed.edgernn", to="onnx", steps=16)
    shifted = make_model()
    for parameter in shifted.parameters():
        parameter.data *= 1.5
    save(Checkpoint(shifted, tokenizer, {}, evaluation), folder / "shifted")
    export_bundle(folder / "shifted", other, to="onnx", steps=16)
    pairs = host_cases.made_of_kind("bpe", folder / "pairs")
    words = host_cases.made_of_kind("spaced", folder / "words")
    host_cases.shorten_golden(pairs)
    wrong = _damage(text, folder / "wrong-golden", lambda f: _take_golden(f, other))
    picture = np.random.default_rng(1).integers(0, 256, (50, 90, 3), np.uint8)
    Image.fromarray(picture).save(folder / "picture.png")
    with CaptionWriter(captions) as writer:
        caption = writer.write(folder / "picture.png", beam=1).text
    asked = export_tiny("answerer", folder / "asked", to=["onnx"], steps=8)
    translated = export_tiny("translator", folder / "translated", to=["onnx"], steps=8)
    painted = export_tiny("painter", folder / "painted", to=["onnx"], steps=8)
    tagged, numbers = web_cases.tagged(folder), web_cases.numbers(folder)
    read = web_cases.read(folder)
    looked = web_cases.looked(folder, folder / "picture.png")
    damaged = _damaged(folder / "damaged", text)
    return {
        "compiled": _compiled(checkpoint_folder, folder / "compiled"),
        "bundles": [
            str(text),
            str(learned),
            str(captions),
            str(pairs),
            str(words),
            str(asked),
            str(translated),
            str(painted),
            *(str(folder / each["bundle"]) for each in (tagged, numbers, looked, *read)),
            str(other),
            str(frame_bundle.write_frame_bundle(folder / "frames")),
            wrong,
            _damage(text, folder / "integers-first", _turn_artifacts),
            *(place for place, _ in damaged.values()),
        ],
        "text": "text",
        "learned": "learned",
        "captions": "captions",
        "asked": _asked(asked, folder / "picture.png"),
        "translated": _translated(translated),
        "painted": "painted",
        "compared": web_cases.compared(text, other, PROMPT, length=60),
        "traced": web_cases.traced(text, "the quick brown"),
        "tagged": tagged,
        "numbers": numbers,
        "looked": looked,
        "read": read,
        "pairs": "pairs",
        "words": "words",
        "of_words": _of_words(words),
        "frames": "frames",
        "of_pairs": _seeded(pairs, 7, prompt="naïve 你好 "),
        "wrong_golden": "wrong-golden",
        "integers_first": "integers-first",
        "greedy": _greedy(text, PROMPT),
        "seeded": [_seeded(text, seed) for seed in (7, 2**64 - 1)],
        "empty": _greedy(text, ""),
        "learned_greedy": _greedy(learned, PROMPT),
        "damaged": {name: said for name, (_, said) in damaged.items()},
        "folder": str(text),
        "zip": str(folder / "packed.edgernn"),
        "picture": str(folder / "picture.png"),
        "caption": caption,
    }


@pytest.fixture(scope="module")
def results(
    spec: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Play every scenario once: name → ok and detail."""
    path = tmp_path_factory.mktemp("spec") / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    done = subprocess.run(
        ["node", "test.mjs", str(path)],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(results: dict[str, dict[str, Any]], name: str) -> None:
    if name.startswith("axe") and not (WEB / "node_modules" / "axe-core").is_dir():
        pytest.skip("axe-core is missing: npm ci --ignore-scripts in runtime_examples/web")
    assert results[name]["ok"], results[name]["detail"]


def test_every_scenario_is_known() -> None:
    assert len(SCENARIOS) >= 30


def test_every_file_of_the_page_works_offline() -> None:
    kept = (WEB / "sw.js").read_text(encoding="utf-8")
    own = {path.name for path in WEB.glob("*.js")} - {"sw.js"}
    assert own == set(re.findall(r"^  '(\w+\.js)',$", kept, re.MULTILINE))
    sources = {path.stem for path in (WEB / "src").glob("*.js")}
    assert sources == set(re.findall(r"^    '(\w+)',$", kept, re.MULTILINE))
