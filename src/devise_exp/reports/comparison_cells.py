"""The cells of a comparison: metrics over seeds, and which of them do not differ from the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devise_exp.evaluation.metrics.hits import hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import paired_seeds, paired_test, seed_interval
from devise_exp.evaluation.records import MetricName, method_key
from devise_exp.reports.tables import BEST, TIED
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import RunResults, competes

LEVEL = 0.05  # of the tests: a metric is tied with the best unless they differ at this level
_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A metric of one run, or its mean over several seeds.

    Attributes:
        value: A share in [0, 1].
        sd: The standard deviation over seeds, None for one run.
        lo: The lower bound of the 95 % interval: over the images of one run or of a metric that no
            seed changes, else over seeds; None without an interval.
        hi: The upper bound of that interval.
        mark: BEST of its column, TIED if it is not shown to differ from the best, else "".
    """

    value: float
    sd: float | None = None
    lo: float | None = None
    hi: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Subject:
    """What a line of a comparison is about.

    Attributes:
        runs: Runs that differ in the seed alone, sorted by seed.
        method: A method in all of them.
    """

    runs: tuple[RunResults, ...]
    method: str

    @property
    def seeds(self) -> list[Any]:
        """The seeds of the runs."""
        return [run.settings.get("seed") for run in self.runs]


def column_cells(subjects: Sequence[Subject], name: MetricName) -> list[Cell | None]:
    """Make one column, with the best and what does not differ from it marked.

    Args:
        subjects: What the lines are about; chance and published results do not compete.
        name: The metric of the column.

    Returns:
        A cell for each subject, None if a run of it lacks the metric.
    """
    cells = [_cell(subject, name) for subject in subjects]
    competing = {i: cell for i, cell in enumerate(cells) if cell and competes(subjects[i].method)}
    if len(competing) < 2:
        return cells
    best = max(competing, key=lambda i: competing[i].value)
    for i, cell in competing.items():
        if cell.value == competing[best].value:
            cells[i] = replace(cell, mark=BEST)
        elif _is_tied(subjects[best], subjects[i], competing[best], cell, name):
            cells[i] = replace(cell, mark=TIED)
    return cells


def _cell(subject: Subject, name: MetricName) -> Cell | None:
    """One metric over the runs of a subject."""
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


def _is_tied(a: Subject, b: Subject, best: Cell, cell: Cell, name: MetricName) -> bool:
    """Whether b's metric is not shown to differ from the best, a's.

    The test is paired over the same seeds (t test) or, if no seed changes either metric, over the
    same images (permutation test); else the 95 % intervals must overlap. A metric without an
    interval is not tied.
    """
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
