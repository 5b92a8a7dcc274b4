"""The host in Go as a library: states are values, the program of its README runs, and its sources read
like those of every example. ``.ci/go`` gets Go.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import go_host
import pytest
from hosts import Command

from edgernn.bundle import Bundle
from edgernn.writing.text import write_text

if go_host.found() is None:
    pytest.skip("needs go: .ci/go", allow_module_level=True)

SOURCES = "".join(
    path.read_text("utf-8") for path in sorted((go_host.EXAMPLES / "go").glob("*.go"))
)
FORK = """
package edgernn_test

import (
	"os"
	"slices"
	"testing"

	"edgernn"
	"edgernn/network"
)

func written(t *testing.T, w *edgernn.Writing, count int) (made []int64) {
	for range count {
		token, _, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, token)
	}
	return made
}

func load(t *testing.T) *edgernn.Model {
	model, err := edgernn.Load(os.Getenv("EDGERNN_BUNDLE"), "", network.Compiled())
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestAForkGoesOnByItself(t *testing.T) {
	model := load(t)
	options := edgernn.Options{Length: 40, Sampling: edgernn.Sampling{TopP: 1}}
	contexts, state, _ := model.Begin(nil)
	one, err := model.Write([]int64{1, 2}, contexts, state, options)
	if err != nil {
		t.Fatal(err)
	}
	begun := written(t, one, 8)
	other, _ := model.Write(begun[7:], contexts, one.State, options)
	rest := written(t, one, 12)
	if !slices.Equal(rest, written(t, other, 12)) {
		t.Error("a fork goes on otherwise")
	}
	again, _ := model.Write([]int64{1, 2}, contexts, state, options)
	if !slices.Equal(begun, written(t, again, 8)) {
		t.Error("a state was changed by what was fed")
	}
}

func TestABlockStepsAsTheModelDoes(t *testing.T) {
	model, block := load(t), load(t).NewBlock()
	ids, scores := model.Bundle.Manifest.Contract.IDs().Name, model.Bundle.Manifest.Contract.Scores().Name
	_, state, _ := model.Begin(nil)
	for _, id := range []int64{3, 1, 4} {
		token := edgernn.Int64s([]int64{id}, 1, 1)
		outputs, next, err := model.Step(edgernn.Tensors{ids: token}, state)
		copy(block.Bytes(ids), token.Bytes)
		if err != nil || block.Step() != nil || !slices.Equal(block.Bytes(scores), outputs[scores].Bytes) {
			t.Fatal("a block steps otherwise", err)
		}
		state = next
	}
	kept := slices.Clone(block.State())
	copy(block.Bytes(ids), edgernn.Int64s([]int64{-1}, 1, 1).Bytes)
	if err := block.Step(); err == nil || !slices.Equal(kept, block.State()) {
		t.Error("an id out of range is stepped", err)
	}
}
"""


def test_states_are_values(compiled_bundles: dict[str, Path], tmp_path: Path) -> None:
    host = go_host.copied(tmp_path)
    bundle = compiled_bundles["lstm"]
    assert go_host.go(host, "run", "./cmd/prepare", str(bundle)).returncode == 0
    (host / "fork_test.go").write_text(FORK, "utf-8")
    page = (host / "README.md").read_text("utf-8")
    (program,) = re.findall(r"^```go\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (host / "cmd" / "readme").mkdir()
    (host / "cmd" / "readme" / "main.go").write_text(program.replace("The ", "the "), "utf-8")
    given = {"EDGERNN_BUNDLE": str(bundle)}
    done = go_host.go(host, "test", "-count=1", ".", given=given)
    assert done.returncode == 0, done.stdout + done.stderr
    vetted = go_host.go(host, "vet", "./...")
    assert vetted.returncode == 0, vetted.stderr
    (host / "net").symlink_to(bundle)
    told = go_host.go(host, "run", "./cmd/readme").stdout.split()
    sampling = {"temperature": Bundle.open(bundle).manifest.decoding.temperature}
    wanted = write_text(bundle, "the ", length=200, seed=7, **sampling)["tokens"]
    assert [*map(int, told)] == wanted


@pytest.mark.parametrize("name", ["Load", "Begin", "Step", "Sample", "Generate"])
def test_the_names_are_those_of_every_example(name: str) -> None:
    assert re.search(rf"^func (\(m \*Model\) )?{name}\(", SOURCES, re.MULTILINE)


def test_no_tensor_name_is_written_in_the_code(compiled_bundles: dict[str, Path]) -> None:
    plain = re.sub(r'json:"[^"]*"', "", SOURCES)
    literals = set(re.findall(r'"([A-Za-z_]+)"', plain)) - {"c"}  # that is a format
    for path in compiled_bundles.values():
        for graph in Bundle.open(path).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}


def test_it_is_formatted() -> None:
    tool = shutil.which("gofmt") or str(Path(go_host.compiler()).with_name("gofmt"))
    if not Path(tool).is_file():
        root = go_host.go(go_host.EXAMPLES / "go", "env", "GOROOT").stdout.strip()
        tool = str(Path(root) / "bin" / "gofmt")
    assert Command((tool, "-l")).good(go_host.EXAMPLES / "go") == ""
