"""TorchScript: runs ``.pt`` files through ``torch.jit.load`` alone, with none of edgernn's model
code.

Such a file is a program. It is read before it is loaded and again before it runs, and refused where
it could do anything but compute on tensors: ``archive`` and ``reading``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgernn.contract import METADATA_KEY, FileContract, TensorSpec, first_line
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.torch_kernels import place_of, plain_kernels, to_tensor, work_of
from edgernn.sessions.torchscript.archive import refuse_code_on_loading
from edgernn.sessions.torchscript.reading import refuse_impure


class TorchScriptSession(Session):
    """A session over a loaded script module; tensors go in and come out in the contract's order."""

    runtime = "torch.jit"

    def __init__(
        self,
        module: torch.jit.ScriptModule,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._module = module
        self._inputs = [tensor.name for tensor in self.spec.inputs]
        self._outputs = [tensor.name for tensor in self.spec.outputs]
        self._parameters = sum(parameter.numel() for parameter in module.parameters())
        self._weights = {place_of(each) for each in (*module.parameters(), *module.buffers())}

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``. A script file records its inputs' names; dtypes, shapes and
        outputs it does not.
        """
        module, metadata = load(path)
        inputs = [
            argument.name for argument in _schema(module).arguments if argument.name != "self"
        ]
        outputs = tuple(
            FileTensor(name, None, None) for name in _recorded_outputs(metadata, source=str(path))
        )
        return FileDescription(
            Interface(tuple(FileTensor(name, None, None) for name in inputs), outputs), metadata
        )

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> TorchScriptSession:
        """See ``Session.open``."""
        return cls(load(path)[0], file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            with plain_kernels(work_of(self.spec, feeds, parameters=self._parameters)):
                given = [to_tensor(feeds[name]) for name in self._inputs]
                results = self._module(*given)
        except RuntimeError as error:
            raise ContractError(
                f"TorchScript could not run the step: {str(error).strip().splitlines()[-1]}"
            ) from error
        if not isinstance(results, tuple) or len(results) != len(self._outputs):
            raise ContractError(
                f"the file does not return {self._outputs}, which its contract promises; "
                "export it again"
            )
        others = self._weights | {place_of(tensor) for tensor in given}
        made = {}
        for spec, result in zip(self.spec.outputs, results, strict=True):
            made[spec.name] = self._array(spec, result, others)
            others.add(place_of(result))
        return made

    def _array(self, spec: TensorSpec, result: Any, others: set[int]) -> np.ndarray:
        """Return one result as an array; a script file records no dtypes, so what comes out is
        checked here. What lies in ``others`` is copied: a state that the step leaves as it is comes
        out as the caller's own memory, and an output that is a state too as that state's.
        """
        found = (
            str(result.dtype).removeprefix("torch.")
            if isinstance(result, torch.Tensor)
            else type(result).__name__
        )
        if found != self.file_contract.dtype(spec):
            raise ContractError(
                f"{spec.name} comes out as {found}, its contract promises "
                f"{self.file_contract.dtype(spec)}"
            )
        array: np.ndarray = result.numpy()
        return array.copy() if place_of(result) in others else array


def _schema(module: Any) -> Any:
    return module.forward.schema


def load(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """Load a file that can do nothing but compute on tensors; return it with its metadata.

    Raises:
        ContractError: it is damaged, has no ``forward``, or could do something else; names the
            operator.
    """
    module, metadata = load_unread(path)
    refuse_impure(module, path)
    return module, metadata


def load_unread(path: Path) -> tuple[torch.jit.ScriptModule, dict[str, str]]:
    """Load a file whose operators have not been read, so that they can be; nothing of it runs. See
    ``load``.
    """
    refuse_code_on_loading(path)
    extra: dict[str, str | bytes] = {METADATA_KEY: ""}
    try:
        with warnings.catch_warnings():
            # torch.jit is deprecated; the files live on
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
    except (RuntimeError, ValueError, OSError) as error:
        raise ContractError(
            f"{path} is not a TorchScript file that torch can open: {first_line(error)}"
        ) from error
    if not hasattr(module, "forward"):
        raise ContractError(f"{path} has no forward method, so it is no step that edgernn exported")
    content = extra[METADATA_KEY]
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    return module.eval(), {METADATA_KEY: text} if text else {}


def _recorded_outputs(metadata: dict[str, str], *, source: str) -> list[str]:
    if METADATA_KEY not in metadata:
        return []
    file_contract = FileContract.from_metadata(metadata, source=source)
    return [tensor.name for tensor in file_contract.interface().outputs]
