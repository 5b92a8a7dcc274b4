"""The generated C on emulated microcontrollers: the recorded run holds there, and a damaged
network does not pass.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amplifier import CHANNELS, HIDDEN, TAPS, WIDTH, export_amplifier
from hosts import EXAMPLES
from safetensors.numpy import load_file

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.opening import open_session

MCU = EXAMPLES / "mcu"
CROSS = "arm-none-eabi-"
BOARDS = ("m4", "m7", "m55")
NETWORKS = ("lstm", "gru", "audio", "captioner")
PRECISIONS = ("int8", "int4", "w8a8", "w8a7", "w4a8")
ROWS = {  # what is compared of each
    "lstm": {"logits", "h_next", "c_next"},
    "gru": {"logits", "h_next"},
    "audio": {"sample", "h_next", "memory_next"},
    "captioner": {"logits", "attention", "h_next", "c_next"},
}
_ROW = re.compile(r"^(\w+) ([0-9.]+|inf) ([0-9.]+) ok$", re.MULTILINE)
_FIGURE = re.compile(r"^([a-z.]+) (\d+)$", re.MULTILINE)

for _tool, _package in {
    "make": "make",
    "timeout": "coreutils",
    f"{CROSS}gcc": "gcc-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}.items():
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}, Debian's package {_package}", allow_module_level=True)


@pytest.fixture(scope="module")
def bundles(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    captioner_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """A bundle in C of each network; the first state of the GRU is stored."""
    folder = tmp_path_factory.mktemp("mcu")
    for cell in ("lstm", "gru"):
        model = make_model(cell=cell, learned_initial_state=cell == "gru")
        made = Checkpoint(model, tokenizer, {}, {})
        export_bundle(made, folder / cell, to=["c"], steps=8, release=True)
    export_bundle(captioner_folder, folder / "captioner", to=["c"], steps=4, release=True)
    export_amplifier(folder / "audio", to=("c",), precision=("float32",))
    return {name: folder / name for name in NETWORKS}


@pytest.fixture(scope="module")
def integers(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of an LSTM in C, in float32 and in every integer form."""
    model = make_model(hidden=40, embedding=20)
    made = tmp_path_factory.mktemp("integers") / "net"
    export_bundle(
        Checkpoint(model, tokenizer, {}, {}),
        made,
        to=["c"],
        precision=["float32", *PRECISIONS],
        target="literals",
        steps=8,
        release=True,
    )
    return made


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each network is built for all boards."""
    return tmp_path_factory.mktemp("out")


def run(
    bundle: Path, out: Path, board: str, *variables: str, goal: str = "run"
) -> subprocess.CompletedProcess[str]:
    """Build and run."""
    words = ["make", "-s", "-C", str(MCU), goal, f"BUNDLE={bundle}", f"OUT={out}"]
    return subprocess.run(
        [*words, f"BOARD={board}", f"PYTHON={sys.executable}", *variables],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def copied(bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A bundle of frames that may be changed."""
    return Path(shutil.copytree(bundles["audio"], tmp_path / "bundle"))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_recorded_run_holds_on_every_core(
    network: str, bundles: dict[str, Path], outs: Path
) -> None:
    hashes = set[str]()
    for board in BOARDS:
        done = run(bundles[network], outs / network, board)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        rows = _ROW.findall(done.stdout)
        assert {name for name, *_ in rows} == ROWS[network]
        assert all(0 < float(worst) < 1e-5 for _, worst, *_ in rows), rows
        hashes.add(dict(_FIGURE.findall(done.stdout))["hash"])
    assert len(hashes) == 1, "without fused multiply-add every core gives the same bits"


@pytest.mark.parametrize("network", ["lstm", "gru"])
def test_tokens_are_chosen_as_recorded_and_as_the_library_does(
    network: str, bundles: dict[str, Path], outs: Path
) -> None:
    session = open_session(bundles[network], "c")
    for board in BOARDS:
        done = run(bundles[network], outs / network, board, goal="text")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert re.search(r"^numbers 45 ok\nchoices \d{3} ok$", done.stdout, re.MULTILINE)
        for name, temperature in (("greedy", 0.0), ("sampled", 0.8)):
            (row,) = re.findall(rf"^{name}((?: \d+)+)$", done.stdout, re.MULTILINE)
            tokens = [int(word) for word in row.split()]
            start, sampler = begin(session, np.array([1])), Sampler(temperature)
            generation = Generation(session, start, sampler=sampler, seed=7)
            assert tokens == list(generation.write(len(tokens)))
            assert len(tokens) == 32
        figures = {name: int(n) for name, n in _FIGURE.findall(done.stdout)}
        greedy, sampled = figures["instructions.greedy"], figures["instructions.sampled"]
        assert greedy < sampled < greedy + 20_000


