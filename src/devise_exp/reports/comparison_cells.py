"""The cells of a comparison: metrics over seeds or splits, and what is tied with the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devise_exp.evaluation.metrics.hits import hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import paired_seeds, paired_test, seed_interval
from devise_exp.evaluation.records import MetricName, method_key
from devise_exp.reports.chance import chance_of
from devise_exp.reports.tables import BEST, TIED
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import RunResults, competes
from devise_exp.runs.split_groups import Splits

LEVEL = 0.05  # of the tests: a metric is tied with the best unless they differ at this level
_RESAMPLES = 2000
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A metric of one run, or its mean over several seeds or splits.

    Attributes:
        value: A share in [0, 1].
        sd: The standard deviation over seeds, over splits if there are several; None for one run.
        lo: The lower bound of the 95 % interval: over splits if there are several, else over seeds,
            or over the images of one run or of a metric that no seed changes; None without one, and
            if all splits are equal.
        hi: The upper bound of that interval.
        mark: BEST of its column, TIED if it is not shown to differ from the best, else "".
        min: The lowest of several splits.
        max: The highest of several splits.
        splits: How many splits have the metric.
    """

    value: float
    sd: float | None = None
    lo: float | None = None
    hi: float | None = None
    mark: str = ""
    min: float | None = None
    max: float | None = None
    splits: int = 1


@dataclass(frozen=True)
class Subject:
    """What a line of a comparison is about.

    Attributes:
        splits: The runs of each split, which differ in the seed alone, sorted by seed; the splits
            differ in split.seed alone, and are sorted by it.
        method: A method in all of them.
    """

    splits: Splits
    method: str

    @property
    def runs(self) -> tuple[RunResults, ...]:
        """The runs of all splits."""
        return tuple(run for of_split in self.splits for run in of_split)

    @property
    def seeds(self) -> list[Any]:
        """The seeds of the runs."""
        return [run.settings.get("seed") for run in self.runs]

    def split_means(self, name: MetricName) -> list[float | None]:
        """Take the mean over seeds of a metric within each split.

        Args:
            name: The metric.

        Returns:
            A number for each split, None if a run on it lacks the metric.
        """
        means: list[float | None] = []
        for of_split in self.splits:
            values = [run.value(self.method, name) for run in of_split]
            present = [value for value in values if value is not None]
            means.append(float(np.mean(present)) if len(present) == len(values) else None)
        return means


def column_cells(subjects: Sequence[Subject], name: MetricName) -> list[Cell | None]:
    """Make one column, with the best and what does not differ from it marked.

    Args:
        subjects: What the lines are about; chance and published results do not compete.
        name: The metric of the column.

    Returns:
        A cell for each subject. None if a run of it lacks the metric; of several splits, if a run
        on each of them does. Nothing is marked if the best is no better than a guess.
    """
    cells = [_cell(subject, name) for subject in subjects]
    competing = {i: cell for i, cell in enumerate(cells) if cell and competes(subjects[i].method)}
    if len(competing) < 2:
        return cells
    best = max(competing, key=lambda i: competing[i].value)
    chance = chance_of(subjects[best].runs[0], name)
    if chance is not None and competing[best].value <= chance:
        return cells
    for i, cell in competing.items():
        if cell.value == competing[best].value:
            cells[i] = replace(cell, mark=BEST)
        elif _is_tied(subjects[best], subjects[i], competing[best], cell, name):
            cells[i] = replace(cell, mark=TIED)
    return cells


def _cell(subject: Subject, name: MetricName) -> Cell | None:
    """One metric over the runs of a subject."""
    if len(subject.splits) > 1:
        return _cell_over_splits(subject, name)
    records = [record for run in subject.runs if (record := run.record(subject.method, name))]
    if len(records) < len(subject.runs):
        return None
    values, first = [record.value for record in records], records[0]
    if not competes(subject.method):
        return Cell(value=first.value)
    if len(set(values)) > 1:
        mean, sd, lo, hi = seed_interval(np.array(values))
        return Cell(value=mean, sd=sd, lo=lo, hi=hi)
    no_spread = 0.0 if len(values) > 1 else None
    return Cell(value=first.value, sd=no_spread, lo=first.low, hi=first.high)


def _cell_over_splits(subject: Subject, name: MetricName) -> Cell | None:
    """The mean of a metric over splits, with Student's t interval over them.

    Given the data set, its random splits are independent draws, so the interval is that of the
    mean over all of its splits. It says nothing of other data sets: the splits share images, for
    which Nadeau and Bengio 2003 widen it. No mean of shares lies outside [0, 1].
    """
    values = [value for value in subject.split_means(name) if value is not None]
    if not values:
        return None
    lowest, highest, n = min(values), max(values), len(values)
    if n == 1 or (lowest == highest and not competes(subject.method)):
        return Cell(value=values[0], splits=n)
    mean, sd, lo, hi = seed_interval(np.array(values))
    if highest - lowest < _ROUNDING:  # equal splits say nothing of how far others vary
        return Cell(value=lowest, sd=0.0, min=lowest, max=highest, splits=n)
    lo, hi = max(lo, 0.0), min(hi, 1.0)
    return Cell(value=mean, sd=sd, lo=lo, hi=hi, min=lowest, max=highest, splits=n)


def _is_tied(a: Subject, b: Subject, best: Cell, cell: Cell, name: MetricName) -> bool:
    """Whether b's metric is not shown to differ from the best, a's.

    The test is paired over the same splits or the same seeds (t test) or, if no seed changes either
    metric, over the same images (permutation test); else the 95 % intervals must overlap. A metric
    without an interval is not tied.
    """
    if len(a.splits) > 1:
        pairs = zip(a.split_means(name), b.split_means(name), strict=True)
        both = np.array([pair for pair in pairs if None not in pair], dtype=float)
        return len(both) > 1 and paired_seeds(both[:, 0], both[:, 1])[3] >= LEVEL
    fixed = not best.sd and not cell.sd
    if not fixed and len(a.runs) > 1 and a.seeds == b.seeds:
        by_seed = [np.array([run.value(s.method, name) for run in s.runs]) for s in (a, b)]
        return paired_seeds(by_seed[0], by_seed[1])[3] >= LEVEL
    if best.lo is None or best.hi is None or cell.lo is None or cell.hi is None:
        return False
    overlap = best.lo <= cell.hi and cell.lo <= best.hi
    if overlap and fixed and name.metric == "hit" and name.k:
        hits = [_hits(s.runs[0], s.method, name.protocol, name.k) for s in (a, b)]
        if hits[0] and hits[1] and np.array_equal(hits[0][1], hits[1][1]):
            truth = hits[0][1] if name.average == "class" else None
            test = paired_test(hits[0][0], hits[1][0], truth, resamples=_RESAMPLES)
            return test[3] >= LEVEL
    return overlap


def _hits(
    run: RunResults, method: str, protocol: str, k: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(hit of each image (N,), its class id (N,)), None if the run folder lacks them."""
    folder, side = RunFolder(run.path), "unseen" if protocol.endswith("unseen") else "seen"
    key = method_key(method, protocol)
    neighbours, truth = folder.neighbours(key).get(key), folder.truth(side)
    if neighbours is None or truth is None or neighbours.shape[1] < k:
        return None
    return hit_at_k(rank_of_truth(neighbours, truth), k), truth
