"""A comparison as a table: for the terminal, CSV, Markdown, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from devise_exp.reports.comparison import HAD_PRETRAINING, Comparison
from devise_exp.reports.comparison_cells import Cell
from devise_exp.reports.numbers import metric_cell
from devise_exp.reports.split_rows import table_over_splits
from devise_exp.reports.table_views import to_html_page, to_rich
from devise_exp.reports.tables import (
    BEST,
    Column,
    Marked,
    Table,
    left,
    right,
    to_csv,
    to_latex,
    to_markdown,
)

if TYPE_CHECKING:
    import rich.table

_PARTS = ("value", "sd", "lo", "hi", "mark")
_OF_SPLITS = ("min", "max", "splits")


def marked_cell(cell: Cell | None, *, intervals: bool = False) -> Marked | None:
    """Write a cell of a comparison.

    Args:
        cell: The metric, None for none.
        intervals: Show every interval, not that of the best of a column alone.

    Returns:
        The metric in per cent.
    """
    if cell is None:
        return None
    marked = metric_cell(cell.value, cell.lo, cell.hi, sd=cell.sd, mark=cell.mark)
    return marked if intervals or cell.mark == BEST else replace(marked, interval="")


def to_table(comparison: Comparison, *, intervals: bool = False) -> Table:
    """Make the table that a person reads.

    Args:
        comparison: Runs, methods or both side by side.
        intervals: Show every interval, not that of the best of a column alone.

    Returns:
        A table in per cent, with a note that explains its marks; over splits, each line has three
        rows: mean, interval and range.
    """
    if comparison.span is not None:
        return table_over_splits(comparison, comparison.span)
    cell = partial(marked_cell, intervals=intervals)
    return Table(
        columns=(*left(*comparison.heads), *right(*comparison.columns.values())),
        rows=tuple((*line.names, *map(cell, line.cells)) for line in comparison.lines),
        note=_note(comparison),
    )


def data_table(comparison: Comparison) -> Table:
    """Make the table that a program reads: shares to the last digit, by the names of metrics.

    Args:
        comparison: Runs, methods or both side by side.

    Returns:
        A column for each part of a metric: its value, deviation, interval and mark.
    """
    parts = (*_PARTS, *(_OF_SPLITS if comparison.span else ()))
    names = [
        name.key if part == "value" else f"{name.key}/{part}"
        for name in comparison.columns
        for part in parts
    ]
    rows = [
        (
            *line.names,
            *(getattr(cell, part, None) for cell in line.cells for part in parts),
            comparison.fingerprint,
        )
        for line in comparison.lines
    ]
    headings = (*comparison.heads, *names, "split/fingerprint")
    return Table(columns=tuple(map(Column, headings)), rows=tuple(rows))


def rich_table(comparison: Comparison) -> rich.table.Table:
    """Make the table for the terminal.

    Args:
        comparison: Runs, methods or both side by side.

    Returns:
        What a rich console prints.
    """
    return to_rich(to_table(comparison))


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "csv": lambda comparison: to_csv(data_table(comparison)),
    "markdown": lambda comparison: to_markdown(to_table(comparison)),
    "latex": lambda comparison: to_latex(to_table(comparison)),
    "html": lambda comparison: to_html_page(to_table(comparison), "runs compared"),
}


def _note(comparison: Comparison) -> str:
    """What a reader needs to know of the cells."""
    note = "Per cent"
    if comparison.n > 1:
        note += "; mean ± standard deviation where there are several seeds"
    if any(cell and cell.mark for line in comparison.lines for cell in line.cells):
        over = (
            "seeds (images, of a single run or where no seed changes it)"
            if comparison.n > 1
            else "images"
        )
        note += (
            f". {{best}}: the best of a column, with its 95 % interval over {over} where there is "
            "one. {tied}: not shown to differ from it (paired test where seeds or images are the "
            "same, p at least 0.05, not corrected for many comparisons; else overlapping 95 % "
            "intervals)"
        )
    if HAD_PRETRAINING in comparison.heads:
        note += f". {HAD_PRETRAINING}: the method had the classifier of the pretraining"
    return " ".join(
        [f"{note}. Split {comparison.fingerprint}.", *(f"{r}." for r in comparison.remarks)]
    )
