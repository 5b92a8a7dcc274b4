"""Whatever is handed over is named for what it is, with what takes it on, and nothing of it is run
or unpickled.
"""

from __future__ import annotations

import pickle
import shlex
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch
from torch import nn

from edgernn import open_session, storage, verify_bundle
from edgernn.bundle import Bundle, pack
from edgernn.errors import BundleError, CheckpointError, EdgernnError, UsageError
from edgernn.export import export_bundle
from edgernn.models import checkpoint
from edgernn.storage.file_kinds import FILES as _FILES
from edgernn.storage.folder_kinds import FOLDERS as _FOLDERS
from edgernn.storage.identify import identify, path_of, sentence
from edgernn.testing.assertion import assert_parity

Make = Callable[[Path], object]


class Armed:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 4)


def bytes_of(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def zip_of(**entries: bytes) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)

    return make


def folder_of(*names: str, content: bytes = b"x") -> Make:
    def make(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_bytes(content)

    return make


def foreign_onnx(path: Path) -> None:
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), path)


def older_torch(found: object) -> Make:
    return lambda path: torch.save(found, path, _use_new_zipfile_serialization=False)


def scripted(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls its own format old
        torch.jit.script(nn.Linear(2, 2)).save(str(path))


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "a.py")


KINDS: dict[str, tuple[Make, str]] = {
    "state.pt": (lambda path: torch.save(Net().state_dict(), path), "state-dict"),
    "training.ckpt": (
        lambda path: torch.save({"epoch": 3, "model": Net().state_dict(), "args": {"a": 1}}, path),
        "state-dict",
    ),
    "module.pth": (lambda path: torch.save(Net(), path), "pickled-module"),
    "older state.pt": (older_torch(Net().state_dict()), "pickle"),
    "older module.pt": (older_torch(Net()), "pickled-module"),
    "script.pt": (scripted, "torchscript"),
    "values.pkl": (lambda path: path.write_bytes(pickle.dumps({"words": ["a", "b"]})), "pickle"),
    "armed.pkl": (
        lambda path: path.write_bytes(pickle.dumps(Armed(path.with_name("trace")))),
        "pickled-module",
    ),
    "armed.pt": (lambda path: torch.save(Armed(path.with_name("trace")), path), "pickled-module"),
    "foreign.onnx": (foreign_onnx, "onnx"),
    "t.safetensors": (
        lambda path: safetensors.numpy.save_file({"a": np.zeros((2, 3), np.float32)}, path),
        "safetensors",
    ),
    "a.npz": (lambda path: np.savez(path, a=np.zeros((2, 3)), b=np.ones(4, np.int8)), "npz"),
    "a.npy": (lambda path: np.save(path, np.zeros((2, 3), np.float16)), "npy"),
    "k.keras": (
        zip_of(config_dot_json=b"{}", model_dot_weights_dot_h5=b"", metadata_dot_json=b"{}"),
        "keras",
    ),
    "k.h5": (bytes_of(b"\x89HDF\r\n\x1a\n" + bytes(100)), "hdf5"),
    "m.gguf": (bytes_of(b"GGUF\x03\0\0\0" + bytes(100)), "gguf"),
    "m.tflite": (bytes_of(b"\x1c\0\0\0TFL3" + bytes(100)), "tflite"),
    "m.pte": (bytes_of(b"\x1c\0\0\0ET12" + bytes(100)), "executorch"),
    "m.ort": (bytes_of(b"\x1c\0\0\0ORTM" + bytes(100)), "ort"),
    "m.mlmodel": (bytes_of(b"\x08\x05\x12\x03abc"), "mlmodel"),
    "saved": (folder_of("saved_model.pb", "variables.index"), "saved-model"),
    "m.mlmodelc": (folder_of("coremldata.bin", "model.mil"), "coreml-compiled"),
    "it's [a] corpus": (folder_of("1.txt", "2.txt"), "texts"),
    "hub": (folder_of("config.json", "model.safetensors"), "hub-folder"),
    "album": (folder_of("1.jpg", "2.PNG", ".DS_Store"), "pictures"),
    "corpus": (folder_of("1.txt", "2.txt"), "texts"),
    "killed": (folder_of("tokenizer.json", "held_out.safetensors"), "unsaved-run"),
    "going": (folder_of("tokenizer.json", "training.safetensors"), "unsaved-run"),
    "nothing inside": (folder_of(), "empty-folder"),
    "other": (folder_of("main.rs"), "folder"),
    "web app": (folder_of("manifest.json", content=b'{"name": "a web app"}'), "folder"),
    "empty.onnx": (bytes_of(b""), "empty"),
    "lfs.onnx": (
        bytes_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
        "lfs-pointer",
    ),
    "page.onnx": (bytes_of(b"\n<!DOCTYPE html><html><body>Sign in</body></html>"), "web-page"),
    "pages.zip": (zip_of(a_dot_html=b"<html>"), "zip"),
    "a.tar": (tarred, "tar"),
    "a.tar.gz": (bytes_of(b"\x1f\x8b\x08\0" + bytes(20)), "archive"),
    "a.png": (bytes_of(b"\x89PNG\r\n\x1a\n" + bytes(20)), "picture"),
    "a.webp": (bytes_of(b"RIFF\0\0\0\0WEBPVP8 "), "picture"),
    "train.py": (bytes_of(b"import torch\n"), "python"),
    "notes.txt": (bytes_of("caf\u00e9\n".encode() * 50_000), "text"),
    "model.nam": (bytes_of(b'{"architecture": "LSTM", "weights": [1.0]}'), "json-model"),
    "rt.json": (bytes_of(b'{"in_shape": [null, null, 1], "layers": []}'), "json-model"),
    "lua.t7": (bytes_of(struct.pack("<6i", 3, 1, 2, 2, 3, 0) + b"abc"), "torch7"),
    "lua object": (bytes_of(struct.pack("<3i", 4, 1, 3) + b"V 1" + bytes(9)), "torch7"),
    "dynet.model": (bytes_of(b"#Parameter# /_0 {8,4} 352 ZERO_GRAD\n0.1 0.2\n"), "dynet"),
    "kaldi.mdl": (bytes_of(b"\0B<TransitionModel> <Topology>"), "kaldi"),
    "kaldi.txt": (bytes_of(b"<Nnet> \n<LstmProjected> 40 10\n"), "kaldi"),
    "m.params": (bytes_of(b"\x12\x01\0\0\0\0\0\0" + bytes(30)), "mxnet"),
    "model.ckpt.index": (
        bytes_of(bytes(40) + bytes.fromhex("57fb808b247547db")),
        "tensorflow-index",
    ),
    "model.ckpt.meta": (bytes_of(b"\x0a\x05abcde"), "tensorflow-graph"),
    "frozen.pb": (bytes_of(b"\x0a\x13\x0a\x01x\x12\x0bPlaceholder"), "tensorflow-graph"),
    "graph.pbtxt": (bytes_of(b'node {\n  name: "x"\n'), "tensorflow-graph"),
    "checkpoint": (bytes_of(b'model_checkpoint_path: "m-1"\n'), "tensorflow-checkpoint"),
    "deploy.prototxt": (bytes_of(b'name: "n"\nlayer {\n  type: "LSTM"\n}\n'), "caffe-network"),
    "n.caffemodel": (bytes_of(b"\x0a\x01n\xa2\x06\x01x\xff"), "caffe"),
    "n.pdmodel": (bytes_of(b"\x0a\x01n\xff"), "paddle"),
    "tfjs.json": (
        bytes_of(b'{"modelTopology": {"class_name": 1}, "weightsManifest": []}'),
        "tensorflow-js",
    ),
    "architecture.json": (
        bytes_of(b'{"class_name": "Sequential", "config": {"layers": []}}'),
        "keras-architecture",
    ),
    "ir.xml": (bytes_of(b'<?xml version="1.0"?>\n<net name="n" version="11">'), "openvino"),
    "n.param": (bytes_of(b"7767517\n3 3\n"), "ncnn"),
    "noise": (bytes_of(bytes(range(256)) * 8), "unknown"),
}


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A file or folder of each kind."""
    make, key = KINDS[request.param]
    make(tmp_path / request.param)
    return tmp_path / request.param, key


def test_each_kind_is_named_and_no_reader_takes_it(made: tuple[Path, str]) -> None:
    path, key = made
    assert identify(path).key == key
    told = sentence(path)
    assert told.startswith(f"{path} is ")
    assert "{" not in told
    for call in (export_bundle, verify_bundle, open_session, checkpoint.load, assert_parity):
        with pytest.raises((EdgernnError, AssertionError)) as caught:
            call(path, path.with_name("out")) if call is export_bundle else call(str(path))  # type: ignore[operator]
        message = str(caught.value)
        assert "\n" not in message
        assert message.count(str(path)) >= 1
        if key not in {
            "unknown",
            "zip",
            "torchscript",
            "onnx",
            "tflite",
            "executorch",
            "folder",
            "hub-folder",
            "unsaved-run",
        }:
            assert identify(path).name in message
    assert not path.with_name("trace").exists()
    assert not path.with_name("out").exists()


def test_what_edgernn_writes(checkpoint_folder: Path, bundle_folder: Path, tmp_path: Path) -> None:
    pack(bundle_folder, tmp_path / "packed.zip")
    written = {
        checkpoint_folder: "run",
        checkpoint_folder / "weights.safetensors": "run-weights",
        checkpoint_folder / "config.json": "config",
        checkpoint_folder / "tokenizer.json": "tokenizer",
        bundle_folder: "bundle",
        bundle_folder / "manifest.json": "manifest",
        bundle_folder / "onnx/step.onnx": "onnx-ours",
        bundle_folder / "torchscript/step.pt": "torchscript-ours",
        bundle_folder / "coreml/step.mlpackage": "coreml-package",
        tmp_path / "packed.zip": "packed-bundle",
        tmp_path / "missing": "missing",
        Path("/dev/null"): "special",
        tmp_path / ("n" * 300): "unreadable",
    }
    assert {path: identify(path).key for path in written} == written
    assert Bundle.open(tmp_path / "packed.zip").manifest == Bundle.open(bundle_folder).manifest
    assert (
        open_session(tmp_path / "packed.zip").contract
        == Bundle.open(bundle_folder).manifest.contract
    )


def test_a_file_that_may_not_be_read_is_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x").write_text("x")
    monkeypatch.setattr(storage, "open_to_read", refuse)
    assert sentence(tmp_path / "x") == (
        f"{tmp_path / 'x'} is not to be read (Permission denied); check its name and its "
        "permissions"
    )


def test_a_run_given_for_a_bundle_and_a_bundle_given_for_a_run(
    checkpoint_folder: Path, bundle_folder: Path
) -> None:
    with pytest.raises(
        BundleError,
        match=r"not a bundle but a run of edgernn train; export it with: edgernn export .* --out",
    ):
        verify_bundle(checkpoint_folder)
    with pytest.raises(
        CheckpointError, match="it is a bundle, exported already; verify it with: edgernn verify"
    ):
        export_bundle(bundle_folder, bundle_folder.with_name("again"))


@pytest.mark.parametrize(
    "name", ["it's [a] corpus; $HOME", "two words.txt", "-o.png", "a (1).onnx"]
)
def test_commands_in_advice_work_as_they_stand(name: str) -> None:
    for kind in (kind for _, kind in (*_FOLDERS, *_FILES) if "{path}" in kind.advice):
        words = shlex.split(kind.advise(Path(name)).replace(";", " "))
        assert (f"./{name}" if name.startswith("-") else name).replace(";", " ") in words


def test_what_is_no_plain_file_is_no_bundle() -> None:
    with pytest.raises(
        BundleError, match="/dev/null is no plain file, expected a bundle; give a file or a folder"
    ):
        Bundle.open("/dev/null")


OBJECTS = {
    "a module": (Net(), r"a torch module \(Net\) was given"),
    "a state dict": (Net().state_dict(), r"a dict of 4 entries \(a state dict\?\) was given"),
    "none": (None, "None was given"),
    "an empty name": ("", "an empty name was given"),
    "bytes": (b"run", "bytes were given"),
    "a number": (3, "an object of the type int was given"),
    "an ONNX model": (onnx.ModelProto(), "an ONNX model was given"),
    "a name with a NUL": ("a\0b", "a\\\\x00b"),
}


@pytest.mark.parametrize(("found", "says"), OBJECTS.values(), ids=OBJECTS)
def test_an_object_that_is_no_path_is_named(found: object, says: str, tmp_path: Path) -> None:
    for call in (verify_bundle, open_session, checkpoint.load, assert_parity, Bundle.open):
        with pytest.raises(EdgernnError, match=says):
            call(found)  # type: ignore[operator]
    with pytest.raises(EdgernnError, match=says):
        export_bundle(found, tmp_path / "out")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_paths_of_every_make_are_taken(tmp_path: Path) -> None:
    assert path_of(str(tmp_path)) == path_of(tmp_path) == tmp_path
    with pytest.raises(UsageError, match="bytes"):
        path_of(b"x")
