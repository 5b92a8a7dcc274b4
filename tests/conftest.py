"""Shared fixtures: tiny seeded models, real files made from them, and the project mounted when it is not installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: threads that wait for one another cost more than they give


def _mount() -> None:
    """Make ``edgernn`` and ``edgernn.export`` importable from a bare checkout."""
    if importlib.util.find_spec("edgernn") is None:
        sys.path.insert(0, str(ROOT))
    if importlib.util.find_spec("edgernn.export") is None:
        place = ROOT / "export"
        spec = importlib.util.spec_from_file_location(
            "edgernn.export", place / "__init__.py", submodule_search_locations=[str(place)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["edgernn.export"] = module
        spec.loader.exec_module(module)


_mount()

import torch  # noqa: E402

from edgernn.bundle import Bundle  # noqa: E402
from edgernn.data.tokenizer import Tokenizer  # noqa: E402
from edgernn.export.pack import export_bundle  # noqa: E402
from edgernn.models.checkpoint import Checkpoint, save  # noqa: E402
from edgernn.models.language import LanguageConfig, LanguageModel  # noqa: E402

TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n"


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A character tokenizer over ``TEXT``."""
    return Tokenizer.build([TEXT], "char")


@pytest.fixture(scope="session")
def make_model(tokenizer: Tokenizer) -> Callable[..., LanguageModel]:
    """Build a tiny seeded model; keyword arguments go to its configuration."""

    def make(**options: object) -> LanguageModel:
        torch.manual_seed(3)
        config = {"vocabulary": tokenizer.vocabulary_size, "embedding": 6, "hidden": 8, "layers": 2, **options}
        model = LanguageModel(LanguageConfig.model_validate(config))
        with torch.no_grad():
            for parameter in model.parameters():  # no zeros anywhere: a bias that gets lost must show
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model.eval()

    return make


@pytest.fixture(scope="session")
def checkpoint_folder(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint of a tiny LSTM. Read only."""
    folder = tmp_path_factory.mktemp("checkpoint") / "run"
    held_out = tokenizer.encode(TEXT)
    save(Checkpoint(make_model(), tokenizer, {"corpus": "a test"}, held_out), folder)
    return folder


@pytest.fixture(scope="session")
def bundle_folder(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every format. Read only; copy it to change it."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    export_bundle(checkpoint_folder, folder, steps=16)
    return folder


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    """The bundle, opened."""
    return Bundle.open(bundle_folder)
