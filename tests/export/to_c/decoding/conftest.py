"""Bundles in C of small models of characters and bytes, and their programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.model import Model, open_model


@pytest.fixture(scope="module", autouse=True)
def cache_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests' own cache, for what a module makes once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def text_bundles(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """A bundle of characters, and one of bytes whose first state is stored. Read only."""
    folder = tmp_path_factory.mktemp("texts")
    chars = Checkpoint(make_model(), tokenizer, {}, {})
    export_bundle(chars, folder / "char", to=["c"], steps=4, release=True)
    model = make_model(vocabulary=256, cell="gru", learned_initial_state=True)
    made = Checkpoint(model, Tokenizer.build([], "byte"), {}, {})
    export_bundle(made, folder / "byte", to=["c"], steps=4, release=True)
    return {kind: folder / kind for kind in ("char", "byte")}


@pytest.fixture(params=["char", "byte"])
def text_bundle(request: pytest.FixtureRequest, text_bundles: dict[str, Path]) -> Bundle:
    """Each of them, opened."""
    return Bundle.open(text_bundles[request.param])


@pytest.fixture(scope="session")
def caption_bundle(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of the tiny captioner. Read only."""
    out = tmp_path_factory.mktemp("captioner") / "bundle"
    return export_bundle(captioner_folder, out, to=["c"], steps=2, release=True)


@pytest.fixture(scope="module")
def caption_model(caption_bundle: Bundle) -> Model:
    """Its files, opened."""
    return open_model(caption_bundle, "c")
