"""Shared fixtures: tiny seeded models, real files made from them, and the project mounted when it
is not installed.

Where a package is not installed, as torch is not beside the base install, the tests that need it
are left out, and ``--bundles DIR`` takes the bundles that another environment made.
"""

from __future__ import annotations

import ast
import gc
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # threads that spin while they wait stop a busy machine
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny models: threads that wait for one another cost more than they give

gc.set_threshold(20_000)  # not after every 700: most of what tests and imports make stays


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

import numpy as np  # noqa: E402

from edgernn.bundle import Bundle  # noqa: E402
from edgernn.data.pictures.caption_ids import encode_caption  # noqa: E402
from edgernn.data.text.tokenizer import Tokenizer  # noqa: E402

if TYPE_CHECKING:
    from edgernn.models.captioner import Captioner
    from edgernn.models.language import LanguageModel
    from edgernn.models.layered.network import Network

TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n"
CAPTIONS = (  # two of each of six pictures
    ("a red dot above a blue square", "a blue square below a red dot"),
    ("a green cross at the top left", "at the top left is a green cross"),
    ("two dogs in the snow", "two brown dogs run in deep snow"),
    ("a black cat", "a cat that is black"),
    ("a small boat on the water", "the boat is small"),
    ("the man's hat is red", "a man with a red hat"),
)


_NEEDS = {  # the beginning of what is imported → the package without which that fails
    **{
        name: name
        for name in (
            "torch",
            "onnx",
            "coremltools",
            "PIL",
            "matplotlib",
            "pycocoevalcap",
            "cryptography",
            "model_signing",
        )
    },
    **dict.fromkeys(("edgernn.export", "edgernn.models", "edgernn.training"), "torch"),
    **dict.fromkeys(("edgernn.models.eager", "edgernn.sessions.torchscript.session"), "torch"),
    **dict.fromkeys(("edgernn.sessions.mil.session", "edgernn.sessions.coreml"), "coremltools"),
    "edgernn.data.pictures.pictures": "PIL",
}
_LACKING = {package for package in _NEEDS.values() if importlib.util.find_spec(package) is None}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--bundles``."""
    parser.addoption(
        "--bundles",
        type=Path,
        default=None,
        help="Where the shared bundles are, or are to be made.",
    )


def pytest_collection_finish() -> None:
    """Let the search for garbage pass over what was imported and what will be run: going through
    torch, coremltools and all tests again and again took a third of the time of an export.
    """
    gc.collect()
    gc.freeze()


def _begins(name: str, known: str) -> bool:
    return f"{name}.".startswith(f"{known}.") or (
        known.startswith("edgernn.") and name.startswith(f"{known}_")
    )


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what imports a package that is not installed here: a file, or a folder by its
    conftest.
    """
    path = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    if (
        not _LACKING
        or path.suffix != ".py"
        or not path.is_file()
        or path == Path(__file__).resolve()
    ):
        return None
    text = path.read_text(encoding="utf-8")
    lacking = (known.rpartition(".")[2] for known, package in _NEEDS.items() if package in _LACKING)
    if not any(word in text for word in lacking):
        return None  # parsing every file takes longer
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    wanted = {
        package for known, package in _NEEDS.items() for name in names if _begins(name, known)
    }
    return True if wanted & _LACKING else None


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A character tokenizer over ``TEXT``."""
    return Tokenizer.build([TEXT], "char")


@pytest.fixture(scope="session")
def make_model(tokenizer: Tokenizer) -> Callable[..., LanguageModel]:
    """Build a tiny seeded model; keyword arguments go to its configuration."""

    torch = pytest.importorskip("torch")
    from edgernn.models.language import LanguageConfig, LanguageModel

    def make(**options: object) -> LanguageModel:
        torch.manual_seed(3)
        config = {
            "vocabulary": tokenizer.vocabulary_size,
            "embedding": 6,
            "hidden": 8,
            "layers": 2,
            **options,
        }
        model = LanguageModel(LanguageConfig.model_validate(config))
        with torch.no_grad():
            for (
                parameter
            ) in model.parameters():  # no zeros anywhere: a bias that gets lost must show
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model.eval()

    return make


@pytest.fixture(scope="session")
def checkpoint_folder(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A checkpoint of a tiny LSTM. Read only."""
    from edgernn.models.checkpoint import Checkpoint, save

    folder = tmp_path_factory.mktemp("checkpoint") / "run"
    evaluation = {"tokens": tokenizer.encode(TEXT)}
    save(Checkpoint(make_model(), tokenizer, {"corpus": "a test"}, evaluation), folder)
    return folder


