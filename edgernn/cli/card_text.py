"""The model card of a bundle: Markdown with the YAML head that model hubs read, made from the
manifest alone.

Whatever the manifest holds stands in it as text: no markup, no HTML, no control characters, no
second line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from edgernn.bundle import nats
from edgernn.bundle.manifest import Manifest
from edgernn.bundle.records import Artifact
from edgernn.cli.card_head import head
from edgernn.cli.card_run import PLACE, block, run_section
from edgernn.cli.layers import layers_of
from edgernn.cli.origin import loss_unit, origin_lines
from edgernn.cli.shown import visible
from edgernn.cli.tables import first_state, frames
from edgernn.contract import Contract
from edgernn.families.table import family_of
from edgernn.formats import FORMATS
from edgernn.wording import size

# What starts markup inside a line, and what GitHub makes links of: addresses with a scheme, www.
# and @.
_MARKUP = re.compile(r"([\\`*_{}\[\]|<>~$&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
_FIGURES = ("CIDEr-D", "BLEU-4", "ROUGE-L")


def model_card(
    manifest: Manifest, name: str, *, license_id: str | None = None, packed: bool = False
) -> str:
    """Return the card of a bundle that is called ``name``, a folder's or file's name without its
    place; ``packed`` says that it is a file.
    """
    parts = [
        head(manifest, _title(name), license_id),
        f"# {plain(_title(name))}",
        _about(manifest),
        "## Files\n\n" + _files(manifest),
        "## What was measured\n\n" + _measured(manifest),
        "## Run it\n\n" + run_section(manifest, name, packed=packed),
        "## Check it\n\n" + _check(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Return text as Markdown that shows it as it is, in one line."""
    return _MARKUP.sub(r"\\\1", visible(text))


def _title(name: str) -> str:
    return name.removesuffix(".edgernn") or name


def _about(manifest: Manifest) -> str:
    made, sizes = manifest.provenance, manifest.contract.sizes
    kind = family_of(manifest.family).noun
    tokenizer = manifest.tokenizer
    shape = ", ".join(f"{plain(axis)} {count}" for axis, count in sizes.items())
    lines = [
        f"A recurrent {kind} of {made.parameters:,} parameters, with its state as explicit "
        f"inputs and outputs{_runtimes(manifest)}. It is an edgernn bundle: model files, "
        f"{'tokenizer, ' if manifest.tokenizer else ''}a recorded run to check them by, "
        "and a manifest.",
        f"- made by edgernn {plain(made.edgernn)} on {plain(made.created)}",
        *(
            [f"- tokens: {tokenizer.vocabulary_size:,}, of the kind {plain(tokenizer.kind)}"]
            if tokenizer
            else []
        ),
        f"- sizes: {shape}",
        f"- first state: {plain(first_state(manifest.contract))}",
        *_layers(made.model),
        *([f"- frames: {plain(told)}"] if (told := frames(manifest.contract)) else []),
    ]
    return lines[0] + "\n\n" + "\n".join(lines[1:] + _training(manifest))


def _layers(model: dict[str, Any]) -> list[str]:
    """Return a line for each layer of a network that is described by them."""
    rows = layers_of(model)
    lines = [
        f"  - {plain(name)} ({plain(kind)}{f' of {plain(taken)}' if taken else ''})"
        f"{f': {plain(options)}' if options else ''}{'' if graph == 'step' else ', run once'}"
        for graph, name, kind, taken, options in rows
    ]
    return [f"- layers, from the input on: {len(rows)}", *lines] if rows else []


def _runtimes(manifest: Manifest) -> str:
    """Return what runs the files, in the words of the formats' rows."""
    own = {artifact.format for artifact in manifest.artifacts}
    titles = list(dict.fromkeys(row.title for row in FORMATS.values() if row.name in own))
    if len(titles) > 1:
        titles = [f"{', '.join(titles[:-1])} or {titles[-1]}"]
    return f", for {titles[0]}" if titles else ""


