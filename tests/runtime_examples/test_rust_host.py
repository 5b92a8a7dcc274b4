"""The host in Rust beyond what all hosts do alike: a bundle's C in it, captions, forks, damaged
manifests, and a runtime that is not there. ``.ci/rust`` gets the crates that it is built of.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import host_cases
import pytest
import rust_host
import safetensors.numpy
from c_program import LOOSE
from hosts import Command

from edgernn.bundle import Bundle
from edgernn.decoding.captions import sample_caption, search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.sessions.model import open_model
from edgernn.writing.text import write_text

MANIFESTS = 300
SOURCES = "".join(
    path.read_text("utf-8")
    for path in sorted((rust_host.EXAMPLES / "rust" / "host" / "src").glob("*.rs"))
)


def test_no_manifest_ends_it_with_a_panic(
    rust_driver: Command, copy: Path, captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(captioner_bundle_folder, tmp_path / "captions")
    for seed, bundle in enumerate((copy, tmp_path / "captions")):
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        texts = host_cases.damaged_manifests(manifest, seed, MANIFESTS)
        given = json.dumps([each.decode("latin-1") for each in texts])
        (tmp_path / "list").write_text(given, "utf-8")
        reached = rust_driver.good("--fuzz", tmp_path / "list", bundle).strip()
        assert len(reached) == MANIFESTS
        assert "9" not in reached
        assert 0 < reached.count("0") < MANIFESTS


def test_a_fork_goes_on_as_the_text_does(rust_driver: Command, text: Path) -> None:
    whole, fork = map(json.loads, rust_driver.good("--fork", text).splitlines())
    assert len(whole) == 20
    assert len(fork) == 12
    assert whole[:8] == write_text(text, "the ", length=8, temperature=0.8, seed=3)["tokens"]


def test_the_program_of_the_readme_writes(rust_build: Path, text: Path, library: Path) -> None:
    program = Command((str(rust_build / "readme"),), {"ONNXRUNTIME_LIBRARY": str(library)})
    wanted = write_text(text, "the ", length=200, temperature=0.8, seed=7)["text"]
    assert program.good(text) == wanted


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_captions_are_those_of_edgernn(
    rust_driver: Command, captioner_bundle_folder: Path, temperature: float
) -> None:
    model = open_model(captioner_bundle_folder)
    assert model.encode is not None
    recorded = safetensors.numpy.load_file(captioner_bundle_folder / "golden.safetensors")
    seen = {spec.name: recorded[spec.name] for spec in model.encode.spec.fresh_inputs}
    decoding = Bundle.open(captioner_bundle_folder).manifest.decoding
    wanted = (
        sample_caption(model, seen, decoding, sampler=Sampler(temperature), seed=7)
        if temperature
        else search_caption(model, seen, decoding)
    )
    ids, words = rust_driver.good("--caption", captioner_bundle_folder, temperature).split("] ")
    assert json.loads(ids + "]") == list(wanted.tokens)[:30]
    assert words.strip()


def test_a_captioner_is_told_what_this_program_lacks(
    rust_program: Command, captioner_bundle_folder: Path
) -> None:
    said = rust_program.refusal(captioner_bundle_folder)
    assert "decodes no pictures" in said


def test_a_runtime_that_is_not_there_is_told(rust_build: Path, text: Path, tmp_path: Path) -> None:
    (tmp_path / "libonnxruntime.so").write_bytes(b"no library")
    for place in (tmp_path / "none.so", tmp_path / "libonnxruntime.so"):
        host = Command((str(rust_build / "edgernn-run"),), {"ONNXRUNTIME_LIBRARY": str(place)})
        said = host.refusal(text, "--check")
        assert said.startswith("error: cannot open onnxruntime (")
        assert place.name in said
        assert "give its path by --library or ONNXRUNTIME_LIBRARY" in said


@pytest.fixture(scope="module")
def mixed(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in C and for onnxruntime, each in float32 and in int8."""
    folder = tmp_path_factory.mktemp("mixed") / "b"
    precision = ("float32", "int8")
    export_bundle(
        checkpoint_folder,
        folder,
        to=["c", "onnx"],
        precision=precision,
        steps=8,
        options=LOOSE,
        release=True,
    )
    return folder


@pytest.fixture(scope="module")
def compiled(mixed: Path, tmp_path_factory: pytest.TempPathFactory, library: Path) -> Command:
    """The host with the LSTM compiled in."""
    built = rust_host.build(tmp_path_factory.mktemp("compiled"), network=mixed)
    return Command((str(built / "edgernn-run"),), {"ONNXRUNTIME_LIBRARY": str(library)})


