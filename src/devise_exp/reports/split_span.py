"""What a mean over splits rests on: how many splits, and which classes were unseen in them."""

from __future__ import annotations

from dataclasses import dataclass

from devise_exp.core.name_files import listed
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import RunResults
from devise_exp.runs.series_folder import splits_ordered
from devise_exp.runs.split_groups import SPLIT_SEED, Splits


@dataclass(frozen=True, kw_only=True)
class SplitSpan:
    """The splits of a comparison.

    Attributes:
        n: How many splits are averaged.
        ordered: How many the series has when it is finished.
        split_seeds: The values of split.seed.
        seeds: How many seeds of the training a split has, the fewest and the most.
        n_classes: How many classes take part in a split or several.
        n_unseen: How many of them are unseen in a split or several.
        same_unseen: Whether all splits have the same unseen classes.
    """

    n: int
    ordered: int
    split_seeds: tuple[str, ...]
    seeds: tuple[int, int]
    n_classes: int = 0
    n_unseen: int = 0
    same_unseen: bool = False

    @property
    def count(self) -> str:
        """Such as "10 splits", or "9 of 10 splits" of a series that is not finished."""
        of = f" of {self.ordered}" if self.ordered > self.n else ""
        return f"{self.n}{of} splits"

    @property
    def sentence(self) -> str:
        """Which splits they are."""
        missing = (
            "; the others failed, are not finished or not given" if self.ordered > self.n else ""
        )
        parts = [
            f"The runs differ in {SPLIT_SEED} alone ({listed(self.split_seeds)}{missing})",
            *self._seeds(),
            *self._classes(),
        ]
        return ". ".join(parts) + "."

    def _seeds(self) -> list[str]:
        low, high = self.seeds
        if high == 1:
            return []
        of = f"{low}" if low == high else f"{low} to {high}"
        return [f"Of each split the mean over its {of} seeds counts once"]

    def _classes(self) -> list[str]:
        if not self.n_classes:
            return []
        if self.same_unseen:
            return [
                f"All splits have the same {self.n_unseen} unseen classes and deal the images of "
                "the others anew: the interval does not say what other unseen classes would give"
            ]
        return [
            f"{self.n_unseen} of {self.n_classes} classes are unseen in at least one of the splits"
        ]


def split_span(splits: Splits) -> SplitSpan:
    """Describe the splits of a comparison.

    Args:
        splits: The runs of each split.

    Returns:
        The description, without classes if a run folder lacks them.
    """
    firsts = [of_split[0] for of_split in splits]
    counts = [len(of_split) for of_split in splits]
    sides = [_sides(run) for run in firsts]
    unseen = [side[1] for side in sides]
    classes = frozenset[str]().union(*(side[0] for side in sides)) if all(unseen) else frozenset()
    return SplitSpan(
        n=len(splits),
        ordered=max(splits_ordered(run.path) for run in firsts),
        split_seeds=tuple(str(run.settings.get(SPLIT_SEED)) for run in firsts),
        seeds=(min(counts), max(counts)),
        n_classes=len(classes),
        n_unseen=len(frozenset[str]().union(*unseen)),
        same_unseen=len(set(unseen)) == 1,
    )


def _sides(run: RunResults) -> tuple[frozenset[str], frozenset[str]]:
    """(All classes, the unseen ones), none if the run folder lacks them."""
    if not (run.path / "classes.json").is_file():
        return frozenset(), frozenset()
    records = RunFolder(run.path).classes()
    return (
        frozenset(record.name for record in records),
        frozenset(record.name for record in records if not record.seen),
    )
