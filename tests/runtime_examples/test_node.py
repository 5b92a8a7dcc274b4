"""The Node.js example, run as its README says, against what Python makes of the same bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import HOSTS, Command

NODE = Path(__file__).resolve().parents[2] / "runtime_examples" / "node"
WEB_SOURCES = NODE.parent / "web" / "src"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


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
def node(request: pytest.FixtureRequest) -> Command:
    """The example, ready to be started."""
    (row,) = (host for host in HOSTS if host.name == "node")
    return row.start(request)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "aé§"], '"é" "§"'),
        (["--artifact", "onnx/generate.onnx"], "computes the graph generate"),
        (["--image", "cat.png"], "decodes no pictures"),
        (["another"], "2 bundles were given"),
    ],
)
def test_bad_input_is_told_in_one_line(
    node: Command, text: Path, arguments: list[str], said: str
) -> None:
    assert said in node.refusal(text, *arguments)


def test_a_captioner_is_refused(node: Command, captioner_bundle_folder: Path) -> None:
    assert "is a captioner" in node.refusal(captioner_bundle_folder)


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
def test_files_in_integers_come_last_where_they_are_slow(bundle_folder: Path) -> None:
    content = json.loads((bundle_folder / "manifest.json").read_text(encoding="utf-8"))
    (step,) = [a for a in content["artifacts"] if a["format"] == "onnx" and a["graph"] == "step"][
        :1
    ]
    content["artifacts"] = [
        {**step, "precision": precision, "path": f"onnx/{precision}.onnx", "loss": None}
        for precision in ("int4", "float16", "int8", "float32")
    ]
    found = _script(
        "import { Bundle } from './bundle.js';"
        f"const text = {json.dumps(json.dumps(content))};"
        "const bundle = await Bundle.open(async () => new TextEncoder().encode(text), 'here');"
        "const order = () => bundle.choices.map(({ precision }) => precision);"
        "const before = order(); bundle.integersLast = true;"
        "console.log(JSON.stringify([before, order(), bundle.artifact().precision]));"
    )
    assert found == [
        ["int4", "float16", "int8", "float32"],
        ["float16", "float32", "int4", "int8"],
        "float16",
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