def _training(manifest: Manifest) -> list[str]:
    training = manifest.provenance.training
    lines = [f"- {plain(line)}" for line in origin_lines(training)]
    lines += [f"- trained on: {plain(str(training['corpus']))}"] if "corpus" in training else []
    loss = training.get("validation_loss")
    if isinstance(loss, (int, float)):
        tokens = manifest.tokenizer.kind if manifest.tokenizer else ""
        unit = plain(loss_unit(training, tokens))
        where = f" on {plain(str(training['split']))}" if "split" in training else ""
        lines.append(
            f"- loss of the reference: {loss:.4f} nats per {unit}{where}, a perplexity of "
            f"{nats.perplexity(loss):.4g}"
        )
    if isinstance(training.get("accuracy"), (int, float)):
        lines.append(f"- right answers there: {training['accuracy']:.2%}")
    scores = [
        f"{name} {training[name]:.3f}"
        for name in _FIGURES
        if isinstance(training.get(name), (int, float))
    ]
    return [*lines, f"- of its captions: {', '.join(scores)}"] if scores else lines


def _files(manifest: Manifest) -> str:
    rows = [
        (
            artifact.path,
            artifact.graph,
            artifact.precision,
            size(artifact.bytes),
            artifact.target,
            ", ".join(
                f"{package} {version} or newer" for package, version in artifact.requires.items()
            )
            or "-",
        )
        for artifact in manifest.artifacts
    ]
    return _table(("file", "computes", "precision", "size", "target", "needs"), rows)


def _measured(manifest: Manifest) -> str:
    rows = [
        (artifact.path, artifact.precision, _parity(artifact, manifest.contract), _loss(artifact))
        for artifact in manifest.artifacts
    ]
    writes = family_of(manifest.family).writes
    lost = "what held-out text loses" if writes else "what outputs lose on recorded inputs"
    note = (
        "Measured when the bundle was packed: the largest scaled difference from the PyTorch "
        "reference over a chained run, "
        f"each side on its own state, and {lost} by a reduced precision."
    )
    head = ("file", "precision", "difference from the reference", lost)
    return f"{note}\n\n{_table(head, rows)}"


def _parity(artifact: Artifact, contract: Contract) -> str:
    parity = artifact.parity
    if parity is None:
        return "not measured where it was packed"
    return (
        f"{parity.worst:.1e} of {parity.tensor} over {parity.steps} "
        f"{contract.unit(artifact.graph)}s (allowed "
        f"{parity.tolerance:g})"
    )


def _loss(artifact: Artifact) -> str:
    loss = artifact.loss
    if (outputs := artifact.output_loss) is not None:
        same = "" if outputs.top1 is None else f", most probable id the same {outputs.top1:.1%}"
        return (
            f"{outputs.output} {outputs.error:.1e} off (relative root mean square){same}; "
            f"{outputs.steps:,} steps"
        )
    if loss is None:
        return "-"
    drop = "" if loss.cider_drop is None else f"; CIDEr-D {-loss.cider_drop:+.2%}"
    allowed = "" if loss.allowed is None else f" (allowed {loss.allowed:.2%})"
    if loss.accuracy is not None and loss.reference_accuracy is not None:
        drop += f"; right {loss.reference_accuracy:.1%} to {loss.accuracy:.1%}"
    return (
        f"perplexity {loss.increase:+.2%}{allowed}, most probable token the same "
        f"{loss.top1:.1%}{drop}; {loss.tokens:,} tokens"
    )


def _check(manifest: Manifest) -> str:
    told = (
        "every file is compared with the reference over chained runs"
        if manifest.reference
        else "the recorded run is replayed"
    )
    needs = "With edgernn and its extras `train` and `export` installed"
    return (
        f"{needs}: {told}; the exit code is 0 where all "
        f"passed.\n\n{block([f'edgernn verify {PLACE}'])}"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    return "\n".join(lines + [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows])
