"""Whether a trained model is worth anything on classes that it never saw, by its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, MetricRecord
from devise_exp.reports.chance import chance_of
from devise_exp.runs.results import RunResults

CONTROL = "random_vectors"
UNSEEN = MetricName("unseen", "hit", 1, "class")


@dataclass(frozen=True, kw_only=True)
class Worth:
    """unseen hit@1 of the trained model beside a guess and the control without words.

    Attributes:
        record: unseen hit@1 of the trained model, a mean over classes.
        chance: What a guess has.
        control: The same of random_vectors, None if the run lacks it.
    """

    record: MetricRecord
    chance: float
    control: MetricRecord | None

    @property
    def over(self) -> str:
        """What the interval is over."""
        return "images" if self.record.classes_low is None else "classes"

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The interval over classes, else that over images."""
        if self.record.classes_low is None:
            return self.record.low, self.record.high
        return self.record.classes_low, self.record.classes_high

    @property
    def bar(self) -> float:
        """What the interval has to exceed: chance, and the upper bound of the control."""
        if self.control is None:
            return self.chance
        high = self.control.high if self.control.draws is not None else self.control.classes_high
        return max(self.chance, self.control.value if high is None else high)

    @property
    def verdict(self) -> Literal["yes", "not shown", "no"]:
        """Whether the model is above the bar, with all of its interval or by its value alone."""
        low = self.interval[0]
        other = self.chance if self.control is None else max(self.chance, self.control.value)
        if self.record.value <= other:
            return "no"
        return "not shown" if low is None or low <= self.bar else "yes"


def worth_of(run: RunResults) -> Worth | None:
    """Set the trained model beside a guess and the control.

    Args:
        run: The metrics of a run.

    Returns:
        The comparison; None if the run has no unseen hit@1, or none of chance.
    """
    record, chance = run.record(MODEL, UNSEEN), chance_of(run, UNSEEN)
    if record is None or chance is None:
        return None
    return Worth(record=record, chance=chance, control=run.record(CONTROL, UNSEEN))
