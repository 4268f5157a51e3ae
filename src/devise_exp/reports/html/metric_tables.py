"""The tables of a run's page about its metrics, and the numbers that come first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, MetricRecord
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.comparison_formats import to_table
from devise_exp.reports.html.shown_run import ShownRun
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


def metric_tables(run: ShownRun) -> dict[str, Any]:
    """Make the tables of metrics, and the numbers that come first.

    Args:
        run: The run.

    Returns:
        Tables and numbers by the names that they have in the template.
    """
    return {
        "tiles": _headlines(run.comparison, run.results),
        "methods": replace(to_table(run.comparison, intervals=True), note=""),
        "hits": _hits(run.report),
        "hierarchical": _hierarchical(run.results),
        "searches": _searches(run.report),
    }


def _hits(report: EvalReport) -> list[Table]:
    """hit@k, a table for each protocol; of other methods than the trained one, class means."""
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


def _headlines(comparison: Comparison, run: RunResults) -> list[dict[str, Any]]:
    """The metrics that come first: title, cell, and interval over classes."""
    cells = dict(zip(comparison.columns, comparison.lines[0].cells, strict=True))
    tiles = []
    for name, title in _HEADLINES.items():
        record, shown = run.record(MODEL, name), cells.get(name)
        if record and shown:
            classes = metric_cell(record.value, record.classes_low, record.classes_high).interval
            cell = metric_cell(shown.value, shown.lo, shown.hi)
            tiles.append({"name": title, "cell": cell, "classes": classes})
    return tiles


def _hierarchical(run: RunResults) -> list[Table]:
    """hp@k, a table for each protocol."""
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


def _searches(report: EvalReport) -> list[Table]:
    """P@k and mAP, a table by class names and one by an image."""
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
