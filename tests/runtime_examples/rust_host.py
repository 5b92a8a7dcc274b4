"""The host in Rust, built for the tests: its program, and programs that use it as a library, see
``library_drivers``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hosts import EXAMPLES, Command

CRATES = Path(os.environ.get("EDGERNN_CRATES") or "/usr/share/cargo/registry")
PROFILE = {  # as it is shipped, but that a number which overflows ends it
    "CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS": "true",
    "CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS": "true",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
}
DRIVER = r"""
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use edgernn_host::bundle::Bundle;
use edgernn_host::golden::Golden;
use edgernn_host::tokenizer::TextStream;
use edgernn_host::{sample, uniform_at, vectors, Model, Options, Result, Sampling, Tensor, Tensors, Tokenizer};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let read = |at: usize| std::fs::read_to_string(&words[at]);
    match words[0].as_str() {
        "--sample" => for line in read(1)?.lines() { println!("{}", chosen(line)?) },
        "--uniform" => for line in read(1)?.lines() {
            let (seed, position) = line.split_once(' ').unwrap();
            println!("{}", uniform_at(seed.parse()?, position.parse()?));
        },
        "--tokens" => {
            let bundle = Bundle::open(Path::new(&words[2]))?;
            let tokenizer = Tokenizer::of(&bundle)?;
            for item in serde_json::from_str::<Vec<serde_json::Value>>(&read(1)?)? { println!("{}", line_of(&tokenizer, &item)?) }
        }
        "--fuzz" => {
            let folder = Path::new(&words[2]);
            for manifest in serde_json::from_str::<Vec<String>>(&read(1)?)? {
                let bytes: Vec<u8> = manifest.chars().map(|c| c as u8).collect();
                std::fs::write(folder.join("manifest.json"), bytes)?;
                print!("{}", reached(folder));
            }
            println!();
        }
        "--caption" => {
            let model = Model::load(Path::new(&words[1]), None, None)?;
            let sampling = Sampling { temperature: words[2].parse()?, ..Sampling::default() };
            let given = Golden::of(&model)?.encode_inputs()?;
            let ids = model.caption(&given, Options { length: 30, seed: 7, sampling })?.words()?;
            println!("{ids:?} {}", Tokenizer::of(&model.bundle)?.decode(&ids)?);
        }
        "--fork" => {
            let model = Model::load(Path::new(&words[1]), None, None)?;
            let tokenizer = Tokenizer::of(&model.bundle)?;
            let options = Options { length: 20, seed: 3, sampling: Sampling::default() };
            let mut writing = model.generate(&tokenizer, "the ", options)?;
            let mut whole = writing.by_ref().take(8).collect::<Result<Vec<_>>>()?;
            let kept = edgernn_host::Begun { contexts: Tensors::new(), state: writing.state.clone() };
            let last = *whole.last().unwrap();
            whole.extend(writing.collect::<Result<Vec<_>>>()?);
            let fork = model.write(vec![last], kept, Options { length: 12, ..options })?.collect::<Result<Vec<_>>>()?;
            println!("{whole:?}\n{fork:?}");
        }
        _ => library(&words)?,
    }
    Ok(())
}

fn chosen(line: &str) -> std::result::Result<usize, Box<dyn Error>> {
    let words: Vec<&str> = line.split(' ').collect();
    let logits = words[5..].iter().map(|word| word.parse::<f32>()).collect::<std::result::Result<Vec<_>, _>>()?;
    let sampling = Sampling { temperature: words[0].parse()?, top_k: words[1].parse()?, top_p: words[2].parse()? };
    Ok(sample(&logits, &sampling, words[3].parse()?)?)
}

fn line_of(tokenizer: &Tokenizer, item: &serde_json::Value) -> Result<String> {
    if let Some(text) = item.as_str() {
        let ids = tokenizer.encode(text);
        return Ok(ids.map_or("!".into(), |ids| ids.iter().map(|id| format!("{id} ")).collect()));
    }
    let mut stream = TextStream::new(tokenizer);
    let ids = item.as_array().unwrap().iter().map(|id| id.as_i64().unwrap());
    let mut pieces = ids.map(|id| stream.push(id)).collect::<Result<Vec<_>>>()?;
    pieces.push(stream.flush().into());
    let hex = |piece: &String| piece.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(pieces.iter().map(hex).collect::<Vec<_>>().join("|"))
}

/// How far a damaged bundle comes; 9 where what it is refused with says too little.
fn reached(folder: &Path) -> usize {
    let mut far = 0;
    let mut all = || -> Result<()> {
        let bundle = Bundle::open(folder)?;
        far = 1;
        Tokenizer::of(&bundle)?;
        far = 2;
        let model = Model::load(folder, None, None)?;
        Golden::of(&model)?.check()?;
        far = 3;
        vectors::replay(&bundle)?;
        far = 4;
        Ok(())
    };
    let done = all();
    if done.is_err_and(|error| error.to_string().len() < 20) { 9 } else { far }
}

