"""Captions from a bundle: which files are opened, what a caption holds, and the empty caption."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgernn.bundle import Bundle, pack
from edgernn.data.pictures.caption_ids import END_ID
from edgernn.data.pictures.pictures import load_picture
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions
from edgernn.decoding.sampling import Sampler
from edgernn.errors import BundleError, DataError, EdgernnError, UnavailableError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.sessions.model import Model, open_model
from edgernn.writing.captions import Caption, CaptionWriter


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of 40 by 60 pixels."""
    tiles = np.random.default_rng(0).integers(0, 256, (3, 2, 3)).astype(np.uint8)
    Image.fromarray(tiles).resize((40, 60)).save(tmp_path / "tiles.png")
    return tmp_path / "tiles.png"


@pytest.fixture(scope="module")
def export(
    caption_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Captioner], Path]:
    """Export a captioner to a bundle of ONNX files."""

    def make(model: Captioner) -> Path:
        folder = tmp_path_factory.mktemp("bundle") / "captioner"
        export_bundle(Checkpoint(model, caption_tokenizer), folder, to=["onnx"], steps=2)
        return folder

    return make


def written(source: Path, picture: Path, **options: object) -> Caption:
    with CaptionWriter(source) as writer:
        return writer.write(picture, **options)  # type: ignore[arg-type]


def test_a_caption_is_the_words_of_the_best_hypothesis(
    captioner_bundle_folder: Path, picture: Path
) -> None:
    with CaptionWriter(captioner_bundle_folder) as writer:
        found = writer.write(picture)
        tokenizer = Tokenizer.load(captioner_bundle_folder / "tokenizer.json")
    assert found.text == tokenizer.decode(found.hypothesis.tokens)
    assert len(found.text.split()) == len(found.hypothesis.tokens) > 0
    record = found.to_record()
    assert record == {
        "caption": found.text,
        "score": found.hypothesis.score,
        "log_probability": found.hypothesis.log_probability,
        "finished": found.hypothesis.finished,
    }
    json.dumps(record)  # it is what --json prints


def test_a_beam_of_1_is_what_the_model_finds_most_probable(
    captioner_bundle_folder: Path, make_captioner: Callable[..., Captioner], picture: Path
) -> None:
    found = written(captioner_bundle_folder, picture, beam=1)
    with Bundle.open(captioner_bundle_folder) as bundle:
        sessions, decoding = open_model(bundle), bundle.manifest.decoding
        model = make_captioner().eval()
        encode, step = (EagerSession(model, file.file_contract) for file in sessions.sessions)
        (expected,) = greedy_captions(
            Model(step, encode), load_picture(picture, 32)[None], decoding
        )
    assert list(found.hypothesis.tokens) == expected
    assert (
        found.hypothesis.score <= written(captioner_bundle_folder, picture, beam=3).hypothesis.score
    )


def test_attention_has_a_row_per_word(captioner_bundle_folder: Path, picture: Path) -> None:
    for options in ({"beam": 1}, {"beam": 3}, {"sampler": Sampler(temperature=1.0), "seed": 2}):
        found = written(captioner_bundle_folder, picture, **options)
        assert found.attention is not None
        assert found.attention.shape == (len(found.text.split()), 16)
        np.testing.assert_allclose(found.attention.sum(1), 1, rtol=1e-5)
        assert np.ptp(found.attention) > 0.01


