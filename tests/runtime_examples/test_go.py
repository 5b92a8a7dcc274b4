"""The host in Go, over a bundle's C that is compiled in: the recorded run, the text that edgernn
writes, and everything that is damaged or of another bundle in one line. ``.ci/go`` gets Go.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import go_host
import host_cases
import pytest
import safetensors.numpy
from compiled_bundles import change_weight
from damage_cases import DAMAGE
from hosts import Command

from edgernn.bundle import Bundle, pack
from edgernn.writing.text import write_text

MANIFESTS = 300
SOURCES = "".join(
    path.read_text("utf-8") for path in sorted((go_host.EXAMPLES / "go").glob("*.go"))
)

if go_host.found() is None:
    pytest.skip("needs go: .ci/go", allow_module_level=True)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Command]:
    """Build the program around a bundle."""
    folder = tmp_path_factory.mktemp("go")

    def built(bundle: Path, artifact: str = "", flags: str = "") -> Command:
        return Command((str(go_host.build(folder, bundle, artifact, flags)),))

    return built


@pytest.fixture(scope="module")
def lstm(programs: Callable[..., Command], compiled_bundles: dict[str, Path]) -> Command:
    """The program around the LSTM."""
    return programs(compiled_bundles["lstm"])


@pytest.fixture
def folder(compiled_bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the LSTM's bundle, to be changed."""
    return host_cases.copied(compiled_bundles["lstm"], tmp_path / "b")


def test_the_recorded_run_holds(lstm: Command, folder: Path) -> None:
    rows = lstm.rows(folder)
    assert [*rows] == ["logits", "h_next", "c_next", "uniforms", "sampler", "tokenizer"]
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    assert all(0 < (rows[name][0] or 0) < 1e-5 for name in ("logits", "h_next", "c_next"))


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("gru", {"logits", "h_next", "uniforms", "sampler", "tokenizer"}),
        ("audio", {"sample", "h_next", "memory_next"}),
        ("captioner", {"logits", "attention", "h_next", "c_next"}),
    ],
)
def test_other_networks_pass(
    programs: Callable[..., Command],
    compiled_bundles: dict[str, Path],
    network: str,
    names: set[str],
) -> None:
    """A stored first state and names of its own, frames, and a step whose encode is elsewhere."""
    rows = programs(compiled_bundles[network]).rows(compiled_bundles[network])
    assert names <= set(rows)
    assert {verdict for *_, verdict in rows.values()} == {"ok"}


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_integers_are_compared_step_by_step(
    programs: Callable[..., Command], compiled_integers: Path, precision: str
) -> None:
    path = f"c/step-{precision}"
    host = programs(compiled_integers, path, "-march=native")
    rows = host.rows(compiled_integers, "--artifact", path)
    layers = {f"{name}[{layer}]" for name in ("h_next", "c_next") for layer in (0, 1)}
    assert {"logits", *layers} <= set(rows)
    assert {verdict for *_, verdict in rows.values()} == {"ok"}
    assert json.loads(host.good(compiled_integers, "--json", "--length", 3))["artifact"] == path
    said = host.refusal(compiled_integers, "--artifact", "c/step")
    assert f"this program was compiled with a {path} of the SHA-256 " in said
    assert "of c/step; compile it with this bundle: go run ./cmd/prepare BUNDLE" in said


def test_the_text_is_that_of_edgernn(lstm: Command, folder: Path) -> None:
    for options in (
        {"temperature": 0},
        {"temperature": 0.8, "seed": 2**64 - 1},
        {"temperature": 1.3, "seed": 7, "top_k": 9, "top_p": 0.8},
    ):
        wanted = write_text(folder, "the ", length=500, **options)
        flags: list[object] = ["--prompt", "the ", "--length", 500]
        for name, value in options.items():
            flags += [f"--{name.replace('_', '-')}", value]
        made = json.loads(lstm.good(folder, *flags, "--json"))
        assert made["tokens"] == wanted["tokens"]
        assert made["text"] == wanted["text"]
        assert lstm.good(folder, *flags) == "the " + wanted["text"] + "\n"
    assert (
        json.loads(lstm.good(folder, "--length", 40, "--json"))["tokens"]
        == (write_text(folder, "", length=40)["tokens"])
    )


