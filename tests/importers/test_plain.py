"""Any state dict whose blocks are a row: the order from the widths, and what is guessed told."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from upstream_language import STEPS, drawn, importable, opened, rolled, save, taken

from edgernn.cli.inspection import inspect_path
from edgernn.errors import CheckpointError, UsageError
from edgernn.importers.base import Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.name_map import read_map
from edgernn.importers.recognising import open_checkpoint, recognise

MANUAL = Path(__file__).parents[2] / "edgernn/importers/README.md"


def module(**parts: nn.Module) -> nn.Module:
    """Return a module with these children, drawn from a seed."""
    torch.manual_seed(7)
    made = nn.Module()
    for name, part in parts.items():
        made.add_module(name, part)
    for parameter in made.parameters():
        nn.init.uniform_(parameter, -0.4, 0.4)
    return made


def frames(width: int) -> Tensor:
    return torch.randn(2, STEPS, width, generator=torch.Generator().manual_seed(8))


def run(*parts: nn.Module, x: Tensor) -> np.ndarray:
    """Return what the modules give one after another, recurrent ones batch-first from zeros."""
    with torch.no_grad():
        for part in parts:
            made = part(x)
            x = made[0] if isinstance(made, tuple) else made
    return x.numpy()


def test_frames_through_a_gru_and_a_head(tmp_path: Path) -> None:
    net = module(gru=nn.GRU(3, 8, 2, batch_first=True), fc=nn.Linear(8, 5))
    path = save({"net": net.state_dict(), "epoch": 3}, tmp_path / "net.pt")
    word, imported = taken(path)
    assert (word, imported.config.family) == ("plain", "module")
    expected = run(net.gru, net.fc, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)
    assert any("net.gru → net.fc" in sentence for sentence in imported.told)
    assert any("torch's order" in sentence for sentence in imported.told)


def test_layers_below_and_different_cells_above_one_another(tmp_path: Path) -> None:
    net = module(
        inp=nn.Linear(3, 4),
        a=nn.LSTM(4, 6, batch_first=True),
        b=nn.GRU(6, 7, batch_first=True),
        out=nn.Linear(7, 2, bias=False),
    )
    _, imported = taken(save(net.state_dict(), tmp_path / "net.pt"))
    expected = run(net.inp, net.a, net.b, net.out, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


def test_a_circle_of_widths_is_opened_so_that_a_linear_layer_ends_it(tmp_path: Path) -> None:
    net = module(out=nn.Linear(8, 3), lstm=nn.LSTM(8, 8, batch_first=True), inp=nn.Linear(3, 8))
    _, imported = taken(save(net.state_dict(), tmp_path / "net.pt"))
    expected = run(net.inp, net.lstm, net.out, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


def test_cells_saved_apart_follow_their_numbers(tmp_path: Path) -> None:
    net = module(cell2=nn.LSTMCell(6, 6), cell1=nn.LSTMCell(6, 6), out=nn.Linear(6, 2))
    _, imported = taken(save(net.state_dict(), tmp_path / "net.pt"))
    x, state, made = frames(6), [(torch.zeros(2, 6), torch.zeros(2, 6))] * 2, []
    with torch.no_grad():
        for t in range(STEPS):
            state[0] = net.cell1(x[:, t], state[0])
            state[1] = net.cell2(state[0][0], state[1])
            made.append(net.out(state[1][0]))
    expected = torch.stack(made, 1).numpy()
    np.testing.assert_allclose(rolled(imported, x), expected, atol=1e-5)


def test_a_table_makes_it_a_network_of_ids_or_with_words_a_language_model(tmp_path: Path) -> None:
    net = module(
        emb=nn.Embedding(11, 5), core=nn.RNN(5, 8, 1, batch_first=True), out=nn.Linear(8, 11)
    )
    path = save(net.state_dict(), tmp_path / "net.pt")
    expected = run(net.emb, net.core, net.out, x=drawn(11))
    _, ids = taken(path)
    np.testing.assert_allclose(rolled(ids, drawn(11)), expected, atol=1e-5)
    (tmp_path / "words.txt").write_text("\n".join(f"w{i}" for i in range(11)) + "\n")
    _, text = taken(path, vocabulary=tmp_path / "words.txt")
    assert type(text.config).__name__ == "LanguageConfig"
    np.testing.assert_allclose(rolled(text, drawn(11)), expected, atol=1e-5)
    assert any("tanh" in sentence for sentence in text.told)


def test_layers_without_biases(tmp_path: Path) -> None:
    net = module(lstm=nn.LSTM(3, 5, bias=False, batch_first=True), out=nn.Linear(5, 2))
    _, imported = taken(save(net.state_dict(), tmp_path / "net.pt"))
    expected = run(net.lstm, net.out, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # of torch, about its speed
def test_a_projected_lstm(tmp_path: Path) -> None:
    net = module(lstm=nn.LSTM(3, 8, proj_size=5, batch_first=True), out=nn.Linear(5, 2))
    _, imported = taken(save(net.state_dict(), tmp_path / "net.pt"))
    expected = run(net.lstm, net.out, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


def test_a_lone_layer_gives_its_hidden_state(tmp_path: Path) -> None:
    lstm = module(lstm=nn.LSTM(3, 5, batch_first=True)).lstm
    _, imported = taken(save(lstm.state_dict(), tmp_path / "net.pt"))
    assert [*imported.config.outputs] == ["hidden"]
    expected = run(lstm, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


def test_a_function_between_linear_layers_has_to_be_said(tmp_path: Path) -> None:
    net = module(
        gru=nn.GRU(3, 8, batch_first=True), fc1=nn.Linear(8, 8), act=nn.ReLU(), fc2=nn.Linear(8, 2)
    )
    path = save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(
        UsageError, match=r"between the linear layers fc1 and fc2.*--set activation"
    ):
        taken(path)
    _, imported = taken(path, settings={"activation": "relu"})
    expected = run(net.gru, net.fc1, net.act, net.fc2, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)
    with pytest.raises(UsageError, match=r"function.*expected one of"):
        taken(path, settings={"activation": "relo"})


class Controller(nn.Module):
    """A network of somebody's, whose file holds it as an object."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 8, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 2))