fn library(words: &[String]) -> std::result::Result<(), Box<dyn Error>> {
    let model = Model::load(Path::new(&words[0]), None, None)?;
    let (rows, steps, change): (usize, usize, usize) = (words[1].parse()?, words[2].parse()?, words[3].parse()?);
    let (contract, recorded) = (&model.bundle.contract, model.bundle.golden()?);
    let mut given = Tensors::new();
    for spec in contract.encode.iter().flat_map(|encode| &encode.inputs) {
        given.insert(spec.name.clone(), recorded[&spec.name].clone());
    }
    let begun = model.begin(&given, rows)?;
    let mut state = begun.state;
    let mut told = vec![printed(begun.contexts.iter().chain(&state))];
    let mut older = state.clone();
    for at in 0..steps {
        if change > 0 && at == change {
            let now = state;
            state = model.set_row(&now, 0, &model.begin(&given, rows)?.state, 0)?;
            state = model.set_row(&model.set_row(&state, 1, &older, 1)?, 2, &now, 0)?;
        }
        let mut inputs = begun.contexts.clone();
        for spec in contract.step.fresh() {
            let all = &recorded[&spec.name];
            inputs.insert(spec.name.clone(), all.part(&all.shape()[1..], at)?);
        }
        let made = model.step(&inputs, &state)?;
        state = made.state;
        if at == 0 { older = state.clone() }
        told.push(format!("[{}, {}]", printed(made.outputs.iter()), printed(state.iter())));
    }
    let names = [contract.ids(), contract.scores(), contract.attention()].map(|spec| spec.map(|spec| &spec.name));
    println!("[[{}], {}]", told.join(", "), serde_json::to_string(&names)?);
    Ok(())
}

fn printed<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> String {
    let mut made = String::new();
    for (name, tensor) in tensors {
        let part = if made.is_empty() { "" } else { ", " };
        write!(made, "{part}{name:?}: [{:?}, {:?}]", tensor.shape(), tensor.numbers()).unwrap();
    }
    format!("{{{made}}}")
}
"""


def cargo(
    crate: Path, *words: str, given: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cargo on the host's crate, whose dependencies are packaged crates."""
    for tool in ("cargo", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: .ci/rust")
    if not any(CRATES.glob("serde_json-*")):
        pytest.skip(f"needs Debian's packaged crates in {CRATES}: .ci/rust")
    replaced = 'source.crates-io.replace-with="packaged"'
    place = f"source.packaged.directory='{CRATES}'"
    return subprocess.run(
        ["cargo", *words, "--offline", "--config", replaced, "--config", place],
        cwd=crate,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
        env={**os.environ, **PROFILE, "PYTHON": sys.executable, **(given or {})},
    )


def copied(folder: Path) -> Path:
    """Copy the folders that a user copies; return the host's."""
    for name in ("rust/host", "compiled"):
        leave = shutil.ignore_patterns("target", "__pycache__", "Cargo.lock")
        shutil.copytree(EXAMPLES / name, folder / name, ignore=leave)
    return folder / "rust" / "host"


def readme(crate: Path) -> str:
    """Return the program of the README, after a word that the bundles of the tests know; it prints
    what it writes from the bundle that is given.
    """
    (block,) = re.findall(r"^```rust\n(.*?)^```", (crate / "README.md").read_text(), re.M | re.S)
    written = "write(Path::new(&std::env::args().nth(1).unwrap())).unwrap()"
    main = f'\nfn main() {{\n    print!("{{}}", {written});\n}}\n'
    return block.replace('"The "', '"the "') + main


def build(folder: Path, *, network: Path | None = None, artifact: str = "") -> Path:
    """Build the host and the driver, every warning an error, with a bundle's C in it where one is
    given; return the folder of the programs. What does not change is built once in a run of tests.
    """
    crate = copied(folder)
    (crate / "examples").mkdir()
    (crate / "examples" / "driver.rs").write_text(DRIVER, "utf-8")
    (crate / "examples" / "readme.rs").write_text(readme(crate), "utf-8")
    target = Path(os.environ.get("CARGO_TARGET_DIR") or folder.parent / "rust-target")
    given = {"EDGERNN_BUNDLE": str(network or ""), "EDGERNN_ARTIFACT": artifact}
    given |= {"RUSTFLAGS": "-Dwarnings", "CARGO_TARGET_DIR": str(target)}
    words = ["build", "--release", "--bins", "--examples"]
    done = cargo(crate, *words, given=given)
    assert done.returncode == 0, done.stderr
    programs = folder / "programs"
    programs.mkdir()
    for name in ("edgernn-run", "examples/driver", "examples/readme"):
        shutil.copy(target / "release" / name, programs)
    return programs


@pytest.fixture(scope="session")
def rust_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the host in Rust, and a program that uses it as a library."""
    return build(tmp_path_factory.mktemp("rust"))


@pytest.fixture(scope="session")
def rust_program(rust_build: Path, library: Path) -> Command:
    """The host in Rust."""
    return Command((str(rust_build / "edgernn-run"),), {"ONNXRUNTIME_LIBRARY": str(library)})


@pytest.fixture(scope="session")
def rust_driver(rust_build: Path, library: Path) -> Command:
    """A program that uses it as a library."""
    return Command((str(rust_build / "driver"),), {"ONNXRUNTIME_LIBRARY": str(library)})
