"""The importer of Keras; its network is read in ``network``, which loads torch."""

from __future__ import annotations

from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened

_WEIGHTS_ALONE = (
    "it has weights alone; give the architecture, as model.to_json() writes it, with --with "
    "FILE.json"
)


class KerasImporter(Importer):
    """Models of Keras in ``.keras``, whole ``.h5`` files, or weights beside an architecture."""

    word = "keras"
    about = "Keras 1, 2 and 3: Sequential and functional models"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        tree = opened.content.tree
        if isinstance(tree, dict) and tree.keys() == {"config", "layers", "names"}:
            return Match(BY_CLASS, opened.content.container)
        return None

    def refusal(self, opened: Opened) -> str:
        """See ``Importer.refusal``: a layer that has no step, or that nobody knows."""
        from edgernn.importers.keras.architecture import read_architecture
        from edgernn.importers.keras.layers import first_problem

        config = opened.content.tree["config"]
        if config is None:
            return "" if opened.companions else _WEIGHTS_ALONE
        try:
            layers = read_architecture(config).layers
        except CheckpointError as error:
            return str(error)
        return first_problem(layers)

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        from edgernn.importers.keras.network import read_network

        return read_network(opened)
