"""The kinds of folders, told by what lies in them: signature → name → what to do with it."""

from __future__ import annotations

from edgernn.storage.foreign_files import has, is_run, lists_artifacts, only
from edgernn.storage.kind import RUN_FIRST, TRAINED_ELSEWHERE, Row, row

# From the most to the least certain; the first row that fits is the kind.
FOLDERS: tuple[Row, ...] = (
    row(
        lambda peek: has("manifest.json")(peek) and lists_artifacts(peek),
        "bundle",
        "a bundle, exported already",
        "verify it with: edgernn verify {path}",
    ),
    row(
        is_run,
        "run",
        "a run of edgernn train",
        "export it with: edgernn export {path} --out BUNDLE",
    ),
    row(
        has("training.safetensors"),
        "unsaved-run",
        "a run whose training ended before it saved a model",
        "go on with it: edgernn train text --out {path} --resume (or the command of edgernn train "
        "that began it)",
    ),
    row(
        lambda peek: (
            has("tokenizer.json", "config.json")(peek)
            and has("held_out.safetensors", "metrics.jsonl")(peek)
        ),
        "unsaved-run",
        "a run whose training ended before its first save",
        "start it again: edgernn train text --data DATA --out {path} (or the command of edgernn "
        "train that began it)",
    ),
    row(has("saved_model.pb"), "saved-model", "a TensorFlow SavedModel", TRAINED_ELSEWHERE),
    row(
        has("Manifest.json", "Data"),
        "coreml-package",
        "a Core ML package",
        "look at it with: edgernn inspect {path}; to verify it, give the bundle that it came in",
    ),
    row(
        has("coremldata.bin", "model.mil"),
        "coreml-compiled",
        "a compiled Core ML model, as an app holds it",
        "give the .mlpackage from which it was compiled, in its bundle",
    ),
    row(
        lambda peek: any(name.endswith(".param") for name in peek.names or ()),
        "ncnn-folder",
        "a network of ncnn",
        "look at it with: edgernn inspect {path}; to verify it, give the bundle that it came in",
    ),
    row(
        has("contract.json", "graph.onnx"),
        "c-folder",
        "a network as C99",
        "look at it with: edgernn inspect {path}; to verify it, give the bundle that it came in",
    ),
    row(
        has("model.xml", "model.bin"),
        "openvino-folder",
        "a network for OpenVINO",
        "look at it with: edgernn inspect {path}; to verify it, give the bundle that it came in",
    ),
    row(has("data.pkl"), "unpacked-torch", "a torch archive that was unpacked", TRAINED_ELSEWHERE),
    row(
        only(".safetensors", ".bin", "config.json"),
        "hub-folder",
        "a folder of weights of a model hub",
        "take in the file of its weights with: edgernn import FILE --out RUN; " + TRAINED_ELSEWHERE,
    ),
    row(
        only(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
        "pictures",
        "a folder of pictures",
        "train on them with: edgernn train captions --data CAPTIONS; caption one with: edgernn "
        "caption BUNDLE PICTURE",
    ),
    row(
        only(".txt", ".md"),
        "texts",
        "a folder of texts",
        "train on it with: edgernn train text --data {path} --out RUN",
    ),
    row(only(), "empty-folder", "an empty folder", RUN_FIRST),
    row(lambda peek: True, "folder", "a folder of other files", RUN_FIRST),
)
