"""Which operators a user wants in ONNX files, and in which versions."""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.errors import UsageError

OPSET = 17  # with IR version 9 the newest that every runtime in the field reads, the browser's, too
IR_VERSION = 9
OPSETS = (13, 21)  # below, operators mean other things; above, onnxruntime 1.18 reads none
_NEWEST_IR = 10  # that onnxruntime 1.18 reads
_LEAST_IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}  # as ONNX pairs them


@dataclass(frozen=True)
class Operators:
    """The operators of an ONNX file.

    Attributes:
        portable: no operator of a vendor's domain, and none that some runtime computes otherwise
            without a word; see ``edgernn/parity/structure/portable.py``.
        opset: the version of the standard operators, 13 to 21; None takes ``OPSET``.
        ir_version: that of the file; None takes ``IR_VERSION``, or what the opset needs.

    Raises:
        UsageError: a version outside its bounds.
    """

    portable: bool = False
    opset: int | None = None
    ir_version: int | None = None

    def __post_init__(self) -> None:
        lowest, highest = OPSETS
        if not lowest <= self.version <= highest:
            raise UsageError(
                f"--opset is {self.version}, expected {lowest} to {highest}; leave it out for "
                f"{OPSET}, which every runtime reads"
            )
        least = _LEAST_IR[self.version]
        if not least <= self.ir <= _NEWEST_IR:
            raise UsageError(
                f"--ir-version is {self.ir}, expected {least} to {_NEWEST_IR} with opset "
                f"{self.version}; leave it out for {max(IR_VERSION, least)}"
            )

    @property
    def version(self) -> int:
        """The opset that is written."""
        return OPSET if self.opset is None else self.opset

    @property
    def ir(self) -> int:
        """The IR version that is written."""
        if self.ir_version is not None:
            return self.ir_version
        return max(IR_VERSION, _LEAST_IR[self.version])

    @property
    def asked(self) -> str:
        """The first option by which they differ from the default; nothing where none does."""
        if self.portable:
            return "--portable"
        if self.opset is not None:
            return f"--opset {self.opset}"
        return "" if self.ir_version is None else f"--ir-version {self.ir_version}"
