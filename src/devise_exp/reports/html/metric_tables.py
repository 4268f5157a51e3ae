"""The tables of a run's page about its metrics, and the numbers that come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from devise_exp.core.console import printable
from devise_exp.evaluation.draws import against_chance
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports.chance import chance_of
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.comparison_formats import to_table
from devise_exp.reports.hierarchical_rows import (
    hierarchical_rows,
    left_out,
    support_of,
    support_text,
)
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.terms import terms
from devise_exp.reports.metric_rows import MetricRow, metric_rows, names_of
from devise_exp.reports.none_rows import none_table
from devise_exp.reports.numbers import metric_cell, to_precision
from devise_exp.reports.run_tables import shown_rows
from devise_exp.reports.search_tables import METRICS
from devise_exp.reports.tables import Marked, Table, left, right
from devise_exp.reports.titles import AVERAGE_TITLES, protocol_title
from devise_exp.runs.results import RunResults

_HEADLINES = {  # title, and what it means
    MetricName("unseen", "hit", 1, "class"): (
        "unseen hit@1",
        "images of unseen classes, unseen labels; a mean over classes",
    ),
    MetricName("calibrated", "H", 1): (
        "seen and unseen together (H), calibrated",
        "harmonic mean of hit@1 of seen and of unseen images among all labels, with gamma",
    ),
    MetricName("seen", "hit", 1, "class"): (
        "seen hit@1",
        "images of seen classes, seen labels; a mean over classes",
    ),
    MetricName("all", "H", 1): (
        "seen and unseen together (H), without gamma",
        "the same harmonic mean, similarities as they are",
    ),
    MetricName("all", "AUSUC"): (
        "all gammas together (AUSUC)",
        "area under seen plotted against unseen hit@1 as gamma grows",
    ),
}
_SEARCHES = {
    "search": ("method", "Search by class names"),
    "similar": ("space", "Search by image (query excluded)"),
}


def metric_tables(run: ShownRun) -> dict[str, Any]:
    """Make the tables of metrics, and the numbers that come first.

    Args:
        run: The run.

    Returns:
        Tables and numbers by the names that they have in the template.
    """
    return {
        "terms": terms([line.names[0] for line in run.comparison.lines]),
        "tiles": _headlines(run.comparison, run.results),
        "aliases": _aliases(run),
        "methods": replace(to_table(run.comparison, intervals=True), note=""),
        "hits": _hits(run.report),
        "controls": against_chance(run.report.records),
        "hierarchical": _hierarchical(run.results),
        "hierarchical_left_out": left_out(run.results.records),
        "none_table": none_table(run.results.records),
        "searches": _searches(run.report),
    }


def _aliases(run: ShownRun) -> str:
    """Say how many classes have an alias, and who chose them; "" if none has."""
    named = [record for record in run.classes if record.rule == "alias"]
    if not named:
        return ""
    unseen = [record for record in run.classes if not record.seen]
    by = (run.folder.config().get("labels") or {}).get("aliases_by")
    chosen = (
        f"Those that come with the data set were chosen by {printable(str(by))}; any others by who "
        "made this run."
        if by
        else "They were chosen by who made this run."
    )
    return (
        f"{len(named)} of {len(run.classes)} classes, {sum(not r.seen for r in named)} of "
        f"{len(unseen)} unseen ones, stand under an alias: words that a person has put in place of "
        f"the name of the folder. {chosen}"
    )


def _hits(report: EvalReport) -> list[Table]:
    """hit@k, a table for each protocol; of other methods than the trained one, class means."""
    tables = []
    for protocol, rows in shown_rows(report).items():
        images, labels = report.n[protocol]
        names = names_of(rows)
        table = Table(
            columns=(*left("method", "mean"), *right(*names)),
            rows=tuple(
                (row.title, AVERAGE_TITLES[row.average], *_cells(row, names)) for row in rows
            ),
            title=f"{protocol_title(protocol)} ({images:,} images, {labels:,} labels)",
        )
        tables.append(table)
    return tables


def _headlines(comparison: Comparison, run: RunResults) -> list[dict[str, Any]]:
    """The metrics that come first: title, meaning, cell, chance, and interval over classes."""
    cells = dict(zip(comparison.columns, comparison.lines[0].cells, strict=True))
    tiles = []
    for name, (title, meaning) in _HEADLINES.items():
        record, shown, guess = run.record(MODEL, name), cells.get(name), chance_of(run, name)
        if record and shown:
            classes = metric_cell(record.value, record.classes_low, record.classes_high).interval
            cell = metric_cell(shown.value, shown.lo, shown.hi)
            chance = "" if guess is None else to_precision(guess)
            tile = {"name": title, "cell": cell, "classes": classes, "chance": chance}
            tiles.append(tile | {"meaning": meaning})
    return tiles


def _hierarchical(run: RunResults) -> list[Table]:
    """hp@k, a table for each protocol of the trained model that rests on enough classes."""
    tables, support = [], support_of(run.records)
    for protocol, of_protocol in hierarchical_rows(run.records).items():
        names, rests_on = names_of(of_protocol), support_text(protocol, support)
        title = f"Hierarchical precision, {protocol_title(protocol)}"
        table = Table(
            columns=(*left("method"), *right(*names)),
            rows=tuple((row.title, *_cells(row, names)) for row in of_protocol),
            title=f"{title} ({rests_on})" if rests_on else title,
        )
        tables.append(table)
    return tables


def _searches(report: EvalReport) -> list[Table]:
    """P@k and mAP, a table by class names and one by an image."""
    tables = []
    for task, (compared, title) in _SEARCHES.items():
        rows = [
            row
            for row in metric_rows(report.records, *METRICS)
            if row.protocol in report.n and row.protocol.startswith(f"{task}/")
        ]
        names = names_of(rows)
        cells = []
        for row in rows:
            queries = row.protocol.partition("/")[2].replace("_", " ")
            sizes = [f"{n:,}" for n in report.n[row.protocol]]
            cells.append((queries, *sizes, row.title, *_cells(row, names)))
        heads = (*left("queries"), *right("number", "images"), *left(compared))
        if rows:
            table = Table(columns=(*heads, *right(*names)), rows=tuple(cells), title=title)
            tables.append(table)
    return tables


def _cells(row: MetricRow, names: Sequence[str]) -> list[Marked | None]:
    """The metrics of a row with their intervals."""
    records = map(row.records.get, names)
    return [metric_cell(r.value, r.low, r.high) if r else None for r in records]