def test_an_object_says_which_function_stands_between(tmp_path: Path) -> None:
    torch.manual_seed(9)
    net = Controller().eval()
    with importable("control", Controller=Controller):
        path = save(net, tmp_path / "policy.pt")
    expected = run(net.gru, *net.head, x=frames(3))
    np.testing.assert_allclose(rolled(taken(path)[1], frames(3)), expected, atol=1e-5)
    net.head[1] = nn.Softplus(beta=2)
    with importable("control", Controller=Controller):
        path = save(net, tmp_path / "policy.pt")
    with pytest.raises(UsageError, match=r"between the linear layers head\.0 and head\.3"):
        taken(path)


def test_a_setting_that_the_family_has_not_is_refused(tmp_path: Path) -> None:
    net = module(gru=nn.GRU(3, 8, batch_first=True), fc=nn.Linear(8, 5))
    path = save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"no setting 'activaton'.*did you mean activation"):
        recognise(opened(path, settings={"activaton": "relu"}))


def test_several_orders_are_refused_until_one_is_said(tmp_path: Path) -> None:
    net = module(
        one=nn.GRU(4, 4, batch_first=True),
        two=nn.LSTM(4, 4, batch_first=True),
        out=nn.Linear(4, 2),
    )
    path = save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"at least 2 orders.*--set order=one,two,out"):
        taken(path)
    _, imported = taken(path, settings={"order": "two,one,out"})
    expected = run(net.two, net.one, net.out, x=frames(4))
    np.testing.assert_allclose(rolled(imported, frames(4)), expected, atol=1e-5)
    with pytest.raises(UsageError, match="leaves out out"):
        taken(path, settings={"order": "one,two"})
    with pytest.raises(UsageError, match="'three'"):
        taken(path, settings={"order": "one,two,three"})


