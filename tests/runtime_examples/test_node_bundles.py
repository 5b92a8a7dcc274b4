"""What the Node.js example shares with the web one: tokens of every kind, files and damage, wide recordings, versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host_cases
import pytest
import safetensors.numpy
import torch

from edgernn.bundle import pack
from edgernn.decoding.sampler_vectors import write_vectors
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.decoding.writer import write_text
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel

NODE = Path(__file__).resolve().parents[2] / "runtime_examples" / "node"
MANIFESTS = 300
READ = """
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { TextStream, Tokenizer } from '../web/src/tokenizer.js';
const { file, entry, texts, lists } = JSON.parse(readFileSync(0, 'utf8'));
const tokenizer = Tokenizer.parse(new Uint8Array(await readFile(file)), entry);
const encode = (text) => {
  try {
    return tokenizer.encode(text);
  } catch {
    return null;
  }
};
const write = (ids) => {
  const stream = new TextStream(tokenizer);
  return [...ids.map((id) => stream.push(id)), stream.flush()];
};
console.log(JSON.stringify([texts.map(encode), lists.map(write)]));
"""
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


def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = ["node", str(NODE / "main.mjs"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def refusal(*arguments: object) -> str:
    done = run(*arguments)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout, said.count("\n")) == (2, b"", 1), said
    return said


def failed(*arguments: object) -> list[str]:
    """Return the names of the rows that failed."""
    done = run(*arguments, "--check")
    names = [
        line.split()[0] for line in done.stdout.decode().splitlines() if line.endswith(" FAILED")
    ]
    assert (done.returncode, done.stderr) == (int(bool(names)), b"")
    return names


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


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_tokens_are_those_of_the_library(kind: str, tmp_path: Path) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    tokenizer.save(tmp_path / "tokenizer.json")
    texts = host_cases.texts(5, 400, newest=0x11FFF)
    lists = host_cases.id_lists(tokenizer, 6, 100)
    whole = [
        ids
        for ids in (host_cases.reference(tokenizer, each) for each in texts[:100])
        if ids is not None
    ]
    entry = {"path": "tokenizer.json", "kind": kind, "vocabulary_size": tokenizer.vocabulary_size}
    given = {
        "file": str(tmp_path / "tokenizer.json"),
        "entry": entry,
        "texts": texts,
        "lists": lists + whole,
    }
    command = ["node", "--input-type=module", "-e", READ]
    done = subprocess.run(
        command,
        input=json.dumps(given).encode(),
        cwd=NODE,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    encoded, written = json.loads(done.stdout)
    for each, found in zip(texts, encoded, strict=True):
        assert found == host_cases.reference(tokenizer, each), ascii(each)
    for ids, pieces in zip(lists + whole, written, strict=True):
        assert "".join(pieces) == tokenizer.decode(ids)
    for ids, pieces in zip(
        whole, written[len(lists) :], strict=True
    ):  # no character is split, none waits longer than it must
        stream = StreamDecoder(tokenizer)
        assert kind == "caption" or pieces == [
            *(stream.push(token) for token in ids),
            stream.flush(),
        ]


@pytest.mark.parametrize("kind", ["byte", "word", "bpe"])
def test_a_text_of_every_kind_is_that_of_python(kind: str, tmp_path: Path) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    torch.manual_seed(0)
    model = LanguageModel(
        LanguageConfig(vocabulary=tokenizer.vocabulary_size, hidden=12, embedding=8)
    )
    export_bundle(Checkpoint(model, tokenizer, {}, {}), tmp_path / "b", to=["onnx"], steps=4)
    prompt = host_cases.SAMPLE
    wanted = write_text(tmp_path / "b", prompt, length=120, temperature=2.0, seed=7)["text"]
    done = run(tmp_path / "b", "--prompt", prompt, "--length", 120, "--temperature", 2, "--seed", 7)
    assert done.stdout.decode() == prompt + wanted + "\n"
    assert failed(tmp_path / "b") == []


def test_another_tokenizer_is_refused(text: Path, tmp_path: Path) -> None:
    made = host_cases.with_tokenizer(text, tmp_path / "b", host_cases.tokenizer_of("bpe"))
    host_cases.edit(made, lambda manifest: manifest["tokenizer"]["ids"].reverse())
    assert "tokenizer.json gives the ids" in _tokenizer_said(made)


def _tokenizer_said(folder: Path) -> str:
    """Return how the tokenizer of a bundle is refused, whose model no longer fits it."""
    script = (
        "import { Tokenizer } from '../web/src/tokenizer.js'; import { openBundle } from './model.mjs';"
        "try { await Tokenizer.load(await openBundle(process.argv[1])); } catch (error) { console.log(error.message); }"
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


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "golden.safetensors", "onnx/step.onnx", "manifest.json"]
)
def test_a_missing_file_and_a_link_that_leads_out_are_told(
    folder: Path, name: str, tmp_path: Path
) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    assert name in refusal(folder)
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert "leads out of the bundle" in refusal(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    assert "is no file" in refusal(folder)


def test_a_large_file_is_not_read(folder: Path) -> None:
    os.truncate(folder / "tokenizer.json", 1 << 40)
    assert "has 1099511627776 bytes, expected" in refusal(folder)


def rezipped(
    source: Path, target: Path, change: Callable[[zipfile.ZipFile, str, bytes], object]
) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return target


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_bundle_in_one_file(text: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.edgernn"
    pack(text, one)
    outputs = [run(place, "--length", 50, "--seed", 3).stdout for place in (text, one)]
    assert outputs[0] == outputs[1] != b""
    cases: dict[str, tuple[Callable[[zipfile.ZipFile, str, bytes], object], str]] = {
        "bomb": (
            lambda z, n, c: z.writestr(n, c if n != "tokenizer.json" else b"0" * 50_000_000),
            "has 50000000 bytes, expected",
        ),
        "twice": (
            lambda z, n, c: [z.writestr(n, c) for _ in range(1 + (n == "tokenizer.json"))],
            "holds a file twice",
        ),
        "without": (
            lambda z, n, c: n != "sampler.json" and z.writestr(n, c),
            "sampler.json is missing",
        ),
        "method": (lambda z, n, c: z.writestr(n, c, zipfile.ZIP_LZMA), "packed with method 14"),
    }
    for name, (change, says) in cases.items():
        assert says in refusal(rezipped(one, tmp_path / f"{name}.edgernn", change))
    whole = one.read_bytes()
    for number, content in enumerate((b"", b"no zip", whole[: len(whole) // 2], whole[:-30])):
        (tmp_path / f"{number}.edgernn").write_bytes(content)
        assert "is no zip" in refusal(tmp_path / f"{number}.edgernn")
    size = (text / "tokenizer.json").stat().st_size  # what the table is made to say of 50 MB
    lying = (
        (tmp_path / "bomb.edgernn")
        .read_bytes()
        .replace((50_000_000).to_bytes(4, "little"), size.to_bytes(4, "little"))
    )
    (tmp_path / "lying.edgernn").write_bytes(lying)
    assert "tokenizer.json has " in refusal(tmp_path / "lying.edgernn")


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_wide_output_is_judged_by_what_is_recorded_of_it(folder: Path, artifact: str) -> None:
    host_cases.shorten_golden(folder)
    assert failed(folder, "--artifact", artifact) == []
    path = folder / "golden.safetensors"
    tensors = safetensors.numpy.load_file(path)
    for part in ("at_columns", "largest", "log_sum"):
        changed = {name: array.copy() for name, array in tensors.items()}
        changed[f"logits.{part}"].flat[-1] += 5
        host_cases.replace(folder, path.name, safetensors.numpy.save(changed))
        assert failed(folder, "--artifact", artifact) == [f"logits.{part}"]
    tensors["logits.columns"] += 40
    host_cases.replace(folder, path.name, safetensors.numpy.save(tensors))
    assert failed(folder, "--artifact", artifact) == ["logits.at_columns"]


@pytest.mark.parametrize(("key", "name"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_a_sampler_vector_that_differs_fails(folder: Path, key: str, name: str) -> None:
    write_vectors(folder / "sampler.json")
    vectors: dict[str, Any] = json.loads((folder / "sampler.json").read_text("utf-8"))
    vectors["uniforms"][2]["values"][1] += 2.0**-53 if key == "uniforms" else 0
    vectors["tokens"][-1]["token"] += key == "tokens"
    host_cases.replace(folder, "sampler.json", json.dumps(vectors).encode())
    assert failed(folder) == [name]
    host_cases.replace(folder, "sampler.json", b'{"version": 1, "generator": "other"}')
    assert "sampler.json holds no sampler vectors (version 1, generator other)" in refusal(
        folder, "--check"
    )


def test_a_newer_runtime_is_asked_for_by_version(folder: Path) -> None:
    host_cases.edit(
        folder, lambda manifest: manifest["artifacts"][0].update(requires={"onnxruntime": "999.1"})
    )
    said = refusal(folder, "--artifact", "onnx/step.onnx")
    assert "onnx/step.onnx needs onnxruntime 999.1 or newer, and this is 1." in said
    assert (
        json.loads(run(folder, "--json", "--length", 3).stdout)["artifact"] == "onnx/step-int8.onnx"
    )
    host_cases.edit(
        folder, lambda manifest: manifest["artifacts"][1].update(requires={"onnxruntime": "999.1"})
    )
    assert "onnx/step.onnx needs onnxruntime 999.1" in refusal(folder)


def test_without_golden_run_and_vectors_it_checks_as_far_as_it_goes(folder: Path) -> None:
    host_cases.edit(folder, lambda manifest: [manifest.pop(key) for key in ("golden", "sampler")])
    done = run(folder, "--check")
    golden, tokenizer = (" ".join(line.split()) for line in done.stdout.decode().splitlines())
    assert (done.returncode, golden) == (0, "golden - 0 not run; the bundle has no recorded run")
    assert tokenizer == "tokenizer 0.00e+0 0 ok"
    assert "no recorded run" in refusal(folder, "--time", 3)


@pytest.mark.parametrize("kind", host_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(folder: Path, kind: str) -> None:
    host_cases.replace_artifact(folder, host_cases.foreign_model(folder, kind))
    assert host_cases.FOREIGN[kind] in refusal(folder, "--artifact", "onnx/step.onnx")


@pytest.mark.parametrize(("key", "row"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_vectors_without_any_fail(folder: Path, key: str, row: str) -> None:
    host_cases.empty_vectors(folder, key)
    assert failed(folder) == [row]


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
    console.log(JSON.stringify([await widths(34), await widths(2 ** 13), (await widths(2 ** 21)).length]));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", source],
        cwd=NODE,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [[256, 44], [128, 128, 44], 300]
