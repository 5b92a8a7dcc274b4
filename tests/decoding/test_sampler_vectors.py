"""``sampler.json``: its choices are right by exact arithmetic, stay clear of the edges, and a wrong
one is found.
"""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from edgernn.decoding.sampler_vectors import (
    Choice,
    SamplerVectors,
    read_vectors,
    vector_problems,
    write_vectors,
)
from edgernn.errors import BundleError

MOST_BYTES = 60_000
FAR = Decimal("1e-13")  # more than an exponential's last bit can move a sum of a few numbers


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "sampler.json"
    write_vectors(path)
    return path


@pytest.fixture(scope="module")
def vectors(path: Path) -> SamplerVectors:
    return read_vectors(path)


def test_it_is_small_and_always_the_same(path: Path, tmp_path: Path) -> None:
    write_vectors(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert path.stat().st_size <= MOST_BYTES


def test_the_library_chooses_what_is_recorded(vectors: SamplerVectors) -> None:
    assert vector_problems(vectors) == []


def shares(choice: Choice) -> tuple[list[int], list[Decimal]]:
    """Return the ids that may be drawn, and where the share of each ends before top-p, in 60
    digits.
    """
    order = sorted(
        set(range(len(choice.logits))) - set(choice.suppress), key=lambda i: (-choice.logits[i], i)
    )
    order = order[: choice.top_k or None]
    best, temperature = Decimal(choice.logits[order[0]]), Decimal(choice.temperature)
    weights = [((Decimal(choice.logits[i]) - best) / temperature).exp() for i in order]
    return order, [sum(weights[: i + 1], Decimal(0)) / sum(weights) for i in range(len(weights))]


def exact(choice: Choice) -> bool:
    """Whether all that has a probability is equally likely, so that float64 has no error but that
    of one division.
    """
    open_logits = [x for i, x in enumerate(choice.logits) if i not in choice.suppress]
    return all(
        x == max(open_logits) or (x - max(open_logits)) / choice.temperature < -800
        for x in open_logits
    )


def test_every_choice_is_right_and_clear_of_the_edges(vectors: SamplerVectors) -> None:
    drawn = [choice for choice in vectors.tokens if choice.temperature > 0 and not exact(choice)]
    assert len(drawn) > 60
    with localcontext() as context:
        context.prec, context.Emin = 60, -(10**15)
        for choice in drawn:
            order, ends = shares(choice)
            top_p, uniform = Decimal(choice.top_p), Decimal(choice.uniform)
            last = next(i for i, end in enumerate(ends) if end >= top_p or i == len(ends) - 1)
            kept = [end / ends[last] for end in ends[: last + 1]]
            assert choice.token == order[next(i for i, end in enumerate(kept) if end > uniform)]
            assert all(abs(end - uniform) > FAR for end in kept[:-1])
            assert top_p == 1 or all(abs(end - top_p) > FAR for end in ends[:-1])


def test_equal_logits_are_shared_out_as_float64_divides(vectors: SamplerVectors) -> None:
    even = [choice for choice in vectors.tokens if choice.temperature > 0 and exact(choice)]
    assert len(even) > 60
    for choice in even:
        best = max(x for i, x in enumerate(choice.logits) if i not in choice.suppress)
        tied = [i for i, x in enumerate(choice.logits) if x == best and i not in choice.suppress][
            : choice.top_k or None
        ]
        ends = [(i + 1) / len(tied) for i in range(len(tied))]
        last = next(i for i, end in enumerate(ends) if end >= choice.top_p)
        assert choice.token == next(
            tied[i] for i in range(last + 1) if ends[i] / ends[last] > choice.uniform
        )


def test_it_holds_every_kind_of_case(vectors: SamplerVectors) -> None:
    tokens = vectors.tokens
    assert {choice.uniform for choice in tokens} >= {0.0, 1 - 2.0**-53}
    assert {choice.temperature for choice in tokens} >= {0.0, 1e-300, 1e300}
    assert any(choice.suppress for choice in tokens)
    assert any(choice.top_k > len(choice.logits) for choice in tokens)
    assert any(choice.top_p == 1 / 3 for choice in tokens)
    assert {group.seed for group in vectors.uniforms} >= {0, 7, 2**32 - 1, 2**53 - 1}


def damage(path: Path, target: Path, key: str, **change: Any) -> Path:
    content = json.loads(path.read_text())
    content[key][5].update(change)
    target.write_text(json.dumps(content))
    return target


def test_a_wrong_vector_is_found(path: Path, tmp_path: Path) -> None:
    wrong = read_vectors(damage(path, tmp_path / "a", "tokens", token=4))
    assert vector_problems(wrong) == ["choice 5 of the sampler is recorded as token 4, and it is 5"]
    wrong = read_vectors(damage(path, tmp_path / "b", "uniforms", values=[0.5]))
    assert vector_problems(wrong)[0].startswith(
        "number 0 of the seed 1234567 is recorded as 0.5, and it is 0."
    )
    wrong = read_vectors(damage(path, tmp_path / "c", "tokens", suppress=[6]))
    assert vector_problems(wrong) == ["choice 5 of the sampler suppresses an id above its 6 logits"]


@pytest.mark.parametrize(
    "change", [{"uniform": 1.0}, {"top_p": 0}, {"token": -1}, {"logits": []}, {"temperature": None}]
)
def test_damage_is_refused(path: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(
        BundleError, match=rf"a holds no sampler vectors \(tokens\.5\.{next(iter(change))}"
    ):
        read_vectors(damage(path, tmp_path / "a", "tokens", **change))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no sampler vectors"):
        read_vectors(tmp_path / "none.json")
