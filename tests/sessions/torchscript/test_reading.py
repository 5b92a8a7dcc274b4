"""A TorchScript file runs only if every operator in it is one that computes on tensors; harmless
ones stand for the others.
"""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.bundle import Bundle, digest
from edgernn.errors import ContractError
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.opening import open_session
from edgernn.sessions.torchscript.operators import MADE, PURE
from edgernn.sessions.torchscript.reading import all_nodes
from edgernn.sessions.torchscript.session import TorchScriptSession

FILE = "torchscript/step.pt"


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(3)


class Prints(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        print("seen")
        return x


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return x


class StillTraining(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.dropout(x, 0.1, True)


class TrainingAsAsked(nn.Module):
    def forward(self, x: Tensor, train: bool) -> Tensor:
        return torch.dropout(x, 0.1, train)


class KeepsStatistics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("variance", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.batch_norm(x, None, None, self.mean, self.variance, True, 0.1, 1e-5, False)


class WritesIntoABuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.kept[0:1].add_(1)
        return x + self.kept


class WritesIntoAnInput(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1).add_(1)


class Waits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(torch.relu, x))


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 3:
            x = x * 2
        return x


class InAnotherMethod(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def more(self, x: Tensor) -> Tensor:
        return x + torch.rand(3)


class InAPart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = Random()

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x)


class OnLoading(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[bool]:
        return (self.training,)

    @torch.jit.export
    def __setstate__(self, state: tuple[bool]) -> None:
        self.training = state[0]


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x * 2).relu_() + torch.dropout(x, 0.1, False)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[nn.Module], Path]:
    def script(module: nn.Module) -> Path:
        path = tmp_path / "step.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(torch.jit.script(module), str(path))
        return path

    return script


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (Random, "uses the operator aten::randn"),
        (Prints, "uses the operator prim::Print"),
        (Counts, "uses the operator prim::SetAttr"),
        (StillTraining, "aten::dropout with train = True, expected False"),
        (TrainingAsAsked, "aten::dropout with train = None"),
        (KeepsStatistics, "aten::batch_norm with training = True"),
        (WritesIntoABuffer, "writes into what it was given or keeps, with aten::add_"),
        (WritesIntoAnInput, "writes into what it was given or keeps, with aten::add_"),
        (Waits, "uses the operator prim::fork"),
        (Branches, "uses the operator prim::If"),
        (InAnotherMethod, r"aten::rand \(in more\)"),
        (InAPart, "aten::randn"),
        (OnLoading, "__setstate__ in code/.* when it is loaded"),
    ],
)
def test_anything_but_computing_is_refused_by_name(
    save: Callable[[nn.Module], Path], module: type[nn.Module], named: str
) -> None:
    path = save(module())
    with pytest.raises(ContractError, match=named):
        TorchScriptSession.describe(path)


def test_hooks_are_refused(save: Callable[[nn.Module], Path]) -> None:
    module = Plain()

    def hook(self: nn.Module, given: tuple[Tensor], result: Tensor) -> Tensor:
        return result + 1

    module.register_forward_hook(hook)
    with pytest.raises(ContractError, match="__forward_hooks__ in code"):
        TorchScriptSession.describe(save(module))


def test_what_computes_is_let_in(save: Callable[[nn.Module], Path]) -> None:
    assert TorchScriptSession.describe(save(Plain())).interface.inputs[0].name == "x"


def _rewritten(path: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("record", "change", "named"),
    [
        (
            "data.pkl",
            lambda content: content[:-1] + b"ccollections\nCounter\n.",
            "makes 'collections.Counter' in data.pkl",
        ),
        (
            "data.pkl",
            lambda content: content[:-1] + b"c__torch__\ntorch.classes.x.Y\n.",
            "makes '__torch__.torch.classes.x.Y'",
        ),
        (
            "data.pkl",
            lambda content: content[:-1] + b"\x88\x85\x93.",
            "has STACK_GLOBAL in data.pkl",
        ),
        ("data.pkl", lambda content: b"\x80\x02", "is not a TorchScript file that torch can open"),
        (".py", lambda content: content + b"# torch.classes\n", "torch.classes in code/"),
    ],
)
def test_what_the_archive_could_make_is_read_before_it_is_loaded(
    save: Callable[[nn.Module], Path], record: str, change: Callable[[bytes], bytes], named: str
) -> None:
    path = save(Plain())
    _rewritten(
        path, lambda name, content: (name, change(content) if name.endswith(record) else content)
    )
    with pytest.raises(ContractError, match=named):
        TorchScriptSession.describe(path)