def test_names_of_ones_own_by_map(tmp_path: Path) -> None:
    net = module(gru=nn.GRU(3, 8, batch_first=True), fc=nn.Linear(8, 5))
    theirs = {"weight_ih_l0": "W", "weight_hh_l0": "U", "bias_ih_l0": "b", "bias_hh_l0": "c"}
    state = OrderedDict((f"gru.{theirs[n]}", t) for n, t in net.gru.state_dict().items())
    state |= {f"fc.{name}": tensor for name, tensor in net.fc.state_dict().items()}
    path = save(state, tmp_path / "net.pt")
    names = {f"gru.{own}": f"gru.{name}" for name, own in theirs.items()}
    _, imported = taken(path, names=names)
    expected = run(net.gru, net.fc, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"gru": nn.GRU(3, 8), "norm": nn.LayerNorm(8), "fc": nn.Linear(8, 2)}, r"norm\.weight"),
        ({"conv": nn.Conv1d(3, 4, 2), "gru": nn.GRU(4, 8)}, r"conv\.weight \[4, 3, 2\]"),
        ({"gru": nn.GRU(3, 8), "fc": nn.Linear(9, 2)}, "do not follow one another"),
        ({"gru": nn.GRU(3, 8), "a": nn.Linear(8, 2), "b": nn.Linear(8, 4)}, "in any order"),
        ({"gru": nn.GRU(3, 8, bidirectional=True), "fc": nn.Linear(16, 2)}, "bidirectional"),
        ({"gru": nn.GRU(3, 8, bidirectional=True), "crf": nn.LayerNorm(4)}, "bidirectional"),
    ],
)
def test_what_is_no_row_of_blocks_is_refused(
    parts: dict[str, nn.Module], says: str, tmp_path: Path
) -> None:
    path = save(module(**parts).state_dict(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=says):
        taken(path)


def test_a_network_without_recurrence_is_of_no_family(tmp_path: Path) -> None:
    path = save(module(fc=nn.Linear(3, 2)).state_dict(), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="empty"):
        taken(path)


def characters(tmp_path: Path, **beside: object) -> tuple[Path, np.ndarray]:
    """Write a character network over one-hot vectors, as Udacity's course saves it; return its file
    and its logits over drawn ids.
    """
    net = module(lstm=nn.LSTM(11, 8, 2, batch_first=True), fc=nn.Linear(8, 11))
    content = {"n_hidden": 8, "state_dict": net.state_dict(), **beside}
    one_hot = nn.functional.one_hot(drawn(11), 11).float()  # [B, T, V]
    return save(content, tmp_path / "rnn_20_epoch.net"), run(net.lstm, net.fc, x=one_hot)


@pytest.mark.parametrize(
    "tokens",
    [
        tuple("etaoins hrd"),
        {c: i for i, c in enumerate("etaoins hrd")},
        dict(enumerate("etaoins hrd")),
    ],
)
def test_one_hot_characters_whose_table_is_in_the_file(tokens: object, tmp_path: Path) -> None:
    path, expected = characters(tmp_path, tokens=tokens)
    _, imported = taken(path)
    assert type(imported.config).__name__ == "LanguageConfig"
    np.testing.assert_allclose(rolled(imported, drawn(11)), expected, atol=1e-5)
    assert imported.tokenizer is not None
    assert imported.tokenizer.encode("the rat").tolist() == [1, 8, 0, 7, 9, 2, 1]
    assert any("tokens of the file itself" in sentence for sentence in imported.told)
    assert any("a one" in sentence for sentence in imported.told)


def test_one_hot_ids_and_frames_as_they_are_said(tmp_path: Path) -> None:
    path, expected = characters(tmp_path)
    assert [p.name for p in taken(path)[1].config.inputs] == ["frames"]
    _, imported = taken(path, settings={"input": "ids"})
    np.testing.assert_allclose(rolled(imported, drawn(11)), expected, atol=1e-5)
    path, _ = characters(tmp_path, tokens=tuple("etaoins hrd"))
    said = taken(path, settings={"input": "frames"})[1]
    assert [p.name for p in said.config.inputs] == ["frames"]
    with pytest.raises(UsageError, match="input=sound"):
        taken(path, settings={"input": "sound"})


def test_what_training_keeps_beside_is_no_part_of_it(tmp_path: Path) -> None:
    net = module(gru=nn.GRU(3, 8, batch_first=True), fc=nn.Linear(8, 5))
    content = {
        "state_dict": net.state_dict(),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(24, 3)}}}],
        "lr_schedulers": [{"base": torch.zeros(3)}],
        "rng_state": torch.zeros(9, dtype=torch.uint8),
        "epoch": torch.tensor(3),
    }
    _, imported = taken(save(content, tmp_path / "last.ckpt"))
    expected = run(net.gru, net.fc, x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_rows_in_any_order_of_the_file(seed: int, tmp_path: Path) -> None:
    """One to four recurrent layers of drawn cells and widths between two linear layers."""
    draw = np.random.default_rng(seed)
    cells = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
    widths = [int(w) for w in draw.permutation(np.arange(2, 20))[: draw.integers(3, 7)]]
    parts: dict[str, nn.Module] = {"below": nn.Linear(3, widths[0])}
    for at, (takes, gives) in enumerate(pairwise(widths)):
        made = cells[draw.choice([*cells])]
        parts[f"core{at}"] = made(takes, gives, batch_first=True)
    parts["above"] = nn.Linear(widths[-1], 21)
    net = module(**parts)
    state = net.state_dict()
    names = draw.permutation(sorted(state))
    _, imported = taken(save({str(n): state[n] for n in names}, tmp_path / "net.pt"))
    expected = run(*parts.values(), x=frames(3))
    np.testing.assert_allclose(rolled(imported, frames(3)), expected, atol=1e-5)


def test_layers_of_a_list_of_one_width_follow_their_numbers(tmp_path: Path) -> None:
    net = module(out=nn.Linear(6, 2), layers=nn.ModuleList([nn.Module() for _ in range(3)]))
    for inner, cell in zip(net.layers, (nn.GRU, nn.LSTM, nn.GRU), strict=True):
        inner.core = cell(6, 6, batch_first=True)
    path = save(dict(reversed(net.state_dict().items())), tmp_path / "net.pt")
    expected = run(*(inner.core for inner in net.layers), net.out, x=frames(6))
    np.testing.assert_allclose(rolled(taken(path)[1], frames(6)), expected, atol=1e-5)


def test_inspect_says_that_a_bidirectional_file_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = torch.nn.LSTM(3, 4, bidirectional=True)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    inspect_path(tmp_path / "net.pt", as_json=False)
    said = capsys.readouterr().out
    assert "it is not taken: " in said and "bidirectional" in said
    assert "take it in with" not in said


def test_a_crowd_of_blocks_that_fit_everywhere_is_refused_soon(tmp_path: Path) -> None:
    crowd = {f"one{i}x": nn.Linear(1, 1) for i in range(200)}
    net = module(gru=nn.GRU(1, 1, batch_first=True), **crowd)
    with pytest.raises(UsageError, match=r"201 blocks .* too many orders .*,…$"):
        taken(save(net.state_dict(), tmp_path / "net.pt"))


def test_a_map_as_the_manual_has_it(tmp_path: Path) -> None:
    net = module(core=nn.LSTM(1, 4, 2, batch_first=True), mix=nn.Linear(4, 1))
    theirs = {"weight_ih_l": "kernel_in", "weight_hh_l": "kernel_rec"}
    theirs |= {"bias_ih_l": "b_in", "bias_hh_l": "b_rec"}
    state = {
        f"amp/{theirs[name[:-1]]}{name[-1]}": tensor
        for name, tensor in net.core.state_dict().items()
    }
    state |= {"out/w": net.mix.weight.detach(), "out/b": net.mix.bias.detach()}
    manual = (MANUAL.read_text(encoding="utf-8").split("A map of a network", 1)[1]).split("```")[1]
    (tmp_path / "names.txt").write_text(manual)
    path = save(state, tmp_path / "net.pt")
    rules = Wishes(names=read_map(tmp_path / "names.txt"))
    theirs_opened = open_checkpoint(path, rules)
    found = recognise(theirs_opened).importer.read(theirs_opened)
    expected = run(net.core, net.mix, x=frames(1))
    np.testing.assert_allclose(rolled(found, frames(1)), expected, atol=1e-5)


def test_two_networks_in_one_file_are_told_and_one_is_chosen(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 5), nn.Linear(5, 2)

    one = Net().state_dict()
    path = tmp_path / "two.pt"
    torch.save({"model_ema": one, "model": one}, path)
    with pytest.raises(UsageError, match=r"under model, model_ema: .* --set root=model$"):
        import_checkpoint(path, tmp_path / "run")
    wishes = Wishes(settings={"root": "model_ema"})
    assert import_checkpoint(path, tmp_path / "run", wishes=wishes).family == "plain"


def test_quantised_weights_are_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "small.pkl"  # {"w": torch._utils._rebuild_qtensor()}
    path.write_bytes(b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_qtensor\n)Rs.")
    with pytest.raises(UsageError, match="quantised by torch; give the checkpoint from before"):
        import_checkpoint(path, tmp_path / "run")
