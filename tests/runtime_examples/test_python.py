"""The Python example writes what edgernn writes, passes the golden runs, and says in one line what is wrong with a bundle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.caption_writer import CaptionWriter
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.writer import write_text
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel

EXAMPLE = Path(__file__).resolve().parents[2] / "runtime_examples" / "python"
# None makes an import fail: the example has to do without these.
START = """
import sys
sys.modules.update(dict.fromkeys({without!r}))
sys.path.insert(0, {folder!r})
import main
sys.exit(main.main())
"""
FOREIGN = ["edgernn", "torch", "onnx", "safetensors", "tokenizers"]
STEPS = ["onnx/step.onnx", "onnx/step-float16.onnx", "onnx/step-int8.onnx", "onnx/step-int4.onnx"]
LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights, so what they lose is not the point
EXACT = ["uniforms", "sampler", "tokenizer"]  # the checks that have no tolerance
PROMPT = "the quick brown "


def run(
    *arguments: object, pillow: bool = True, library: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the example; without Pillow, or with the tokenizers library, where that is asked for."""
    without = [name for name in FOREIGN if name != "tokenizers" or not library] + (
        [] if pillow else ["PIL"]
    )
    start = START.format(without=without, folder=str(EXAMPLE))
    command = [sys.executable, "-X", "utf8", "-c", start, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def good(*arguments: object, pillow: bool = True, library: bool = False) -> str:
    done = run(*arguments, pillow=pillow, library=library)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(*arguments: object, pillow: bool = True) -> str:
    done = run(*arguments, pillow=pillow)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def changed(source: Path, out: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a bundle and edit its manifest."""
    shutil.copytree(source, out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    edit(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return out


def replaced(source: Path, out: Path, name: str, content: bytes) -> Path:
    """Copy a bundle with another file in it, whose size and digest the manifest has."""
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    changed(source, out, lambda manifest: manifest["files"].__setitem__(name, entry))
    (out / name).write_bytes(content)
    return out


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every ONNX precision."""
    folder, precision = (
        tmp_path_factory.mktemp("text") / "b",
        ["float32", "float16", "int8", "int4"],
    )
    export_bundle(
        checkpoint_folder,
        folder,
        to=["onnx"],
        precision=precision,
        decoding=True,
        steps=8,
        options=LOOSE,
    )
    return folder


@pytest.fixture(scope="module")
def learned(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of a GRU with a learned first state."""
    loaded = Checkpoint(
        make_model(cell="gru", learned_initial_state=True),
        tokenizer,
        {},
        {"tokens": tokenizer.encode(PROMPT)},
    )
    folder = tmp_path_factory.mktemp("learned") / "b"
    export_bundle(loaded, folder, to=["onnx"], steps=8)
    return folder


@pytest.fixture(scope="module")
def captioner(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny captioner."""
    folder = tmp_path_factory.mktemp("captioner") / "b"
    export_bundle(
        captioner_folder, folder, to=["onnx"], precision=["float32", "int8"], steps=8, options=LOOSE
    )
    return folder


@pytest.fixture
def ppm(pictures: np.ndarray, tmp_path: Path) -> list[Path]:
    """The pictures as PPM files of the captioner's size."""
    paths = [tmp_path / f"{index}.ppm" for index in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(b"P6\n32 32\n255\n" + picture.tobytes())
    return paths


@pytest.mark.parametrize("artifact", STEPS)
def test_greedy_text_is_that_of_edgernn(text: Path, artifact: str) -> None:
    wanted = write_text(text, PROMPT, length=500, temperature=0, artifact=artifact)
    made = json.loads(
        good(
            text,
            "--prompt",
            PROMPT,
            "--temperature",
            0,
            "--length",
            500,
            "--artifact",
            artifact,
            "--json",
        )
    )
    assert made == {"artifact": artifact, "tokens": wanted["tokens"], "text": wanted["text"]}
    assert len(made["tokens"]) == 500


def test_the_sampler_chooses_what_edgernn_chooses() -> None:
    random = np.random.default_rng(6)
    cases = [
        ([0.0, 0.0], 1.0, 0, 1.0, 0.5),
        ([1.0, 1.0], 0.0, 0, 1.0, 0.9),
        ([0.0, -800.0], 0.1, 0, 1.0, 1 - 2**-53),
    ]
    for number in range(200):
        logits = np.round(
            random.normal(0, 3, int(random.integers(1, 40))), number % 3
        ).tolist()  # with ties
        options = (
            float(random.choice([0, 0.3, 2])),
            int(random.choice([0, 1, 4])),
            float(random.choice([1, 0.9, 0.1])),
        )
        cases.append((logits, *options, random.random()))
    script = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from sampler import Options, sample
for logits, temperature, top_k, top_p, uniform in json.load(sys.stdin):
    print(sample(np.array(logits, np.float32), Options(1, temperature, top_k, top_p), uniform))
"""
    command = [sys.executable, "-c", script, str(EXAMPLE)]
    said = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=60
    ).stdout
    wanted = [
        Sampler(*options).pick(np.array(logits, np.float32), uniform)
        for logits, *options, uniform in cases
    ]
    assert [int(line) for line in said.split()] == wanted


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.7), (9, 0.8), (500, 0.001)])
def test_the_same_seed_writes_the_text_of_edgernn(
    text: Path, learned: Path, top_k: int, top_p: float
) -> None:
    for folder in (text, learned):
        wanted = write_text(
            folder, PROMPT, length=60, temperature=1.3, top_k=top_k, top_p=top_p, seed=7
        )
        options = ["--temperature", 1.3, "--top-k", top_k, "--top-p", top_p, "--seed", 7]
        out = good(folder, "--prompt", PROMPT, "--length", 60, *options)
        assert out == PROMPT + wanted["text"] + "\n"


def test_without_a_prompt_it_begins_as_the_bundle_says(learned: Path) -> None:
    wanted = write_text(learned, "", length=40)
    assert json.loads(good(learned, "--length", 40, "--json"))["tokens"] == wanted["tokens"]


def test_a_learned_first_state_is_fed(learned: Path, tmp_path: Path) -> None:
    zeros = changed(
        learned, tmp_path / "b", lambda manifest: manifest["contract"].update(initial_state={})
    )
    assert good(learned, "--length", 40) != good(zeros, "--length", 40)


def test_a_long_prompt_is_fed_whole(text: Path) -> None:
    prompt = PROMPT * 40  # longer than one call takes
    wanted = write_text(text, prompt, length=20, temperature=0)
    assert (
        json.loads(good(text, "--prompt", prompt, "--length", 20, "--temperature", 0, "--json"))[
            "text"
        ]
        == wanted["text"]
    )


def test_decoding_defaults_are_kept(text: Path, tmp_path: Path) -> None:
    plain = json.loads(good(text, "--length", 30, "--temperature", 0, "--json"))["tokens"]
    decoding = {"suppress": [plain[0]], "temperature": 0}
    without = changed(
        text, tmp_path / "suppress", lambda manifest: manifest["decoding"].update(decoding)
    )
    tokens = json.loads(good(without, "--json", "--length", 30))["tokens"]
    assert plain[0] not in tokens
    few = changed(
        text,
        tmp_path / "few",
        lambda manifest: manifest["decoding"].update(suppress=list(range(2, 34))),
    )
    assert set(json.loads(good(few, "--json", "--length", 30))["tokens"]) <= {0, 1}
    stop = tokens[3]
    ends = changed(
        without, tmp_path / "stop", lambda manifest: manifest["decoding"].update(stop=[stop])
    )
    assert json.loads(good(ends, "--json"))["tokens"] == tokens[: tokens.index(stop) + 1]
    short = changed(
        without, tmp_path / "length", lambda manifest: manifest["decoding"].update(length=5)
    )
    assert json.loads(good(short, "--json"))["tokens"] == tokens[:5]


@pytest.mark.parametrize("artifact", STEPS)
def test_the_golden_run_passes(text: Path, artifact: str) -> None:
    lines = [line.split() for line in good(text, "--check", "--artifact", artifact).splitlines()]
    chained = artifact in STEPS[:2]
    layers = [""] if chained else ["[0]", "[1]"]
    names = ["logits", *(f"{name}_next{layer}" for name in "hc" for layer in layers)]
    assert [line[0] for line in lines] == [*names, *EXACT]
    limit = ["0.0001", "0.25", "0.15", "0.4"][STEPS.index(artifact)]
    assert [line[2] for line in lines] == [limit] * len(names) + ["0"] * len(EXACT)
    assert {line[3] for line in lines} == {"ok"}


def test_the_golden_run_of_a_captioner_passes(captioner: Path) -> None:
    for artifact, states in (
        ("onnx/step.onnx", ["h_next", "c_next"]),
        ("onnx/step-int8.onnx", ["h_next[0]", "c_next[0]"]),
    ):
        lines = [
            line.split() for line in good(captioner, "--check", "--artifact", artifact).splitlines()
        ]
        tensors = ["features", "feature_keys", "h", "c", "logits", "attention", *states]
        assert [line[0] for line in lines] == [*tensors, *EXACT]
        assert [" ".join(line[3:]) for line in lines[:-1]] == ["ok"] * (len(lines) - 1)
        assert " ".join(lines[-1][1:]) == "- 0 not run; run: pip install tokenizers"


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
@pytest.mark.parametrize("value", [40.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["logits", "c_next"])
def test_a_run_that_differs_fails(
    text: Path, tmp_path: Path, artifact: str, value: float, name: str
) -> None:
    tensors = safetensors.numpy.load_file(text / "golden.safetensors")
    tensors[name].flat[-1] = (
        value  # the last step of the last layer, so that forced steps are not led astray
    )
    folder = replaced(text, tmp_path / "b", "golden.safetensors", safetensors.numpy.save(tensors))
    done = run(folder, "--check", "--artifact", artifact)
    failed = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    layer = "[1]" if name == "c_next" and "int8" in artifact else ""
    assert (done.returncode, failed, done.stderr) == (1, [name + layer], "")


def test_integers_start_each_step_from_the_recorded_state(text: Path, tmp_path: Path) -> None:
    tensors = safetensors.numpy.load_file(text / "golden.safetensors")
    tensors["c_next"][3] += 9  # what the next step starts from, in integers alone
    folder = replaced(text, tmp_path / "b", "golden.safetensors", safetensors.numpy.save(tensors))
    floats, integers = (
        run(folder, "--check", "--artifact", artifact).stdout
        for artifact in ("onnx/step.onnx", "onnx/step-int8.onnx")
    )
    assert [line.split()[0] for line in floats.splitlines() if line.endswith(" FAILED")] == [
        "c_next"
    ]
    assert integers.splitlines()[0].split()[::3] == ["logits", "FAILED"]


def test_it_times_steps(text: Path) -> None:
    record = json.loads(good(text, "--time", 20, "--artifact", "onnx/step-int8.onnx"))
    assert record.keys() == {"artifact", "steps", "median_us"}
    assert (record["artifact"], record["steps"]) == ("onnx/step-int8.onnx", 20)
    assert 1 < record["median_us"] < 1e6


def test_captions_are_those_of_edgernn(captioner: Path, ppm: list[Path]) -> None:
    with CaptionWriter(captioner) as writer:
        wanted = [writer.write(path, beam=1) for path in ppm[:3]]
    for path, caption in zip(ppm, wanted, strict=False):
        assert good(captioner, "--image", path, pillow=False) == caption.text + "\n"
        seen = json.loads(good(captioner, "--image", path, "--attention", pillow=False))
        assert seen["text"] == caption.text
        np.testing.assert_allclose(seen["attention"], caption.attention, atol=2e-6)
    assert len({caption.text for caption in wanted}) > 1


def test_a_seed_writes_the_caption_of_edgernn(captioner: Path, ppm: list[Path]) -> None:
    with CaptionWriter(captioner) as writer:
        wanted = [
            writer.write(ppm[0], sampler=Sampler(temperature=1.5), seed=seed).text
            for seed in (1, 2**64 - 1)
        ]
    for text, seed in zip(wanted, (1, 2**64 - 1), strict=True):
        assert (
            good(captioner, "--image", ppm[0], "--temperature", 1.5, "--seed", seed, pillow=False)
            == text + "\n"
        )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_pictures_of_other_sizes_are_read_with_pillow(
    captioner: Path, tmp_path: Path, mode: str
) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    random = np.random.default_rng(2)
    noise = image_module.fromarray(random.integers(0, 256, (45, 70, 4), np.uint8), "RGBA")
    turned = image_module.Exif()
    turned[0x0112] = 6  # on its side
    noise.convert(mode).save(tmp_path / "a.png", exif=turned)
    with CaptionWriter(captioner) as writer:
        wanted = writer.write(tmp_path / "a.png", beam=1)
    seen = json.loads(good(captioner, "--image", tmp_path / "a.png", "--attention"))
    assert seen["text"] == wanted.text
    np.testing.assert_allclose(seen["attention"], wanted.attention, atol=2e-6)


def test_a_picture_that_is_none_is_refused(
    captioner: Path, text: Path, ppm: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "cut.ppm").write_bytes(ppm[0].read_bytes()[:-1])
    assert "a.png is no picture" in refusal(captioner, "--image", tmp_path / "a.png")
    assert "cut.ppm is no picture" in refusal(captioner, "--image", tmp_path / "cut.ppm")
    assert "expected a binary PPM (P6) of 32 x 32 without Pillow" in refusal(
        captioner, "--image", tmp_path / "a.png", pillow=False
    )
    assert "cannot read the picture" in refusal(captioner, "--image", tmp_path / "none.png")
    assert "expected --image FILE" in refusal(captioner)
    assert "a language model, which sees no pictures" in refusal(text, "--image", ppm[0])


def test_a_captioner_without_attention_says_so(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    ppm: list[Path],
    tmp_path: Path,
) -> None:
    loaded = Checkpoint(make_captioner(conditioning="initial-state"), caption_tokenizer, {}, {})
    export_bundle(loaded, tmp_path / "b", to=["onnx"], steps=4)
    assert "no attention" in refusal(tmp_path / "b", "--image", ppm[0], "--attention")
    with CaptionWriter(tmp_path / "b") as writer:
        assert good(tmp_path / "b", "--image", ppm[0]) == writer.write(ppm[0], beam=1).text + "\n"


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda m: m.update(schema_version=3), "has schema_version 3, expected 1 or 2"),
    "no version": (lambda m: m.pop("schema_version"), "has schema_version None, expected 1 or 2"),
    "no contract": (lambda m: m.pop("contract"), "is damaged"),
    "no files": (lambda m: m.pop("files"), "is damaged"),
    "artifacts": (lambda m: m.update(artifacts=5), "is damaged"),
    "no artifacts": (lambda m: m.update(artifacts=[]), "no artifact to run"),
    "outside": (
        lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": ""}}),
        "expected a path inside the bundle",
    ),
    "size": (lambda m: m["files"]["tokenizer.json"].update(bytes=3), "bytes, expected 3"),
    "digest": (lambda m: m["artifacts"][0].update(sha256="0" * 64), f"expected {'0' * 64}"),
    "dtype": (
        lambda m: m["artifacts"][0]["narrowing"]["dtypes"].update(h="bfloat16"),
        "takes h as bfloat16",
    ),
    "kept": (
        lambda m: m["artifacts"][0]["narrowing"].update(runtime_state=True),
        "keeps the state itself",
    ),
    "kind": (
        lambda m: m["tokenizer"].update(kind="custom"),
        "the tokenizer is of kind custom, expected one of char, byte",
    ),
    "unlisted": (
        lambda m: m["files"].pop("tokenizer.json"),
        "tokenizer.path is 'tokenizer.json', expected a listed path",
    ),
    "elsewhere": (
        lambda m: m["tokenizer"].update(path="../tokenizer.json"),
        "expected a path inside the bundle",
    ),
    "graph": (
        lambda m: m["contract"]["graphs"][0].update(name="stop"),
        "contract.graphs[0].name is 'stop'",
    ),
    "ids": (lambda m: m["tokenizer"]["ids"].reverse(), "other ids of the recorded text"),
    "vocabulary": (
        lambda m: m["contract"]["sizes"].update(vocab=35),
        "tokenizer.vocabulary_size is 34, expected 35",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_does_not_fit_is_refused(text: Path, tmp_path: Path, name: str) -> None:
    edit, says = EDITS[name]
    assert says in refusal(changed(text, tmp_path / "b", edit), "--prompt", "the")


def test_damaged_files_are_refused(text: Path, tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")
    for number, content in enumerate((b"", b"{", b"[1]", b"\xff", b"[" * 100_000)):
        folder = tmp_path / str(number)
        shutil.copytree(text, folder)
        (folder / "manifest.json").write_bytes(content)
        assert "manifest.json" in refusal(folder)
    content = (text / "onnx/step.onnx").read_bytes()
    folder = changed(text, tmp_path / "model", lambda manifest: None)
    (folder / "onnx/step.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"onnx/step.onnx of {folder} has SHA-256" in refusal(folder)
    (folder / "onnx/step.onnx").unlink()
    assert "step.onnx is not there" in refusal(folder)
    golden = (text / "golden.safetensors").read_bytes()
    for number, damaged in enumerate((b"", golden[:40], b"\xff" * 8 + golden[8:], golden[:-8])):
        folder = replaced(text, tmp_path / f"golden{number}", "golden.safetensors", damaged)
        assert "golden.safetensors is no safetensors file" in refusal(folder, "--check")


def test_an_app_may_ship_the_file_that_it_uses_alone(text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    (folder / "onnx/step.onnx").unlink()
    good(folder, "--artifact", "onnx/step-int8.onnx", "--length", 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--artifact", "onnx/generate.onnx"],
            "onnx/generate.onnx is of format onnx and graph generate; expected an ONNX step file",
        ),
        (
            ["--artifact", "nope"],
            "the bundle has no artifact nope; expected an ONNX step file; choose one of: onnx/step.onnx, ",
        ),
        (["--prompt", "thé"], "the tokenizer has no 'é', at place 2 of the prompt"),
        (["--temperature", "-1"], "'-1' given, expected a number of 0 or more"),
        (["--temperature", "nan"], "'nan' given, expected a number of 0 or more"),
        (["--top-p", "0"], "--top-p is 0.0, expected above 0 and at most 1"),
        (
            ["--seed", "18446744073709551616"],
            "--seed is 18446744073709551616, expected 0 to 18446744073709551615",
        ),
        (["--length", "x"], "'x' given, expected a number of 0 or more"),
        (["--time", "0"], "'0' given, expected a number of 1 or more"),
        (["--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_bad_arguments_are_refused(text: Path, arguments: list[str], says: str) -> None:
    assert says in refusal(text, *arguments)


@pytest.mark.parametrize(("key", "name"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_a_sampler_vector_that_differs_fails(
    text: Path, tmp_path: Path, key: str, name: str
) -> None:
    vectors = json.loads((text / "sampler.json").read_text("utf-8"))
    vectors["uniforms"][2]["values"][1] += 2.0**-53 if key == "uniforms" else 0
    vectors["tokens"][-1]["token"] += key == "tokens"
    folder = replaced(text, tmp_path / "b", "sampler.json", json.dumps(vectors).encode())
    done = run(folder, "--check")
    failed = [line.split()[:2] for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert (done.returncode, failed, done.stderr) == (1, [[name, "1.0e+00"]], "")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"version": 2}', b'{"version": 1, "generator": "splitmix64", "uniforms": [5]}'],
)
def test_sampler_vectors_that_are_damaged_are_refused(
    text: Path, tmp_path: Path, content: bytes
) -> None:
    assert "sampler.json holds no sampler vectors" in refusal(
        replaced(text, tmp_path / "b", "sampler.json", content), "--check"
    )


def test_a_bundle_without_golden_run_and_vectors_is_checked_as_far_as_it_goes(
    text: Path, tmp_path: Path
) -> None:
    folder = changed(
        text, tmp_path / "b", lambda manifest: (manifest.pop("golden"), manifest.pop("sampler"))
    )
    assert good(folder, "--check") == (
        "golden           - 0 not run; the bundle has no recorded run\ntokenizer        0.0e+00 0 ok\n"
    )
    assert "no recorded run" in refusal(folder, "--time", 3)


def wide_run(folder: Path, out: Path, *, error: float = 0.0, part: str = "largest") -> Path:
    """Copy a bundle with its golden run in the layout for wide outputs; ``error`` is added to one value of a ``part``."""
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    logits = tensors.pop("logits")  # [N, B, 1, V]
    ids = np.argsort(-logits, axis=-1, kind="stable")[..., :4]
    tensors |= {
        "logits.columns": np.array([0, 5, 33]),
        "logits.at_columns": logits[..., [0, 5, 33]],
    }
    tensors |= {"logits.largest_ids": ids, "logits.largest": np.take_along_axis(logits, ids, -1)}
    tensors["logits.log_sum"] = np.log(np.exp(logits.astype(np.float64)).sum(-1)).astype(np.float32)
    tensors[f"logits.{part}"].flat[-1] += error
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    )
    return replaced(folder, out, "golden.safetensors", content)


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_wide_output_is_judged_by_what_is_recorded_of_it(
    text: Path, tmp_path: Path, artifact: str
) -> None:
    lines = good(wide_run(text, tmp_path / "b"), "--check", "--artifact", artifact).splitlines()
    assert [line.split()[0] for line in lines[:3]] == [
        "logits.at_columns",
        "logits.largest",
        "logits.log_sum",
    ]
    assert all(line.endswith(" ok") for line in lines)
    for part in ("at_columns", "largest", "log_sum"):
        done = run(
            wide_run(text, tmp_path / part, error=5.0, part=part), "--check", "--artifact", artifact
        )
        failed = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")]
        assert (done.returncode, failed) == (1, [f"logits.{part}"])


@pytest.mark.parametrize("part", ["columns", "largest_ids"])
@pytest.mark.parametrize("error", [-40, 40])
def test_ids_of_a_wide_output_out_of_range_are_refused(
    text: Path, tmp_path: Path, part: str, error: int
) -> None:
    folder = wide_run(text, tmp_path / "b", error=error, part=part)
    assert "golden.safetensors does not fit the contract" in refusal(folder, "--check")


TEXT = "Hello world, it's a naïve café! one two one two\nHello\tworld  123 😀 日本\n"


@pytest.fixture(scope="module", params=["char", "byte", "word", "bpe"])
def of_kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose tokens are of one kind, untrained, so that any token comes."""
    folder = tmp_path_factory.mktemp(request.param) / "b"
    made = Tokenizer.build(
        [TEXT * 3], request.param, vocabulary_size=300 if request.param in ("word", "bpe") else None
    )
    torch.manual_seed(0)
    model = LanguageModel(LanguageConfig(vocabulary=made.vocabulary_size, hidden=12, embedding=8))
    export_bundle(Checkpoint(model, made, {}, {}), folder, to=["onnx"], steps=4)
    return folder


def lines(text: str) -> str:
    """Return a printed text as a pipe in text mode gives it."""
    return re.sub("\r\n?", "\n", text) + "\n"


def test_every_kind_of_tokens_is_read(of_kind: Path) -> None:
    wanted = write_text(of_kind, TEXT, length=200, temperature=2.0, seed=7)
    for flags in ([], ["--json"]):
        out = good(
            of_kind,
            "--prompt",
            TEXT,
            "--length",
            200,
            "--temperature",
            2,
            "--seed",
            7,
            *flags,
            library=True,
        )
        assert (json.loads(out)["text"] if flags else out) == (
            wanted["text"] if flags else lines(TEXT + wanted["text"])
        )
    assert (
        good(of_kind, "--check", library=True).splitlines()[-1] == "tokenizer        0.0e+00 0 ok"
    )


def test_a_prompt_is_shown_as_the_model_reads_it(of_kind: Path) -> None:
    if json.loads((of_kind / "manifest.json").read_text("utf-8"))["tokenizer"]["kind"] == "word":
        assert (
            good(of_kind, "--prompt", "one unheard-of", "--length", 0, library=True)
            == "<unk><unk><unk><unk>\n"
        )


def test_without_the_tokenizers_library_text_is_written_all_the_same(of_kind: Path) -> None:
    wanted = write_text(of_kind, "", length=60, temperature=2.0, seed=1)
    made = good(of_kind, "--length", 60, "--temperature", 2, "--seed", 1, "--json")
    assert json.loads(made)["text"] == wanted["text"]
    if json.loads((of_kind / "manifest.json").read_text("utf-8"))["tokenizer"]["kind"] in (
        "word",
        "bpe",
    ):
        assert (
            "takes the tokenizers library, which is not installed; run: pip install tokenizers"
            in refusal(of_kind, "--prompt", "one")
        )


def test_another_tokenizer_fails_the_check(of_kind: Path, tmp_path: Path) -> None:
    document = json.loads((of_kind / "tokenizer.json").read_text("utf-8"))
    vocabulary = document["model"]["vocab"]
    one, other = (
        (token for token, token_id in vocabulary.items() if token_id in (40, 41))
        if len(vocabulary) > 41
        else ([*vocabulary][1:3])
    )
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    folder = replaced(of_kind, tmp_path / "b", "tokenizer.json", json.dumps(document).encode())
    done = run(folder, "--check", library=True)
    kind = json.loads((folder / "manifest.json").read_text("utf-8"))["tokenizer"]["kind"]
    if kind in ("char", "byte"):
        assert (done.returncode, "other ids of the recorded text" in done.stderr) == (2, True)
    else:
        assert (done.returncode, done.stdout.splitlines()[-1].endswith(" FAILED")) == (1, True)


def test_a_terminal_without_the_signs_ends_nothing(text: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, str(EXAMPLE / "main.py"), str(text), "--prompt", "é"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the tokenizer has no '\\xe9'" in done.stderr


def test_a_long_prompt_is_fed_in_parts_of_bounded_logits() -> None:
    source = """
import json, sys
from types import SimpleNamespace
import numpy
sys.path.insert(0, sys.argv[1])
from sampler import prefill
axes = ["batch", "time"]
def widths(size):
    made = []
    def step(inputs, state):
        made.append(inputs["t"].shape[1])
        return {"logits": inputs["t"]}, state
    stepper = SimpleNamespace(open_time=True, outputs=[{"name": "logits", "axes": axes}])
    ids = {"name": "t", "dtype": "int64", "axes": axes}
    model = SimpleNamespace(stepper=stepper, vocabulary_size=size, ids=ids, step=step)
    prefill(model, [1] * 300, {}, {})
    return made
print(json.dumps([widths(34), widths(2 ** 13), len(widths(2 ** 21))]))
"""
    done = subprocess.run(
        [sys.executable, "-c", source, str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [[256, 44], [128, 128, 44], 300]
