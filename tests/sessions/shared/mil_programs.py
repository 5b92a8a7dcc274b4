"""Core ML programs that the tests of the interpreter build: coremltools, imported quietly, and a
program saved with its operators as they were built.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct

mb, types = ct.converters.mil.Builder, ct.converters.mil.mil.types


def save(program: Any, path: Path, *, target: Any = ct.target.iOS17) -> Path:
    """Save a program for ``target`` without any of coremltools' passes."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=target,
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )
        model.save(str(path))
    return path
