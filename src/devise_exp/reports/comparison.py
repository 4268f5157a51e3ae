"""Finished runs side by side: metrics over seeds and splits, and which differ from the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports.comparison_cells import Cell, Subject, column_cells
from devise_exp.reports.option_names import typed
from devise_exp.reports.pretraining_remarks import pretraining_remarks
from devise_exp.reports.split_span import SplitSpan, split_span
from devise_exp.runs.results import RunResults, differing, group_by_seed, runs_in
from devise_exp.runs.split_groups import Splits, group_by_split

COMPARED = {
    MetricName("val", "hit", 1, "image"): "val hit@1",
    MetricName("calibrated", "H", 1): "calibrated H@1",
    MetricName("seen", "hit", 1, "image"): "seen hit@1",
    MetricName("unseen", "hit", 1, "class"): "unseen hit@1 per class",
    MetricName("unseen", "hit", 5, "class"): "unseen hit@5 per class",
    MetricName("all", "H", 1): "H@1",
    MetricName("all", "AUSUC"): "AUSUC",
    MetricName("search/unseen", "mAP"): "unseen search mAP",
}
SUMMARISED = {
    MetricName("calibrated_unseen", "hit", 1, "class"): "calibrated u",
    MetricName("calibrated_seen", "hit", 1, "class"): "calibrated s",
    MetricName("calibrated", "H", 1): "calibrated H",
    MetricName("seen", "hit", 1, "class"): "seen hit@1",
    MetricName("unseen", "hit", 1, "class"): "unseen hit@1",
    MetricName("unseen", "hit", 5, "class"): "unseen hit@5",
    MetricName("all_unseen", "hit", 1, "class"): "u",
    MetricName("all_seen", "hit", 1, "class"): "s",
    MetricName("all", "H", 1): "H",
    MetricName("all", "AUSUC"): "AUSUC",
}
HAD_PRETRAINING = "pretraining"  # head of the names that say whether a method had its classifier
_PLAIN = {
    "splits": "1",
    "seeds": "1",
    "method": MODEL,
}  # a name that is the same everywhere is no column


@dataclass(frozen=True)
class Line:
    """A line of a comparison.

    Attributes:
        names: What the line is about, one name for each of the comparison's heads.
        cells: One for each column, None if there is no metric.
    """

    names: tuple[str, ...]
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs, methods or both, side by side.

    Attributes:
        heads: The headings of the names.
        columns: The metrics, with their headings.
        lines: What is compared.
        n: The most seeds of a line.
        fingerprint: That of the one split of all metrics; of several, all of them.
        span: The splits that metrics are averaged over, None for one.
        remarks: What a reader must know of the pretraining of some backbones.
    """

    heads: tuple[str, ...]
    columns: Mapping[MetricName, str]
    lines: tuple[Line, ...]
    n: int
    fingerprint: str
    span: SplitSpan | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in self.lines:
            if len(line.names) != len(self.heads) or len(line.cells) != len(self.columns):
                raise ValueError(f"{line.names}: not a line of {self.heads} and {self.columns}")


def compare(runs: Sequence[RunResults], methods: bool = False) -> Comparison:
    """Compare runs; those that differ in the seed alone, or in split.seed too, are one line.

    Args:
        runs: Runs as `runs_in` reads them: of one split, or of the same splits for each recipe.
        methods: Make a line for each method within the runs too.

    Returns:
        The runs by folder, by the settings that they differ in, and by their number of splits and
        seeds.

    Raises:
        InputError: Runs of different splits differ in more than split.seed.
    """
    groups = group_by_split(runs)
    keys = [key for key in differing([group[0][0] for group in groups]) if key != "seed"]
    if all(len(group) == len(group[0]) == 1 for group in groups):
        keys = differing(runs)
    lines = []
    for group in groups:
        settings = group[0][0].settings
        difference = " ".join(typed(key, settings[key]) for key in keys if key in settings)
        sizes = (str(len(group)), _span_of({len(of_split) for of_split in group}))
        names = (_folder_name(group), difference, *sizes)
        for method in _methods(group) if methods else [MODEL]:
            lines.append((Subject(group, method), (*names, method)))
    return _comparison(("run", "differs in", "splits", "seeds", "method"), COMPARED, lines)


