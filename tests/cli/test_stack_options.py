"""Every command that trains has the options of a stack, and what is said reaches the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn.cli.train import app
from edgernn.models import checkpoint

pytestmark = pytest.mark.usefixtures("undrawn")
Run = Callable[..., tuple[int, str, str]]
SHARED = ("cell", "hidden", "layers", "between", "weights", "cell_options", "kernel", "growth")
TINY = (
    *("--hidden", 8, "--batch", 4, "--steps", 2, "--evaluations", 1),
    *("--threads", 1, "--device", "cpu"),
)


@pytest.fixture
def data(tmp_path: Path) -> None:
    """A little of what each family learns from."""
    rng = np.random.default_rng(0)
    (tmp_path / "text.txt").write_text("the quick brown fox.\n" * 40)
    lines = [f"{'very good bad'[i % 9 :]} film,{['up', 'down'][i % 2]}" for i in range(40)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *lines]))
    pairs = [f"{a}{b}{c}\t{c}{b}{a}" for a in "abcde" for b in "fghi" for c in "klmn"]
    (tmp_path / "pairs.tsv").write_text("\n".join(pairs) + "\n")
    (tmp_path / "words.conll").write_text("good G\nbad B\n\n" * 20)
    frames = rng.integers(0, 256, (16, 4, 8, 8, 1)).astype(np.uint8)
    labels = rng.integers(0, 2, (16, 4))
    np.savez(tmp_path / "clips.npz", frames=frames, labels=labels, classes=["dark", "bright"])
    pictures = rng.integers(0, 256, (32, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "pictures.npz", pictures=pictures, labels=np.arange(32) % 2)
    rows = []
    for i in range(16):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(
            tmp_path / f"{i}.png"
        )
        rows.append(
            {
                "image": f"{i}.png",
                "question": "what colour is it",
                "answer": ["red", "blue"][i % 2],
                "caption": ["a red dog", "a blue cat"][i % 2],
                "split": "train" if i < 12 else "validation",
            }
        )
    for name, wanted in (
        ("asked", ("image", "question", "answer", "split")),
        ("told", ("image", "caption", "split")),
    ):
        lines = [json.dumps({key: row[key] for key in wanted}) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))


OWN = {
    "text": "--data text.txt --chunk 8 --embedding 6 --layers 1",
    "classify": "--data texts.csv --embedding 6 --minimum-count 1",
    "tag": "--data clips.npz --features 6 --channels 4",
    "translate": "--data pairs.tsv --embedding 6 --encoder 4",
    "ask": "--data asked.jsonl --image-size 32 --join concatenate --minimum-count 1",
    "glimpse": "--data pictures.npz --crop 4 --strides 1 --looks 2",
    "paint": "--data pictures.npz --noise 3 --embedding 3 --paint-steps 2 --inference 8",
    "captions": "--data told.jsonl --image-size 32 --embedding 6 --keys 4 --minimum-count 1",
}
PAST = "--cell causal_convolution --kernel 3 --growth 2"
CASES = [  # family, what is said, the last axes of the states
    ("text", "--cell lstm_projected --cell-options projection=3", {"h": 3, "c": 8}),
    ("text", "--cell gru --weights ternary --between residual --layers 2", {"h": 8}),
    ("classify", "--cell nas --between highway --layers 2", {"h": 8, "c": 8}),
    ("classify", PAST, {"rnn_0_past": 8}),
    ("tag", "--cell conv_lstm", {"rnn_0_h": 4, "rnn_0_c": 4}),
    ("tag", "--cell mut1 --weights binary", {"h": 8}),
    ("translate", "--cell lstm_peephole --layers 2 --between residual", {"h": 8, "c": 8}),
    ("translate", PAST, {"rnn_0_past": 8}),
    ("ask", "--cell min_lstm", {"h": 8}),
    ("ask", PAST, {"question_0_past": 8}),
    ("glimpse", PAST, {"core_0_past": 8, "location": 2}),
    ("glimpse", "--cell lstm_projected --cell-options projection=5", {"h": 5, "c": 8}),
    ("paint", PAST, {"core_0_past": 8}),
    ("paint", "--cell gru_normalised --layers 2", {"h": 8}),
    ("captions", "--cell lstm_coupled --layers 2 --between highway", {"h": 8, "c": 8}),
    ("captions", "--cell gru --weights binary", {"h": 8}),
]


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(("family", "said", "states"), CASES, ids=str)
def test_what_is_said_reaches_the_network(
    run: Run, tmp_path: Path, family: str, said: str, states: dict[str, int]
) -> None:
    code, _, err = run("train", family, "--out", "run", *OWN[family].split(), *TINY, *said.split())
    assert code == 0, err
    model = checkpoint.load(tmp_path / "run").model
    contract = model.config.contract()
    found = {s.name: contract.shape(s, batch=1)[-1] for s in contract.step.states}
    assert states.items() <= found.items(), found


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("family", "said", "told"),
    [
        ("classify", "--cell conv_lstm", "conv_lstm takes a map a frame"),
        ("tag", "--data words.conll --cell conv_lstm", "conv_lstm takes a map a frame"),
        ("paint", "--kernel 3", "lstm takes no --kernel"),
        ("translate", "--cell nas --shared", "no layer of this nas that runs over the open axis"),
        ("captions", PAST, "causal_convolution is no recurrent cell: a picture conditions"),
        ("captions", "--cell lstm_projected --cell-options projection=3", "the state h of lstm_p"),
        ("ask", "--cell-options activation=reluu", "activation"),
    ],
)
def test_what_does_not_fit_is_a_line(run: Run, family: str, said: str, told: str) -> None:
    code, _, err = run("train", family, "--out", "run", *OWN[family].split(), *TINY, *said.split())
    assert code == 2, err
    assert told in err
    assert len(err.strip().splitlines()) == 1, err


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("captions", "--cell gru --weights binary --layers 2 --between residual"),
        ("classify", "--cell lstm_projected --cell-options projection=4"),
    ],
)
def test_a_run_goes_on_and_is_made_again_from_its_options(
    run: Run, tmp_path: Path, family: str, said: str
) -> None:
    code, _, err = run("train", family, "--out", "a", *OWN[family].split(), *TINY, *said.split())
    assert code == 0, err
    for more in (("--resume",), ("--config", "a/run.toml", "--out", "b", "--device", "cpu")):
        given = (*more, "--steps", 3, "--threads", 1, "--json")
        code, out, err = run("train", family, *(("--out", "a") if len(more) == 1 else ()), *given)
        assert code == 0, err
        assert json.loads(out)["steps"] == 3
    models = [checkpoint.load(tmp_path / folder).model for folder in "ab"]
    assert models[0].config == models[1].config
    values = dict(models[0].named_parameters())
    assert all(value.isfinite().all() for value in values.values())
    if "binary" in said:
        recurrent = [values[name] for name in values if name.endswith("from_hidden.weight")]
        assert len(recurrent) == 2
        assert all(len(row.unique()) == 2 for matrix in recurrent for row in matrix)


def test_every_command_has_them() -> None:
    import typer

    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert {*SHARED, "dropout"} <= {parameter.name for parameter in command.params}, name
