"""The tables of a run's page about its metrics, and the numbers that come first."""

from __future__ import annotations

from typing import Any

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.figures.plots import Curve
from devise_exp.reports.numbers import metric_cell
from devise_exp.reports.run_tables import shown_rows
from devise_exp.reports.search_tables import search_rows
from devise_exp.reports.tables import Marked, Table, left, right
from devise_exp.reports.titles import AVERAGE_TITLES, PROTOCOL_TITLES, protocol_title
from devise_exp.runs.results import RunResults

_HEADLINES = {
    MetricName("seen", "hit", 1, "class"): "seen hit@1, mean over classes",
    MetricName("unseen", "hit", 1, "class"): "unseen hit@1, mean over classes",
    MetricName("all", "H", 1): "H among all labels",
    MetricName("calibrated", "H", 1): "H among all labels, calibrated",
    MetricName("all", "AUSUC"): "AUSUC",
}
_SEARCHES = {
    "search": ("method", "By class names"),
    "similar": ("space", "By an image, itself left out"),
}


def curves(report: EvalReport) -> dict[str, dict[str, Curve]]:
    """Group hit@k as curves over k.

    Args:
        report: The metrics of a run.

    Returns:
        Protocol -> method -> k -> class mean of hit@k with its interval; of chance both averages
        are the same.
    """
    return {
        protocol: {
            row.method: {k: (r.value, r.low, r.high) for k, r in row.hits.items()}
            for row in rows
            if row.average == "class" or row.method == CHANCE
        }
        for protocol, rows in shown_rows(report).items()
    }


def hits(report: EvalReport) -> list[Table]:
    """Make the tables of hit@k.

    Args:
        report: The metrics of a run.

    Returns:
        A table for each protocol: the trained model per image and per class, the other methods per
        class.
    """
    tables = []
    for protocol, rows in shown_rows(report).items():
        images, labels = report.n[protocol]
        ks = sorted({k for row in rows for k in row.hits})
        table = Table(
            columns=(*left("method", "mean"), *right(*map("hit@{}".format, ks))),
            rows=tuple(
                (row.method, AVERAGE_TITLES[row.average], *(_cell(row.hits.get(k)) for k in ks))
                for row in rows
            ),
            title=f"{protocol_title(protocol)} ({images:,} images, {labels:,} labels)",
        )
        tables.append(table)
    return tables


def headline_numbers(comparison: Comparison, run: RunResults) -> list[dict[str, Any]]:
    """List the metrics of the trained model that come first.

    Args:
        comparison: The methods of the run.
        run: Its metrics.

    Returns:
        Entries of a title, a cell, and the interval over classes: how far the metric depends on
        the choice of classes.
    """
    cells = dict(zip(comparison.columns, comparison.lines[0].cells, strict=True))
    tiles = []
    for name, title in _HEADLINES.items():
        record, shown = run.record(MODEL, name), cells.get(name)
        if record and shown:
            classes = metric_cell(record.value, record.classes_low, record.classes_high).interval
            cell = metric_cell(shown.value, shown.lo, shown.hi)
            tiles.append({"name": title, "cell": cell, "classes": classes})
    return tiles


def hierarchical(run: RunResults) -> list[Table]:
    """Make the tables of hierarchical precision.

    Args:
        run: The metrics of a run.

    Returns:
        A table of hp@k for each protocol.
    """
    shares: dict[str, dict[str, dict[int | None, float]]] = {}
    for record in run.records:
        if record.metric == "hp":
            of_protocol = shares.setdefault(record.protocol, {})
            of_protocol.setdefault(record.method, {})[record.k] = record.value
    tables = []
    for protocol in (p for p in PROTOCOL_TITLES if MODEL in shares.get(p, {})):
        ks = sorted(k for k in shares[protocol][MODEL] if k is not None)
        table = Table(
            columns=(*left("method"), *right(*map("hp@{}".format, ks))),
            rows=tuple(
                (method, *(metric_cell(shares[protocol][method].get(k)) for k in ks))
                for method in run.methods
                if method in shares[protocol]
            ),
            title=f"Hierarchical precision, {protocol_title(protocol)}",
        )
        tables.append(table)
    return tables


def searches(report: EvalReport) -> list[Table]:
    """Make the tables of searches.

    Args:
        report: The metrics of a run.

    Returns:
        A table for each task: by class names, or by an image.
    """
    tables = []
    for task, (compared, title) in _SEARCHES.items():
        rows = [
            row
            for row in search_rows(report)
            if row.protocol in report.n and row.protocol.startswith(f"{task}/")
        ]
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        cells = []
        for row in rows:
            queries = row.protocol.partition("/")[2].replace("_", " ")
            sizes = [f"{n:,}" for n in report.n[row.protocol]]
            shown = [_cell(row.metrics.get(name)) for name in metrics]
            cells.append((queries, *sizes, row.method, *shown))
        heads = (*left("queries"), *right("number", "images"), *left(compared))
        if rows:
            table = Table(columns=(*heads, *right(*metrics)), rows=tuple(cells), title=title)
            tables.append(table)
    return tables


def _cell(record: MetricRecord | None) -> Marked | None:
    """A metric with its interval."""
    return None if record is None else metric_cell(record.value, record.low, record.high)
