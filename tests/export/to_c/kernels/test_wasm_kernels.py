"""Kernels of wasm, as node runs them; those of relaxed SIMD as Chromium does, for node 20 adds up
wrongly there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgernn.sessions.compiler import zig
from tests.conftest import ROOT
from tests.export.to_c.kernels.panels import cases, program

if shutil.which("node") is None or zig() is None:
    pytest.skip("needs node, and the package ziglang", allow_module_level=True)
WEB = ROOT / "runtime_examples" / "web"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
IN_NODE = """
import { readFileSync } from 'node:fs';
const module = new WebAssembly.Module(readFileSync(process.argv.at(-1)));
console.log(new WebAssembly.Instance(module, {}).exports.check());
"""
IN_CHROMIUM = """
import { readFileSync } from 'node:fs';
import { launch } from './play.mjs';
const browser = await launch();
const page = await browser.newPage();
const made = await page.evaluate(async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return (await WebAssembly.instantiate(bytes)).instance.exports.check();
}, readFileSync(process.argv.at(-1), 'base64'));
console.log(made);
await browser.close();
"""
RELAXED_DOT = b"\xfd\x93\x02"  # i32x4.relaxed_dot_i8x16_i7x16_add_s
DOT = b"\xfd\xba\x01"  # i32x4.dot_i16x8_s


def module(features: str, level: str, folder: Path) -> Path:
    """Compile ``check`` for a wasm machine with these features."""
    (folder / "check.c").write_text(program(cases()))
    flags = ["-target", "wasm32-freestanding", f"-mcpu=generic+{features}", "-std=c99", level]
    flags += ["-ffp-contract=off", "-fno-builtin", "-fno-sanitize=all", "-nostdlib", "-g0"]
    flags += ["-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--export=check"]
    command = zig()
    assert command is not None
    subprocess.run([*command, *flags, "check.c", "-o", "check.wasm"], cwd=folder, check=True)
    return folder / "check.wasm"


def answer(script: str, path: Path) -> str:
    """Return what ``check`` returns."""
    command = ["node", "--input-type=module", "-e", script, str(path)]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_a_product_is_that_of_whole_numbers_to_the_bit(level: str, tmp_path: Path) -> None:
    made = module("simd128", level, tmp_path)
    assert answer(IN_NODE, made) == "0"
    assert DOT in made.read_bytes()
    assert RELAXED_DOT not in made.read_bytes()


@pytest.mark.skipif(
    not Path(CHROMIUM).is_file() or not (WEB / "node_modules" / "playwright-core").is_dir(),
    reason="chromium, or npm packages of runtime_examples/web, are not installed",
)
def test_so_it_is_by_relaxed_dot_products(tmp_path: Path) -> None:
    made = module("simd128+relaxed_simd", "-O3", tmp_path)
    assert RELAXED_DOT in made.read_bytes()
    assert answer(IN_CHROMIUM, made) == "0"