def test_decoding_defaults_are_kept(lstm: Command, folder: Path) -> None:
    def tokens(**decoding: object) -> list[int]:
        host_cases.edit(folder, lambda manifest: manifest["decoding"].update(decoding))
        made: list[int] = json.loads(lstm.good(folder, "--length", 30, "--json"))["tokens"]
        return made

    plain = tokens(temperature=0)
    without = tokens(suppress=[plain[0]])
    assert plain[0] not in without
    assert tokens(stop=[without[3]]) == without[: without.index(without[3]) + 1]
    assert tokens(stop=[], length=5) == without[:5]


def test_a_stored_first_state_is_fed(
    programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    bundle = compiled_bundles["gru"]
    made = json.loads(programs(bundle).good(bundle, "--length", 60, "--json", "--seed", 3))
    assert made["tokens"] == write_text(bundle, "", length=60, seed=3)["tokens"]


def test_a_step_is_timed(lstm: Command, folder: Path) -> None:
    record = json.loads(lstm.good(folder, "--time", 30))
    assert (record.keys(), record["steps"]) == ({"artifact", "steps", "median_us"}, 30)
    assert record["median_us"] > 0


def test_what_differs_fails(lstm: Command, folder: Path) -> None:
    whole = safetensors.numpy.load_file(folder / "golden.safetensors")
    for name in ("logits", "c_next"):
        for value in (40.0, float("nan"), float("inf")):
            changed = {key: array.copy() for key, array in whole.items()}
            changed[name].flat[-1] = value
            host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(changed))
            assert lstm.failed(folder) == [name]
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(whole))
    for key, row in (("uniforms", "uniforms"), ("tokens", "sampler")):
        copy = host_cases.copied(folder, folder.parent / key)
        host_cases.empty_vectors(copy, key)
        assert row in lstm.failed(copy)


def test_a_wide_output_is_judged_by_what_is_recorded_of_it(lstm: Command, folder: Path) -> None:
    host_cases.shorten_golden(folder)
    parts = ["logits.at_columns", "logits.largest", "logits.log_sum"]
    assert [*lstm.rows(folder)][:3] == parts
    assert lstm.failed(folder) == []
    whole = safetensors.numpy.load_file(folder / "golden.safetensors")
    for part in parts:
        changed = {name: array.copy() for name, array in whole.items()}
        changed[part].flat[-1] += 5
        host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(changed))
        assert lstm.failed(folder) == [part]


