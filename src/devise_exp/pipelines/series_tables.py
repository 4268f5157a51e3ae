"""The tables of a series: of each split over its seeds, and one over all splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devise_exp.core.console import notify, print_content
from devise_exp.core.files import write_text
from devise_exp.pipelines.outputs import point_latest
from devise_exp.reports import comparison
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.comparison_formats import FORMATS, rich_table
from devise_exp.reports.html.page import refresh_splits
from devise_exp.runs import results
from devise_exp.runs.series_folder import is_finished

ENDINGS = {"md": "markdown", "csv": "csv", "tex": "latex", "html": "html"}
_FILES = "summary.md, .csv, .tex and .html"


def summarise(splits: Sequence[Sequence[Path]]) -> dict[str, float]:
    """Write the table of each split and that over all splits, and print the last one.

    Args:
        splits: The run folders of each split that is finished.

    Returns:
        The mean of every metric.
    """
    tables = [_write(paths[0].parent, comparison.summary(paths)) for paths in splits]
    split_folder = splits[0][0].parent
    if len(splits) == 1:
        print_content(rich_table(tables[0]))
        notify(f"written to {split_folder} ({_FILES}; a run folder per seed)")
    else:
        print_content(rich_table(_over_splits(splits)))
        notify(
            f"written to {split_folder.parent} ({_FILES} of the means over splits; the same of "
            "each split in its folder, with a run folder per seed)"
        )
    point_latest(splits[0][0])
    values = [results.read(path).metrics for paths in splits for path in paths]
    numbers = [key for key, value in values[0].items() if isinstance(value, int | float)]
    shared = [key for key in numbers if all(key in metrics for metrics in values)]
    return {key: sum(metrics[key] for metrics in values) / len(values) for key in shared}


def write_finished(splits: Sequence[Sequence[Path]]) -> None:
    """Write the tables over the runs that are finished in a series that was stopped.

    Args:
        splits: The run folders of each split; nothing is written of one split among several.
    """
    finished = [paths for paths in splits if all(map(is_finished, paths))]
    if len(finished) in (0, 1) and len(splits) > 1:
        return
    for paths in finished:
        _write(paths[0].parent, comparison.summary(paths))
    if len(finished) > 1:
        _over_splits(finished)


def _over_splits(splits: Sequence[Sequence[Path]]) -> Comparison:
    """The table over splits, which the pages of their runs show too."""
    paths = [path for of_split in splits for path in of_split]
    table = _write(paths[0].parents[1], comparison.over_splits(paths))
    for path in paths:
        refresh_splits(path, table)
    return table


def _write(folder: Path, table: Comparison) -> Comparison:
    for ending, form in ENDINGS.items():
        write_text(folder / f"summary.{ending}", FORMATS[form](table))
    return table
