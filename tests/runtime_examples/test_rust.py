"""The crate around a bundle's C, on this machine: the recorded run holds, and what no network
takes is refused in the words of Rust. For a microcontroller it is compiled by ``.ci/rust``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compiled_bundles import change_weight
from hosts import EXAMPLES

from edgernn.writing.text import write_text

for _tool in ("cargo", "cc", "ar"):
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}", allow_module_level=True)

LSTM = """
use edgernn_net::{step, Error, Inputs, Outputs, State};

fn logits(token: i64, state: &mut State) -> Result<Vec<f32>, Error> {
    let mut logits = vec![7.0; VOCABULARY];
    step(&Inputs { tokens: &[token] }, state, &mut Outputs { logits: &mut logits })?;
    Ok(logits)
}

#[test]
fn an_id_out_of_range_changes_nothing() {
    let mut state = State::first();
    logits(3, &mut state).unwrap();
    let before = state.clone();
    for token in [-1, VOCABULARY as i64, i64::MAX, i64::MIN] {
        let mut kept = [7.0; VOCABULARY];
        let refused = step(&Inputs { tokens: &[token] }, &mut state, &mut Outputs { logits: &mut kept });
        assert_eq!(refused, Err(Error::Range));
        assert_eq!(state, before);
        assert!(kept.iter().all(|&x| x == 7.0));
    }
    assert_ne!(logits(VOCABULARY as i64 - 1, &mut state).unwrap()[0], 7.0);
}

#[test]
fn a_slice_of_another_length_is_told() {
    let (mut state, mut made) = (State::first(), vec![0.0; VOCABULARY + 1]);
    for count in [0, VOCABULARY - 1, VOCABULARY + 1] {
        let told = step(&Inputs { tokens: &[1] }, &mut state, &mut Outputs { logits: &mut made[..count] });
        assert_eq!(told, Err(Error::Length { tensor: "logits", found: count, expected: VOCABULARY }));
    }
    let told = step(&Inputs { tokens: &[] }, &mut state, &mut Outputs { logits: &mut made[1..] }).unwrap_err();
    assert_eq!(format!("{told}"), "tokens has 0 elements, expected 1; give as many as c/step takes");
    assert_eq!(state, State::first());
}

#[test]
fn a_text_goes_on_from_a_fork_as_from_the_state() {
    let mut state = State::first();
    logits(5, &mut state).unwrap();
    let mut fork = state.clone();
    let one = logits(8, &mut state).unwrap();
    let other = logits(9, &mut fork).unwrap();
    assert_ne!(one, other);
    let mut again = State::first();
    logits(5, &mut again).unwrap();
    assert_eq!(logits(9, &mut again).unwrap(), other);
    assert_eq!(again, fork);
}
"""

TEXT = """
use edgernn_net::text::{encode, Decoder, Error, Options, Room, Text};

fn written(text: &mut Text, prompt: &[i64], options: &Options) -> (Vec<i64>, String) {
    let (mut made, mut whole) = (Vec::new(), String::new());
    let (mut decoder, mut piece) = (Decoder::default(), [0; 8]);
    let hear = |token| {
        made.push(token);
        whole += decoder.push(token, &mut piece).unwrap();
        true
    };
    text.write(prompt, options, &mut Room::new(), hear).unwrap();
    whole += decoder.flush(&mut piece);
    (made, whole)
}

#[test]
fn the_text_is_printed() {
    let mut tokens = [0; 64];
    let count = encode(c"the ", &mut tokens).unwrap();
    for temperature in [0.0, 0.8] {
        let options = Options { temperature, seed: 7, length: 300, ..Options::default() };
        let (made, whole) = written(&mut Text::begin().unwrap(), &tokens[..count], &options);
        println!("written {temperature} {made:?} {whole:?}");
    }
}

#[test]
fn a_clone_goes_on_by_itself() {
    let options = Options { length: 40, seed: 3, ..Options::default() };
    let mut text = Text::begin().unwrap();
    written(&mut text, &[1, 2], &options);
    let mut fork = text.clone();
    let rest = written(&mut text, &[], &options);
    assert_eq!(written(&mut fork, &[], &options), rest);
    assert_eq!(fork, text);
    let whole = written(&mut Text::begin().unwrap(), &[1, 2], &Options { length: 80, ..options });
    assert_eq!(whole.0[40..], rest.0);
}

#[test]
fn who_hears_may_end_it() {
    let mut heard = 0;
    let mut text = Text::begin().unwrap();
    let mut hear = |_| { heard += 1; heard < 5 };
    text.write(&[1], &Options::default(), &mut Room::new(), &mut hear).unwrap();
    assert_eq!(heard, 5);
}

#[test]
fn what_is_no_text_is_told() {
    let mut tokens = [0; 4];
    assert_eq!(encode(c"€", &mut tokens), Err(Error::Unknown));
    assert_eq!(encode(c"the quick", &mut tokens), Err(Error::Long));
    let mut text = Text::begin().unwrap();
    let before = text.clone();
    let options = Options { temperature: -1.0, ..Options::default() };
    assert_eq!(text.write(&[1], &options, &mut Room::new(), |_| true), Err(Error::Option));
    let refused = text.write(&[-1], &Options::default(), &mut Room::new(), |_| true).unwrap_err();
    let known = edgernn_net::text::VOCABULARY;
    assert_eq!(format!("{refused}"), format!("a token is outside the vocabulary; give one below {known}"));
    assert_eq!(text, before);
    assert_eq!(Decoder::default().push(-1, &mut [0; 8]), Err(Error::Range));
}
"""


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that a user copies."""
    folder = tmp_path_factory.mktemp("crate")
    for name in ("rust", "compiled"):
        shutil.copytree(
            EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("target", "__pycache__")
        )
    return folder / "rust"