@pytest.mark.parametrize("board", ["m4"])
def test_a_text_behind_a_prompt_is_the_librarys(
    board: str, bundles: dict[str, Path], outs: Path, tokenizer: Tokenizer
) -> None:
    done = run(bundles["lstm"], outs / "lstm", board, goal="tell")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    session = open_session(bundles["lstm"], "c")
    start = begin(session, np.array(tokenizer.encode("the ")))
    generation = Generation(session, start, sampler=Sampler(0.8), seed=7)
    assert done.stdout.endswith(tokenizer.decode(list(generation.write(64))) + "\n")


def test_a_sketch_holds_the_network(integers: Path, tmp_path: Path) -> None:
    done = run(integers, tmp_path, "m4", "PRECISION=int8", goal="sketch")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "edgernn_text"
    kept = integers / "c" / "step-int8" / "step.c"
    assert (folder / "step.c").read_bytes() == kept.read_bytes()
    given = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-Os"]
    sources = sorted(folder.glob("*.c"))
    assert len(sources) == 5
    subprocess.run([f"{CROSS}gcc", *given, "-c", *sources], check=True, cwd=tmp_path)
    told = subprocess.run(
        [f"{CROSS}nm", "-u", *(f"{source.stem}.o" for source in sources)],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    ).stdout
    assert "net_step_weights" in told
    held = (tmp_path / "step.weights.o").stat().st_size
    assert held > (integers / "c" / "step-int8" / "step.weights.bin").stat().st_size


