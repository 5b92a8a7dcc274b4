"""A bundle's C in a program: the recorded run holds there, and a damaged bundle is not compiled."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from compiled_bundles import change_weight
from hosts import EXAMPLES

from edgernn.parity.verify import verify_bundle
from edgernn.writing.text import write_text

COMPILED = EXAMPLES / "compiled"
ROWS = {  # what is compared of each
    "lstm": {"logits", "h_next", "c_next"},
    "gru": {"logits", "h_next"},
    "streams": {"logits", "h_next"},
    "audio": {"sample", "h_next", "memory_next"},
    "captioner": {"logits", "attention", "h_next", "c_next"},
}
_PARTS = r"FAILED: parts at step (\d+) of 0 to (\d+) by \S+"
_ROW = re.compile(rf"^(\S+) (\S+) (\S+) (ok|{_PARTS})$", re.MULTILINE)

for _tool in ("cc", "cmake", "make"):
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}", allow_module_level=True)


def configure(bundle: Path, build: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Write what is compiled of a bundle."""
    words = ["cmake", "-S", str(COMPILED), "-B", str(build), f"-DBUNDLE={bundle}"]
    return _done([*words, f"-DPYTHON={sys.executable}", *more])


def replay(build: Path) -> subprocess.CompletedProcess[str]:
    """Compile and run."""
    made = _done(["cmake", "--build", str(build)])
    assert made.returncode == 0, made.stdout + made.stderr
    return _done([str(build / "replay"), str(build / "net" / "golden.safetensors")])


@pytest.fixture(scope="module")
def built(
    compiled_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Build the library and the programs of a network, once. Read only."""

    @functools.cache
    def build(network: str) -> Path:
        folder = tmp_path_factory.mktemp("built")
        made = configure(compiled_bundles[network], folder)
        assert made.returncode == 0, made.stderr
        assert replay(folder).returncode == 0
        return folder

    return build


def _done(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False, timeout=120)


@pytest.mark.parametrize("network", ROWS)
def test_the_recorded_run_holds(network: str, built: Callable[[str], Path]) -> None:
    done = replay(built(network))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    rows = _ROW.findall(done.stdout)
    assert {name for name, *_ in rows} == ROWS[network]
    assert all(0 < float(row[1]) < 1e-5 and row[3] == "ok" for row in rows), rows
    assert re.search(r"^c/step: \d+\.\d\d us a step$", done.stdout, re.MULTILINE)


def test_a_changed_weight_fails(compiled_bundles: dict[str, Path], tmp_path: Path) -> None:
    assert configure(compiled_bundles["lstm"], tmp_path).returncode == 0
    change_weight(tmp_path / "net" / "step.weights.bin")
    done = replay(tmp_path)
    assert done.returncode == 1
    assert "logits" in {row[0] for row in _ROW.findall(done.stdout) if row[3] != "ok"}


def test_the_step_at_which_a_tensor_is_off_first_is_told(
    built: Callable[[str], Path], tmp_path: Path
) -> None:
    tensors = safetensors.numpy.load_file(built("lstm") / "net" / "golden.safetensors")
    tensors["c_next"][5] += 9
    tensors["c_next"][7] += 18
    safetensors.numpy.save_file(tensors, tmp_path / "golden.safetensors")
    done = _done([str(built("lstm") / "replay"), str(tmp_path / "golden.safetensors")])
    (row,) = (row for row in _ROW.findall(done.stdout) if row[3] != "ok")
    assert (row[0], *map(int, row[4:])) == ("c_next", 5, len(tensors["c_next"]) - 1)


def test_the_text_is_that_of_edgernn(
    compiled_bundles: dict[str, Path], built: Callable[[str], Path]
) -> None:
    done = _done([str(built("lstm") / "write"), "the ", "100", "0.8", "7"])
    wanted = write_text(compiled_bundles["lstm"], "the ", length=100, temperature=0.8, seed=7)
    assert (done.returncode, done.stdout.rstrip("\n")) == (
        0,
        ("the " + wanted["text"]).rstrip("\n"),
    )


def test_what_writes_text_goes_with_its_bundle(
    compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "net"
    for network, there in (("lstm", True), ("audio", False), ("captioner", False)):
        words = [sys.executable, str(COMPILED / "prepare.py"), str(compiled_bundles[network])]
        assert _done([*words, str(out)]).returncode == 0
        assert (out / "text.c").exists() == (out / "write.c").exists() == there


@pytest.mark.parametrize("network", ["gru", "streams", "audio"])
def test_the_first_state_is_the_stored_one(
    network: str, compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    """In every row of several streams."""
    words = [sys.executable, str(COMPILED / "prepare.py"), str(compiled_bundles[network])]
    assert _done([*words, str(tmp_path)]).returncode == 0
    (values,) = re.findall(r"\.h = \{(.*)\},", (tmp_path / "network.c").read_text())
    stored = safetensors.numpy.load_file(compiled_bundles[network] / "initial_state.safetensors")
    rows = 4 if network == "streams" else 1
    expected = np.repeat(stored["h"], rows, axis=-2).ravel()
    assert np.array_equal(np.array(values.split(","), np.float32), expected)
    assert len(set(expected)) > 3


def test_no_memory_is_read_that_is_not_there(
    compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    sanitize = "-DCMAKE_C_FLAGS=-g -fsanitize=address,undefined -fno-sanitize-recover"
    assert configure(compiled_bundles["audio"], tmp_path, sanitize).returncode == 0
    done = replay(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


CPP = """
#include <cstdio>
#include <vector>
#include "names.h"
#include "step.h"

int main()
{
    const network *net = the_network();
    std::vector<long long> block(net->bytes / 8 + 1); // aligned for 8 bytes
    if (net->step(block.data()) != 0) { return 1; }
    voice_state state = {};
    std::vector<float> logits(net->table[net->tensors - 1].count);
    const int64_t token = 0;
    voice_inputs given = {&token};
    voice_outputs made = {logits.data()};
    if (voice_step(&given, &state, &made) != 0) { return 2; }
    const float *table = reinterpret_cast<float *>(block.data());
    table += net->table[net->tensors - 1].offset / 4;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (logits[i] != table[i]) { return 3; }
    }
    const voice_state kept = state; // a fork
    if (voice_step(&given, &state, &made) != 0 || kept.h[0] == state.h[0]) { return 4; }
    std::puts(net->artifact);
    return 0;
}
"""


def test_cpp_calls_the_step_and_the_table(built: Callable[[str], Path], tmp_path: Path) -> None:
    """Of a network whose names begin with another word: both give the same from zeros."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    (tmp_path / "main.cpp").write_text(CPP)
    words = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(built("gru") / "net")]
    library = built("gru") / "libnet.a"
    words += [str(tmp_path / "main.cpp"), str(library), "-o", str(tmp_path / "app")]
    made = _done(words)
    assert made.returncode == 0, made.stderr
    done = _done([str(tmp_path / "app")])
    assert (done.returncode, done.stdout) == (0, "c/step\n")


