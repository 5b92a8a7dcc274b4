"""The Node.js example, run as its README says, against what Python makes of the same bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle

NODE = Path(__file__).resolve().parents[2] / "runtime_examples" / "node"
WEB_SOURCES = NODE.parent / "web" / "src"
LENGTH = 500
PROMPT = "the quick "


def _lacking() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (NODE / "node_modules" / "onnxruntime-node").is_dir():
        return "npm packages are missing: npm ci --ignore-scripts in runtime_examples/node"
    return None


needs_runtime = pytest.mark.skipif(_lacking() is not None, reason=_lacking() or "")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["node", str(NODE / "main.mjs"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)


def _script(source: str) -> Any:
    """Run a module that imports from the shared sources; return the JSON that it prints."""
    done = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=source,
        cwd=WEB_SOURCES,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM with every ONNX precision, and a file that is no step. Read
    only.
    """
    folder = tmp_path_factory.mktemp("node") / "text"
    export_bundle(
        checkpoint_folder,
        folder,
        to=["onnx", "torchscript"],
        precision=["float32", "int8", "int4"],
        in_graph=True,
        steps=16,
    )
    return folder


@needs_runtime
def test_streams_the_prompt_and_the_text_and_repeats_itself_for_a_seed(text: Path) -> None:
    one, same, other = (
        _run(text, "--prompt", "the", "--length", 60, "--seed", seed).stdout for seed in (1, 1, 2)
    )
    assert one == same != other
    assert one.startswith("the")
    assert len(one) == len("the") + 60 + 1


def _edit(old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        manifest = folder / "manifest.json"
        content = manifest.read_text(encoding="utf-8")
        assert old in content
        manifest.write_text(content.replace(old, new, 1), encoding="utf-8")

    return change


def _flip(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))

    return change


@needs_runtime
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_flip("evaluation/held_out.safetensors"), "held_out.safetensors has the SHA-256"),
        (
            _edit('"kind": "char"', '"kind": "custom"'),
            "kind custom, expected one of char, byte, bpe, word, caption",
        ),
        (_edit('"ids": [\n      0', '"ids": [\n      1'), "tokenizer.json gives the ids"),
        (_edit('"dtypes": {}', '"dtypes": {"h": "float16"}'), "takes h as float16"),
    ],
)
def test_damage_is_told_in_one_line(
    text: Path, change: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(text, folder)
    change(folder)
    _is_refused(_run(folder), said)


@needs_runtime
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "aé§"], '"é" "§"'),
        (["--artifact", "onnx/nothing.onnx"], "expected one of: onnx/step.onnx"),
        (["--artifact", "onnx/generate.onnx"], "computes the graph generate"),
        (["--artifact", "torchscript/step.pt"], "is of format torchscript"),
        (["--temperature=-1"], "temperature is -1"),
        (["--temperature", "warm"], "expected a number"),
        (["--top-p", "0"], "top-p is 0"),
        (["--top-k", "1.5"], "expected a whole number"),
        (["--length", "many"], "expected a number"),
        (
            ["--seed", "18446744073709551616"],
            "expected a whole number from 0 to 18446744073709551615",
        ),
        (["--seed", "0x10"], "expected a whole number from 0 to"),
        (["--time", "0"], "--time is 0"),
        (["--colour"], "--colour"),
        (["--image", "cat.png"], "decodes no pictures"),
        (["another"], "2 bundles were given"),
    ],
)
def test_bad_input_is_told_in_one_line(text: Path, arguments: list[str], said: str) -> None:
    _is_refused(_run(text, *arguments), said)


@needs_runtime
def test_a_missing_bundle_and_a_captioner_are_refused(
    captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    _is_refused(_run(tmp_path / "nothing"), "no manifest.json")
    _is_refused(_run(captioner_bundle_folder), "is a captioner")


def _is_refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@needs_node
def test_sampling_is_pythons() -> None:
    random = np.random.default_rng(0)
    cases = []
    for temperature, top_k, top_p in [
        (0, 0, 1),
        (0.7, 0, 1),
        (1, 5, 1),
        (1.3, 0, 0.6),
        (0.5, 7, 0.9),
        (1, 1, 0.01),
    ]:
        for _ in range(40):
            logits = (
                random.normal(0, 3, 30).astype(np.float32).round(1)
            )  # rounded: ties must go to the lower id
            cases.append((logits, Sampler(temperature, top_k, top_p), float(random.random())))
    given = [
        {
            "logits": logits.tolist(),
            "options": {
                "temperature": s.temperature,
                "topK": s.top_k,
                "topP": s.top_p,
                "suppress": [],
            },
            "uniform": uniform,
        }
        for logits, s, uniform in cases
    ]
    found = _script(
        "import { sample } from './sampler.js';"
        f"const cases = {json.dumps(given)};"
        "const picks = cases.map(({ logits, options, uniform }) => "
        "sample(Float32Array.from(logits), options, uniform));"
        "console.log(JSON.stringify(picks));"
    )
    assert found == [sampler.pick(logits, uniform) for logits, sampler, uniform in cases]


@needs_node
def test_suppressed_tokens_are_never_written() -> None:
    found = _script(
        "import { sample } from './sampler.js';"
        "const pick = (temperature, uniform) =>"
        "  sample(Float32Array.of(9, 1, 8, 0), { temperature, topK: 0, topP: 1, suppress: [0, "
        "2] }, uniform);"
        "console.log(JSON.stringify([pick(0, 0), pick(1, 0.999), pick(1, 0)]));"
    )
    assert found == [1, 3, 1]


@needs_node
def test_the_random_numbers_are_pythons() -> None:
    found = _script(
        "import { readSeed, uniformAt } from './sampler.js';"
        "const take = (seed, first) => Array.from({ length: 200 }, (_, at) => "
        "uniformAt(readSeed(seed), first + at));"
        "console.log(JSON.stringify([take(0, 0), take('18446744073709551615', 5), take(7n, 2 "
        "** 40)]));"
    )
    places = [(0, 0), (2**64 - 1, 5), (7, 2**40)]
    assert found == [
        uniform_numbers(seed, 200, position=position).tolist() for seed, position in places
    ]


@needs_node
@pytest.mark.parametrize("shape", [(50, 90), (64, 64), (7, 5), (200, 33)])
def test_pictures_are_resized_as_pillow_does(shape: tuple[int, int]) -> None:
    from PIL import Image

    from edgernn.data.pictures.pictures import to_array

    picture = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
    wanted = to_array(Image.fromarray(picture), 32)
    rgba = np.dstack([picture, np.full(shape, 255, np.uint8)])
    found = _script(
        "import { imageTensor } from './picture.js';"
        f"const data = Uint8ClampedArray.from({json.dumps(rgba.ravel().tolist())});"
        "const spec = { dtype: 'uint8', axes: ['batch', 'height', 'width', 'channels'] };"
        f"const made = imageTensor({{ data, width: {shape[1]}, height: {shape[0]} }}, spec, {{ "
        f"height: 32, width: 32 }});"
        "console.log(JSON.stringify([made.dims, Array.from(made.data)]));"
    )
    assert found[0] == [1, 32, 32, 3]
    difference = np.abs(np.reshape(found[1], wanted.shape).astype(int) - wanted)
    assert (
        difference.max() <= 1
    )  # Pillow sums in fixed point, and rounds between its two passes in an order of its own
