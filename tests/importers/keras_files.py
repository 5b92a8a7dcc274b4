"""Small files in Keras' own layouts, written by h5py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Layer = tuple[str, dict[str, Any], Mapping[str, np.ndarray]]  # class, configuration, weights


def write_h5(path: Path, layers: Sequence[Layer], *, version: str = "2.3.1") -> Path:
    """Write a whole Sequential model as Keras 2 does, or as Keras 1 with ``version`` 1."""
    described = [{"class_name": kind, "config": config} for kind, config, _ in layers]
    inner = described if version.startswith("1") else {"name": "net", "layers": described}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": inner})
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [config["name"].encode() for _, config, _ in layers]
        for _, config, arrays in layers:
            group = weights.require_group(config["name"])
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group.require_dataset(name, array.shape, array.dtype, data=array)
    return path
