"""The model of a bundle: its step, and its encode where it has one, with state that goes in and
comes out.

Needs numpy and onnxruntime. Every name, shape, id and limit is read from ``manifest.json``. Bad
input raises ``BundleError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from bundle import Bundle, open_bundle
from contract import BATCH, Contract, attention_of, graph_of, ids_of, of_role, scores_of
from errors import BundleError
from manifest import Manifest, vocabulary_of
from session import FORMAT, RUNTIME, TITLE, VERSION, Session, lacking_runtime
from tensors import Arrays, fits, read_tensors, wrong
from tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Model:
    """An opened bundle. It remembers nothing between calls: state is a plain dict of arrays, yours
    to keep, copy or save.

    Attributes:
        bundle: its files.
        stepper: the step file in use.
        encoder: the encode file that goes with it, or None.
        tokenizer: made from the bundle's ``tokenizer.json``; None where it has none.
        stored: the stored first values of states, by name.
    """

    bundle: Bundle
    stepper: Session
    encoder: Session | None
    tokenizer: Tokenizer | None
    stored: Arrays

    @property
    def manifest(self) -> Manifest:
        """``manifest.json``."""
        return self.bundle.manifest

    @property
    def contract(self) -> Contract:
        """Its contract."""
        contract: Contract = self.manifest["contract"]
        return contract

    def names(self, role: str) -> list[str]:
        """Return the names of step's inputs of a role: ``input``, ``context`` or ``state``."""
        return [tensor["name"] for tensor in of_role(self.stepper.inputs, role)]

    @cached_property
    def vocabulary_size(self) -> int | None:
        """How many token ids there are; None where step takes none."""
        return vocabulary_of(self.contract)

    @cached_property
    def ids(self) -> dict[str, Any] | None:
        """The input that takes token ids, as the contract has it, or None."""
        return ids_of(self.contract)

    @cached_property
    def scores(self) -> dict[str, Any] | None:
        """The output that rates every token, or None."""
        return scores_of(self.contract)

    @cached_property
    def attention(self) -> dict[str, Any] | None:
        """The output that says where in its contexts the model looked, or None."""
        return attention_of(self.contract)

    def begin(self, inputs: Arrays | None = None, *, batch: int = 1) -> tuple[Arrays, Arrays]:
        """Begin a sequence: encode ``inputs`` where the model has an encode graph.

        Args:
            inputs: of encode, under the names of the contract; else nothing.
            batch: how many rows begin, where there is no encode graph.

        Returns:
            The contexts for every step, and the state before the first: of each state what encode
            gives, its stored value in every row, or zeros.
        """
        if batch < 1 or (inputs and self.encoder is None):
            raise BundleError(
                f"a sequence begins with {sorted(inputs or {})} and {batch} rows, expected what "
                "encode takes, if there is encode, and 1 row or more"
            )
        made = self._run(self.encoder, inputs or {}) if self.encoder is not None else {}
        contexts = {name: made[name] for name in self.names("context")}
        sizes = {**self.contract["sizes"], BATCH: batch}
        given = [(tensor, (inputs or {})[tensor["name"]]) for tensor in self._encode_inputs()]
        given += [(t, contexts[t["name"]]) for t in of_role(self.stepper.inputs, "context")]
        for tensor, array in given:  # encode chose the open axes
            sizes |= dict(zip(tensor["axes"], array.shape, strict=True))
        return contexts, {**self._first_state(sizes), **self._encoded(made)}

    def step(self, inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        """Feed the inputs of one call, and the contexts, under the names of the contract.

        Returns:
            The outputs, and the state after the call, to be given to the next one.
        """
        self._check_ids(inputs)
        made = self._run(self.stepper, {**inputs, **state})
        after = {name: made.pop(f"{name}_next") for name in self.names("state")}
        return made, after

    def set_row(self, state: Arrays, row: int, other: Arrays, other_row: int = 0) -> Arrays:
        """Return ``state`` with one row of another state in place of ``row``; neither is changed.

        So a row begins again (``other`` from ``begin``), goes back to an older state, or goes on in
        another place. A state without rows stays as it is in ``state``.
        """
        made = {}
        for tensor in of_role(self.stepper.inputs, "state"):
            name, axes = tensor["name"], tensor["axes"]
            made[name] = state[name].copy()
            if BATCH not in axes:
                continue
            place = axes.index(BATCH)
            rows, others = made[name].shape[place], other[name].shape[place]
            if not (0 <= row < rows and 0 <= other_row < others):
                raise BundleError(
                    f"row {other_row} of {others} is to become row {row} of {rows}, expected rows "
                    "that there are; they count from 0"
                )
            into, taken = (np.moveaxis(part, place, 0) for part in (made[name], other[name]))
            into[row] = taken[other_row]
        return made

    def _run(self, session: Session, given: Arrays) -> Arrays:
        try:
            return session.run(given)
        except BundleError as error:
            raise BundleError(
                wrong(session.inputs, given, self.contract["sizes"]) or error
            ) from error

    def _check_ids(self, inputs: Arrays) -> None:
        """Refuse what is not below its axis: the runtime would read another row."""
        for tensor in self.stepper.inputs:
            if tensor["below"] is None or tensor["name"] not in inputs:
                continue
            values, size = (
                np.asarray(inputs[tensor["name"]]),
                self.contract["sizes"][tensor["below"]],
            )
            if values.dtype.kind not in "iu":
                raise BundleError(
                    f"the ids of {tensor['name']} are {values.dtype}, expected whole numbers; give "
                    f"them as {tensor['dtype']}"
                )
            if values.size and (values.min() < 0 or values.max() >= size):
                off = values[(values < 0) | (values >= size)][0]
                raise BundleError(
                    f"an id of {tensor['name']} is {off}, expected 0 to {size - 1}; use the "
                    "bundle's tokenizer"
                )

    def _encoded(self, made: Arrays) -> Arrays:
        """Return the first values that come from encode."""
        first = self.contract["initial_state"]
        return {name: made[name] for name in self.names("state") if first.get(name) == "encode"}

    def _encode_inputs(self) -> list[dict[str, Any]]:
        return self.encoder.inputs if self.encoder is not None else []

    def _first_state(self, sizes: dict[str, int]) -> Arrays:
        """Return the first values that do not come from encode, in a run of these sizes."""
        kinds, made = self.contract["initial_state"], {}
        for tensor in of_role(self.stepper.inputs, "state"):
            name, axes = tensor["name"], tensor["axes"]
            if name not in kinds:
                made[name] = np.zeros([sizes.get(axis, 1) for axis in axes], tensor["dtype"])
            elif name in self.stored:
                rows = [sizes[BATCH] if axis == BATCH else 1 for axis in axes]
                made[name] = np.tile(self.stored[name], rows)
        return made


def load(path: Path | str, artifact: str | None = None) -> Model:
    """Open a bundle, a folder or a ``.edgernn`` file; every file is held against the manifest
    first.

    Args:
        path: the bundle.
        artifact: the path of a step file in the bundle; default the first that this runtime
            can run.

    Raises:
        BundleError: the bundle is missing, damaged or of another version, or has no such artifact.
    """
    bundle = open_bundle(Path(path))
    chosen = _choose(bundle.manifest, artifact)
    encoder = _encoder_of(bundle.manifest, chosen)
    bundle.verify()
    entry = bundle.manifest["tokenizer"]
    return Model(
        bundle,
        Session(bundle, chosen),
        Session(bundle, encoder) if encoder else None,
        Tokenizer(bundle.file(entry["path"]), entry) if entry else None,
        _read_stored(bundle),
    )


def _choose(manifest: Manifest, wanted: str | None) -> dict[str, Any]:
    """Return the entry of the step file that is asked for, or of the first that this runtime
    runs.
    """
    steps = _files(manifest, "step")
    found = [entry for entry in steps if wanted in {None, entry["path"]}]
    for entry in found:
        if lacking_runtime(entry) is None:
            return entry
    if found:
        needed = f"{found[0]['path']} needs {RUNTIME} {lacking_runtime(found[0])} or newer"
        raise BundleError(
            f"{needed}, and {VERSION} is installed; run: pip install --upgrade {RUNTIME}"
        )
    paths = ", ".join(entry["path"] for entry in steps) or "(there is none)"
    there = f"expected {TITLE} step file; choose one of: {paths}"
    for entry in manifest["artifacts"]:
        if entry["path"] == wanted:
            raise BundleError(
                f"{wanted} is of format {entry['format']} and graph {entry['graph']}; {there}"
            )
    raise BundleError(f"the bundle has no artifact {wanted or 'to run'}; {there}")


def _encoder_of(manifest: Manifest, step: dict[str, Any]) -> dict[str, Any] | None:
    """Return the encode file that goes with a step file: of its precision where there is one; None
    for a model without an encode graph.
    """
    if graph_of(manifest["contract"], "encode") is None:
        return None
    found = [entry for entry in _files(manifest, "encode") if lacking_runtime(entry) is None]
    if not found:
        wanted = f"expected one that {RUNTIME} {VERSION} runs"
        kind = TITLE.split()[1]
        raise BundleError(
            f"the bundle has no such {kind} encode file for {step['path']}; {wanted}; export the "
            "bundle again"
        )
    return next((entry for entry in found if entry["precision"] == step["precision"]), found[0])


def _files(manifest: Manifest, graph: str) -> list[dict[str, Any]]:
    return [
        entry
        for entry in manifest["artifacts"]
        if entry["format"] == FORMAT and entry["graph"] == graph
    ]


def _read_stored(bundle: Bundle) -> Arrays:
    """Return the stored first values, each tensor as the contract has it, of one row."""
    contract, path = bundle.manifest["contract"], bundle.manifest["initial_state"]
    names = {name for name, kind in contract["initial_state"].items() if kind == "stored"}
    if not names:
        return {}
    tensors, sizes = read_tensors(bundle.file(path), path), {**contract["sizes"], BATCH: 1}
    states = of_role(graph_of(contract, "step")["inputs"], "state")
    wanted = {tensor["name"]: tensor for tensor in states if tensor["name"] in names}
    good = tensors.keys() == wanted.keys()
    if not good or not all(fits(wanted[name], array, sizes) for name, array in tensors.items()):
        raise BundleError(
            f"{path} has {sorted(tensors)}, expected the stored states {sorted(names)} as the "
            "contract has them; export the bundle again"
        )
    return tensors
