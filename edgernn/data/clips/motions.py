"""What happens in a drawn clip, frame by frame: a shape that moves, grows, shrinks or stands still,
one thing after the other, and is out of sight now and then.

What a frame shows is where the shape is; what happens is told by the frames before alone. Out of
sight it goes on doing what it did, so that only what was seen before tells that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = 16  # pixels on a side of a frame
LEAST, MOST = 2.0, 4.5  # pixels from a shape's middle to its edge
_STEP = (0.8, 1.3)  # pixels that a shape moves a frame
_GROWTH = (0.3, 0.5)  # pixels that its edge moves a frame
_LONGEST, _SHORTEST = 8, 3  # frames of one event
_HIDDEN_SHARE = 0.3  # of the events that are long enough, during which a shape is out of sight
_CHANGES = {  # event → its direction along x, y and the radius
    "still": (0, 0, 0),
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up": (0, -1, 0),
    "down": (0, 1, 0),
    "grows": (0, 0, 1),
    "shrinks": (0, 0, -1),
}
EVENTS = tuple(_CHANGES)


@dataclass
class Place:
    """Where a shape is: its middle from the left and the top and its radius, in pixels; ``seen`` is
    whether it is in sight.
    """

    x: float
    y: float
    radius: float
    seen: bool = True

    def after(self, event: str, amount: float) -> Place:
        """Return the place of the next frame."""
        x, y, radius = _CHANGES[event]
        return Place(self.x + x * amount, self.y + y * amount, self.radius + radius * amount)

    @property
    def is_inside(self) -> bool:
        """Whether the whole shape is in the picture and of a size that is allowed."""
        low, high = self.radius, SIZE - self.radius
        return LEAST <= self.radius <= MOST and all(low <= n <= high for n in (self.x, self.y))


def make_motion(frames: int, rng: np.random.Generator) -> tuple[list[Place], list[int]]:
    """Return where a shape is in each of ``frames`` frames and what happens, as places in
    ``EVENTS``; in the first frame it stands still.
    """
    radius = rng.uniform(LEAST, MOST)
    x, y = rng.uniform(radius, SIZE - radius, 2)
    places, events = [Place(x, y, radius)], [0]
    while len(places) < frames:
        event = int(rng.integers(len(EVENTS)))
        if event != events[-1]:
            made = _episode(places[-1], EVENTS[event], rng)
            places += made
            events += [event] * len(made)
    return places[:frames], events[:frames]


def _episode(start: Place, event: str, rng: np.random.Generator) -> list[Place]:
    """Return the places of one event, as long as there is room; empty where there is none."""
    amount = rng.uniform(*(_GROWTH if event in {"grows", "shrinks"} else _STEP))
    places: list[Place] = []
    for _ in range(rng.integers(_SHORTEST, _LONGEST + 1)):
        place = (places[-1] if places else start).after(event, amount)
        if not place.is_inside:
            break
        places.append(place)
    if len(places) < _SHORTEST:
        return []
    if len(places) > _SHORTEST and rng.random() < _HIDDEN_SHARE:
        first = int(rng.integers(1, len(places) - 2))
        for place in places[first : int(rng.integers(first + 1, len(places)))]:
            place.seen = False
    return places
