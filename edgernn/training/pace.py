"""The wall clock of a run: what its parts cost, and when to do what so that a budget of minutes is
kept.

Training ends early enough for a last evaluation and a last save. Evaluations are fewer, and where
that is not enough shorter, when they are dear. Budgets in steps and epochs are kept to the step,
and nothing in them depends on time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgernn.training.schedule import Budget

_EVALUATION_SHARE = 0.05  # of the budget: what one evaluation may cost before it is shortened
_BETWEEN = 9.0  # times an evaluation's cost must be spent on training between two
_LEAST_SECONDS = 0.25  # an evaluation may always cost so much
_GRACE = 1.07  # of the budget: where an evaluation under way is cut short
_FIRST_SAVES = (0.0, 5.0, 15.0, 30.0)  # seconds from the start
_SAVE_EVERY = 60.0
_SAVE_SHARE = 0.05  # of the time that saving may take
_MEMORY = 0.8
_NOT_YET = 0.999
_LARGEST_RESERVE = 0.5  # of the budget


@dataclass
class Pace:
    """What a run's parts cost, in seconds, and what follows from it.

    Attributes:
        budget: when the run ends.
        evaluation: of one measurement with all that belongs to it.
        save: of saving the state.
        step: of a step, a moving average.
    """

    budget: Budget
    evaluation: float = 0.0
    save: float = 0.0
    step: float = 0.0
    _saved_at: float = field(default=float("-inf"))
    _evaluated_at: float = field(default=float("-inf"))

    @property
    def limit(self) -> float:
        """The budget in seconds; infinite where it is none of time."""
        return 60 * self.budget.amount if self.budget.unit == "minutes" else float("inf")

    def preparing(self, seconds: float) -> float:
        """Return how much of the time that it took to begin counts: all of it, but at most half of
        a budget of minutes.
        """
        return 0.0 if self.limit == float("inf") else min(seconds, self.limit / 2)

    def share(self, *, step: int, epochs: float, seconds: float) -> float:
        """Return the share of training that is done; 1 or more ends it, with time left for what
        comes after.

        One step is made however little time there is.
        """
        if self.budget.unit != "minutes":
            return self.budget.progress(step=step, epochs=epochs, seconds=seconds)
        reserve = min(self.evaluation + self.save, _LARGEST_RESERVE * self.limit)
        share = seconds / (self.limit - reserve)
        over = seconds + self.step / 2 > self.limit - reserve
        return 1.0 if over and step else min(share, 1.0 if step else _NOT_YET)

    def stepped(self, seconds: float) -> None:
        """Note what a step took."""
        self.step = seconds if not self.step else _MEMORY * self.step + (1 - _MEMORY) * seconds

    def evaluated(self, *, cost: float, at: float) -> None:
        """Note what an evaluation took that ended ``at`` so many seconds of the run."""
        self.evaluation, self._evaluated_at = cost, at

    def saved(self, *, cost: float, at: float) -> None:
        """Note what a save took that ended ``at`` so many seconds of the run."""
        self.save, self._saved_at = cost, at

    def resumed(self, at: float) -> None:
        """Note that the run goes on from a state of ``at`` seconds."""
        self._evaluated_at = at

    def evaluation_fits(self, seconds: float) -> bool:
        """Return whether enough was trained since the last evaluation to have another before the
        end.
        """
        if self.limit == float("inf"):
            return True
        return seconds - self._evaluated_at >= _BETWEEN * self.evaluation

    def affordable(self, whole: float) -> float:
        """Return what share of the validation part to measure, where all of it takes ``whole``
        seconds.
        """
        allowed = max(_EVALUATION_SHARE * self.limit, _LEAST_SECONDS)
        return min(1.0, allowed / whole) if whole > 0 else 1.0

    def overdue(self, seconds: float) -> bool:
        """Return whether an evaluation that is under way has to be cut short."""
        return seconds > _GRACE * self.limit

    def save_due(self, seconds: float) -> bool:
        """Return whether to save: soon after the start, then every minute, and seldom enough to
        cost little.
        """
        if seconds - self._saved_at < self.save / _SAVE_SHARE:
            return False
        return seconds - self._saved_at >= _SAVE_EVERY or any(
            self._saved_at < moment <= seconds for moment in _FIRST_SAVES
        )