def test_sampling_follows_the_seed(captioner_bundle_folder: Path, picture: Path) -> None:
    texts = [
        written(captioner_bundle_folder, picture, sampler=Sampler(temperature=2.0), seed=seed).text
        for seed in (5, 5, 6)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("size", "kept"), [((40, 60), (60, 40)), ((1024, 512), (256, 512)), ((30, 3000), (512, 5))]
)
def test_the_picture_is_kept_upright_in_its_proportions(
    size: tuple[int, int], kept: tuple[int, int], captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture = Image.new("RGB", size, (200, 0, 0))
    picture.paste((0, 0, 200), (0, 0, size[0], size[1] // 2))
    picture.save(tmp_path / "turned.png", exif=exif)
    found = written(captioner_bundle_folder, tmp_path / "turned.png").picture
    assert found.dtype == np.uint8
    assert found.shape == (*kept, 3)
    assert found[1, 1].tolist() == [200, 0, 0]
    assert found[-2, -2].tolist() == [0, 0, 200]


def test_the_artifact_is_the_one_asked_for(captioner_bundle_folder: Path, picture: Path) -> None:
    texts = set()
    for asked, path in (
        (None, "onnx/step.onnx"),
        ("torchscript", "torchscript/step.pt"),
        ("onnx/step.onnx", "onnx/step.onnx"),
    ):
        with CaptionWriter(captioner_bundle_folder, artifact=asked) as writer:
            assert writer.artifact.path == path
            families = {type(session).__name__ for session in writer.sessions.sessions}
            assert families == {"OrtSession" if path.startswith("onnx") else "TorchScriptSession"}
            texts.add(writer.write(picture).text)
    assert len(texts) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML runs here")
def test_a_runtime_that_is_not_here_is_named(captioner_bundle_folder: Path) -> None:
    with pytest.raises(UnavailableError, match="Core ML"):
        CaptionWriter(captioner_bundle_folder, artifact="coreml")


@pytest.mark.parametrize("path", ["onnx/encode.onnx", "coreml/encode.mlpackage"])
def test_an_encode_file_is_no_step_file(captioner_bundle_folder: Path, path: str) -> None:
    with pytest.raises(UsageError, match=f"{path} is the encode file; choose a step file"):
        CaptionWriter(captioner_bundle_folder, artifact=path)


def test_a_file_that_writes_whole_captions_is_no_step_file(captioner_bundle: Bundle) -> None:
    whole = captioner_bundle.manifest.artifacts[0].model_copy(
        update={"path": "onnx/caption.onnx", "graph": "caption"}
    )
    manifest = captioner_bundle.manifest.model_copy(
        update={"artifacts": (*captioner_bundle.manifest.artifacts, whole)}
    )
    with pytest.raises(
        UsageError,
        match=r"onnx/caption\.onnx writes by itself, .*; choose a step file",
    ):
        open_model(
            Bundle(captioner_bundle.source, captioner_bundle.folder, manifest), "onnx/caption.onnx"
        )


def test_a_language_model_sees_nothing(bundle_folder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=rf"is a language model, it sees no pictures; use: edgernn generate {bundle_folder}",
    ):
        CaptionWriter(bundle_folder)


def test_what_is_no_bundle_and_what_is_no_picture(
    captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no bundle at"):
        CaptionWriter(tmp_path / "absent")
    with pytest.raises(DataError, match=r"absent\.png"):
        written(captioner_bundle_folder, tmp_path / "absent.png")


def test_a_step_file_without_its_encode_file(captioner_bundle_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(captioner_bundle_folder, tmp_path / "copy"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["artifacts"] = [
        artifact
        for artifact in manifest["artifacts"]
        if artifact["path"] != "torchscript/encode.pt"
    ]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "torchscript" / "encode.pt").unlink()
    with pytest.raises(
        EdgernnError, match=r"no encode file of torchscript for torchscript/step\.pt"
    ):
        CaptionWriter(folder, artifact="torchscript")


def test_a_single_file_bundle_says_the_same_and_leaves_nothing(
    captioner_bundle_folder: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    pack(captioner_bundle_folder, tmp_path / "tiny.edgernn")
    with CaptionWriter(tmp_path / "tiny.edgernn") as writer:
        assert list(scratch.iterdir())
        assert (
            writer.write(picture).to_record()
            == written(captioner_bundle_folder, picture).to_record()
        )
    assert not list(scratch.iterdir())


def test_a_bundle_that_is_given_opened_stays_open(
    captioner_bundle_folder: Path, picture: Path, tmp_path: Path
) -> None:
    pack(captioner_bundle_folder, tmp_path / "tiny.edgernn")
    with Bundle.open(tmp_path / "tiny.edgernn") as bundle:
        for _ in range(2):
            with CaptionWriter(bundle) as writer:
                assert writer.write(picture).text == written(captioner_bundle_folder, picture).text
        assert bundle.path("tokenizer.json").exists()


@pytest.mark.parametrize("conditioning", ["soft-attention", "first-token", "every-step"])
def test_a_caption_without_a_word(
    conditioning: str,
    make_captioner: Callable[..., Captioner],
    export: Callable[[Captioner], Path],
    picture: Path,
) -> None:
    model = make_captioner(conditioning=conditioning)
    with torch.no_grad():
        model.head.bias[END_ID] = 99
    folder = export(model)
    with CaptionWriter(folder) as writer:
        assert writer.has_attention == (conditioning == "soft-attention")
        for options in ({"beam": 1}, {"beam": 3}, {"sampler": Sampler(temperature=1.0)}):
            found = writer.write(picture, **options)  # type: ignore[arg-type]
            assert (found.text, found.hypothesis.tokens) == ("", ())
            assert found.hypothesis.finished
            assert (found.attention is not None) == writer.has_attention
            if found.attention is not None:
                assert found.attention.shape == (0, 16)
