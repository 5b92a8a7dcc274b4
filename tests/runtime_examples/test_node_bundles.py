"""What the Node.js example shares with the web one: tokens of every kind, files and damage,
wide recordings, versions.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import host_cases
import pytest

from edgernn.export.pack import export_bundle

NODE = Path(__file__).resolve().parents[2] / "runtime_examples" / "node"
MANIFESTS = 300
OPEN_MANY = """
import { readFile, writeFile } from 'node:fs/promises';
import { check } from '../web/src/check.js';
import { BundleError } from '../web/src/errors.js';
import { generate, start } from '../web/src/generation.js';
import { load } from './model.mjs';
const [folder, list] = process.argv.slice(-2);
for (const text of JSON.parse(await readFile(list, 'utf8'))) {
  await writeFile(`${folder}/manifest.json`, Buffer.from(text, 'base64'));
  let told;
  try {
    const model = await load(folder);
    const ok = (await check(model)).every((row) => row.ok);
    if (!model.encoder) for await (const _ of generate(model, start(model, []), { length: 3 }));
    await model.release();
    told = ok ? 0 : 1;
  } catch (error) {
    told = error instanceof BundleError ? error.message : `${error.stack}`;
    if (!(error instanceof BundleError)) process.exitCode = 3;
  }
  console.log(JSON.stringify(told));
}
"""


def _lacking() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (NODE / "node_modules" / "onnxruntime-node").is_dir():
        return "npm packages are missing: npm ci --ignore-scripts in runtime_examples/node"
    return None


pytestmark = pytest.mark.skipif(_lacking() is not None, reason=_lacking() or "")


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM. Read only."""
    folder = tmp_path_factory.mktemp("node") / "b"
    export_bundle(checkpoint_folder, folder, to="onnx", precision=["float32", "int8"], steps=8)
    return folder


@pytest.fixture
def folder(text: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be changed."""
    shutil.copytree(text, tmp_path / "b")
    return tmp_path / "b"


def test_another_tokenizer_is_refused(text: Path, tmp_path: Path) -> None:
    made = host_cases.with_tokenizer(text, tmp_path / "b", host_cases.tokenizer_of("bpe"))
    host_cases.edit(made, lambda manifest: manifest["tokenizer"]["ids"].reverse())
    assert "tokenizer.json gives the ids" in _tokenizer_said(made)


def _tokenizer_said(folder: Path) -> str:
    """Return how the tokenizer of a bundle is refused, whose model no longer fits it."""
    return str(json.loads(_refused(folder, "Tokenizer.load(await openBundle(process.argv[1]))")))


def _refused(folder: Path, expression: str) -> str:
    """Return the message, as JSON, of what an expression over the folder throws."""
    script = (
        "import { Tokenizer } from '../web/src/tokenizer.js'; import { openBundle } from "
        "'./model.mjs';"
        f"try {{ await {expression}; }} catch (error) {{ "
        "console.log(JSON.stringify(error.message)); }"
    )
    command = ["node", "--input-type=module", "-e", script, str(folder)]
    return subprocess.run(
        command, cwd=NODE, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_no_manifest_ends_it_with_a_stack(
    folder: Path, captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    import base64

    shutil.copytree(captioner_bundle_folder, tmp_path / "captions")
    for seed, bundle in enumerate((folder, tmp_path / "captions")):
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        texts = host_cases.damaged_manifests(manifest, seed, MANIFESTS)
        (tmp_path / "list").write_text(
            json.dumps([base64.b64encode(each).decode() for each in texts]), "utf-8"
        )
        command = [
            "node",
            "--input-type=module",
            "-e",
            OPEN_MANY,
            str(bundle),
            str(tmp_path / "list"),
        ]
        done = subprocess.run(
            command, cwd=NODE, capture_output=True, encoding="utf-8", timeout=200, check=False
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        stacks = [said for said in told if isinstance(said, str) and "\n" in said]
        assert (done.returncode, stacks[:3], done.stderr, len(told)) == (0, [], "", MANIFESTS)
        assert sum(isinstance(said, str) for said in told) > MANIFESTS // 8


def test_a_manifest_of_several_lines_is_refused_in_one(folder: Path) -> None:
    broken = '{"a": [1,\n \x1b @\n], "tensors": 1}'
    (folder / "manifest.json").write_text(broken, "utf-8")
    said = json.loads(_refused(folder, "openBundle(process.argv[1])"))
    assert said.startswith("manifest.json of ")
    assert " is damaged (" in said
    assert not set(said) & {"\n", "\x1b"}


def test_what_no_step_takes_is_refused(text: Path) -> None:
    script = """
    import { load } from './model.mjs';
    const model = await load(process.argv[1]);
    const { state } = await model.begin();
    const tokens = { dtype: 'int64', dims: [2, 1], data: new BigInt64Array(2) };
    for (const inputs of [{ tokens }, {}, undefined, { tokens: [[1]] }])
      await model.step(inputs, state).catch((error) => console.log(`${error.name}: ${error.message}`));
    """
    command = ["node", "--input-type=module", "-e", script, str(text)]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "BundleError: h is float32 [2,1,8], expected float32 [2,2,8]; give what the contract says",
        "BundleError: tokens is missing; give every input, context and state",
        "BundleError: tokens is missing; give every input, context and state",
        "BundleError: tokens is no tensor, expected { dtype, dims, data }; give one",
    ]


def test_a_long_prompt_is_fed_in_parts_of_bounded_logits() -> None:
    source = """
    import { prefill } from '../web/src/generation.js';
    const widths = (vocabulary) => {
      const made = [];
      const step = async ({ t }) => (made.push(t.length), { state: {} });
      const ids = { name: 't', axes: ['batch', 'time'] };
      const model = { openTime: true, vocabulary, ids, idTensor: (each) => each, step };
      return prefill(model, Array(300).fill(1), {}).then(() => made);
    };
    const most = await widths(2 ** 21);
    console.log(JSON.stringify([await widths(34), await widths(2 ** 13), most.length]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", source],
        cwd=NODE,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [[256, 44], [128, 128, 44], 300]
