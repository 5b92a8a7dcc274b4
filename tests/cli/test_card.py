"""``edgernn card``: YAML that a hub reads, figures of the manifest, commands that run, and text
that stays text.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from edgernn.bundle import Bundle, pack
from edgernn.bundle.records import Library
from edgernn.cli.card_run import HOSTS
from edgernn.cli.card_text import model_card, plain
from edgernn.formats import FORMATS, Format, default_rows

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., tuple[int, str, str]]
HOSTILE = (
    "[a](http://x.example) <script>|`*_ https://y.example www.z.example me@z.example\x1b\n# $x$ "
    "&amp; ![b](c)"
)


def head(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_of_a_language_model(bundle_folder: Path, run: Run, tmp_path: Path) -> None:
    code, card, _ = run("card", bundle_folder, "--license", "apache-2.0")
    assert code == 0
    families = dict.fromkeys(row.family for row in default_rows())
    assert head(card) == {
        "license": "apache-2.0",
        "library_name": "edgernn",
        "pipeline_tag": "text-generation",
        "tags": ["edgernn", "rnn", "lstm", *families, "on-device"],
        "metrics": ["perplexity"],
    }
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        (row, figures) = (
            line
            for line in card.splitlines()
            if line.startswith(f"| {artifact['path'].replace('_', chr(92) + '_')} |")
        )
        assert f"| {artifact['precision']} |" in row
        if "parity" in artifact:
            assert f"{artifact['parity']['worst']:.1e} of " in figures
    assert f"{manifest['provenance']['parameters']:,} parameters" in card
    assert run("card", bundle_folder, "--out", "README.md")[1] == ""
    assert (tmp_path / "README.md").read_text() == run("card", bundle_folder)[1]
    assert "license" not in head(run("card", bundle_folder)[1])


def test_the_card_of_a_captioner(captioner_bundle_folder: Path, run: Run) -> None:
    card = run("card", captioner_bundle_folder)[1]
    assert head(card)["pipeline_tag"] == "image-to-text"
    assert head(card)["metrics"] == ["cider", "bleu"]
    assert "--image photo.jpg" in card
    assert "node main.mjs" not in card  # the example for Node.js writes text only


def test_every_example_that_a_row_names_is_there() -> None:
    folders = {host.folder for host in HOSTS}
    assert {host for row in FORMATS.values() for host in row.hosts} == folders
    assert all((ROOT / "runtime_examples" / folder).is_dir() for folder in folders)


@pytest.mark.parametrize(("target", "runs"), [("wasm", True), ("cortex-m4", False)])
def test_node_and_the_browser_run_c_that_has_a_module(
    target: str, runs: bool, bundle_folder: Path
) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    built = Library(target=target, path="c/lib/built")
    own = manifest.artifacts[0].model_copy(update={"format": "c", "libraries": (built,)})
    card = model_card(manifest.model_copy(update={"artifacts": (own,)}), "b")
    assert ("node main.mjs" in card, "node serve.mjs" in card) == (runs, runs)


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
def test_a_card_names_the_runtimes_and_the_examples_of_the_files_alone(
    row: Format, bundle_folder: Path
) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    kept = tuple(a for a in manifest.artifacts if FORMATS[a.format] == row)
    if not row.by_default:
        kept = (manifest.artifacts[0].model_copy(update={"format": row.name}),)
    card = model_card(manifest.model_copy(update={"artifacts": kept}), "b")
    assert f"outputs, for {row.title}. It is" in card
    for host in HOSTS:
        assert (host.head in card) == (host.folder in row.hosts)


def test_a_reduced_precision_says_what_it_loses(checkpoint_folder: Path, run: Run) -> None:
    wanted = (
        "--to",
        "onnx",
        "--precision",
        "float32,int8",
        "--max-perplexity-increase",
        "20%",
        "--release",
    )
    assert run("export", checkpoint_folder, "--out", "b", *wanted)[0] == 0
    card = run("card", "b")[1]
    loss = json.loads(run("inspect", "b", "--json")[1])["artifacts"][1]["loss"]
    assert f"{loss['perplexity'] / loss['reference_perplexity'] - 1:+.2%} (allowed 20.00%)" in card
    assert "the recorded run is replayed" in card


def test_the_commands_run_as_written(bundle_folder: Path, run: Run, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "a 'bundle'")
    card = run("card", bundle)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)
    place = next(block for block in blocks if block.startswith("BUNDLE=")).replace(
        "/path/to", str(tmp_path)
    )
    commands = [
        next(block for block in blocks if block.startswith("edgernn generate")),
        next(block for block in blocks if "main.py" in block).replace(
            "pip install numpy onnxruntime", "true"
        ),
    ]
    for command in commands:
        script = (
            f'edgernn() {{ {sys.executable} -m edgernn "$@"; }}; python() {{ {sys.executable} '
            f'"$@"; }}; {place}{command}'
        )
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=ROOT / "runtime_examples",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("The ")


@pytest.mark.parametrize(
    ("text", "option"), [("\n ab", "--prompt a "), ("\n .", ""), ("\n Teh", '--prompt "The " ')]
)
def test_the_prompt_is_one_that_the_model_can_read(
    text: str, option: str, bundle_folder: Path
) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    changed = manifest.model_copy(
        update={"tokenizer": manifest.tokenizer.model_copy(update={"text": text})}
    )
    card = model_card(changed, "b")
    assert card.count(f'"$BUNDLE" {option}--length 200') == 6


def test_a_bundle_in_one_file_is_unpacked_for_the_hosts_that_open_folders(
    bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    pack(bundle_folder, tmp_path / "a 'b.edgernn")
    card = run("card", "a 'b.edgernn")[1]
    blocks = {
        host.folder: re.search(re.escape(host.head) + r"\n\n```sh\n(.*?)^```", card, re.M | re.S)
        for host in HOSTS
        if host.commands and host.folder in FORMATS["onnx"].hosts
    }
    for folder, found in blocks.items():
        assert found, folder
        assert ("unzip" in found[1]) == (folder in {"c", "cpp"})
    assert blocks["c"] is not None
    *_, unpack, ask = blocks["c"][1].splitlines()
    place = next(line for line in card.splitlines() if line.startswith("BUNDLE="))
    script = f"{place.replace('/path/to', str(tmp_path))}; {unpack}; ls {ask.split()[1]}"
    made = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, check=True)
    assert "manifest.json" in made.stdout.split()
    assert "unzip" not in run("card", bundle_folder)[1]


def test_a_network_that_writes_nothing_is_unpacked_for_the_same_hosts(bundle_folder: Path) -> None:
    manifest = Bundle.open(bundle_folder).manifest.model_copy(update={"family": "module"})
    said = "in C, C++ and Swift, of the bundle unpacked: `unzip -qo"
    for packed in (True, False):
        assert (said in model_card(manifest, "b.edgernn", packed=packed)) == packed


@pytest.mark.parametrize(("text", "option"), [("# it's the", "--prompt the "), ("# '", "")])
def test_the_prompt_to_words_of_others_is_one_of_them(
    text: str, option: str, bundle_folder: Path
) -> None:
    manifest = Bundle.open(bundle_folder).manifest
    words = manifest.tokenizer.model_copy(update={"text": text, "kind": "spaced"})
    card = model_card(manifest.model_copy(update={"tokenizer": words}), "b")
    assert card.count(f'"$BUNDLE" {option}--length 200') == 6


def test_what_the_manifest_holds_stays_text(bundle_folder: Path, run: Run, tmp_path: Path) -> None:
    bundle = shutil.copytree(bundle_folder, tmp_path / "[x](y) `a` <b>")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["provenance"]["training"] |= {
        "corpus": HOSTILE,
        "split": HOSTILE,
        "validation_loss": 2.0,
    }
    manifest["provenance"]["model"]["cell"] = HOSTILE
    manifest["artifacts"][0]["target"] = HOSTILE
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    code, card, err = run("card", bundle)
    assert code == 0, err
    assert HOSTILE in head(card)["tags"]
    body = card.split("---\n", 2)[2]
    reader = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    kinds = {
        inner.type for token in reader.parse(body) for inner in (token, *(token.children or ()))
    }
    assert not kinds & {"link_open", "image", "html_block", "html_inline", "code_inline"} - {
        "code_inline"
    }
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\n", "\\n")
    texts = [
        "".join(c.content for c in token.children or ())
        for token in reader.parse(body)
        if token.type == "inline"
    ]
    assert f"trained on: {shown}" in texts
    assert shown in texts  # the target, in a cell of its own


@pytest.mark.parametrize("text", ["https://x.example", "WWW.x.example", "a@b.example"])
def test_no_address_becomes_a_link(text: str) -> None:
    assert plain(text) not in {text}
    assert plain("step 1.5-2 (a, b)") == "step 1.5-2 (a, b)"
