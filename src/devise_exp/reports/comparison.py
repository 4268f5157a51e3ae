"""Finished runs side by side: figures over seeds, and which of them differ from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.hits import hit_at_k, rank_of_truth
from devise_exp.evaluation.metrics.intervals import paired_seeds, paired_test, seed_interval
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, method_key
from devise_exp.reports.tables import BEST, TIED
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import RunResults, competes, differing, group_by_seed, runs_in

COMPARED = {
    MetricName("val", "hit", 1, "image"): "val hit@1",
    MetricName("seen", "hit", 1, "image"): "seen hit@1",
    MetricName("unseen", "hit", 1, "class"): "unseen hit@1 per class",
    MetricName("unseen", "hit", 5, "class"): "unseen hit@5 per class",
    MetricName("all", "H", 1): "H@1",
    MetricName("calibrated", "H", 1): "calibrated H@1",
    MetricName("all", "AUSUC"): "AUSUC",
    MetricName("search/unseen", "mAP"): "unseen search mAP",
}
SUMMARISED = {
    MetricName("seen", "hit", 1, "class"): "seen hit@1",
    MetricName("unseen", "hit", 1, "class"): "unseen hit@1",
    MetricName("unseen", "hit", 5, "class"): "unseen hit@5",
    MetricName("all_unseen", "hit", 1, "class"): "u",
    MetricName("all_seen", "hit", 1, "class"): "s",
    MetricName("all", "H", 1): "H",
    MetricName("calibrated_unseen", "hit", 1, "class"): "calibrated u",
    MetricName("calibrated_seen", "hit", 1, "class"): "calibrated s",
    MetricName("calibrated", "H", 1): "calibrated H",
    MetricName("all", "AUSUC"): "AUSUC",
}
LEVEL = 0.05  # of the tests: a figure is tied with the best unless they differ at this level
_RESAMPLES = 2000


@dataclass(frozen=True)
class Cell:
    """A figure, or its mean over n seeds with the standard deviation sd; lo and hi are the 95 %
    interval (over images of one run and of what no seed changes, else over seeds), None where it
    is not known.

    mark: BEST of its column, TIED where it does not differ from that, else "".
    """

    value: float
    sd: float | None = None
    lo: float | None = None
    hi: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """One line: what it is named by, and its cells, None where there is no figure."""

    names: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Comparison:
    """A table of runs, methods or both. heads: headings of the names; columns: figure name ->
    heading; n: the most seeds of a line; fingerprint: the one split of all figures.
    """

    heads: tuple[str, ...]
    columns: Mapping[MetricName, str]
    lines: tuple[Line, ...]
    n: int
    fingerprint: str

    def __post_init__(self) -> None:
        for line in self.lines:
            if len(line.names) != len(self.heads) or len(line.cells) != len(self.columns):
                raise ValueError(f"{line.names}: not a line of {self.heads} and {self.columns}")


@dataclass(frozen=True)
class _Subject:
    """What a line is about: a method in runs that differ in the seed alone, sorted by seed."""

    runs: tuple[RunResults, ...]
    method: str

    @property
    def seeds(self) -> list[Any]:
        return [run.settings.get("seed") for run in self.runs]


def compare(runs: Sequence[RunResults], methods: bool = False) -> Comparison:
    """Runs side by side, of one split (`runs_in`); those that differ in the seed alone are one
    line. methods: a line for each method within them too.
    """
    groups = group_by_seed(runs)
    shown = [key for key in differing([group[0] for group in groups]) if key != "seed"]
    if all(len(group) == 1 for group in groups):
        shown = differing(runs)
    lines = []
    for group in groups:
        own = group[0].settings
        how = " ".join(f"{key}={own[key]}" for key in shown if key in own)
        names = (_named(group), how, str(len(group)))
        for method in group[0].methods if methods else [MODEL]:
            lines.append((_Subject(group, method), (*names, method)))
    return _table(("run", "differs in", "seeds", "method"), COMPARED, lines)


def summary(folders: Sequence[Path]) -> Comparison:
    """Every method of one recipe, its figures over the seeds of these run folders.

    InputError where the runs differ in more than the seed, or have different splits.
    """
    runs = runs_in(folders)
    groups = group_by_seed(runs)
    if len(groups) > 1:
        keys = ", ".join(differing([group[0] for group in groups]))
        raise InputError(
            f"a summary is over seeds, but {runs[0].path} and others differ in {keys}: "
            "devise-exp compare shows them side by side"
        )
    return of_methods(groups[0])


def of_methods(runs: Sequence[RunResults]) -> Comparison:
    """A line for each method of runs that differ in the seed alone, or of one run."""
    lines = [(_Subject(tuple(runs), name), (name,)) for name in runs[0].methods]
    return _table(("method",), SUMMARISED, lines)


def of_recipes(head: str, recipes: Mapping[str, Sequence[RunResults]]) -> Comparison:
    """A line for the trained model of each recipe, under its name, over its runs: several seeds, on
    one split or several.
    """
    lines = [(_Subject(tuple(runs), MODEL), (name,)) for name, runs in recipes.items()]
    return _table((head,), SUMMARISED, lines)


def _named(group: Sequence[RunResults]) -> str:
    """The folder, or those of several seeds in a shell's braces."""
    paths = [run.path for run in group]
    if len(paths) == 1:
        return str(paths[0])
    if len({path.parent for path in paths}) == 1:
        return f"{paths[0].parent}/{{{','.join(path.name for path in paths)}}}"
    return " ".join(map(str, paths))


