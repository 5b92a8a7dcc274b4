"""The ``config.json`` of a checkpoint folder: the model's kind and configuration, and a summary of
how it was trained; see ``checkpoint``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgernn import storage
from edgernn.contract import first_line
from edgernn.errors import CheckpointError, UsageError
from edgernn.models.family import RecurrentModel, kind_of, rebuilt
from edgernn.storage import strict_json
from edgernn.wording import argument

VERSION = 1
_MOST_BYTES = 16 << 20


def write_config(path: Path, model: RecurrentModel, *, training: dict[str, Any]) -> None:
    """Write what the file says of ``model``."""
    content = {"checkpoint_version": VERSION, "family": model.kind or model.family}
    storage.write_json(path, {**content, "model": model.config.model_dump(), "training": training})


def read_config(path: Path) -> tuple[type[RecurrentModel], Any, dict[str, Any]]:
    """Return what the file says: the kind of model, its configuration, and the summary of its
    training.

    Raises:
        CheckpointError: missing, damaged, foreign, or of another version.
    """
    try:
        content = strict_json.parse_object(storage.read_bytes(path, most=_MOST_BYTES))
        if "checkpoint_version" not in content:
            raise ValueError("no checkpoint_version, so it is none of edgernn train")
        version = content["checkpoint_version"]
        if version != VERSION or isinstance(version, bool):
            raise CheckpointError(
                f"{path} has checkpoint version {version!r}; this edgernn reads "
                f"{VERSION}. Use the edgernn that wrote it, or train again"
            )
        family, training = content["family"], content.get("training", {})
        if not isinstance(family, str) or family not in rebuilt():
            raise CheckpointError(
                f"{path} is of a {family!r} model, expected one of {', '.join(rebuilt())}"
            )
        if not isinstance(training, dict):
            raise ValueError("training is no object")
        kind = kind_of(family)
        told = json.dumps(content["model"])  # as JSON, where a list may be a tuple
        config: Any = kind.config_kind.model_validate_json(told, strict=True)
        config.contract()  # which has bounds of its own
        return kind, config, training
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no checkpoint at {path.parent}: {path.name} is missing; make one with: edgernn train "
            f"text --out {argument(path.parent)}, or from a checkpoint of another program: edgernn "
            f"import FILE --out {argument(path.parent)}"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {storage.reason(error)}; restore it or train again"
        ) from error
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise CheckpointError(
            f"{path} is damaged or foreign ({first_line(error)}); restore it or train again"
        ) from error
