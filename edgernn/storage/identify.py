"""What a file or folder is, told by its content, and which command takes it on. Nothing is
unpickled, run or imported.

``identify`` returns a ``Kind``; ``KINDS`` is the one table: signature → name → what to do with it.
A kind that a command learns to take needs its row changed, nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgernn import storage
from edgernn.errors import UsageError
from edgernn.storage.foreign_files import (
    Peek,
    by_start,
    has,
    has_entry,
    is_run,
    json_with,
    lists_artifacts,
    module_in_zip,
    names_a_module,
    of_suffix,
    only,
    onnx_metadata_has,
    onnx_model,
    pickled,
    pointer,
    text,
    torch_archive,
    web_page,
)
from edgernn.wording import argument

# What works today with a network that no command takes.
_TRAINED_ELSEWHERE = (
    "networks that other programs trained cannot be taken yet; what can be exported is a run "
    "of edgernn train, or in Python "
    "a Checkpoint around an edgernn.models.language.LanguageModel into which you load the weights"
)
_RUN_FIRST = "give what edgernn train or edgernn export wrote"


@dataclass(frozen=True)
class Kind:
    """One kind of file or folder.

    Attributes:
        key: a short name for programs.
        name: what it is, in words that follow "is".
        advice: what to do with it; ``{path}`` stands for where it lies.
    """

    key: str
    name: str
    advice: str

    def advise(self, path: Path) -> str:
        """Return the advice for what lies at ``path``; its commands work as they stand."""
        return self.advice.format(path=argument(path))


_Row = tuple[Callable[[Peek], bool], Kind]


def _row(test: Callable[[Peek], bool], key: str, name: str, advice: str) -> _Row:
    return test, Kind(key, name, advice)


# From the most to the least certain; the first row that fits is the kind.
_FOLDERS: tuple[_Row, ...] = (
    _row(
        lambda peek: has("manifest.json")(peek) and lists_artifacts(peek),
        "bundle",
        "a bundle, exported already",
        "verify it with: edgernn verify {path}",
    ),
    _row(
        is_run,
        "run",
        "a run of edgernn train",
        "export it with: edgernn export {path} --out BUNDLE",
    ),
    _row(
        has("training.safetensors"),
        "unsaved-run",
        "a run whose training ended before it saved a model",
        "go on with it: edgernn train text --out {path} --resume (train captions, where it was "
        "one of captions)",
    ),
    _row(
        lambda peek: (
            has("tokenizer.json", "config.json")(peek)
            and has("held_out.safetensors", "metrics.jsonl")(peek)
        ),
        "unsaved-run",
        "a run whose training ended before its first save",
        "start it again: edgernn train text --data DATA --out {path} (train captions, where it "
        "was one of captions)",
    ),
    _row(has("saved_model.pb"), "saved-model", "a TensorFlow SavedModel", _TRAINED_ELSEWHERE),
    _row(
        has("Manifest.json", "Data"),
        "coreml-package",
        "a Core ML package",
        "look at it with: edgernn inspect {path}; to verify it, give the bundle that it came in",
    ),
    _row(
        has("coremldata.bin", "model.mil"),
        "coreml-compiled",
        "a compiled Core ML model, as an app holds it",
        "give the .mlpackage from which it was compiled, in its bundle",
    ),
    _row(
        has("data.pkl"), "unpacked-torch", "a torch archive that was unpacked", _TRAINED_ELSEWHERE
    ),
    _row(
        only(".safetensors", ".bin", "config.json"),
        "hub-folder",
        "a folder of weights of a model hub",
        _TRAINED_ELSEWHERE,
    ),
    _row(
        only(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        "pictures",
        "a folder of pictures",
        "train on them with: edgernn train captions --data CAPTIONS; caption one with: edgernn "
        "caption BUNDLE PICTURE",
    ),
    _row(
        only(".txt", ".md"),
        "texts",
        "a folder of texts",
        "train on it with: edgernn train text --data {path} --out RUN",
    ),
    _row(only(), "empty-folder", "an empty folder", _RUN_FIRST),
    _row(lambda peek: True, "folder", "a folder of other files", _RUN_FIRST),
)
_FILES: tuple[_Row, ...] = (
    _row(lambda peek: peek.size == 0, "empty", "an empty file", "copy or download it again"),
    _row(
        pointer,
        "lfs-pointer",
        "a Git LFS pointer: a few lines that stand for the real file",
        "fetch the file itself with: git lfs pull",
    ),
    _row(
        web_page,
        "web-page",
        "a web page, as saved in place of a download",
        "download the file itself: on a page of a model hub that is the link called raw or "
        "download",
    ),
    _row(
        has_entry("manifest.json"),
        "packed-bundle",
        "a bundle in one file, exported already",
        "verify it with: edgernn verify {path}",
    ),
    _row(
        has_entry("config.json", "model.weights.h5"), "keras", "a Keras model", _TRAINED_ELSEWHERE
    ),
    _row(
        lambda peek: module_in_zip(peek) and has_entry("*/extra/edgernn")(peek),
        "torchscript-ours",
        "a TorchScript file that edgernn exported",
        "look at it with: edgernn inspect {path}; to verify it or write with it, give the "
        "bundle that it came in",
    ),
    _row(
        module_in_zip,
        "torchscript",
        "a TorchScript file that edgernn did not export",
        _TRAINED_ELSEWHERE,
    ),
    _row(
        lambda peek: torch_archive(peek) and names_a_module(peek),
        "pickled-module",
        "a whole pickled module of torch.save, which only runs with the code of its classes",
        "save its tensors instead with torch.save(model.state_dict(), FILE); " + _TRAINED_ELSEWHERE,
    ),
    _row(
        torch_archive,
        "state-dict",
        "a file of tensors by torch.save (a state dict or a checkpoint)",
        _TRAINED_ELSEWHERE,
    ),
    _row(has_entry("*.npy"), "npz", "a file of numpy arrays (.npz)", _TRAINED_ELSEWHERE),
    _row(
        by_start(b"PK\x03\x04", b"PK\x05\x06"),
        "zip",
        "a zip archive",
        "unpack it and give what is inside",
    ),
    _row(by_start(b"\x93NUMPY"), "npy", "an array of numpy (.npy)", _TRAINED_ELSEWHERE),
    _row(
        by_start(b"\x89HDF\r\n\x1a\n"),
        "hdf5",
        "an HDF5 file, as Keras writes .h5",
        _TRAINED_ELSEWHERE,
    ),
    _row(
        by_start(b"GGUF", b"ggml", b"tjgg"), "gguf", "a GGUF file of llama.cpp", _TRAINED_ELSEWHERE
    ),
    _row(by_start(b"TFL3", at=4), "tflite", "a TensorFlow Lite (LiteRT) model", _TRAINED_ELSEWHERE),
    _row(
        by_start(b"ET", at=4),
        "executorch",
        "an ExecuTorch program",
        "run it with ExecuTorch; edgernn cannot read it",
    ),
    _row(
        by_start(b"ORTM", at=4),
        "ort",
        "a model in onnxruntime's own format (.ort)",
        "give the .onnx file it was made from",
    ),
    _row(
        by_start(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"),
        "archive",
        "a compressed archive",
        "unpack it and give what is inside",
    ),
    _row(by_start(b"ustar", at=257), "tar", "a tar archive", "unpack it and give what is inside"),
    _row(
        by_start(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
        "picture",
        "a picture",
        "caption it with: edgernn caption BUNDLE {path}",
    ),
    _row(
        lambda peek: by_start(b"RIFF")(peek) and by_start(b"WEBP", at=8)(peek),
        "picture",
        "a picture",
        "caption it with: edgernn caption BUNDLE {path}",
    ),
    _row(by_start(b"%PDF"), "pdf", "a PDF document", "give a text or a model"),
    _row(
        json_with(b'"schema_version"', b'"artifacts"'),
        "manifest",
        "the manifest of a bundle",
        "give the folder it lies in",
    ),
    _row(
        json_with(b'"checkpoint_version"'),
        "config",
        "the config.json of a run",
        "give the folder it lies in",
    ),
    _row(
        json_with(b'"added_tokens"', b'"model"'),
        "tokenizer",
        "a tokenizer.json",
        "give the run or the bundle it belongs to",
    ),
    _row(
        json_with(b'"architecture"', b'"weights"'),
        "json-model",
        "a model in JSON",
        _TRAINED_ELSEWHERE,
    ),
    _row(
        lambda peek: peek.safetensors and b'"edgernn.contract_sha256"' in peek.head,
        "saved-state",
        "a saved state of edgernn generate",
        "go on from it with: edgernn generate BUNDLE --load-state {path}",
    ),
    _row(
        lambda peek: (
            peek.safetensors and b'"edgernn.training"' in peek.head and b'"optimizer.' in peek.head
        ),
        "resume-state",
        "the state of a training of edgernn",
        "give the folder it lies in",
    ),
    _row(
        lambda peek: (
            peek.safetensors
            and peek.path.name == "weights.safetensors"
            and (peek.path.parent / "config.json").exists()
        ),
        "run-weights",
        "the weights of a run",
        "give the folder they lie in",
    ),
    _row(
        lambda peek: peek.safetensors,
        "safetensors",
        "a file of tensors (safetensors)",
        _TRAINED_ELSEWHERE,
    ),
    _row(
        pickled(modules=True),
        "pickled-module",
        "a pickled object, which only loads with the code of its classes",
        "save tensors instead with torch.save(model.state_dict(), FILE); " + _TRAINED_ELSEWHERE,
    ),
    _row(pickled(), "pickle", "a pickle of Python values", _TRAINED_ELSEWHERE),
    _row(
        lambda peek: onnx_model(peek) and onnx_metadata_has(b"edgernn")(peek),
        "onnx-ours",
        "an ONNX file that edgernn exported",
        "look at it with: edgernn inspect {path}; to verify it or write with it, give the "
        "bundle that it came in",
    ),
    _row(
        onnx_model,
        "onnx",
        "an ONNX model that edgernn did not export",
        "look at it with: edgernn inspect {path}; " + _TRAINED_ELSEWHERE,
    ),
    _row(of_suffix(".mlmodel"), "mlmodel", "a Core ML model (.mlmodel)", _TRAINED_ELSEWHERE),
    _row(
        lambda peek: text(peek) and of_suffix(".py", ".ipynb")(peek),
        "python",
        "Python code",
        "run it; what edgernn takes is the run that edgernn train writes",
    ),
    _row(
        text, "text", "a text file", "train on it with: edgernn train text --data {path} --out RUN"
    ),
    _row(lambda peek: True, "unknown", "a file of no kind that edgernn knows", _RUN_FIRST),
)
MISSING = Kind("missing", "not there", "check the name")


def identify(path: Path) -> Kind:
    """Return what stands at ``path``; a file that may not be read, or is no plain file, is a kind,
    too.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            peek = Peek.folder(path, tuple(sorted(entry.name for entry in path.iterdir())))
        elif stat.S_ISREG(mode):
            peek = Peek.file(path)
        else:
            return Kind("special", "no plain file", "give a file or a folder")
    except FileNotFoundError:
        return MISSING
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        words = storage.reason(error) if isinstance(error, OSError) else str(error)
        return Kind("unreadable", f"not to be read ({words})", "check its name and its permissions")
    return next(
        kind for test, kind in (_FOLDERS if peek.names is not None else _FILES) if test(peek)
    )


