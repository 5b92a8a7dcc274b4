"""What a manifest says of an artifact and its model beside the contract, against what can be seen
here.

A manifest is believed by whoever chooses a file by its figures. So what it says of parity, of the
loss, of the runtime that is needed and of the model must be what the files, the reference and a new
measurement show. Figures of rounding in float32 differ from processor to processor and are held
only against what is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgernn.bundle.nats import perplexity_text
from edgernn.bundle.records import Artifact, LossRecord, OutputLossRecord, ParityRecord
from edgernn.contract import next_name
from edgernn.formats.promise import Tolerance

if TYPE_CHECKING:
    from edgernn.families.loss import TextLoss
    from edgernn.families.module import OutputLoss
    from edgernn.parity.subject import Subject

_NATS = (
    5e-3  # by which two processors may differ in a mean of -log p, of activations rounded to 8 bits
)
_ACCURACY = 0.02  # by which shares of right answers may differ
# by which a divergence, or the relative error of a step, may be above what was recorded: other
# inputs, processors
_TIMES = 4.0
_LEAST_KL, _LEAST_ERROR = 1e-5, 1e-4  # a divergence, a relative error below is rounding


def claim_problems(subject: Subject) -> list[str]:
    """Return what the manifest says of the artifact and the model that is not so, each a
    sentence.
    """
    record = subject.artifact.parity
    parity = [] if record is None else _parity_problems(subject, record, subject.promised)
    return [
        *parity,
        *_tolerance_problems(subject.artifact, subject.promised),
        *_requires_problems(subject),
        *_model_problems(subject),
    ]


def loss_problem(subject: Subject, found: TextLoss) -> str:
    """Say how the recorded loss is not the one that is ``found`` with the bundle's own reference
    and sample.
    """
    record = subject.artifact.loss
    if record is None or subject.checkpoint is not None:
        return ""
    apart = max(abs(record.before - found.reference_nats), abs(record.after - found.nats))
    near = apart <= _NATS and _is_near(record.mean_kl, found.mean_kl, _LEAST_KL)
    near = near and _is_accurate(record, found)
    if record.tokens == found.tokens and near:
        return ""
    return f"the manifest says {_loss_words(record)}, and it is {_found_words(found)}"


def _is_accurate(record: LossRecord, found: TextLoss) -> bool:
    """Whether the recorded accuracies, where there are any, are those that are found, but for a few
    positions at which two scores are nearly equal.
    """
    pairs = (
        (record.reference_accuracy, found.reference_accuracy),
        (record.accuracy, found.accuracy),
    )
    return all(said is None or abs(said - own) <= _ACCURACY for said, own in pairs)


def output_loss_problem(subject: Subject, found: OutputLoss) -> str:
    """Say how the recorded loss of outputs is not the one that is ``found`` with the bundle's own
    reference and recorded inputs.
    """
    record = subject.artifact.output_loss
    if record is None or subject.checkpoint is not None:
        return ""
    near = _is_near(record.error, found.error, _LEAST_ERROR) and (
        _is_near(record.mean_kl or 0, found.mean_kl or 0, _LEAST_KL)
    )
    scores = (record.mean_kl is None) == (found.mean_kl is None)
    if near and scores and record.steps == found.steps:
        return ""
    return (
        f"the manifest says that {_output_words(record)}, and by the recorded inputs "
        f"{_output_words(found)}"
    )


def _is_near(recorded: float, found: float, least: float) -> bool:
    fewest, most = sorted((max(recorded, least), max(found, least)))
    return most <= _TIMES * fewest


def _output_words(loss: OutputLossRecord | OutputLoss) -> str:
    kl = "" if loss.mean_kl is None else f" with KL {loss.mean_kl:.1e}"
    return f"{loss.output} is {loss.error:.1e} off over {loss.steps} steps{kl}"


def step_problem(record: ParityRecord | None, found: float, limit: Tolerance) -> str:
    """Say how the relative error of a step is far above the recorded one; other figures of parity
    are rounding.
    """
    if record is None or not limit.forced or found <= _TIMES * record.worst:
        return ""
    return (
        f"the manifest says that a step is {record.worst:.1e} off at worst, and it is {found:.1e}"
    )


def _loss_words(record: LossRecord) -> str:
    nats = f"{perplexity_text(record.before)} to {perplexity_text(record.after)}"
    return f"perplexity {nats} over {record.tokens} tokens with KL {record.mean_kl:.1e}"


def _found_words(found: TextLoss) -> str:
    nats = f"{perplexity_text(found.reference_nats)} to {perplexity_text(found.nats)}"
    return f"{nats} over {found.tokens} with {found.mean_kl:.1e}"


def _parity_problems(subject: Subject, record: ParityRecord, promised: Tolerance) -> list[str]:
    what = f"the manifest records a parity of {record.worst:.1e}"
    bound = min(record.tolerance, promised.rollout)
    problems = [] if record.worst <= bound else [f"{what}, and {bound:g} is promised"]
    if record.tolerance > promised.rollout:
        problems.append(
            f"the manifest records a tolerance of {record.tolerance:g}, and "
            f"{promised.rollout:g} is promised"
        )
    contract = subject.bundle.manifest.contract
    own = (graph for graph in contract.graphs if graph.name == subject.artifact.graph)
    graph = next(own, contract.step)
    known = {tensor.name for tensor in graph.outputs} | {
        next_name(tensor.name) for tensor in graph.states
    }
    if record.tensor.partition("[")[0] not in known:
        problems.append(f"{what} in {record.tensor!r}, which is no output of the contract")
    return problems


def _tolerance_problems(artifact: Artifact, promised: Tolerance) -> Iterator[str]:
    """What hosts hold the golden run to must be no looser than what is promised, and measured the
    same way.
    """
    if artifact.tolerance is None:
        return
    if artifact.tolerance > promised.rollout:
        yield (
            f"the manifest allows a golden run to differ by {artifact.tolerance:g}, and "
            f"{promised.rollout:g} is promised"
        )
    if artifact.forced != promised.forced:
        yield (
            f"the manifest says that a golden run is {'' if artifact.forced else 'not '}forced, "
            f"expected that it is {'' if promised.forced else 'not '}forced"
        )


def _requires_problems(subject: Subject) -> Iterator[str]:
    from edgernn.sessions.runtime_versions import KNOWN, is_older

    artifact = subject.artifact
    for package in artifact.requires.keys() - set(KNOWN):
        yield (
            f"the manifest says that the file needs {package}, which is no runtime; expected "
            f"{', '.join(KNOWN)}"
        )
    for package, lowest in subject.description.requires.items():
        said = artifact.requires.get(package)
        if said is not None and is_older(said, lowest):
            yield f"the file needs {package} {lowest}, the manifest says {said}"


def _model_problems(subject: Subject) -> Iterator[str]:
    """The provenance names the model; its sizes are the contract's, and the whole is the
    reference's.
    """
    manifest = subject.bundle.manifest
    said, sizes = manifest.provenance.model, manifest.contract.sizes
    for name, axis in subject.family.sizes.items():
        described = isinstance(said.get(name), list)  # the layers themselves, not their number
        if name in said and axis in sizes and not described and said[name] != sizes[axis]:
            yield (
                f"the manifest says that the model has {name} {said[name]!r}, the contract says "
                f"{sizes[axis]}"
            )
    cell, states = str(said.get("cell")), tuple(s.name for s in manifest.contract.step.states)
    if subject.family.cells.get(cell, states) != states:
        yield (
            f"the manifest says that the cell is {cell}, the contract has the states "
            f"{', '.join(states)}"
        )
    model: Any = (
        None if subject.reference is None else getattr(subject.reference.step, "model", None)
    )
    if model is None or subject.checkpoint is not None:
        return
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters != manifest.provenance.parameters:
        yield (
            f"the manifest says {manifest.provenance.parameters} parameters, the reference has "
            f"{parameters}"
        )
    own: Mapping[str, Any] = model.config.model_dump(mode="json")
    other = [name for name in said if name in own and said[name] != own[name]]
    if other and not any(name in subject.family.sizes for name in other):
        yield (
            f"the manifest says that the model has {other[0]} {said[other[0]]!r}, the reference "
            f"has {own[other[0]]!r}"
        )
