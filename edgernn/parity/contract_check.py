"""The check ``contract``: whether a file keeps the promise of its manifest, and what the manifest
claims is so.
"""

from __future__ import annotations

import numpy as np

from edgernn.contract import file_problems
from edgernn.contract.in_graph import file_interface
from edgernn.decoding.sampler_vectors import read_vectors, vector_problems
from edgernn.errors import BundleError
from edgernn.parity import golden
from edgernn.parity.claims import claim_problems
from edgernn.parity.labels import label_problems
from edgernn.parity.report.data import Check
from edgernn.parity.subject import Subject
from edgernn.parity.vocabulary import tokenizer_problems, vouched_for
from edgernn.sessions.base import State
from edgernn.sessions.opening import read_first_state
from edgernn.wording import counted


def check_contract(subject: Subject) -> Check:
    """Names, axes, dtypes, target and metadata in the file itself, against the manifest; tokenizer;
    sampler vectors.
    """
    artifact, bundle = subject.artifact, subject.bundle
    description = subject.description
    file_contract = bundle.file_contract(artifact)
    problems = file_problems(description, file_contract, file_interface(file_contract))
    if description.target is not None and description.target != artifact.target:
        problems.append(
            f"the file is written for {description.target}, the manifest says {artifact.target}"
        )
    problems += [
        *filter(None, [subject.family.problem(subject.bundle.manifest.contract)]),
        *_first_state_problems(subject),
        *tokenizer_problems(subject),
        *label_problems(subject),
        *_sampler_problems(subject),
    ]
    problems += claim_problems(subject)
    interface = description.interface
    tensors = (
        ("input", interface.inputs),
        ("output", interface.outputs),
        ("kept state", interface.states),
    )
    agreed = (
        ", ".join(counted(len(found), noun) for noun, found in tensors)
        + f", metadata; {vouched_for(subject)}"
    )
    return Check(
        name="contract",
        status="failed" if problems else "passed",
        detail="; ".join(problems) or agreed,
    )


def _first_state_problems(subject: Subject) -> list[str]:
    """The bundle's learned first state must be the reference's, bit for bit, and the one the golden
    run starts from.
    """
    bundle, inner = subject.bundle, subject.bundle.manifest.initial_state
    if inner is None:
        return []
    found = read_first_state(bundle.path(inner), bundle.manifest.contract)
    judges: list[tuple[str, State]] = []
    if subject.reference is not None:
        judges.append(("the reference's", subject.reference.step.stored_state()))
    if bundle.manifest.golden is not None:
        judges.append(
            (
                "the golden run's",
                golden.read(bundle.path(bundle.manifest.golden), bundle.manifest.contract),
            )
        )
    return [
        f"the first state {name} is not {whose}"
        for whose, expected in judges
        for name, array in found.items()
        if not np.array_equal(array, expected[name])
    ]


def _sampler_problems(subject: Subject) -> list[str]:
    """The recorded random numbers and choices of tokens must be the library's own."""
    inner = subject.bundle.manifest.sampler
    try:
        return vector_problems(read_vectors(subject.bundle.path(inner)))[:1] if inner else []
    except BundleError as error:
        return [str(error)]
