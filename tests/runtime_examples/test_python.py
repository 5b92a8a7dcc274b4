"""The Python example writes what edgernn writes, passes the golden runs, and says in one line
what is wrong with a bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import host_cases
import numpy as np
import pytest
import torch
from c_program import LOOSE
from hosts import EXAMPLES, FOREIGN, Command, python_server
from servers import Server

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.writing.captions import CaptionWriter
from edgernn.writing.text import write_text

EXACT = ["uniforms", "sampler", "tokenizer"]  # the checks that have no tolerance
_SERVERS: dict[tuple[str, ...], Server] = {}


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    """End what was started for this module's tests."""
    yield
    for server in _SERVERS.values():
        server.close()
    _SERVERS.clear()


def example(*, pillow: bool = True, library: bool = False) -> Command:
    """Return the example; without Pillow, or with the tokenizers library, where that is asked
    for.
    """
    without = FOREIGN + (() if library else ("tokenizers",)) + (() if pillow else ("PIL",))
    if without not in _SERVERS:
        _SERVERS[without] = python_server(without=without)
    return Command((), server=_SERVERS[without])


def good(*arguments: object, pillow: bool = True, library: bool = False) -> str:
    return example(pillow=pillow, library=library).good(*arguments)


def refusal(*arguments: object, pillow: bool = True) -> str:
    said = example(pillow=pillow).refusal(*arguments)
    assert said.startswith("error: ")
    return said


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
        (["--prompt", "thé"], "the tokenizer has no 'é', at place 2 of the prompt"),
        (["--top-p", "0"], "--top-p is 0.0, expected above 0 and at most 1"),
        (["--length", "x"], "'x' given, expected a number of 0 or more"),
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
            wanted["text"] if flags else TEXT + wanted["text"] + "\n"
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
    folder = host_cases.copied(of_kind, tmp_path / "b")
    host_cases.replace(folder, "tokenizer.json", json.dumps(document).encode())
    done = example(library=True).run(folder, "--check")
    kind = json.loads((folder / "manifest.json").read_text("utf-8"))["tokenizer"]["kind"]
    if kind in ("char", "byte"):
        assert (done.returncode, "other ids of the recorded text" in done.stderr) == (2, True)
    else:
        assert (done.returncode, done.stdout.splitlines()[-1].endswith(" FAILED")) == (1, True)


def test_a_terminal_without_the_signs_ends_nothing(text: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, str(EXAMPLES / "python" / "main.py"), str(text), "--prompt", "é"]
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
        [sys.executable, "-c", source, str(EXAMPLES / "python")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [[256, 44], [128, 128, 44], 300]