def sentence(path: Path) -> str:
    """Return in one line what stands at ``path`` and what to do with it."""
    kind = identify(path)
    return f"{path} is {kind.name}; {kind.advise(path)}"


def path_of(found: object) -> Path:
    """Return what a caller of the Python interface gave as a path.

    Raises:
        UsageError: it is no path; says what it is and what to do with it.
    """
    if isinstance(found, str) and not found:
        raise UsageError("an empty name was given, expected the path of a run or a bundle")
    if isinstance(found, (str, os.PathLike)) and isinstance(named := os.fspath(found), str):
        return Path(named)
    raise UsageError(name_of_object(found))


def name_of_object(found: object) -> str:
    """Return in one line what a Python object is that was given in place of a path, and what to do
    with it.
    """
    kinds = {base.__module__.split(".")[0] + "." + base.__name__ for base in type(found).__mro__}
    if found is None:
        return "None was given, expected the path of a run or a bundle"
    if "torch.Module" in kinds or "torch.ScriptModule" in kinds:
        return (
            f"a torch module ({type(found).__name__}) was given, expected a Checkpoint or a path; "
            f"{_TRAINED_ELSEWHERE}"
        )
    if isinstance(found, dict):
        return (
            f"a dict of {len(found)} entries (a state dict?) was given, expected a Checkpoint or a "
            f"path; {_TRAINED_ELSEWHERE}"
        )
    if "onnx.ModelProto" in kinds:
        return "an ONNX model was given, expected the path of a run or a bundle"
    if isinstance(found, bytes):
        return "bytes were given, expected a path as text or Path"
    return (
        f"an object of the type {type(found).__name__} was given, expected the path of a run or a "
        "bundle"
    )
