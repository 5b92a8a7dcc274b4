"""ruotianluo/ImageCaptioning.pytorch: each of its models, with and without its infos."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captioner_runs import read, ready, rolled, run_of, seen, tokens
from torch import nn
from upstream_captioners import REGIONS, WORDS, Att2in, OneCore, ShowTell, UpDown

from edgernn.data.pictures.caption_ids import caption_text
from edgernn.errors import CheckFailedError, CheckpointError, UsageError
from edgernn.importers.importing import import_checkpoint

MODELS = {
    "show_tell": ShowTell,
    "show_tell, 2 layers": lambda: ShowTell(layers=2),
    "show_tell, gru": lambda: ShowTell("GRU"),
    "show_tell, rnn": lambda: ShowTell("RNN"),
    "fc": lambda: OneCore(new=False),
    "newfc": lambda: OneCore(new=True),
    "att2in": lambda: Att2in(two=False),
    "att2in2": lambda: Att2in(two=True),
    "att2in2, use_bn": lambda: Att2in(two=True, use_bn=1),
    "att2in2, logit_layers": lambda: Att2in(two=True, logit_layers=3),
    "updown": UpDown,
    "updown, use_bn": lambda: UpDown(use_bn=2),
}


def saved(folder: Path, model: nn.Module, *, prefix: str = "") -> Path:
    content = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(content, folder / "model.pth")
    return folder / "model.pth"


def infos(folder: Path, **options: Any) -> Path:
    """Write infos as upstream does: protocol 2, the options a Namespace, words from 1 on."""
    words = {str(i): f"word{i}" for i in range(1, WORDS - 1)} | {str(WORDS - 1): "UNK"}
    content = {"iter": 7, "epoch": 1, "vocab": words, "opt": argparse.Namespace(**options)}
    (folder / "infos.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "infos.pkl"


@pytest.mark.parametrize("name", MODELS)
def test_its_own_log_probabilities(name: str, tmp_path: Path) -> None:
    model, shown, ids = ready(MODELS[name]()), seen(), tokens()
    with torch.no_grad():
        expected = model(shown["fc"], shown["att"], ids).numpy()
    word = name.partition(",")[0]
    beside = infos(tmp_path, caption_model=word, seq_length=16)
    found = run_of(saved(tmp_path, model), tmp_path / "run", "ruotianluo", beside)
    made = rolled(found, shown, ids)
    np.testing.assert_allclose(made["logits"], expected, atol=1e-5)
    assert ("attention" in made) == (word in {"att2in", "att2in2", "updown"})
    if "attention" in made:
        np.testing.assert_allclose(made["attention"].sum(-1), 1, atol=1e-6)


def test_words_and_length_are_those_of_the_infos(tmp_path: Path) -> None:
    path = saved(tmp_path, ready(ShowTell()))
    found = read(path, "ruotianluo", infos(tmp_path, caption_model="show_tell", seq_length=11))
    decoding = found.config.decoding(None)
    assert (decoding.start, decoding.stop, decoding.length) == ((0,), (0,), 11)
    assert found.tokenizer is not None
    assert found.tokenizer.encode("word4 Word1 other").tolist() == [4, 1, WORDS - 1]
    assert caption_text(found.tokenizer, [0, 4, 1, 0, 2], decoding) == "word4 word1"


def test_without_infos_sizes_are_those_of_the_tensors(tmp_path: Path) -> None:
    model, shown, ids = ready(UpDown()), seen(), tokens()
    with torch.no_grad():
        expected = model(shown["fc"], shown["att"], ids).numpy()
    path = saved(tmp_path, model, prefix="module.")
    found = read(path, "ruotianluo")
    told = " ".join(found.told)
    assert "the infos are missing" in told
    assert "without its words" in told
    assert "any number of regions" in told
    assert found.tokenizer is not None
    assert caption_text(found.tokenizer, [4, 1, 0], found.config.decoding(None)) == "<4> <1>"
    made = rolled(run_of(path, tmp_path / "run", "ruotianluo"), shown, ids)
    np.testing.assert_allclose(made["logits"], expected, atol=1e-5)


def test_a_number_of_regions_fixes_their_axis(tmp_path: Path) -> None:
    path = saved(tmp_path, ready(UpDown()))
    fixed = read(path, "ruotianluo", settings={"regions": str(REGIONS)})
    assert fixed.config.contract().sizes["regions"] == REGIONS
    assert "regions" not in read(path, "ruotianluo").config.contract().sizes
    loaded = run_of(path, tmp_path / "run", "ruotianluo", settings={"regions": "9"})
    assert loaded.config.contract().sizes["regions"] == 9
    for wrong in ("0", "many", "-3"):
        with pytest.raises(UsageError, match=f"--set regions={wrong}: expected how many regions"):
            read(path, "ruotianluo", settings={"regions": wrong})


def test_infos_of_another_model(tmp_path: Path) -> None:
    path = saved(tmp_path, ready(ShowTell()))
    with pytest.raises(CheckpointError, match="tensors of show_tell, and its infos say 'transform"):
        read(path, "ruotianluo", infos(tmp_path, caption_model="transformer"))


def test_a_tensor_that_is_missing_and_one_too_many(tmp_path: Path) -> None:
    model = ready(UpDown())
    content = model.state_dict()
    torch.save({**content, "ctx2other.weight": torch.zeros(2, 2)}, tmp_path / "more.pth")
    assert "also has ctx2other.weight, which nothing takes" in " ".join(
        read(tmp_path / "more.pth", "ruotianluo").told
    )
    del content["core.attention.alpha_net.bias"]
    torch.save(content, tmp_path / "less.pth")
    with pytest.raises(CheckpointError, match=r"lacks core\.attention\.alpha_net\.bias; expected"):
        read(tmp_path / "less.pth", "ruotianluo")


def test_a_recorded_run_with_the_states_of_both_cells_in_one_array(tmp_path: Path) -> None:
    model, shown, ids = ready(UpDown()), seen(), tokens()
    path, run = saved(tmp_path, model), tmp_path / "run.npz"
    made = rolled(run_of(path, tmp_path / "first", "ruotianluo"), shown, ids)
    with torch.no_grad():
        expected = model(shown["fc"], shown["att"], ids).transpose(0, 1).numpy()
    both = np.concatenate([made["att_lstm_h"], made["lang_lstm_h"]], 1)  # [N, 2, B, H]
    arrays = {"in/tokens": ids.T.numpy(), "out/log_probs": expected, "state/h": both}
    arrays |= {f"ctx/{name}": tensor.numpy() for name, tensor in shown.items()}
    np.savez(run, **arrays)
    out = tmp_path / "second"
    taken = import_checkpoint(path, out, family="ruotianluo", check=run, tolerance=1e-5)
    assert {each.name for each in taken.compared} == {"out/log_probs", "state/h"}
    np.savez(run, **{**arrays, "state/h": both[:, ::-1]})
    with pytest.raises(CheckFailedError, match="state/h is"):
        import_checkpoint(path, tmp_path / "third", family="ruotianluo", check=run)