def _table(
    heads: tuple[str, ...],
    columns: Mapping[MetricName, str],
    lines: Sequence[tuple[_Subject, tuple[str, ...]]],
) -> Comparison:
    """Without names that tell nothing (no seeds, no methods, no difference), nor empty columns."""
    subjects = [subject for subject, _ in lines]
    known = {name: _column(subjects, name) for name in columns}
    known = {key: cells for key, cells in known.items() if any(cells)}
    told = [i for i, head in enumerate(heads) if i == 0 or _tells(head, [n[i] for _, n in lines])]
    shown = tuple(
        Line(tuple(printable(names[i]) for i in told), tuple(known[key][row] for key in known))
        for row, (_, names) in enumerate(lines)
    )
    n = max(len(subject.runs) for subject in subjects)
    fingerprint = printable(subjects[0].runs[0].fingerprint)
    return Comparison(
        tuple(heads[i] for i in told), {k: columns[k] for k in known}, shown, n, fingerprint
    )


def _tells(head: str, values: Sequence[str]) -> bool:
    plain = {"seeds": "1", "method": MODEL}.get(head, "")
    return any(value != plain for value in values)


def _column(subjects: Sequence[_Subject], name: MetricName) -> list[Cell | None]:
    """The cells of one figure, with the best and those that do not differ from it marked; chance
    and published figures are no competitors.
    """
    cells = [_cell(subject, name) for subject in subjects]
    known = {i: cell for i, cell in enumerate(cells) if cell and competes(subjects[i].method)}
    if len(known) < 2:
        return cells
    best = max(known, key=lambda i: known[i].value)
    for i, cell in known.items():
        if cell.value == known[best].value:
            cells[i] = replace(cell, mark=BEST)
        elif _tied(subjects[best], subjects[i], known[best], cell, name):
            cells[i] = replace(cell, mark=TIED)
    return cells


def _cell(subject: _Subject, name: MetricName) -> Cell | None:
    records = [record for run in subject.runs if (record := run.record(subject.method, name))]
    if len(records) < len(subject.runs):
        return None
    values, first = [record.value for record in records], records[0]
    if not competes(subject.method):
        return Cell(first.value)
    if len(set(values)) > 1:
        return Cell(*seed_interval(np.array(values)))
    return Cell(first.value, 0.0 if len(values) > 1 else None, first.low, first.high)


def _tied(a: _Subject, b: _Subject, best: Cell, cell: Cell, name: MetricName) -> bool:
    """Whether b's figure does not differ from the best, a's, as far as the files tell.

    Paired over the same seeds (t test) or, where no seed changes either figure, over the same
    images (permutation test); else whether the 95 % intervals overlap. A figure without an
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
    """(hit of each image (N,), its class id (N,)), None where the folder does not hold them."""
    folder, side = RunFolder(run.path), "unseen" if protocol.endswith("unseen") else "seen"
    found = folder.array("neighbours", method_key(method, protocol))
    truth = folder.array(f"embeddings/{MODEL}", f"{side}_truth")
    if found is None or truth is None or found.shape[1] < k:
        return None
    return hit_at_k(rank_of_truth(found, truth), k), truth