def test_the_c_of_a_bundle_needs_no_runtime(compiled: Command, mixed: Path, text: Path) -> None:
    alone = Command(compiled.words, {"ONNXRUNTIME_LIBRARY": os.devnull})
    rows = alone.rows(mixed)
    assert set(rows) == {"logits", "h_next", "c_next", "uniforms", "sampler", "tokenizer"}
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    assert all(0 < (rows[name][0] or 0) < 1e-5 for name in ("logits", "h_next", "c_next"))
    for temperature in (0, 0.8):
        wanted = write_text(mixed, "the ", length=300, temperature=temperature, seed=7)
        flags = ["--prompt", "the ", "--length", 300, "--temperature", temperature, "--seed", 7]
        made = json.loads(alone.good(mixed, *flags, "--json"))
        assert (made["artifact"], made["tokens"]) == ("c/step", wanted["tokens"])
    assert json.loads(alone.good(mixed, "--time", 30))["artifact"] == "c/step"


def test_beside_the_c_a_bundle_has_its_other_files(compiled: Command, mixed: Path) -> None:
    assert compiled.failed(mixed, "--artifact", "onnx/step-int8.onnx") == []
    said = compiled.refusal(mixed, "--artifact", "c/step-int8")
    assert "this host was compiled with a c/step of the SHA-256 " in said
    assert "of c/step-int8; compile it with this bundle" in said


def test_another_bundle_is_run_by_onnxruntime_or_refused(
    compiled: Command, text: Path, compiled_bundles: dict[str, Path]
) -> None:
    made = json.loads(compiled.good(text, "--length", 3, "--json"))
    assert made["artifact"] == "onnx/step.onnx"
    assert "compile it with this bundle" in compiled.refusal(compiled_bundles["gru"], "--check")


def test_c_that_was_not_compiled_in_is_told(
    rust_program: Command, mixed: Path, compiled_bundles: dict[str, Path]
) -> None:
    said = rust_program.refusal(mixed, "--artifact", "c/step")
    assert "c/step is C, which is compiled in and not opened; build this host with" in said
    said = rust_program.refusal(compiled_bundles["lstm"])
    assert "build this host with EDGERNN_BUNDLE" in said


@pytest.mark.parametrize("network", ["audio", "int8"])
def test_frames_and_integers_are_compiled_in(
    network: str,
    compiled_bundles: dict[str, Path],
    compiled_integers: Path,
    tmp_path: Path,
) -> None:
    integers = network == "int8"
    bundle = compiled_integers if integers else compiled_bundles[network]
    artifact = "c/step-int8" if integers else ""
    built = rust_host.build(tmp_path, network=bundle, artifact=artifact)
    host = Command((str(built / "edgernn-run"),), {"ONNXRUNTIME_LIBRARY": os.devnull})
    rows = host.rows(bundle, *(["--artifact", artifact] if integers else []))
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    if integers:
        layers = {f"{name}[{layer}]" for name in ("h_next", "c_next") for layer in (0, 1)}
        assert {"logits", *layers} <= set(rows)
        assert all((rows[name][0] or 0) > 1e-5 for name in layers)
    else:
        assert set(rows) == {"sample", "h_next", "memory_next"}


def test_a_damaged_bundle_is_not_compiled(
    compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(compiled_bundles["lstm"], tmp_path / "bundle"))
    with (bundle / "c" / "step" / "step.c").open("a") as file:
        file.write("/* more */\n")
    crate = rust_host.copied(tmp_path / "crate")
    done = rust_host.cargo(crate, "check", "--release", given={"EDGERNN_BUNDLE": str(bundle)})
    assert done.returncode != 0
    assert "error: c/step has SHA-256 " in done.stderr
    assert "prepare.py refuses the bundle, see above" in done.stderr


@pytest.mark.parametrize("name", ["load", "begin", "step", "sample", "generate", "set_row"])
def test_the_names_are_those_of_every_example(name: str) -> None:
    assert f"pub fn {name}(" in SOURCES


def test_no_tensor_name_is_written_in_the_code(text: Path, captioner_bundle_folder: Path) -> None:
    literals = set(re.findall(r'"([A-Za-z_]+)"', SOURCES)) - {"c"}  # that is a format
    for folder in (text, captioner_bundle_folder):
        for graph in Bundle.open(folder).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}


def test_it_is_formatted_and_has_no_lint(tmp_path: Path) -> None:
    for tool in ("rustfmt", "clippy-driver"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    crate = rust_host.copied(tmp_path)
    words = ["rustfmt", "--edition", "2021", "--check", "src/lib.rs", "src/main.rs", "build.rs"]
    done = subprocess.run(words, cwd=crate, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lints = rust_host.cargo(crate, "clippy", "--release", given={"RUSTFLAGS": "-Dwarnings"})
    assert lints.returncode == 0, lints.stderr
