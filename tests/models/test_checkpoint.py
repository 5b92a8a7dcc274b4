"""A checkpoint folder gives back exactly the model that was saved, or says in one line what is
wrong with it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED
from edgernn.models.checkpoint import CONFIG, EVALUATION, TOKENIZER, WEIGHTS, Checkpoint
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.language import LanguageModel
from edgernn.sessions.torch_kernels import plain_kernels

MakeModel = Callable[..., LanguageModel]


@pytest.fixture
def folder(checkpoint_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be damaged."""
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "run"))


def edit_config(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**content, **changes}), encoding="utf-8")


def edit_model(folder: Path, **changes: Any) -> None:
    model = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model"]
    edit_config(folder, model={**model, **changes})


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    change(weights)
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(weights))


@pytest.mark.parametrize(
    "options", [{}, {"tied": True, "embedding": 8}, {"learned_initial_state": True}], ids=str
)
@pytest.mark.parametrize("cell", FUSED)
def test_a_round_trip_loses_no_bit(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path, cell: str, options: dict[str, Any]
) -> None:
    model = make_model(cell=cell, **options)
    evaluation = np.arange(20, dtype=np.int64)
    checkpoint.save(
        Checkpoint(model, tokenizer, {"steps": 3}, {"tokens": evaluation}), tmp_path / "run"
    )
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.model.config == model.config
    assert not loaded.model.training
    assert loaded.training == {"steps": 3}
    assert loaded.tokenizer.to_json() == tokenizer.to_json()
    assert loaded.evaluation.keys() == {"tokens"}
    assert (loaded.evaluation["tokens"].dtype, loaded.evaluation["tokens"].tolist()) == (
        np.int64,
        evaluation.tolist(),
    )
    wanted, found = dict(model.named_parameters()), dict(loaded.model.named_parameters())
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert (loaded.model.head.weight is loaded.model.embedding.weight) == model.config.tied
    tokens = torch.arange(6).view(2, 3)
    with plain_kernels():
        assert torch.equal(
            loaded.model(tokens, loaded.model.initial_state(2))[0],
            model(tokens, model.initial_state(2))[0],
        )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_captioner_comes_back_with_its_batch_statistics(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    tmp_path: Path,
    conditioning: str,
    cell: str,
) -> None:
    model = make_captioner(conditioning=conditioning, cell=cell)
    checkpoint.save(Checkpoint(model, caption_tokenizer), tmp_path / "run")
    loaded = checkpoint.load(tmp_path / "run").model
    assert isinstance(loaded, Captioner)
    assert loaded.config == model.config
    assert not loaded.training
    wanted, found = model.state_dict(), loaded.state_dict()
    assert [name for name in wanted if name.endswith("running_var")]
    assert wanted.keys() == found.keys()
    assert all(
        torch.equal(wanted[name], found[name]) and wanted[name].dtype == found[name].dtype
        for name in wanted
    )
    with plain_kernels():
        results = [
            each.graph("encode", torch.from_numpy(pictures.copy())) for each in (model, loaded)
        ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_captioners_held_out_pictures_come_back(
    captioner_folder: Path, pictures: np.ndarray, caption_ids: np.ndarray
) -> None:
    loaded = checkpoint.load(captioner_folder)
    assert loaded.model.family == "captioner"
    assert {name: array.dtype.name for name, array in loaded.evaluation.items()} == {
        "image": "uint8",
        "captions": "int64",
    }
    assert np.array_equal(loaded.evaluation["image"], pictures)
    assert np.array_equal(loaded.evaluation["captions"], caption_ids)


def test_it_is_safetensors_and_json_and_no_pickle(checkpoint_folder: Path) -> None:
    assert sorted(path.name for path in checkpoint_folder.iterdir()) == sorted(
        [CONFIG, EVALUATION, TOKENIZER, WEIGHTS]
    )
    for path in checkpoint_folder.iterdir():
        content = path.read_bytes()
        if path.suffix == ".json":
            json.loads(content)
        else:
            header = int.from_bytes(content[:8], "little")  # as the format's own specification
            json.loads(content[8 : 8 + header])
            assert all(
                tensor.dtype in (torch.float32, torch.int64)
                for tensor in safetensors.torch.load(content).values()
            )


def test_a_tied_matrix_is_stored_once(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    checkpoint.save(Checkpoint(make_model(tied=True, embedding=8), tokenizer), tmp_path / "run")
    names = safetensors.torch.load_file(tmp_path / "run" / WEIGHTS).keys()
    assert "embedding.weight" in names
    assert "head.weight" not in names


def test_saving_a_model_of_another_precision_writes_float32(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model().bfloat16()
    checkpoint.save(Checkpoint(model, tokenizer), tmp_path / "run")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {
        parameter.dtype for parameter in checkpoint.load(tmp_path / "run").model.parameters()
    } == {torch.float32}


def test_the_held_out_sample_is_optional(folder: Path) -> None:
    (folder / EVALUATION).unlink()
    assert checkpoint.load(folder).evaluation == {}


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint at .*nowhere: config.json is missing; make one with: edgernn train "
        r"text --out .*nowhere, or from a checkpoint of another program: edgernn import FILE "
        r"--out .*nowhere$",
    ):
        checkpoint.load(tmp_path / "nowhere")


def test_missing_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(
        CheckpointError, match=r"weights.safetensors is missing; .* training has not saved it yet"
    ):
        checkpoint.load(folder)


def test_a_missing_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER).unlink()
    with pytest.raises(CheckpointError, match=r"cannot read the tokenizer .*tokenizer.json"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", [WEIGHTS, EVALUATION])
@pytest.mark.parametrize("keep", [0, 5, 40, -1])
def test_a_truncated_file(folder: Path, name: str, keep: int) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError, match=rf"{name} is damaged \(.*\); restore it or train again"
    ):
        checkpoint.load(folder)


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_flipped_header_bit(folder: Path, at: int) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[at] ^= 0x80
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        checkpoint.load(folder)


def test_weights_under_other_names(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update({"decoder.bias": weights.pop("head.bias")}))
    with pytest.raises(
        CheckpointError,
        match=r"missing \['head.bias'\], unknown \['decoder.bias'\]; .*different runs",
    ):
        checkpoint.load(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update({"head.bias": torch.zeros(3)}))
    with pytest.raises(
        CheckpointError, match=r"head.bias has shape \[3\], expected \[\d+\]; .*different runs"
    ):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b"{}",
        b'{"checkpoint_version": 1}',
        b'{"checkpoint_version": 1, ',
    ],
)
def test_a_config_that_is_none(folder: Path, content: bytes) -> None:
    (folder / CONFIG).write_bytes(content)
    with pytest.raises(
        CheckpointError,
        match=r"config.json is damaged or foreign \(.*\); restore it or train again",
    ):
        checkpoint.load(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version(folder: Path, version: Any) -> None:
    edit_config(folder, checkpoint_version=version)
    with pytest.raises(
        CheckpointError, match=rf"has checkpoint version {version!r}; this edgernn reads 1"
    ):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cell": "mamba"}, "expected one of lstm, gru, rnn, rnn_relu"),
        ({"layers": 257}, "layers"),
        ({"hidden": "wide"}, "hidden"),
        ({"surprise": 1}, "surprise"),
        ({"tied": True}, "tied"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be(folder: Path, changes: dict[str, Any], named: str) -> None:
    edit_model(folder, **changes)
    with pytest.raises(CheckpointError, match=named):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cell": "gru"}, r"weight_ih_l0 has shape \[32, 6\], expected \[24, 6\]"),
        ({"layers": 3}, r"missing \['recurrent.fused.bias_hh_l2'"),
        ({"layers": 1}, r"unknown \['recurrent.fused.bias_hh_l1'"),
        ({"learned_initial_state": True}, r"missing \['first_state.c', 'first_state.h'\]"),
    ],
    ids=str,
)
def test_a_config_of_another_run(folder: Path, changes: dict[str, Any], named: str) -> None:
    edit_model(folder, **changes)
    with pytest.raises(CheckpointError, match=rf"{named}.*; the two files are from different runs"):
        checkpoint.load(folder)


