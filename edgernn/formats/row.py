"""One row of the table of formats: who writes it, who runs it and where, what that needs, and what
each of its precisions promises.

A row holds strings and numbers only, so that reading the table imports nothing else.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgernn.errors import ContractError
from edgernn.formats.promise import Tolerance
from edgernn.wording import ENCODE, STEP

_SYSTEMS = {"Darwin": "macOS"}  # as ``platform.system()`` calls it → as its users do


@dataclass(frozen=True)
class Format:
    """One row.

    Attributes:
        name: what ``--to`` takes and the manifest records.
        family: what ``--to`` takes to mean this row and its relatives; also the bundle's folder and
            a tag of the model card.
        title: the runtime in words, for people: a model card names it.
        hosts: the folders of ``runtime_examples/`` that run its files.
        mark, suffix: an artifact's name is its graph, the mark, its precision if not the default,
            and the suffix.
        promises: what each precision that the exporter offers promises, the default first.
        exporter, session: ``module:Class``; the reference has no exporter.
        export_extra, run_extra: pip extras that bring what exporting and running need; None is the
            base install.
        packages: what exporting and running need beside edgernn's base install, by the names that
            pip knows.
        platforms: the systems on which its runtime exists, as ``platform.system()`` calls them;
            empty means all.
        by_default: whether ``edgernn export`` without ``--to`` writes it. False for a format whose
            packages the extra ``export`` does not bring.
        graphs: the graphs that the exporter writes; the rest of a model is in the family's first
            row.
        decoders: a ``Decoder`` of files that decode in the graph, by what these compute.
        kinds: what ``storage.identify`` takes its files for, by key.
        keeps_state: whether the runtime keeps the state itself, under the contract's names.
        fixed_sizes: whether its files take no axis whose size ``encode`` chooses.
        most_streams: how many rows a file may take at each call; 1 where it takes one row alone,
            or any number.
        prefixed: whether its files are source text, whose names begin with a prefix.
        structure: what reads the structure of the file, a ``parity.structure.StructureReader``; or
            None.
        lacking: a ``module:function`` that says in words what running needs and this machine lacks,
            beside a package; or None.
        companions: a ``module:function`` of contract, decoding defaults, tokenizer, stored first
            state and the step's path that returns files, name → bytes, which a bundle has in the
            folder ``text`` beside the step; or None.
        interpreter: a session that runs the file where ``session`` cannot, operator by operator,
            for verifying; or None.
        own_graph: a ``module:function`` of path, contract and stored first state that opens the
            graph which a file was generated from, in another runtime; or None.
        others: other runtimes that run its files to verify them, by name: each a session whose
            ``at`` takes the folder that it lies in, or None, and says what brings it.
        trusted: a session that runs a program that lies in the bundle as it is, where the user
            says to, while ``session`` runs only what edgernn wrote by itself; or None.
        libraries: the module that builds its files for other machines, see ``export/libraries.py``;
            or None.
        environment: the environment that its exporter calls, a name of ``export/environments.py``;
            or None.
    """

    name: str
    family: str
    title: str
    mark: str
    suffix: str
    promises: Mapping[str, Tolerance] = field(hash=False)
    exporter: str | None
    session: str
    export_extra: str | None
    run_extra: str | None
    packages: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    by_default: bool = True
    graphs: tuple[str, ...] = (ENCODE, STEP)
    decoders: Mapping[str, str] = field(default_factory=dict, hash=False)
    kinds: tuple[str, ...] = ("unknown",)
    keeps_state: bool = False
    fixed_sizes: bool = False
    most_streams: int = 1
    prefixed: bool = False
    structure: str | None = None
    interpreter: str | None = None
    lacking: str | None = None
    companions: str | None = None
    own_graph: str | None = None
    others: Mapping[str, str] = field(default_factory=dict, hash=False)
    trusted: str | None = None
    libraries: str | None = None
    environment: str | None = None

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that the exporter offers, the default first."""
        return tuple(self.promises)

    @property
    def step_only(self) -> tuple[str, ...]:
        """Those of them that it offers for the step graph alone."""
        return tuple(name for name, promise in self.promises.items() if promise.step_only)

    def promise(self, precision: str) -> Tolerance:
        """Return what ``precision`` promises; raise ContractError where nothing is promised for
        it.
        """
        if precision not in self.promises:
            raise ContractError(
                f"this edgernn promises nothing for {self.name} in {precision!r}; use the edgernn "
                "that exported it"
            )
        return self.promises[precision]

    def path(self, precision: str, graph: str = STEP) -> str:
        """Return the path in a bundle of the artifact of ``graph``; the default precision goes
        unnamed.
        """
        named = "" if precision == self.precisions[0] else f"-{precision}"
        return f"{self.family}/{graph}{self.mark}{named}{self.suffix}"

    @property
    def companion_folder(self) -> str:
        """The folder of a bundle that holds the files of ``companions``."""
        return f"{self.family}/text"

    def offers(self, graph: str, precision: str) -> bool:
        """Return whether the exporter writes ``graph`` in ``precision``: one that is for the step
        alone is offered of what holds a step.
        """
        return precision in self.promises and not (graph == ENCODE and precision in self.step_only)

    def precision_of(self, graph: str, precision: str) -> str:
        """Return the precision in which ``graph`` is written where ``precision`` is asked for: the
        default where that is not offered.
        """
        return precision if self.offers(graph, precision) else self.precisions[0]

    def needs_platform(self) -> str | None:
        """Return in words where the runtime exists, None where that is here."""
        if not self.platforms or platform.system() in self.platforms:
            return None
        return " or ".join(_SYSTEMS.get(system, system) for system in self.platforms)