def test_a_changed_weight_fails(
    programs: Callable[..., Command], compiled_bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Behind the back of what was prepared; the rest of the bundle is as it was."""
    host = go_host.copied(tmp_path)
    bundle = compiled_bundles["lstm"]
    assert go_host.go(host, "run", "./cmd/prepare", str(bundle)).returncode == 0
    change_weight(host / "network" / "net" / "step.weights.bin")
    with (host / "network" / "step.c").open("a") as file:
        file.write("/* compiled anew */\n")
    done = go_host.go(host, "run", "./cmd/edgernn-run", str(bundle), "--check")
    assert done.returncode == 1
    assert re.search(r"^logits .* FAILED$", done.stdout, re.MULTILINE)


# what concerns a file for onnxruntime, which this host never opens
OTHERS = {"a changed model", "a cut model", "no model"}


@pytest.mark.parametrize("name", [name for name in DAMAGE if name not in OTHERS])
def test_damage_is_told_in_one_line(lstm: Command, folder: Path, name: str) -> None:
    change, needle = DAMAGE[name]
    change(folder)
    wanted = needle.replace("onnx/step.onnx", "c/step")
    assert wanted in lstm.refusal(folder, "--length", 3, "--json")


def test_a_link_that_leads_out_is_refused(lstm: Command, folder: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "tokenizer.json"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        assert "leads out of the bundle" in lstm.refusal(folder)
        (folder / name).unlink()
        (tmp_path / name).rename(folder / "own")
        (folder / name).symlink_to("own")
        lstm.good(folder, "--length", 3)
        (folder / name).unlink()
        (folder / "own").rename(folder / name)


def test_a_bundle_in_one_file_writes_the_same(lstm: Command, folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "one.edgernn")
    flags = ["--length", 50, "--seed", 3]
    assert lstm.good(tmp_path / "one.edgernn", *flags) == lstm.good(folder, *flags)
    assert lstm.failed(tmp_path / "one.edgernn") == []
    whole = (tmp_path / "one.edgernn").read_bytes()
    for number, content in enumerate((b"", b"PK", whole[: len(whole) // 2], whole[:-30])):
        (tmp_path / f"{number}.edgernn").write_bytes(content)
        assert f"{number}.edgernn" in lstm.refusal(tmp_path / f"{number}.edgernn")
    with zipfile.ZipFile(tmp_path / "one.edgernn") as old:
        files = {name: old.read(name) for name in old.namelist()}
    files["tokenizer.json"] += b" " * 50_000_000
    with zipfile.ZipFile(tmp_path / "bomb.edgernn", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in files.items():
            new.writestr(name, content)
    assert "tokenizer.json in " in lstm.refusal(tmp_path / "bomb.edgernn")


def test_another_bundle_is_refused(lstm: Command, compiled_bundles: dict[str, Path]) -> None:
    said = lstm.refusal(compiled_bundles["gru"], "--check")
    assert "this program was compiled with a c/step of the SHA-256 " in said


def test_a_captioner_is_told_what_it_lacks(
    programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    said = programs(compiled_bundles["captioner"]).refusal(compiled_bundles["captioner"])
    assert "its step alone was compiled; give what another runtime made" in said


def test_a_network_of_several_streams_is_refused(
    programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    said = programs(compiled_bundles["streams"]).refusal(compiled_bundles["streams"], "--check")
    assert "c/step takes only 4 along batch, expected 1" in said


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["--artifact", "nope"], "nope"),
        (["--prompt", "aé"], "é"),
        (["--temperature=-1"], "-1"),
        (["--temperature", "nan"], "nan"),
        (["--top-p", "0"], "top-p"),
        (["--top-k", "1.5"], "1.5"),
        (["--seed", "18446744073709551616"], "18446744073709551615"),
        (["--seed", ""], "seed"),
        (["--length", "many"], "many"),
        (["--time", "0"], "0"),
        (["--colour"], "--colour"),
        (["--seed"], "--seed"),
    ],
)
def test_bad_arguments_are_refused(
    lstm: Command, folder: Path, arguments: list[str], needle: str
) -> None:
    assert needle in lstm.refusal(folder, *arguments)


def test_no_manifest_ends_it_with_a_panic(go_parts: Command, folder: Path, tmp_path: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    texts = host_cases.damaged_manifests(manifest, 7, MANIFESTS)
    (tmp_path / "list").write_text(json.dumps([each.decode("latin-1") for each in texts]), "utf-8")
    reached = go_parts.good("--fuzz", tmp_path / "list", folder).strip()
    assert re.fullmatch(rf"[0-3]{{{MANIFESTS}}}", reached)
    assert 0 < reached.count("0") < MANIFESTS


def test_without_a_bundle_it_says_what_to_do(tmp_path: Path) -> None:
    host = go_host.copied(tmp_path)
    done = go_host.go(host, "build", "./cmd/edgernn-run")
    assert done.returncode != 0
    assert "no bundle is compiled in; run: go run ./cmd/prepare BUNDLE" in done.stderr


def test_a_damaged_bundle_is_not_compiled(folder: Path, tmp_path: Path) -> None:
    with (folder / "c" / "step" / "step.c").open("a") as file:
        file.write("/* more */\n")
    host = go_host.copied(tmp_path / "copy")
    done = go_host.go(host, "run", "./cmd/prepare", str(folder))
    assert done.returncode != 0
    assert "error: c/step has SHA-256 " in done.stderr
    assert not (host / "network" / "made.go").exists()


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
