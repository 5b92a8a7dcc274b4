"""onnxruntime-web, its build of WebAssembly, and onnxruntime-node: run ``.onnx`` files in a node
process as a browser or a program of JavaScript would.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.node.child import Child
from edgernn.sessions.node.packages import Package, find_node, find_package
from edgernn.sessions.ort.guard import refuse_foreign
from edgernn.sessions.ort.step import OrtSession

if TYPE_CHECKING:
    from typing import Self


class NodeSession(Session):
    """A session of a package of npm, on one thread; for verifying, as each step goes through a
    pipe.

    Subclasses say which package; ``at`` says where it lies.
    """

    package: ClassVar[str]
    folder: ClassVar[Path | None] = None

    def __init__(
        self,
        child: Child,
        found: Package,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._child = child
        self.runtime = f"{found.name} {found.version} in node {child.node}"

    @classmethod
    def at(cls, folder: Path | None) -> type[Self]:
        """Return the class whose package is looked for in ``folder``; None leaves the places as
        they are.

        Raises:
            UnavailableError: node or the package is not there; says what brings it.
        """
        find_node()
        find_package(cls.package, folder)
        return type(cls.__name__, (cls,), {"folder": folder})

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``: as Python's onnxruntime reads it."""
        return OrtSession.describe(path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> Self:
        """See ``Session.open``; ``threads`` is not used."""
        refuse_foreign(path)
        found = find_package(cls.package, cls.folder)
        return cls(Child(found, path.read_bytes()), found, file_contract, first_state)

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._child.run(feeds)


class OrtWebSession(NodeSession):
    """onnxruntime-web on its WebAssembly build."""

    package = runtime = "onnxruntime-web"


class OrtNodeSession(NodeSession):
    """onnxruntime-node."""

    package = runtime = "onnxruntime-node"
