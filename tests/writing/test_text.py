"""A text from a bundle in one call: prompts, stops, seeds, states, and every piece as it comes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.bundle import Bundle, digest, pack
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import greedy_tokens
from edgernn.errors import BundleError, DataError, StorageError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.opening import open_session
from edgernn.writing.text import open_tokenizer, write_text


@pytest.fixture(scope="module")
def bytes_bundle(
    make_model: Callable[..., LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle whose tokens are bytes, so that a character spans several. Read only."""
    out = tmp_path_factory.mktemp("bytes") / "bundle"
    model = make_model(vocabulary=256, layers=1)
    export_bundle(Checkpoint(model, Tokenizer.build([], "byte")), out, to=["onnx"], steps=4)
    return out


def spoken(source: Path, prompt: str, **options: Any) -> tuple[list[str], dict[str, Any]]:
    """Write a text and return the pieces that were shown, and the result."""
    pieces: list[str] = []
    result = write_text(source, prompt, show=pieces.append, **{"length": 12, **options})
    return pieces, result


def test_the_result_says_what_was_written_and_how(
    bundle_folder: Path, tokenizer: Tokenizer
) -> None:
    pieces, result = spoken(bundle_folder, "the ", seed=3)
    assert set(result) == {"artifact", "seed", "text", "tokens"}
    assert result["artifact"] == "onnx/step.onnx"
    assert result["seed"] == 3
    assert len(result["tokens"]) == 12
    assert result["text"] == tokenizer.decode(result["tokens"])
    assert "".join(pieces) == "the " + result["text"]
    assert pieces[0] == "the "
    json.dumps(result)  # it is what --json prints


def test_a_bundle_that_is_given_opened_stays_open(bundle_folder: Path, tmp_path: Path) -> None:
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    with Bundle.open(tmp_path / "tiny.edgernn") as bundle:
        texts = [write_text(bundle, "the ", length=4)["text"] for _ in range(2)]
    assert texts == [write_text(str(bundle_folder), "the ", length=4)["text"]] * 2


def test_pieces_come_while_the_text_is_written(bundle_folder: Path) -> None:
    pieces, result = spoken(bundle_folder, "t")
    assert [piece for piece in pieces[1:] if piece] == list(result["text"])  # one character a token


@pytest.mark.parametrize("seed", range(3))
def test_pieces_of_characters_that_span_tokens_join_to_the_text(
    bytes_bundle: Path, seed: int
) -> None:
    prompt = "na\u00efve \u2192 \U0001f600"
    pieces, result = spoken(bytes_bundle, prompt, length=80, temperature=3.0, seed=seed)
    assert "".join(pieces) == prompt + result["text"]
    assert result["text"] == bytes(result["tokens"]).decode(errors="replace")
    assert any(token >= 128 for token in result["tokens"])  # else it shows nothing


def test_greedy_is_what_the_session_finds_most_probable(
    bundle_folder: Path, tokenizer: Tokenizer
) -> None:
    _, result = spoken(bundle_folder, "dog", temperature=0)
    assert result["tokens"] == greedy_tokens(
        open_session(bundle_folder), tokenizer.encode("dog"), 12
    )


def test_every_runtime_writes_the_same(bundle_folder: Path) -> None:
    _, ours = spoken(bundle_folder, "the ", seed=1, artifact="onnx")
    _, theirs = spoken(bundle_folder, "the ", seed=1, artifact="torchscript")
    assert theirs == {**ours, "artifact": "torchscript/step.pt"}


def test_a_single_file_bundle_writes_the_same(bundle_folder: Path, tmp_path: Path) -> None:
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    assert spoken(tmp_path / "tiny.edgernn", "the ") == spoken(bundle_folder, "the ")