def summary(folders: Sequence[Path]) -> Comparison:
    """Compare the methods of one recipe, over its seeds.

    Args:
        folders: Run folders that differ in the seed alone.

    Returns:
        A line for each method.

    Raises:
        InputError: The runs differ in more than the seed, or have different splits.
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
    """Compare the methods of a run.

    Args:
        runs: One run, or several that differ in the seed alone.

    Returns:
        A line for each method.
    """
    return _of_methods((tuple(runs),), runs[0].methods)


def over_splits(folders: Sequence[Path]) -> Comparison:
    """Compare the methods of one recipe, over its splits.

    Args:
        folders: Run folders that differ in the seeds of the split and of the training alone.

    Returns:
        A line for each method: the mean over splits of the means over seeds.

    Raises:
        InputError: The runs differ in more than these seeds.
    """
    groups = group_by_split(runs_in(folders, several_splits=True))
    if len(groups) > 1:
        keys = ", ".join(differing([group[0][0] for group in groups]))
        raise InputError(
            f"a summary is over splits and seeds, but {groups[0][0][0].path} and others differ in "
            f"{keys}: devise-exp compare shows them side by side"
        )
    return _of_methods(groups[0], _methods(groups[0]))


def of_recipes(head: str, recipes: Mapping[str, Sequence[RunResults]]) -> Comparison:
    """Compare the trained models of recipes.

    Args:
        head: The heading of the names.
        recipes: Name -> its runs: several seeds, on one split or several.

    Returns:
        A line for each recipe.
    """
    lines = [(Subject((tuple(runs),), MODEL), (name,)) for name, runs in recipes.items()]
    return _comparison((head,), SUMMARISED, lines)


def _of_methods(splits: Splits, methods: Sequence[str]) -> Comparison:
    """A line for each method, which says whether it had the pretraining's classifier."""
    lines = [
        (Subject(splits, name), (name, "yes" if splits[0][0].had_pretraining(name) else ""))
        for name in methods
    ]
    return _comparison(("method", HAD_PRETRAINING), SUMMARISED, lines)


def _methods(splits: Splits) -> list[str]:
    """The methods of all runs, in the order of evaluation."""
    return list(dict.fromkeys(name for of in splits for run in of for name in run.methods))


def _span_of(numbers: Iterable[int]) -> str:
    """Such as "2", or "1 - 2" if they differ."""
    ordered = sorted(numbers)
    return " - ".join(str(n) for n in dict.fromkeys((ordered[0], ordered[-1])))


def _folder_name(splits: Splits) -> str:
    """The folder of a run, those of several seeds in a shell's braces, or that of a series."""
    if len(splits) > 1:
        above = {run.path.resolve().parents[1] for of_split in splits for run in of_split}
        first = splits[0][0].path
        return (
            str(first.parents[1])
            if len(above) == 1 and len(first.parents) > 1
            else (f"{first} and {len(splits) - 1} other splits")
        )
    paths = [run.path for run in splits[0]]
    if len(paths) == 1:
        return str(paths[0])
    if len({path.parent for path in paths}) == 1:
        return f"{paths[0].parent}/{{{','.join(path.name for path in paths)}}}"
    return " ".join(map(str, paths))


def _comparison(
    heads: tuple[str, ...],
    columns: Mapping[MetricName, str],
    lines: Sequence[tuple[Subject, tuple[str, ...]]],
) -> Comparison:
    """Make a comparison without empty columns, and without names that are all plain."""
    subjects = [subject for subject, _ in lines]
    splits = subjects[0].splits
    cells = {name: column_cells(subjects, name) for name in columns}
    cells = {name: column for name, column in cells.items() if any(column)}
    shown = [
        i
        for i, head in enumerate(heads)
        if i == 0 or any(names[i] != _PLAIN.get(head, "") for _, names in lines)
    ]
    return Comparison(
        heads=tuple(heads[i] for i in shown),
        columns={name: columns[name] for name in cells},
        lines=tuple(
            Line(
                tuple(printable(names[i]) for i in shown),
                tuple(column[row] for column in cells.values()),
            )
            for row, (_, names) in enumerate(lines)
        ),
        n=max(len(of_split) for subject in subjects for of_split in subject.splits),
        fingerprint=printable(" ".join(of_split[0].fingerprint for of_split in splits)),
        span=split_span(splits) if len(splits) > 1 else None,
        remarks=pretraining_remarks([subject.splits for subject in subjects]),
    )