@pytest.fixture(scope="module")
def judged(compiled_integers: Path) -> dict[str, str]:
    """What edgernn says of the recorded run of each file."""
    return {
        each.path: next(check.detail for check in each.checks if check.name == "golden")
        for each in verify_bundle(compiled_integers, steps=4).artifacts
    }


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_integers_are_compared_step_by_step(
    precision: str, compiled_integers: Path, judged: dict[str, str], tmp_path: Path
) -> None:
    """Each step from the recorded state, relative, a state layer by layer: what edgernn finds."""
    path = f"c/step-{precision}"
    assert configure(compiled_integers, tmp_path, f"-DARTIFACT={path}").returncode == 0
    done = replay(tmp_path)
    rows = {name: float(worst) for name, worst, *_ in _ROW.findall(done.stdout)}
    layers = {f"{name}[{layer}]" for name in ("h_next", "c_next") for layer in (0, 1)}
    assert set(rows) == {"logits", *layers}
    name, worst = max(rows.items(), key=lambda row: row[1])
    assert f"worst {name} {worst:.1e} at call" in judged[path]
    assert done.returncode == 0, done.stdout


def test_another_recording_is_refused(compiled_bundles: dict[str, Path], tmp_path: Path) -> None:
    assert configure(compiled_bundles["audio"], tmp_path).returncode == 0
    golden = tmp_path / "net" / "golden.safetensors"
    golden.write_bytes(golden.read_bytes()[:-4])
    done = replay(tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "golden.safetensors: is of another size" in done.stderr


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


def _removed(bundle: Path) -> None:
    shutil.rmtree(bundle)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_extended, r"c/step has SHA-256 \w{64}, expected \w{64}; copy or"),
        (_emptied, r"manifest.json is damaged \(KeyError 'artifacts'\); copy or"),
        (_without_c, r"the bundle has no step in C; edgernn export RUN --to c makes one"),
        (_shortened, r"golden.safetensors has SHA-256 \w{64}, expected \w{64}; copy or"),
        (_removed, r"there is no bundle \S+: No such file or directory; give a bundle's folder"),
    ],
)
def test_a_damaged_bundle_is_not_compiled(
    damage: Callable[[Path], None], told: str, compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(compiled_bundles["audio"], tmp_path / "bundle"))
    damage(bundle)
    done = _done([sys.executable, str(COMPILED / "prepare.py"), str(bundle), str(tmp_path / "out")])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.match(f"error: {told}", done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


def test_an_artifact_that_is_not_there_is_told(
    compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    done = configure(compiled_bundles["audio"], tmp_path, "-DARTIFACT=c/step-int9")
    assert done.returncode != 0
    assert "the bundle has c/step and not c/step-int9" in done.stderr