def test_the_same_seed_writes_the_same_text_and_another_seed_another(bundle_folder: Path) -> None:
    texts = [spoken(bundle_folder, "fox", seed=seed, length=30)[1]["text"] for seed in (4, 4, 5)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_the_bundles_defaults_hold_unless_something_is_given(bundle_folder: Path) -> None:
    defaults = Bundle.open(bundle_folder).manifest.decoding
    assert defaults.temperature > 0
    same = spoken(
        bundle_folder,
        "a",
        temperature=defaults.temperature,
        top_k=defaults.top_k,
        top_p=defaults.top_p,
    )
    assert same == spoken(bundle_folder, "a")
    greedy = spoken(bundle_folder, "a", temperature=0)
    assert greedy == spoken(bundle_folder, "a", top_k=1) == spoken(bundle_folder, "a", top_p=1e-6)
    assert greedy != same


@pytest.mark.parametrize("options", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}], ids=str)
def test_a_value_out_of_range_is_refused(bundle_folder: Path, options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        spoken(bundle_folder, "a", **options)


def test_a_seed_out_of_its_range_is_refused_before_anything_is_shown(bundle_folder: Path) -> None:
    pieces: list[str] = []
    with pytest.raises(
        UsageError, match=r"the seed is 18446744073709551616, expected 0 to 2\^64 - 1"
    ):
        write_text(bundle_folder, "the ", length=1, seed=2**64, show=pieces.append)
    assert pieces == []


def test_unknown_characters_are_an_error_that_names_them(bundle_folder: Path) -> None:
    with pytest.raises(DataError, match=r"vocabulary has no '\u00e4', '\u2192'"):
        spoken(bundle_folder, "the \u00e4\u2192 dog")


def test_unknown_characters_can_be_skipped(bundle_folder: Path) -> None:
    pieces, result = spoken(bundle_folder, "the \u00e4\u2192dog", on_unknown="skip")
    assert result == spoken(bundle_folder, "the dog")[1]
    assert "".join(pieces) == "the dog" + result["text"]


def test_a_prompt_of_nothing_but_unknown_characters_is_an_empty_one(bundle_folder: Path) -> None:
    _, result = spoken(bundle_folder, "\u00e4", on_unknown="skip")
    assert result == spoken(bundle_folder, "")[1]


def test_an_empty_prompt_feeds_the_bundles_start_tokens(
    bundle_folder: Path, tokenizer: Tokenizer
) -> None:
    start = Bundle.open(bundle_folder).manifest.decoding.start
    pieces, result = spoken(bundle_folder, "", temperature=0)
    assert result["tokens"] == greedy_tokens(
        open_session(bundle_folder), np.array(start, np.int64), 12
    )
    assert "".join(pieces) == result["text"]  # what was fed in its place is not shown
    assert result["text"] == tokenizer.decode(result["tokens"])


def test_no_length_writes_nothing_but_the_prompt(bundle_folder: Path) -> None:
    pieces, result = spoken(bundle_folder, "dog", length=0)
    assert "".join(pieces) == "dog"
    assert (result["text"], result["tokens"]) == ("", [])


@pytest.mark.parametrize("temperature", [0, 1.2])
@pytest.mark.parametrize("cut", [0, 1, 7])
def test_a_text_goes_on_exactly_where_it_was_left(
    bundle_folder: Path, tmp_path: Path, temperature: float, cut: int
) -> None:
    state = tmp_path / "state"
    _, whole = spoken(bundle_folder, "the ", length=20, temperature=temperature, seed=2)
    _, first = spoken(
        bundle_folder, "the ", length=cut, temperature=temperature, seed=2, save_state=state
    )
    pieces, rest = spoken(
        bundle_folder, "", length=20 - cut, temperature=temperature, seed=2, load_state=state
    )
    assert first["tokens"] + rest["tokens"] == whole["tokens"]
    assert "".join(pieces) == rest["text"]


def test_a_text_goes_on_in_another_runtime(bundle_folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    _, whole = spoken(bundle_folder, "the ", temperature=0, length=20)
    _, first = spoken(
        bundle_folder, "the ", temperature=0, length=8, artifact="torchscript", save_state=state
    )
    _, rest = spoken(bundle_folder, "", temperature=0, length=12, artifact="onnx", load_state=state)
    assert first["tokens"] + rest["tokens"] == whole["tokens"]


def test_a_state_may_be_written_over_the_one_it_came_from(
    bundle_folder: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    _, whole = spoken(bundle_folder, "q", length=9)
    written = spoken(bundle_folder, "q", length=3, save_state=state)[1]["tokens"]
    for _ in range(2):
        written += spoken(bundle_folder, "", length=3, load_state=state, save_state=state)[1][
            "tokens"
        ]
    assert written == whole["tokens"]


def test_more_prompt_after_a_state_is_read_after_it(
    bundle_folder: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    state = tmp_path / "state"
    _, first = spoken(bundle_folder, "the ", temperature=0, length=5, save_state=state)
    _, rest = spoken(bundle_folder, "dog", temperature=0, load_state=state)
    read = tokenizer.encode("the " + first["text"] + "dog")
    assert rest["tokens"] == greedy_tokens(open_session(bundle_folder), read, 12)


def test_a_state_that_is_missing_damaged_or_of_another_model(
    bundle_folder: Path, bytes_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no saved state at"):
        spoken(bundle_folder, "a", load_state=tmp_path / "missing")
    (tmp_path / "damaged").write_bytes(b"x")
    with pytest.raises(DataError, match="is not a saved state"):
        spoken(bundle_folder, "a", load_state=tmp_path / "damaged")
    spoken(bytes_bundle, "a", save_state=tmp_path / "other")
    with pytest.raises(DataError, match="another contract"):
        spoken(bundle_folder, "a", load_state=tmp_path / "other")


def test_a_state_that_cannot_be_saved_is_a_storage_error(
    bundle_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="could not write"):
        spoken(bundle_folder, "a", save_state=tmp_path / "folder")


def test_a_stop_text_ends_the_text_and_is_its_last_token(
    bundle_folder: Path, tokenizer: Tokenizer
) -> None:
    _, free = spoken(bundle_folder, "the ", length=200, temperature=2.0, seed=1)
    stop = free["text"][20]
    _, stopped = spoken(bundle_folder, "the ", length=200, temperature=2.0, seed=1, stop=stop)
    end = free["text"].index(stop) + 1
    assert stopped["text"] == free["text"][:end]
    assert stopped["tokens"] == free["tokens"][:end]
    assert stopped["tokens"][-1] == int(tokenizer.encode(stop)[0])


@pytest.mark.parametrize(("stop", "says"), [("dog", "'dog' is 3 tokens"), ("", "'' is 0 tokens")])
def test_a_stop_text_of_other_than_one_token_is_refused(
    bundle_folder: Path, stop: str, says: str
) -> None:
    with pytest.raises(
        UsageError, match=rf"the stop text {says} of this model, expected exactly one"
    ):
        spoken(bundle_folder, "a", stop=stop)


def test_a_stop_text_of_unknown_characters_is_refused(bundle_folder: Path) -> None:
    with pytest.raises(DataError, match="vocabulary has no"):
        spoken(bundle_folder, "a", stop="\u00e4")


def test_nothing_is_shown_before_everything_is_known_to_be_right(
    bundle_folder: Path, tmp_path: Path
) -> None:
    for options in (
        {"stop": "dog"},
        {"load_state": tmp_path / "missing"},
        {"artifact": "tflite"},
        {"temperature": -1},
    ):
        pieces: list[str] = []
        with pytest.raises((UsageError, DataError)):
            write_text(bundle_folder, "the ", length=3, show=pieces.append, **options)  # type: ignore[arg-type]
        assert pieces == []


def test_the_tokenizer_of_a_bundle_belongs_to_its_model(
    bundle_folder: Path, bundle: Bundle, tmp_path: Path
) -> None:
    assert open_tokenizer(bundle).decode([0]) == Tokenizer.load(
        bundle_folder / "tokenizer.json"
    ).decode([0])
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "swapped"))
    Tokenizer.build(["abc"], "char").save(folder / "tokenizer.json")
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["files"]["tokenizer.json"] = digest(folder / "tokenizer.json").model_dump()
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(
        BundleError, match="the tokenizer has 3 tokens, the manifest says 34, the model has 34"
    ):
        spoken(folder, "a")


def test_a_captioner_writes_about_pictures_only(captioner_bundle_folder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=rf"is a captioner, .*; use: edgernn caption {captioner_bundle_folder} PICTURE",
    ):
        spoken(captioner_bundle_folder, "a")


def test_a_state_replaces_a_saved_state_alone(bundle_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"notes is there and is no saved state \(a text file\)"):
        spoken(bundle_folder, "a", length=2, save_state=path)
    assert path.read_text() == "mine"


def test_words_of_others_go_on_a_space_after_the_prompt(
    make_model: Callable[..., LanguageModel], tmp_path: Path
) -> None:
    words = spaced_pipeline({"the": 2, "cat": 0, "sat": 1, "\n": 3}, unknown=None)
    tokenizer = Tokenizer.from_json(words.to_str())
    checkpoint = Checkpoint(make_model(vocabulary=4, layers=1), tokenizer)
    export_bundle(checkpoint, tmp_path / "b", to=["onnx"], steps=4)
    for prompt in ("the cat", " the cat "):
        pieces, result = spoken(tmp_path / "b", prompt, temperature=3.0)
        assert "".join(pieces) == tokenizer.decode([2, 0, *result["tokens"]])
        assert pieces[0] == "the cat"
