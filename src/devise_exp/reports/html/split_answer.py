"""What another split would give: an estimate from one run, or what a series has measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from markupsafe import Markup

from devise_exp.evaluation.metrics.intervals import seed_interval
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports import comparison, table_views
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.comparison_formats import to_table
from devise_exp.reports.html.redraw import redraw
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.numbers import bounds, to_precision
from devise_exp.runs.series_folder import series_of

BEGIN, END = "<!-- over splits: begin -->", "<!-- over splits: end -->"
_UNSEEN = MetricName("unseen", "hit", 1, "class")
_SHOWN = (_UNSEEN, MetricName("calibrated", "H", 1))
_FEW = 20  # classes, below which a bootstrap over classes is too narrow


def another_split(run: ShownRun) -> list[str]:
    """Say what this run alone lets one expect of another split.

    Args:
        run: The run.

    Returns:
        Sentences; none without an interval over classes.
    """
    record = run.results.record(MODEL, _UNSEEN)
    if record is None or record.classes_low is None or record.classes_high is None:
        return []
    value, low, high = record.value, record.classes_low, record.classes_high
    shares = [
        entry["hit@1"]
        for entry in run.diagnostics.get("classes", ())
        if not entry["seen"] and entry["hit@1"] is not None
    ]
    n = len(shares)
    if n < 2:
        return []
    return [_estimate(value, (low, high), np.array(shares)), *redraw(run)]


def _estimate(value: float, over_classes: tuple[float, float], shares: np.ndarray) -> str:
    """What the unseen hit@1 of a split and of its classes let one expect of another split."""
    n = len(shares)
    drawn = (
        f"This run has one split, so it can only estimate what another one would give. Its unseen "
        f"hit@1 is {to_precision(value, *over_classes)}. The 95 % interval over classes is "
        f"{bounds(value, *over_classes, ' to ')}: the mean over many such classes should lie in it."
    )
    caution = (
        "Splits may differ even more, as other seen classes train another model"
        f"{' and the unseen classes are few' if n < _FEW else ''}."
    )
    if np.ptp(shares) == 0:
        return (
            f"{drawn} All {n} unseen classes have the same hit@1, so they do not say how far a "
            f"single other split may be from this one. {caution}"
        )
    # Two draws of as many classes both vary: their difference has twice the variance.
    half = 2**0.5 * (seed_interval(shares)[3] - float(shares.mean()))
    low, high = max(0.0, value - half), min(1.0, value + half)
    return (
        f"{drawn} A single other split with {n} unseen classes may well give anything from "
        f"{bounds(value, low, high, ' to ')}. {caution}"
    )


def measured(path: Path) -> Comparison | None:
    """Read what the series of a run has measured over its splits.

    Args:
        path: The run folder.

    Returns:
        The table over splits; None of a single run, and before the series has its table.
    """
    series = series_of(path)
    if series is None or not (series / "summary.csv").is_file():
        return None
    table = comparison.over_splits([series])
    return table if table.span is not None else None


def splits_section(table: Comparison | None) -> Markup:
    """Write the part of a page that is renewed when the series of its run is finished.

    Args:
        table: The table over splits, None for none.

    Returns:
        HTML between BEGIN and END.
    """
    inner = Markup("")
    if table is not None and table.span is not None:
        sentence = Markup("<p>Measured in the series of this run, {}.</p>\n").format(_means(table))
        inner = sentence + Markup('<div class="wide">{}</div>\n').format(
            table_views.to_html(to_table(table))
        )
    return Markup(BEGIN) + "\n" + inner + Markup(END)


def _means(table: Comparison) -> str:
    """The means of the trained model, with interval and range."""
    cells = dict(zip(table.columns, table.lines[0].cells, strict=True))
    parts = []
    for name in _SHOWN:
        cell = cells.get(name)
        if cell is not None and cell.sd == 0:
            parts.append(f"{table.columns[name]} is {to_precision(cell.value)} in every split")
        elif cell is not None and cell.lo is not None:
            mean = to_precision(cell.value, cell.lo, cell.hi)
            interval = bounds(cell.value, cell.lo, cell.hi, " to ")
            ends = (end for end in (cell.min, cell.max) if end is not None)
            span = " to ".join(to_precision(end, cell.lo, cell.hi) for end in ends)
            parts.append(
                f"{table.columns[name]} has a mean of {mean} (its 95 % interval is {interval}; "
                f"the splits range from {span})"
            )
    count = table.span.count if table.span else ""
    return f"over {count}: {'; '.join(parts)}"
