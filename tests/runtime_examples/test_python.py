"""The Python example writes what edgernn writes, passes the golden runs, and says in one line
what is wrong with a bundle.
"""

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
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.writing.captions import CaptionWriter
from edgernn.writing.text import write_text

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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--artifact", "onnx/generate.onnx"],
            "onnx/generate.onnx is of format onnx and graph generate; expected an ONNX step file",
        ),
        (
            ["--artifact", "nope"],
            "the bundle has no artifact nope; expected an ONNX step file; choose one of: "
            "onnx/step.onnx, ",
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