def test_a_tokenizer_of_another_size(folder: Path) -> None:
    Tokenizer.build(["abc"], "char").save(folder / TOKENIZER)
    with pytest.raises(
        CheckpointError,
        match=r"has 3 tokens but the model's embedding has \d+ rows; they do not belong",
    ):
        checkpoint.load(folder)


def test_a_damaged_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER).write_text('{"version": ')
    with pytest.raises(CheckpointError, match="is not a tokenizer"):
        checkpoint.load(folder)


def test_a_family_that_is_not_known(folder: Path) -> None:
    edit_config(folder, family="transformer")
    with pytest.raises(
        CheckpointError, match="is of a 'transformer' model, expected one of language, captioner"
    ):
        checkpoint.load(folder)
    edit_config(folder, family="captioner")
    with pytest.raises(
        CheckpointError,
        match=r"config.json is damaged or foreign \(.*\); restore it or train again",
    ):
        checkpoint.load(folder)


def test_every_error_is_one_line(folder: Path) -> None:
    for spoil in (
        lambda: edit_config(folder, checkpoint_version=9),
        lambda: edit_config(folder, checkpoint_version=1, model={"cell": "lstm", "nothing": 1}),
        lambda: (folder / CONFIG).write_text("{"),
    ):
        spoil()
        with pytest.raises(CheckpointError) as raised:
            checkpoint.load(folder)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "sizes",
    [{"hidden": 1 << 19}, {"vocabulary": 1 << 26}, {"embedding": 1 << 20, "layers": 5}],
    ids=str,
)
def test_no_memory_is_asked_for_that_the_weights_do_not_fill(
    folder: Path, sizes: dict[str, int]
) -> None:
    edit_model(folder, **sizes)
    with pytest.raises(CheckpointError, match="the two files are from different runs"):
        checkpoint.load(folder)