def test_an_archive_of_an_older_layout_is_refused(save: Callable[[nn.Module], Path]) -> None:
    path = save(Plain())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].split('/')[0]}/model.json", "{}")
    with pytest.raises(ContractError, match=r"holds 'model\.json'"):
        TorchScriptSession.describe(path)


@pytest.fixture
def foreign_bundle(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle whose TorchScript file draws random numbers, and whose digests are right."""
    folder = tmp_path / "foreign"
    shutil.copytree(bundle_folder, folder)
    metadata = Bundle.open(folder).file_contract(Bundle.open(folder).artifact(FILE)).to_metadata()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Random()), str(folder / FILE), _extra_files=metadata)
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = next(artifact for artifact in manifest["artifacts"] if artifact["path"] == FILE)
    entry.update(digest(folder / FILE).model_dump())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_right_digest_opens_no_door(foreign_bundle: Path) -> None:
    with pytest.raises(ContractError, match="uses the operator aten::randn"):
        open_session(foreign_bundle, FILE)
    report = verify_bundle(foreign_bundle, to="torchscript", steps=4)
    assert not report.passed
    assert all(
        "aten::randn" in check.detail
        for check in report.artifacts[0].checks
        if check.status == "failed"
    )


@pytest.mark.parametrize(
    "command", [["generate", "--artifact", FILE, "--length", "2"], ["bench", "--to", "torchscript"]]
)
def test_no_command_runs_it(
    foreign_bundle: Path,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgernn.cli.app import main

    monkeypatch.setattr("sys.argv", ["edgernn", command[0], str(foreign_bundle), *command[1:]])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "aten::randn" in capsys.readouterr().err


def test_what_acts_on_the_machine_is_in_no_group() -> None:
    acting = {
        "aten::save",
        "aten::from_file",
        "aten::rand",
        "aten::empty",
        "aten::set_",
        "aten::resize_",
        "aten::as_strided",
    }
    acting |= {
        "prim::Print",
        "prim::SetAttr",
        "prim::fork",
        "prim::RaiseException",
        "prim::CallMethod",
        "prim::CreateObject",
    }
    assert not acting & PURE
    assert MADE <= PURE


def test_operators_of_the_table_compute_and_do_nothing_else() -> None:
    """By torch's own schemas: no file names, no generators, nothing drawn at random unless asked,
    and a write only where the reader looks for one.
    """
    drawing = {"rnn_relu", "rnn_tanh", "gru", "lstm", "dropout", "feature_dropout"}
    drawing.add("scaled_dot_product_attention")  # by FIXED they may not
    for schema in torch._C._jit_get_all_schemas():
        name = schema.name.removeprefix("aten::")
        if schema.name not in PURE or name == schema.name:
            continue
        kinds = {str(argument.type) for argument in schema.arguments}
        assert not {kind for kind in kinds if "Generator" in kind or "Storage" in kind}, schema
        assert not {a.name for a in schema.arguments} & {"filename", "file"}, schema
        packet = getattr(torch.ops.aten, name, None)
        overload = schema.overload_name or "default"
        if packet is not None and overload in packet.overloads():
            seeded = torch.Tag.nondeterministic_seeded in getattr(packet, overload).tags
            assert not seeded or name in drawing, schema


OPERATORS = {
    "cumsum": lambda x: x.cumsum(1),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "roll": lambda x: x.roll(1, 1),
    "einsum": lambda x: torch.einsum("bi,bj->bij", x, x),
    "max_pool1d": lambda x: torch.max_pool1d(x[:, None], 2),
    "where": lambda x: torch.where(torch.isnan(x), 0.0, x),
    "diff": lambda x: torch.diff(x, dim=1),
    "topk": lambda x: x.topk(2, 1)[0],
    "sort": lambda x: x.sort(1)[0],
    "scatter_add": lambda x: x.scatter_add(1, x.argmax(1, keepdim=True), x),
    "hypot": lambda x: torch.hypot(x, torch.atan2(x, x)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_file_with_the_operator_is_let_in(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.trace(OPERATORS[name], torch.rand(2, 4))
        graph = module.graph
    assert {node.kind() for node in all_nodes(graph)} <= PURE
