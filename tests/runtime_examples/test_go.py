"""The host in Go, over a bundle's C that is compiled in: the recorded run holds, and the text is
that of edgernn. ``.ci/go`` gets Go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import go_host
import host_cases
import pytest
import safetensors.numpy
from compiled_bundles import change_weight
from hosts import Command

from edgernn.writing.text import write_text

if go_host.found() is None:
    pytest.skip("needs go: .ci/go", allow_module_level=True)


@pytest.fixture(scope="module")
def lstm(go_programs: Callable[..., Command], compiled_bundles: dict[str, Path]) -> Command:
    """The program around the LSTM."""
    return go_programs(compiled_bundles["lstm"])


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
    go_programs: Callable[..., Command],
    compiled_bundles: dict[str, Path],
    network: str,
    names: set[str],
) -> None:
    """A stored first state and names of its own, frames, and a step whose encode is elsewhere."""
    rows = go_programs(compiled_bundles[network]).rows(compiled_bundles[network])
    assert names <= set(rows)
    assert {verdict for *_, verdict in rows.values()} == {"ok"}


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_integers_are_compared_step_by_step(
    go_programs: Callable[..., Command], compiled_integers: Path, precision: str
) -> None:
    path = f"c/step-{precision}"
    host = go_programs(compiled_integers, path, "-march=native")
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
    go_programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    bundle = compiled_bundles["gru"]
    made = json.loads(go_programs(bundle).good(bundle, "--length", 60, "--json", "--seed", 3))
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
            ((found, (step, steps, _)),) = lstm.partings(folder).items()
            assert (found, step) == (name, steps - 1)
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
    go_programs: Callable[..., Command], compiled_bundles: dict[str, Path], tmp_path: Path
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
    assert re.search(
        r"^logits .* FAILED: parts at step \d+ of 0 to \d+ by", done.stdout, re.MULTILINE
    )
