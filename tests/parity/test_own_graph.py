"""Generated integers against the graph beside them: as near as activations are rounded, and no
further.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgernn.bundle import digest
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity.report.data import Check
from edgernn.parity.verify import verify_bundle
from edgernn.sessions import compiler

if compiler.lacking() is not None:
    pytest.skip("this machine has no C compiler", allow_module_level=True)
BOUNDS = {"int8": 1e-3, "w8a7": 0.1, "w4a8": 0.05}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the tests' own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def made(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of the tiny GRU as C. Read only."""
    out = tmp_path_factory.mktemp("graph") / "bundle"
    loaded = Checkpoint(make_model(cell="gru"), tokenizer, {}, {"tokens": np.arange(120) % 30})
    options = ReducedOptions(budget=Budget(perplexity=1.0))
    precisions = ["float32", *BOUNDS]
    export_bundle(loaded, out, to="c", precision=precisions, steps=4, options=options)
    return out


def checks(bundle: Path, *, trust: bool = False) -> dict[tuple[str, str], Check]:
    report = verify_bundle(bundle, steps=8, trust=trust)
    return {(a.path, check.name): check for a in report.artifacts for check in a.checks}


def test_integers_alone_are_held_against_their_graph(made: Path) -> None:
    found = {path: check for (path, name), check in checks(made).items() if name == "graph"}
    assert found.keys() == {f"c/step-{precision}" for precision in BOUNDS}
    for precision, bound in BOUNDS.items():
        check = found[f"c/step-{precision}"]
        assert check.status == "passed"
        assert check.measured["tolerance"] == bound
        assert 0 < check.measured["worst_scaled"] < bound
    # what 16 bits take is far below what rounded weights take
    assert found["c/step-int8"].measured["worst_scaled"] < 1e-4


def changed(made: Path, out: Path, change: Callable[[Path], None], inner: str) -> Path:
    shutil.copytree(made, out)
    change(out / inner)
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    own = next(artifact for artifact in manifest["artifacts"] if artifact["path"] == inner)
    own |= digest(out / inner).model_dump()
    path.write_text(json.dumps(manifest))
    return out


def test_fewer_bits_than_are_said_pass_all_but_that(made: Path, tmp_path: Path) -> None:
    def fewer(folder: Path) -> None:
        text = (folder / "step.c").read_text()
        assert "32767.0f" in text
        (folder / "step.c").write_text(text.replace("32767.0f", "127.0f"))

    inner = "c/step-int8"
    found = checks(changed(made, tmp_path / "b", fewer, inner), trust=True)
    failed = {name for (path, name), own in found.items() if own.status == "failed"}
    assert failed == {"graph"}
    assert found[inner, "graph"].measured["worst_scaled"] > 1e-3


def test_products_that_round_in_another_way_are_not_judged(made: Path, tmp_path: Path) -> None:
    def other(folder: Path) -> None:
        model = onnx.load(folder / "graph.onnx")
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "accuracy_level":
                    attribute.i = 3
        onnx.save(model, folder / "graph.onnx")

    found = checks(changed(made, tmp_path / "b", other, "c/step-int8"))
    assert found["c/step-int8", "graph"].status == "not run"
    assert "round activations in another way" in found["c/step-int8", "graph"].detail
