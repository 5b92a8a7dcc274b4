"""The kinds of files of other programs that nothing here reads, and of Torch7, told by their
content.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from edgernn import storage
from edgernn.storage.foreign_files import Peek, Test, by_start, json_with, of_suffix, text
from edgernn.storage.kind import IMPORT, SAVE_ARRAYS, Row, row

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # at the end of a table of LevelDB's format
_GRAPH = re.compile(  # of a GraphDef: its first node's name and operator
    rb"\x0a[\x80-\xff]{0,4}[\x00-\x7f]\x0a[\x01-\xff]{1,2}[\w./\-]+\x12[\x01-\x40][A-Z_]\w+"
)


def matching(pattern: bytes) -> Test:
    """A file that begins so."""
    return lambda peek: re.match(pattern, peek.head[:4096], re.DOTALL) is not None


def _torch7(peek: Peek) -> bool:
    """A binary file of torch.save in Lua: a table, or an object of a class, that is the first."""
    kind, first, length = (int.from_bytes(peek.head[at : at + 4], "little") for at in (0, 4, 8))
    if first != 1 or not 0 < length < 1 << 24:
        return False
    inner = int.from_bytes(peek.head[12:16], "little")
    return (kind == 3 and 1 <= inner <= 8) or (kind == 4 and peek.head[12:14] == b"V ")


def _ending(magic: bytes) -> Callable[[Peek], bool]:
    def test(peek: Peek) -> bool:
        try:
            with storage.open_to_read(peek.path) as file:
                file.seek(max(0, peek.size - len(magic)))
                return file.read() == magic
        except OSError:
            return False

    return test


BY_THEIR_FIRST_BYTES: tuple[Row, ...] = (
    row(_torch7, "torch7", "a Torch7 file (.t7)", IMPORT),
    row(
        by_start(b"\0B<"),
        "kaldi",
        "a file of Kaldi",
        "write it as text with nnet3-copy --binary=false (or nnet-copy), and " + SAVE_ARRAYS,
    ),
    row(by_start(b"\x12\x01\0\0\0\0\0\0"), "mxnet", "parameters of MXNet", SAVE_ARRAYS),
    row(
        _ending(_TABLE_MAGIC),
        "tensorflow-index",
        "the index of a TensorFlow checkpoint",
        "read it with tf.train.load_checkpoint, and " + SAVE_ARRAYS,
    ),
    row(
        lambda peek: of_suffix(".meta")(peek) and peek.head[:1] == b"\x0a",
        "tensorflow-graph",
        "the graph of a TensorFlow 1 checkpoint",
        "read its weights with tf.train.load_checkpoint, and " + SAVE_ARRAYS,
    ),
)
OTHER_PROGRAMS_JSON: tuple[Row, ...] = (
    row(
        json_with(b'"weightsManifest"'),
        "tensorflow-js",
        "a TensorFlow.js model",
        "convert it with: tensorflowjs_converter --input_format=tfjs_layers_model "
        "--output_format=keras; then edgernn import FILE.h5 --out RUN",
    ),
    row(
        json_with(b'"class_name"', b'"config"', b'"layers"'),
        "keras-architecture",
        "the architecture of a Keras model, without its weights",
        "give it with its weights: edgernn import WEIGHTS.h5 --with {path} --out RUN",
    ),
)
OTHER_PROGRAMS: tuple[Row, ...] = (
    row(
        matching(rb"#(Lookup)?Parameter# "),
        "dynet",
        "a model of DyNet",
        "read it with dynet.ParameterCollection.populate, and " + SAVE_ARRAYS,
    ),
    row(
        lambda peek: text(peek) and matching(rb"\s*<(Nnet|TransitionModel|Nnet3)>")(peek),
        "kaldi",
        "a file of Kaldi",
        SAVE_ARRAYS,
    ),
    row(
        matching(rb'(all_)?model_checkpoint_path: "'),
        "tensorflow-checkpoint",
        "the list of a TensorFlow checkpoint's files",
        "read them with tf.train.load_checkpoint, and " + SAVE_ARRAYS,
    ),
    row(
        lambda peek: (
            matching(rb"(#[^\n]*\n|\s)*node\s*\{")(peek) or _GRAPH.match(peek.head) is not None
        ),
        "tensorflow-graph",
        "a graph of TensorFlow 1",
        "find the checkpoint that it was trained to, read that with tf.train.load_checkpoint, and "
        + SAVE_ARRAYS,
    ),
    row(
        lambda peek: (
            text(peek) and re.search(rb"^(layer|layers)\s*\{", peek.head, re.M) is not None
        ),
        "caffe-network",
        "a network of Caffe, without its weights",
        SAVE_ARRAYS,
    ),
    row(of_suffix(".caffemodel"), "caffe", "the weights of a Caffe network", SAVE_ARRAYS),
    row(of_suffix(".pdmodel"), "paddle", "a program of PaddlePaddle", SAVE_ARRAYS),
    row(
        matching(rb"(<\?xml[^>]*>\s*)?<net\s"),
        "openvino",
        "a network of OpenVINO",
        "give the ONNX file it was made from",
    ),
    row(by_start(b"7767517\n"), "ncnn", "a network of ncnn", "give the file it was made from"),
)