def test_a_bundle_without_literals_makes_no_sketch(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    done = run(bundles["lstm"], tmp_path, "m4", goal="sketch")
    assert done.returncode != 0
    told = "error: the bundle has no c/lib/literals/step.weights.c, expected it; export a model"
    assert told in done.stderr
    assert not (tmp_path / "edgernn_text").exists()


def test_a_bundle_that_writes_no_text_is_told(bundles: dict[str, Path], tmp_path: Path) -> None:
    done = run(bundles["audio"], tmp_path, "m4", goal="text")
    assert done.returncode != 0
    assert "error: the bundle has no c/text/text.h, expected a model that writes" in done.stderr


def test_a_changed_choice_fails(bundles: dict[str, Path], tmp_path: Path) -> None:
    assert run(bundles["lstm"], tmp_path, "m4", goal="text").returncode == 0
    vectors = tmp_path / "vectors.c"
    changed, times = re.subn(r", (\d+)},$", r", 1\1},", vectors.read_text(), count=60, flags=re.M)
    assert times == 60
    vectors.write_text(changed)
    done = run(bundles["lstm"], tmp_path, "m4", goal="text")
    assert done.returncode != 0
    assert re.search(r"^choices \d+ FAILED$", done.stdout, re.MULTILINE)


def hash_here(bundle: Path, precision: str) -> int:
    """Return FNV-1a of what this machine's C makes of the recorded steps, each from the recorded
    state.
    """
    run = load_file(bundle / "golden.safetensors")
    session = open_session(bundle, f"c/step-{precision}")
    hashed, state = 2166136261, {name: run[name] for name in ("h", "c")}
    for step, token in enumerate(run["tokens"].reshape(-1)):
        outputs, made = session.step({"tokens": np.array([[token]])}, state)
        for tensor in (outputs["logits"], made["h"], made["c"]):
            for byte in tensor.tobytes():
                hashed = (hashed ^ byte) * 16777619 & 0xFFFFFFFF
        state = {name: run[f"{name}_next"][step] for name in ("h", "c")}
    return hashed


@pytest.mark.parametrize(  # kernels of every kind on every core: tests/export/to_c/kernels
    ("precision", "board"),
    [("int8", "m4"), ("w8a7", "m4"), ("int4", "m7"), ("w4a8", "m55"), ("w8a8", "m55")],
)
def test_integers_give_the_bits_that_they_give_here(
    precision: str, board: str, integers: Path, outs: Path
) -> None:
    done = run(integers, outs / precision, board, f"PRECISION={precision}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    rows = _ROW.findall(done.stdout)
    assert {name for name, *_ in rows} == ROWS["lstm"]
    artifacts = json.loads((integers / "manifest.json").read_text())["artifacts"]
    (tolerance,) = (own["tolerance"] for own in artifacts if own["precision"] == precision)
    assert all(0 < float(worst) < float(most) for _, worst, most in rows), rows
    assert {float(most) for *_, most in rows} == {tolerance}
    assert int(dict(_FIGURE.findall(done.stdout))["hash"]) == hash_here(integers, precision)


def test_the_first_step_in_c_is_taken(integers: Path, tmp_path: Path) -> None:
    done = run(integers, tmp_path, "m4")
    assert {float(most) for *_, most in _ROW.findall(done.stdout)} == {1e-4}, done.stderr
    done = run(integers, tmp_path, "m4", "PRECISION=int2")
    assert done.returncode != 0
    told = (
        "error: the bundle has c float32, c int4, c int8, c w4a8, c w8a7, c w8a8, expected c int2"
    )
    assert told in done.stderr


def test_what_a_step_takes(bundles: dict[str, Path], outs: Path) -> None:
    bundle, out = bundles["audio"], outs / "audio"
    figures = {name: int(n) for name, n in _FIGURE.findall(run(bundle, out, "m4").stdout)}
    weights = (out / "step.weights.bin").stat().st_size
    sizes = subprocess.run(
        [f"{CROSS}size", str(out / "m4" / "step.o")], capture_output=True, text=True, check=True
    )
    assert abs(figures["flash.code"] - int(sizes.stdout.splitlines()[1].split()[0])) < 8
    assert 0 <= figures["flash.weights"] - weights < 64
    assert figures["ram.state"] == 4 * (HIDDEN + TAPS * CHANNELS)
    assert (figures["ram.inputs"], figures["ram.outputs"]) == (4 * WIDTH, 4)
    header = (out / "step.h").read_text("ascii")
    (scratch,) = re.findall(r"SCRATCH_BYTES (\d+)", header)
    assert int(scratch) <= figures["ram.stack"] < int(scratch) + 1024
    # a product reads each weight once: two instructions at least, and hardly more than ten
    assert 2 * weights / 4 < figures["instructions"] < 10 * weights / 4


def test_a_changed_byte_of_a_weight_fails(bundles: dict[str, Path], tmp_path: Path) -> None:
    assert run(bundles["lstm"], tmp_path, "m4").returncode == 0
    weights = tmp_path / "step.weights.bin"
    content = bytearray(weights.read_bytes())
    at = max(range(3, len(content), 4), key=lambda i: content[i] & 0x7F)  # the largest exponent
    content[at] ^= 0x80  # the sign
    weights.write_bytes(content)
    done = run(bundles["lstm"], tmp_path, "m4")
    assert done.returncode != 0
    assert re.search(
        r" FAILED: parts at step \d+ of 0 to \d+ by [0-9.]+$", done.stdout, re.MULTILINE
    )
    assert re.search(r"\[Makefile:\d+: run\] Error 1$", done.stderr.strip()), done.stderr


def _extended(bundle: Path) -> None:
    with (bundle / "c" / "step" / "step.c").open("a") as file:
        file.write("/* more */\n")


def _emptied(bundle: Path) -> None:
    (bundle / "manifest.json").write_text('{"schema_version": 2}')


def _without_c(bundle: Path) -> None:
    place = bundle / "manifest.json"
    place.write_text(place.read_text().replace('"format": "c"', '"format": "onnx"'))


def _shortened(bundle: Path) -> None:
    golden = bundle / "golden.safetensors"
    golden.write_bytes(golden.read_bytes()[:-4])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_extended, r"c/step has SHA-256 \w{64}, expected \w{64}; copy or"),
        (_emptied, r"manifest.json is damaged \(KeyError 'artifacts'\); copy or"),
        (_without_c, r"the bundle has onnx float32, expected c; edgernn export RUN --to c"),
        (_shortened, r"golden.safetensors has SHA-256 \w{64}, expected \w{64}; copy or"),
    ],
)
def test_a_damaged_bundle_is_not_compiled(
    damage: Callable[[Path], None], told: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = copied(bundles, tmp_path)
    damage(bundle)
    done = subprocess.run(
        [sys.executable, str(MCU / "golden.py"), str(bundle), str(tmp_path / "out")],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.match(f"error: {told}", done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


def test_another_bundle_in_the_same_folder_is_built_anew(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    for network in ("lstm", "audio", "lstm"):
        done = run(bundles[network], tmp_path, "m4")
        assert {name for name, *_ in _ROW.findall(done.stdout)} == ROWS[network], done.stderr


def test_a_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(tmp_path / "none", tmp_path / "out", "m4")
    assert done.returncode != 0
    assert f"error: there is no bundle {tmp_path / 'none'}: No such file" in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("FLASH=1K", "RAM=1M"), r"has 1024 bytes of flash, and the network takes \d+; export it"),
        (("FLASH=1M", "RAM=2K"), r"has 2048 bytes of RAM, and the network takes \d+; export it"),
        (("FLASH=some", "RAM=2K"), r"'some' bytes, expected a whole number, or one with K or M"),
    ],
)
def test_a_board_that_is_too_small_is_told_first(
    given: tuple[str, ...], told: str, integers: Path, tmp_path: Path
) -> None:
    done = run(integers, tmp_path, "m4", *given)
    assert done.returncode != 0
    assert re.search(f"^error: .*{told}", done.stderr), done.stderr
    assert not list((tmp_path / "m4").glob("*.o")), "nothing is compiled"


def test_a_stack_that_is_too_small_is_told(bundles: dict[str, Path], tmp_path: Path) -> None:
    done = run(bundles["audio"], tmp_path, "m4", "STACK=256")
    assert done.returncode != 0
    assert "the stack is too small for a step: make STACK=" in done.stderr
