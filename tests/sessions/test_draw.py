"""What a run is fed follows from the contract alone: layouts, ranges, and the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.contract import Contract, FileContract, Narrowing
from edgernn.contract.build import build_contract
from edgernn.sessions.draw import (
    OPEN_SIZES,
    drawn_inputs,
    open_sizes,
    random_inputs,
    random_pictures,
    random_state,
)


def contract(*, time: bool = True, step_frames: int = 1) -> Contract:
    """Inputs of every kind, with and without time; ``encode`` sees pictures and a row of ids."""
    lead = "batch, time" if time else "batch"
    return build_contract(
        encode_inputs={
            "image": "uint8[batch, height=6, width=5, channels=3]",
            "words": "int32[batch, place] below vocab=7",
        },
        contexts={"keys": "float32[batch, place, hidden=4]"},
        inputs={
            "frame": f"float32[{lead}, bins=2]",
            "ids": f"int64[{lead}] below vocab",
            "gate": f"bool[{lead}]",
            "level": f"uint8[{lead}]",
            "offset": "float16[batch, bins]",
        },
        states={"h": "float32[batch, hidden]", "count": "int32[batch]"},
        outputs={"out": f"float32[{lead}, bins]"},
        step_frames=step_frames,
    )


@pytest.mark.parametrize("step_frames", [1, 3])
def test_inputs_lie_along_time_where_there_is_one(step_frames: int) -> None:
    own = contract(step_frames=step_frames)
    drawn = random_inputs(own, batch=4, steps=5, seed=2)
    assert {name: array.shape for name, array in drawn.items()} == {
        "frame": (4, 5 * step_frames, 2),
        "ids": (4, 5 * step_frames),
        "gate": (4, 5 * step_frames),
        "level": (4, 5 * step_frames),
        "offset": (4, 2),  # once
    }


def test_each_call_has_its_own_values_where_there_is_no_time() -> None:
    drawn = random_inputs(contract(time=False), batch=4, steps=5, seed=2)
    assert drawn["frame"].shape == drawn["offset"].shape == (5, 4, 2)
    assert drawn["ids"].shape == (5, 4)


def test_values_are_in_the_range_of_their_dtype() -> None:
    own = contract()
    drawn = random_inputs(own, batch=4, steps=500, seed=2)
    assert {name: array.dtype for name, array in drawn.items()} == {
        spec.name: np.dtype(spec.dtype) for spec in own.step.fresh_inputs
    }
    assert sorted(set(drawn["ids"].ravel())) == list(range(7))
    assert set(drawn["gate"].ravel()) == {False, True}
    assert (drawn["level"].min(), drawn["level"].max()) == (0, 255)
    assert abs(drawn["frame"].std() - 1) < 0.1
    state = random_state(own, batch=4, seed=2)
    assert np.abs(state["h"]).max() < 0.5
    assert set(state["count"]) <= {0, 1}


def test_pictures_begin_with_a_black_and_a_white_one() -> None:
    seen = random_pictures(contract(), batch=2, count=5, seed=2)
    assert seen["image"].shape == (2, 5, 6, 5, 3)
    assert not seen["image"][:, 0].any()
    assert (seen["image"][:, 1] == 255).all()
    assert np.ptp(seen["image"][:, 2:]) > 100
    assert seen["words"].shape[:2] == (2, 5)


def test_open_axes_are_drawn_within_a_range_or_as_the_file_has_them() -> None:
    own = contract()
    low, high = OPEN_SIZES
    found = {open_sizes(FileContract(contract=own), seed=seed)["place"] for seed in range(60)}
    assert found <= set(range(low, high + 1))
    assert len(found) > 5
    fixed = FileContract(contract=own, narrowing=Narrowing(axes={"place": 9}))
    assert open_sizes(fixed, seed=1) == {"place": 9}


def test_a_seed_draws_the_same_again() -> None:
    own = contract()
    one, again, other = (random_inputs(own, batch=2, steps=9, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not any(np.array_equal(one[name], other[name]) for name in one)
    assert own.encode is not None
    sizes = {"place": 4}
    both = drawn_inputs(own.encode, own, sizes, batch=2, steps=3, seed=(3, 1))
    assert both["words"].shape == (3, 2, 4)
