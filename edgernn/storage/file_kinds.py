"""The kinds of files, told by their content: signature → name → what to do with it."""

from __future__ import annotations

from edgernn.storage.foreign_files import (
    by_start,
    has_entry,
    json_with,
    module_in_zip,
    names_a_module,
    of_suffix,
    onnx_metadata_has,
    onnx_model,
    pickled,
    pointer,
    text,
    torch_archive,
    web_page,
)
from edgernn.storage.kind import IMPORT, RUN_FIRST, TRAINED_ELSEWHERE, Row, row
from edgernn.storage.other_programs import BY_THEIR_FIRST_BYTES, OTHER_PROGRAMS, OTHER_PROGRAMS_JSON

_IN_ITS_BUNDLE = (
    "look at it with: edgernn inspect {path}; to verify it or write with it, give the bundle that "
    "it came in"
)
# From the most to the least certain; the first row that fits is the kind.
FILES: tuple[Row, ...] = (
    row(lambda peek: peek.size == 0, "empty", "an empty file", "copy or download it again"),
    row(
        pointer,
        "lfs-pointer",
        "a Git LFS pointer: a few lines that stand for the real file",
        "fetch the file itself with: git lfs pull",
    ),
    row(
        web_page,
        "web-page",
        "a web page, as saved in place of a download",
        "download the file itself: on a page of a model hub that is the link called raw or "
        "download",
    ),
    row(
        has_entry("manifest.json"),
        "packed-bundle",
        "a bundle in one file, exported already",
        "verify it with: edgernn verify {path}",
    ),
    row(has_entry("config.json", "model.weights.h5"), "keras", "a Keras model", IMPORT),
    row(
        lambda peek: module_in_zip(peek) and has_entry("*/extra/edgernn")(peek),
        "torchscript-ours",
        "a TorchScript file that edgernn exported",
        _IN_ITS_BUNDLE,
    ),
    row(
        module_in_zip,
        "torchscript",
        "a TorchScript file that edgernn did not export",
        IMPORT,
    ),
    row(
        lambda peek: torch_archive(peek) and names_a_module(peek),
        "pickled-module",
        "a whole pickled module of torch.save, which only runs with the code of its classes",
        IMPORT,
    ),
    row(
        torch_archive,
        "state-dict",
        "a file of tensors by torch.save (a state dict or a checkpoint)",
        IMPORT,
    ),
    row(has_entry("*.npy"), "npz", "a file of numpy arrays (.npz)", IMPORT),
    row(
        lambda peek: by_start(b"PK\x03\x04")(peek) and not peek.entries,
        "damaged-zip",
        "a zip archive whose list of entries cannot be read, so it was cut off or changed",
        "copy or download it again",
    ),
    row(
        by_start(b"PK\x03\x04", b"PK\x05\x06"),
        "zip",
        "a zip archive",
        "unpack it and give what is inside",
    ),
    row(by_start(b"\x93NUMPY"), "npy", "an array of numpy (.npy)", IMPORT),
    row(
        by_start(b"\x89HDF\r\n\x1a\n"),
        "hdf5",
        "an HDF5 file, as Keras writes .h5",
        IMPORT,
    ),
    row(by_start(b"GGUF", b"ggml", b"tjgg"), "gguf", "a GGUF file of llama.cpp", TRAINED_ELSEWHERE),
    row(
        by_start(b"TFL3", at=4),
        "tflite",
        "a TensorFlow Lite (LiteRT) model",
        f"{_IN_ITS_BUNDLE}; of one by another program, {TRAINED_ELSEWHERE}",
    ),
    row(
        by_start(b"ET", at=4),
        "executorch",
        "an ExecuTorch program",
        _IN_ITS_BUNDLE,
    ),
    row(
        by_start(b"ORTM", at=4),
        "ort",
        "a model in onnxruntime's own format (.ort)",
        "give the .onnx file it was made from",
    ),
    *BY_THEIR_FIRST_BYTES,
    row(
        by_start(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"),
        "archive",
        "a compressed archive",
        "unpack it and give what is inside",
    ),
    row(by_start(b"ustar", at=257), "tar", "a tar archive", "unpack it and give what is inside"),
    row(
        by_start(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"),
        "picture",
        "a picture",
        "caption it with: edgernn caption BUNDLE {path}",
    ),
    row(
        lambda peek: by_start(b"RIFF")(peek) and by_start(b"WEBP", at=8)(peek),
        "picture",
        "a picture",
        "caption it with: edgernn caption BUNDLE {path}",
    ),
    row(by_start(b"%PDF"), "pdf", "a PDF document", "give a text or a model"),
    row(
        json_with(b'"schema_version"', b'"artifacts"'),
        "manifest",
        "the manifest of a bundle",
        "give the folder it lies in",
    ),
    row(
        json_with(b'"checkpoint_version"'),
        "config",
        "the config.json of a run",
        "give the folder it lies in",
    ),
    row(
        json_with(b'"added_tokens"', b'"model"'),
        "tokenizer",
        "a tokenizer.json",
        "give the run or the bundle it belongs to",
    ),
    row(
        json_with(b'"architecture"', b'"weights"'),
        "json-model",
        "a model in JSON",
        IMPORT,
    ),
    row(
        json_with(b'"in_shape"', b'"layers"'),
        "json-model",
        "a model in JSON, as RTNeural reads it",
        IMPORT,
    ),
    *OTHER_PROGRAMS_JSON,
    row(
        lambda peek: peek.safetensors and b'"edgernn.contract_sha256"' in peek.head,
        "saved-state",
        "a saved state of edgernn generate",
        "go on from it with: edgernn generate BUNDLE --load-state {path}",
    ),
    row(
        lambda peek: (
            peek.safetensors and b'"edgernn.training"' in peek.head and b'"optimizer.' in peek.head
        ),
        "resume-state",
        "the state of a training of edgernn",
        "give the folder it lies in",
    ),
    row(
        lambda peek: (
            peek.safetensors
            and peek.path.name == "weights.safetensors"
            and (peek.path.parent / "config.json").exists()
        ),
        "run-weights",
        "the weights of a run",
        "give the folder they lie in",
    ),
    row(
        lambda peek: peek.safetensors,
        "safetensors",
        "a file of tensors (safetensors)",
        IMPORT,
    ),
    row(
        pickled(modules=True),
        "pickled-module",
        "a pickled object, which only loads with the code of its classes",
        IMPORT,
    ),
    row(pickled(), "pickle", "a pickle of Python values", IMPORT),
    row(
        lambda peek: onnx_model(peek) and onnx_metadata_has(b"edgernn")(peek),
        "onnx-ours",
        "an ONNX file that edgernn exported",
        _IN_ITS_BUNDLE,
    ),
    row(
        onnx_model,
        "onnx",
        "an ONNX model that edgernn did not export",
        "find its state with: edgernn explain {path}; make a bundle of it with: edgernn export "
        "{path} --out NAME.edgernn",
    ),
    *OTHER_PROGRAMS,
    row(of_suffix(".mlmodel"), "mlmodel", "a Core ML model (.mlmodel)", TRAINED_ELSEWHERE),
    row(
        lambda peek: text(peek) and of_suffix(".py", ".ipynb")(peek),
        "python",
        "Python code",
        "export a network in it with: edgernn export FILE.py:NAME --inputs AXES --out BUNDLE",
    ),
    row(
        text, "text", "a text file", "train on it with: edgernn train text --data {path} --out RUN"
    ),
    row(lambda peek: True, "unknown", "a file of no kind that edgernn knows", RUN_FIRST),
)
