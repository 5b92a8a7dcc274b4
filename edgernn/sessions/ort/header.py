"""The head of an ``.onnx`` file, read without the onnx package: IR version and opset, which
onnxruntime does not tell.

A ModelProto is a row of protocol-buffer fields; the graph with its weights is one of them and is
skipped, not read.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.storage.proto_head import read_fields

_IR_VERSION, _OPSET_IMPORT = 1, 8  # field numbers of ModelProto
_DOMAIN, _VERSION = 1, 2  # of OperatorSetIdProto


def read_target(path: Path) -> str:
    """Return ``opset N`` of the default operator set; raise ContractError where the file is no
    ModelProto.
    """
    try:
        with storage.open_to_read(path) as file:
            fields = read_fields(file, keep={_OPSET_IMPORT})
        ir = next(
            (value for number, value in fields if number == _IR_VERSION and isinstance(value, int)),
            0,
        )
        for number, content in fields:
            if number == _OPSET_IMPORT and isinstance(content, bytes):
                domain, version = _opset(content)
                if domain in {b"", b"ai.onnx"}:
                    return f"opset {version}, IR {ir}"
    except ValueError as error:
        raise ContractError(f"{path} has {error}; it is no ONNX model") from error
    except OSError as error:
        raise ContractError(f"cannot read {path}: {storage.reason(error)}") from error
    raise ContractError(f"{path} names no opset; it is no ONNX model")


def _opset(content: bytes) -> tuple[bytes, int]:
    domain, version = b"", 0
    for number, value in read_fields(BytesIO(content), keep={_DOMAIN}):
        if number == _DOMAIN and isinstance(value, bytes):
            domain = value
        elif number == _VERSION and isinstance(value, int):
            version = value
    return domain, version