def cargo(
    crate: Path, bundle: Path | str, command: str, *words: str, artifact: str = ""
) -> subprocess.CompletedProcess[str]:
    """Build and test the crate around a bundle."""
    given = {"EDGERNN_BUNDLE": str(bundle), "PYTHON": sys.executable}
    if artifact:
        given["EDGERNN_ARTIFACT"] = f"c/step-{artifact}"
    return subprocess.run(
        ["cargo", command, "--offline", *words],
        cwd=crate,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=240,
        env={**os.environ, **given},
    )


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return dict(re.findall(r"^test (\w+) \.\.\. (\w+)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("network", ["captioner", "audio", "gru", "streams"])
def test_the_recorded_run_holds(
    network: str, compiled_bundles: dict[str, Path], crate: Path
) -> None:
    done = cargo(crate, compiled_bundles[network], "test", "--test", "golden")
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(done) == {
        "the_recorded_run_holds": "ok",
        "a_clone_of_the_state_is_a_fork": "ok",
    }


def test_integers_are_compared_step_by_step(compiled_integers: Path, crate: Path) -> None:
    done = cargo(
        crate, compiled_integers, "test", "--test", "golden", "--", "--nocapture", artifact="int8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"(logits|[hc]_next)\[([01])\] (\S+) (\S+) ok$", done.stdout, re.MULTILINE)
    assert len(rows) == 5
    assert all(1e-5 < float(worst) <= float(most) for *_, worst, most in rows)


def test_what_no_network_takes_is_refused(compiled_bundles: dict[str, Path], crate: Path) -> None:
    header = (compiled_bundles["lstm"] / "c" / "step" / "step.h").read_text()
    (vocabulary,) = re.findall(r"vocab=(\d+)", header)
    source = LSTM + f"\nconst VOCABULARY: usize = {vocabulary};\n"
    (crate / "tests" / "lstm.rs").write_text(source)
    done = cargo(crate, compiled_bundles["lstm"], "test")
    (crate / "tests" / "lstm.rs").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(verdicts(done)) == 5, done.stdout
    assert set(verdicts(done).values()) == {"ok"}


def test_the_text_is_that_of_edgernn(compiled_bundles: dict[str, Path], crate: Path) -> None:
    bundle = compiled_bundles["lstm"]
    (crate / "tests" / "text.rs").write_text(TEXT)
    done = cargo(crate, bundle, "test", "--test", "text", "--", "--nocapture", "--test-threads=1")
    (crate / "tests" / "text.rs").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"written (\S+) (\[[^\]]*\]) (\".*\")$", done.stdout, re.MULTILINE)
    assert [temperature for temperature, *_ in found] == ["0", "0.8"]
    for temperature, tokens, text in found:
        wanted = write_text(bundle, "the ", length=300, temperature=float(temperature), seed=7)
        assert json.loads(tokens) == wanted["tokens"]
        assert json.loads(text) == wanted["text"]


def test_a_changed_weight_fails(
    compiled_bundles: dict[str, Path], crate: Path, tmp_path: Path
) -> None:
    """What prepare.py wrote is changed behind its back, and so is the digest."""
    bundle = Path(shutil.copytree(compiled_bundles["lstm"], tmp_path / "bundle"))
    prepare = crate.parent / "compiled" / "prepare.py"
    kept = prepare.read_text()
    try:
        hook = "    options.out.mkdir(parents=True, exist_ok=True)\n"
        assert hook in kept
        change_weight(bundle / "c" / "step" / "step.weights.bin")
        spoil = f"    made['step.weights.bin'] = Path({str(bundle)!r}, 'c/step/step.weights.bin')"
        prepare.write_text(kept.replace(hook, f"{spoil}.read_bytes()\n{hook}"))
        done = cargo(crate, compiled_bundles["lstm"], "test", "--test", "golden")
    finally:
        prepare.write_text(kept)
    assert verdicts(done)["the_recorded_run_holds"] == "FAILED", done.stdout + done.stderr


def test_without_a_bundle_it_says_what_to_do(crate: Path) -> None:
    done = cargo(crate, "", "check")
    assert done.returncode != 0
    assert "error: EDGERNN_BUNDLE is not set, expected the folder of a bundle" in done.stderr


def test_a_damaged_bundle_is_not_compiled(
    compiled_bundles: dict[str, Path], crate: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(compiled_bundles["audio"], tmp_path / "bundle"))
    with (bundle / "c" / "step" / "step.c").open("a") as file:
        file.write("/* more */\n")
    done = cargo(crate, bundle, "test")
    assert done.returncode != 0
    assert re.search(r"error: c/step has SHA-256 \w{64}, expected \w{64}; copy or", done.stderr)
