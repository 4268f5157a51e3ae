"""A comparison over splits as a table: mean, interval and range below one another."""

from __future__ import annotations

from devise_exp.core.name_files import listed
from devise_exp.reports.comparison import Comparison, Line
from devise_exp.reports.comparison_cells import Cell
from devise_exp.reports.numbers import metric_cell
from devise_exp.reports.split_span import SplitSpan
from devise_exp.reports.tables import Marked, Table, left, right

MEAN, INTERVAL, RANGE = "mean ± deviation", "95 % of the mean", "lowest – highest"
NO_SPREAD = "no spread"
_SHOWN = 3  # fingerprints in a note; the CSV has all


def table_over_splits(comparison: Comparison, span: SplitSpan) -> Table:
    """Make the table that a person reads.

    Args:
        comparison: Runs or methods, averaged over splits.
        span: The splits.

    Returns:
        A table in per cent, with a note that says what its rows and marks mean.
    """
    groups = [_rows(line, span.n) for line in comparison.lines]
    starts = [sum(len(group) for group in groups[:i]) for i in range(len(groups))]
    return Table(
        columns=(
            *left(*comparison.heads, f"over {span.count}"),
            *right(*comparison.columns.values()),
        ),
        rows=tuple(row for group in groups for row in group),
        sections=frozenset(starts),
        note=_note(comparison, span),
    )


def _rows(line: Line, n: int) -> list[tuple[str | Marked, ...]]:
    """Mean, interval and range of a line; the mean alone if nothing varies."""
    means, intervals, ranges = zip(*(_three(cell, n) for cell in line.cells), strict=True)
    rows: list[tuple[str | Marked, ...]] = [(*line.names, MEAN, *means)]
    if any(intervals):
        no_names = ("",) * len(line.names)
        rows += [(*no_names, INTERVAL, *intervals), (*no_names, RANGE, *ranges)]
    return rows


def _three(cell: Cell | None, n: int) -> tuple[str | Marked, str, str]:
    """A metric's mean, interval and range, with the decimals of its deviation."""
    if cell is None:
        return "", "", ""
    few = f" [{cell.splits}]" if cell.splits < n else ""
    interval = metric_cell(cell.value, cell.lo, cell.hi, sd=cell.sd, mark=cell.mark)
    span = metric_cell(cell.value, cell.min, cell.max, sd=cell.sd)
    between = NO_SPREAD if cell.sd == 0 else interval.interval
    return Marked(f"{interval.text}{few}", cell.mark), between, span.interval


def _note(comparison: Comparison, span: SplitSpan) -> str:
    """What a reader needs to know of the rows."""
    cells = [cell for line in comparison.lines for cell in line.cells if cell]
    note = (
        f"Per cent over {span.count}: the mean with the standard deviation of one split, the 95 % "
        "interval of the mean over all splits of these data (Student's t), the lowest and the "
        f"highest split. {span.sentence}"
    )
    if any(cell.splits < span.n for cell in cells):
        note += " [n]: only n of the splits have the metric."
    if any(cell.sd == 0 for cell in cells):
        note += (
            f" {NO_SPREAD[0].upper()}{NO_SPREAD[1:]}: all splits have the same figure, from which "
            "no interval follows."
        )
    if any(cell.mark for cell in cells):
        note += (
            " {best}: the best mean of a column. {tied}: not shown to differ from it (t test "
            "paired over the splits, p at least 0.05, not corrected for many comparisons)."
        )
    shown = listed(comparison.fingerprint.split(), _SHOWN)
    return " ".join([f"{note} Splits {shown}.", *(f"{r}." for r in comparison.remarks)])