@pytest.mark.parametrize("size", [1e26, 1 << 40, 2.5, "8", True, None, -1], ids=str)
def test_a_size_that_is_none(folder: Path, size: object) -> None:
    edit_model(folder, hidden=size)
    with pytest.raises(CheckpointError, match=r"config.json is damaged or foreign \(hidden: "):
        checkpoint.load(folder)


def test_a_config_whose_key_stands_twice(folder: Path) -> None:
    text = (folder / CONFIG).read_text().replace('"hidden":', '"hidden": 9, "hidden":')
    (folder / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match="the key 'hidden' stands twice"):
        checkpoint.load(folder)


def test_weights_with_a_changed_bit(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"weights.safetensors is damaged \(it does not have the SHA-256"
    ):
        checkpoint.load(folder)


def test_a_config_that_fits_in_shape_alone(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    checkpoint.save(Checkpoint(make_model(cell="rnn"), tokenizer), tmp_path)
    edit_model(tmp_path, cell="rnn_relu")
    with pytest.raises(CheckpointError, match=r'they were saved with the model .*"cell": "rnn"'):
        checkpoint.load(tmp_path)


def test_a_tokenizer_that_fits_in_size_alone(folder: Path, tokenizer: Tokenizer) -> None:
    characters = [tokenizer.token(index) for index in range(tokenizer.vocabulary_size)]
    Tokenizer.build(["".join([*characters[1:], "\u4e2d"])], "char").save(folder / TOKENIZER)
    with pytest.raises(
        CheckpointError, match=r"is not the one with which weights\.safetensors was saved"
    ):
        checkpoint.load(folder)


def test_weights_of_older_or_other_programs_are_read(folder: Path) -> None:
    before = checkpoint.load(folder).model.state_dict()
    safetensors.torch.save_file(safetensors.torch.load_file(folder / WEIGHTS), folder / WEIGHTS)
    after = checkpoint.load(folder).model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER])
def test_a_pipe_a_folder_and_a_file_that_may_not_be_read(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: object, *rest: object, **options: object) -> int:
        if str(path) == str(folder / name):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *rest, **options)  # type: ignore[call-overload,no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(CheckpointError, match=rf"cannot read .*{name}: Permission denied"):
            checkpoint.load(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CheckpointError, match=rf"cannot read .*{name}"):
        checkpoint.load(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(CheckpointError, match=rf"cannot read .*{name}: Is a directory"):
        checkpoint.load(folder)


def test_a_held_out_sample_of_another_model(folder: Path) -> None:
    checkpoint.save_evaluation(folder / EVALUATION, {"tokens": np.array([99], np.int64)})
    with pytest.raises(CheckpointError, match="has the id 99, the vocabulary has 34 ids"):
        checkpoint.load(folder)
    checkpoint.save_evaluation(folder / EVALUATION, {"words": np.array([1], np.int64)})
    with pytest.raises(CheckpointError, match=r"has words int64 \[1\], expected tokens int64"):
        checkpoint.load(folder)
