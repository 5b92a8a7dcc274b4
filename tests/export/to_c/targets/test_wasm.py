"""The wasm module: what it imports and exports, what it tells of itself, its steps in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
PROGRAM = """
import { readFileSync } from 'node:fs';
const [file, ids, width] = JSON.parse(process.argv[1]);
const bytes = readFileSync(file);
const module = new WebAssembly.Module(bytes);
const own = new WebAssembly.Instance(module, {}).exports;
const logits = new Float32Array(own.memory.buffer, own.output(0), width);
const rows = ids.map((id) => {
  new BigInt64Array(own.memory.buffer, own.input(0), 1)[0] = BigInt(id);
  const code = own.run();
  return [code, [...new Uint32Array(logits.slice().buffer)]];
});
const told = WebAssembly.Module.customSections(module, 'edgernn')[0];
console.log(JSON.stringify({
  valid: WebAssembly.validate(bytes),
  imports: WebAssembly.Module.imports(module),
  exports: WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`).sort(),
  told: JSON.parse(new TextDecoder().decode(told)),
  lowest: Math.min(own.input(0), own.output(0), own.input(1)),
  beyond: [own.input(-1), own.input(3), own.output(9)],
  states: [own.input(1) === own.output(1), own.input(2) === own.output(2)],
  pages: own.memory.buffer.byteLength / 65536,
  rows,
}));
"""


def ran(path: Path, ids: list[int], width: int, *flags: str) -> dict:
    given = json.dumps([str(path), ids, width])
    command = ["node", *flags, "--input-type=module", "-e", PROGRAM, given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("target", "flags"), [("wasm", ()), ("wasm-relaxed", ("--experimental-wasm-relaxed-simd",))]
)
def test_a_module_gives_the_bits_of_the_c(
    built_folder: Path, ids: list[int], wanted: np.ndarray, target: str, flags: tuple[str, ...]
) -> None:
    path = built_folder / "c" / "lib" / target / "step.wasm"
    found = ran(path, ids, wanted.shape[1], *flags)
    assert [code for code, _ in found["rows"]] == [0] * len(ids)
    bits = np.array([row for _, row in found["rows"]], np.uint32)
    assert (bits == wanted.view(np.uint32)).all()


def test_a_module_of_integers_gives_the_bits_of_the_c(
    integer_folder: tuple[Path, FileContract], ids: list[int], wanted_integers: np.ndarray
) -> None:
    path = integer_folder[0] / "c" / "lib" / "wasm" / "step-w8a7.wasm"
    found = ran(path, ids, wanted_integers.shape[1])
    bits = np.array([row for _, row in found["rows"]], np.uint32)
    assert (bits == wanted_integers.view(np.uint32)).all()


NAN = """
import { readFileSync } from 'node:fs';
const counts = process.argv.slice(1).map((file) => {
  const module = new WebAssembly.Module(readFileSync(file));
  const own = new WebAssembly.Instance(module, {}).exports;
  new Float32Array(own.memory.buffer, own.input(1), 16)[5] = NaN;
  own.run();
  return [...new Float32Array(own.memory.buffer, own.output(0), 34)].filter(Number.isNaN).length;
});
console.log(JSON.stringify(counts));
"""


def test_nan_stays_in_every_module(built_folder: Path) -> None:
    """In relaxed SIMD there are instructions for limits that lose it."""
    files = [
        str(built_folder / "c" / "lib" / target / "step.wasm")
        for target in ("wasm", "wasm-relaxed")
    ]
    flags = ["--experimental-wasm-relaxed-simd", "--input-type=module"]
    done = subprocess.run(
        ["node", *flags, "-e", NAN, *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[34,34]"), done.stderr


def test_a_module_needs_nothing_and_says_what_it_takes(
    built_folder: Path, own_contract: FileContract
) -> None:
    path = built_folder / "c" / "lib" / "wasm" / "step.wasm"
    width = own_contract.contract.sizes["vocab"]
    found = ran(path, [0, width], width)
    assert found["valid"]
    assert found["imports"] == []
    names = ["input", "net_step", "output", "run"]
    assert found["exports"] == [*(f"function {name}" for name in names), "memory memory"]
    assert found["told"] == {
        "graph": "step",
        "inputs": [
            {"name": "tokens", "dtype": "int64", "dims": [1, 1]},
            {"name": "h", "dtype": "float32", "dims": [2, 1, 8]},
            {"name": "c", "dtype": "float32", "dims": [2, 1, 8]},
        ],
        "outputs": [
            {"name": "logits", "dtype": "float32", "dims": [1, 1, width]},
            {"name": "h_next", "dtype": "float32", "dims": [2, 1, 8]},
            {"name": "c_next", "dtype": "float32", "dims": [2, 1, 8]},
        ],
    }
    assert found["beyond"] == [0, 0, 0]
    assert found["states"] == [True, True]
    assert found["lowest"] > 16 * 1024, "the stack lies below all data"
    assert [code for code, _ in found["rows"]] == [0, 2], "an id outside its range is refused"


def test_a_module_is_small(built_folder: Path) -> None:
    weights = (built_folder / "c" / "step" / "step.weights.bin").stat().st_size
    for target in ("wasm", "wasm-relaxed"):
        whole = (built_folder / "c" / "lib" / target / "step.wasm").stat().st_size
        assert whole - weights <= 12_000