@pytest.fixture(scope="session")
def make_network(tokenizer: Tokenizer) -> Callable[..., Network]:
    """Build a tiny seeded network of layers, by default a language model of two LSTM layers of
    different widths and a tied head; keyword arguments go to its description.
    """

    torch = pytest.importorskip("torch")
    from edgernn.models.layered.description import NetworkConfig
    from edgernn.models.layered.network import Network

    tokens = {"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}
    rows = (
        ("embedding", "embedding", "tokens", {"width": 6}),
        ("rnn0", "recurrent", "embedding", {"cell": "lstm", "hidden": 8}),
        ("rnn1", "recurrent", "rnn0", {"cell": "lstm", "hidden": 6}),
        ("head", "linear", "rnn1", {"width": "vocab", "tied": "embedding"}),
    )
    layers = [
        {"name": name, "kind": kind, "inputs": [taken], "options": options}
        for name, kind, taken, options in rows
    ]

    def make(*, seed: int = 3, **description: object) -> Network:
        torch.manual_seed(seed)
        config = {
            "family": "language",
            "inputs": [tokens],
            "sizes": {"vocab": tokenizer.vocabulary_size},
            "layers": layers,
            "outputs": {"logits": "head"},
            **description,
        }
        model = Network(NetworkConfig.model_validate(config))
        with torch.no_grad():
            for (
                parameter
            ) in model.parameters():  # no zeros anywhere: a bias that gets lost must show
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model.eval()

    return make


@pytest.fixture(scope="session")
def bundle_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in every format. Read only; copy it to change it."""
    return _bundle(request, tmp_path_factory, "tiny", "checkpoint_folder", steps=16)


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    """The bundle, opened."""
    return Bundle.open(bundle_folder)


@pytest.fixture(scope="session")
def caption_tokenizer() -> Tokenizer:
    """The words of ``CAPTIONS``."""
    return Tokenizer.build(
        [f"{text}\n" for texts in CAPTIONS for text in texts], "caption", minimum_count=1
    )


@pytest.fixture(scope="session")
def make_captioner(caption_tokenizer: Tokenizer) -> Callable[..., Captioner]:
    """Build a tiny seeded captioner; keyword arguments go to its configuration.

    Its weights are large enough for its captions to differ from picture to picture, which fresh
    ones do not make them.
    """

    torch = pytest.importorskip("torch")
    from edgernn.models.captioner import Captioner, CaptionerConfig

    def make(*, seed: int = 3, **options: object) -> Captioner:
        torch.manual_seed(seed)
        tiny = {"hidden": 8, "embedding": 6, "keys": 5, "image_size": 32, "length": 7}
        config = {"vocabulary": caption_tokenizer.vocabulary_size, **tiny, **options}
        model = Captioner(CaptionerConfig.model_validate(config))
        with torch.no_grad():
            for (
                parameter
            ) in model.parameters():  # no zeros anywhere: a bias that gets lost must show
                spread = 0.3 if parameter.ndim == 1 else 2 / parameter[0].numel() ** 0.5
                parameter.add_(spread * torch.randn_like(parameter))
            for module in model.modules():
                if isinstance(
                    module, torch.nn.BatchNorm2d
                ):  # as after training: nothing is 0, 1 or the same as its neighbour
                    module.running_mean.normal_(0, 0.2)
                    module.running_var.uniform_(0.5, 2)
                    module.num_batches_tracked.fill_(7)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Six pictures, uint8 ``[6, 32, 32, 3]``: a coloured patch each on another ground, under noise.
    Read only.
    """
    random = np.random.default_rng(5)
    made = random.integers(0, 256, (6, 1, 1, 3)) * np.ones((6, 32, 32, 3))
    for index, picture in enumerate(made):
        picture[4 * index : 4 * index + 9, 2 : 9 + 3 * index] = random.integers(0, 256, 3)
    return np.clip(made + random.normal(0, 12, made.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def caption_ids(caption_tokenizer: Tokenizer) -> np.ndarray:
    """``CAPTIONS`` from <start> to <end>, then padded, int64 ``[6, 2, T]``. Read only."""
    ids = [encode_caption(caption_tokenizer, text) for texts in CAPTIONS for text in texts]
    table = np.zeros((len(ids), max(map(len, ids))), np.int64)
    for row, own in zip(table, ids, strict=True):
        row[: len(own)] = own
    return table.reshape(len(CAPTIONS), 2, -1)


@pytest.fixture(scope="session")
def captioner_folder(
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A checkpoint of a tiny captioner with soft attention. Read only."""
    from edgernn.models.checkpoint import Checkpoint, save

    folder = tmp_path_factory.mktemp("captioner") / "run"
    evaluation = {"image": pictures, "captions": caption_ids}
    save(Checkpoint(make_captioner(), caption_tokenizer, {"corpus": "a test"}, evaluation), folder)
    return folder


@pytest.fixture(scope="session")
def captioner_bundle_folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of the tiny captioner in every format. Read only; copy it to change it."""
    return _bundle(request, tmp_path_factory, "captioner", "captioner_folder", steps=8)


@pytest.fixture
def captioner_bundle(captioner_bundle_folder: Path) -> Bundle:
    """The bundle of the captioner, opened."""
    return Bundle.open(captioner_bundle_folder)


def _bundle(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    checkpoint: str,
    *,
    steps: int,
) -> Path:
    """Return the bundle ``name`` of ``--bundles``; export the fixture ``checkpoint`` where it is
    not there.
    """
    shared: Path | None = request.config.getoption("--bundles")
    folder = (shared or tmp_path_factory.mktemp("bundle")).resolve() / name
    if not folder.exists():
        run = request.getfixturevalue(checkpoint)
        pytest.importorskip("coremltools")
        pytest.importorskip("onnx")
        from edgernn.export.pack import export_bundle

        export_bundle(run, folder, steps=steps)
    return folder
