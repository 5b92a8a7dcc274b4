"""Generation in one call has the face of ``Generation``: the same text, the same snapshot, the same
continuation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.in_graph import InGraphGeneration
from edgernn.decoding.sampling import Sampler
from edgernn.errors import UsageError
from edgernn.export.pack import export_bundle
from edgernn.sessions.base import Session
from edgernn.sessions.in_graph import Generator
from edgernn.sessions.opening import open_session
from edgernn.writing.text import write_text

SAMPLER = Sampler(temperature=0.9, top_k=12, top_p=0.95)


@pytest.fixture(scope="module")
def bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_bundle(
        checkpoint_folder,
        tmp_path_factory.mktemp("b") / "bundle",
        to="onnx",
        in_graph=True,
        steps=8,
    )


def both(bundle: Bundle, seed: int = 4) -> tuple[Generation, InGraphGeneration]:
    step, generator = (
        open_session(bundle, "onnx/step.onnx"),
        open_session(bundle, "onnx/generate.onnx"),
    )
    start = begin(step, np.array([3, 1, 4], np.int64))
    return Generation(step, start, sampler=SAMPLER, seed=seed), InGraphGeneration(
        generator, start, sampler=SAMPLER, seed=seed
    )


def test_the_same_text_and_the_same_place_to_go_on_from(bundle: Bundle) -> None:
    host, graph = both(bundle)
    for length in (7, 1, 12):
        assert list(graph.write(length)) == list(host.write(length))
        assert graph.snapshot.position == host.snapshot.position
        assert np.array_equal(graph.snapshot.pending, host.snapshot.pending)
        for name, state in host.snapshot.state.items():
            np.testing.assert_allclose(graph.snapshot.state[name], state, atol=1e-6)


def test_a_lone_file_says_itself_what_it_computes(bundle: Bundle) -> None:
    generator = open_session(bundle.path("onnx/generate.onnx"))
    assert isinstance(generator, Generator)
    assert not isinstance(generator, Session)
    with pytest.raises(UsageError, match="threads is 0, expected 1 or more"):
        open_session(bundle.path("onnx/generate.onnx"), threads=0)


def test_it_ends_after_a_stop_token(bundle: Bundle) -> None:
    host, graph = both(bundle)
    text = list(host.write(20))
    stop = {text[5]}
    assert list(graph.write(20, stop=stop)) == text[: text.index(text[5]) + 1]


def test_no_length_writes_nothing(bundle: Bundle) -> None:
    _, graph = both(bundle)
    before = graph.snapshot
    assert list(graph.write(0)) == []
    assert graph.snapshot is before


def test_a_text_from_the_bundle_goes_on_in_either_way(bundle: Bundle, tmp_path: Path) -> None:
    def write(artifact: str, **options: object) -> str:
        done = write_text(
            bundle.source, options.pop("prompt", ""), artifact=artifact, seed=2, **options
        )  # type: ignore[arg-type]
        return str(done["text"])

    whole = write("onnx/step.onnx", prompt="The", length=24)
    state = tmp_path / "half.state"
    first = write("onnx/generate.onnx", prompt="The", length=10, save_state=state)
    assert first + write("onnx/step.onnx", length=14, load_state=state) == whole
    first = write("onnx/step.onnx", prompt="The", length=10, save_state=state)
    assert first + write("onnx/generate.onnx", length=14, load_state=state) == whole
