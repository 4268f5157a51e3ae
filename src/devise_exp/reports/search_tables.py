"""The metrics of searches in a run: tables of P@k and mAP, and the rows of search.csv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.image_ranking import KS
from devise_exp.evaluation.records import SEARCHES, MetricRecord
from devise_exp.reports import numbers
from devise_exp.reports.numbers import to_precision
from devise_exp.reports.tables import Column, Heading, Table, to_markdown

SEARCH_TITLES = {
    "search": "search by class names: P@k and mAP in per cent",
    "similar": "search by an image, itself left out: P@k and mAP in per cent",
}
_QUERIES = {
    "search/seen": "seen names over {} seen images",
    "search/unseen": "unseen names over {} unseen images",
    "search/all_seen": "seen names over all {} images",
    "search/all_unseen": "unseen names over all {} images",
    "search/seen_compound": "compound seen names over {} seen images",
    "search/unseen_compound": "compound unseen names over {} unseen images",
    "search/seen_pairs": "pairs of seen names over {} seen images",
    "search/unseen_pairs": "pairs of unseen names over {} unseen images",
    "similar/seen": "seen images over {} others",
    "similar/unseen": "unseen images over {} others",
}
_COMPARED = {"search": "method", "similar": "space"}
_METRICS = (*(f"P@{k}" for k in KS), "mAP")


@dataclass(frozen=True)
class SearchRow:
    """A row of the tables: what one method, or one space of the trained one, finds.

    Attributes:
        method: Name of the method, or of the space.
        protocol: Such as "search/unseen".
        metrics: P@k and mAP by name.
    """

    method: str
    protocol: str
    metrics: Mapping[str, MetricRecord]


def search_rows(report: EvalReport) -> list[SearchRow]:
    """Group the metrics of searches by method or space, and by protocol.

    Args:
        report: The metrics of a run.

    Returns:
        Rows in the order of evaluation.
    """
    groups: dict[tuple[str, str], dict[str, MetricRecord]] = {}
    for record in report.records:
        if record.protocol.startswith(SEARCHES):
            group = groups.setdefault((record.row, record.protocol), {})
            group[record.name.ending] = record
    return [SearchRow(*group, metrics) for group, metrics in groups.items()]


def search_tables(report: EvalReport) -> list[Table]:
    """Make the tables for the terminal.

    Args:
        report: The metrics of a run.

    Returns:
        A table in per cent for each kind of search that was measured, a section for each protocol.
    """
    tables = []
    for task, title in SEARCH_TITLES.items():
        headings, groups = _grouped(report, task)
        rows: list[tuple[str, ...]] = []
        sections = []
        for queries, lines in groups.items():
            sections.append(len(rows))
            rows += [(Heading(queries) if i == 0 else "", *line) for i, line in enumerate(lines)]
        # On a narrow terminal the first column wraps, never the numbers.
        numbers_columns = [Column(heading, "right", wrap=False) for heading in headings[2:]]
        if groups:
            tables.append(
                Table(
                    columns=(
                        Column(headings[0]),
                        Column(headings[1], wrap=False),
                        *numbers_columns,
                    ),
                    rows=tuple(rows),
                    sections=frozenset(sections),
                    title=title,
                )
            )
    return tables


def markdown(report: EvalReport) -> list[str]:
    """Write the tables for report.md.

    Args:
        report: The metrics of a run.

    Returns:
        A text for each kind of search that was measured.
    """
    texts = []
    for task, title in SEARCH_TITLES.items():
        headings, groups = _grouped(report, task)
        rows = [(queries, *line) for queries, lines in groups.items() for line in lines]
        if rows:
            table = Table(columns=tuple(map(Column, headings)), rows=tuple(rows), title=title)
            texts.append(to_markdown(table, escape=False))
    return texts


def search_records(report: EvalReport) -> list[dict[str, Any]]:
    """List the metrics of searches as the rows of search.csv.

    Args:
        report: The metrics of a run.

    Returns:
        An entry for each metric: its method, task, protocol and sizes, then its value and its
        interval over queries, shares in [0, 1].
    """
    return [
        {
            "method": row.method,
            "task": row.protocol.split("/")[0],
            "protocol": row.protocol.split("/")[1],
            "n_queries": report.n[row.protocol][0],
            "n_pictures": report.n[row.protocol][1],
            "figure": name,
            "value": record.value,
            "lo": record.low,
            "hi": record.high,
        }
        for row in search_rows(report)
        for name, record in row.metrics.items()
    ]


def _grouped(report: EvalReport, task: str) -> tuple[list[str], dict[str, list[list[str]]]]:
    """The headings, and the rows of cells by their queries."""
    rows = [row for row in search_rows(report) if row.protocol.startswith(f"{task}/")]
    names = [name for name in _METRICS if any(name in row.metrics for row in rows)]
    headings = ["queries over gallery", _COMPARED[task], *names, "95 % of mAP"]
    groups: dict[str, list[list[str]]] = {}
    for protocol in (p for p in report.n if p.startswith(f"{task}/")):
        n_queries, n_images = report.n[protocol]
        queries = f"{n_queries:,} {_QUERIES[protocol].format(f'{n_images:,}')}"
        groups[queries] = [_cells(row, names) for row in rows if row.protocol == protocol]
    return headings, groups


def _cells(row: SearchRow, names: list[str]) -> list[str]:
    """The name of the row, per cent for each metric, then the interval of mAP."""
    metrics = [row.metrics.get(name) for name in names]
    cells = [to_precision(m.value, m.low, m.high) if m else "" for m in metrics]
    precision = row.metrics["mAP"]
    interval = numbers.bounds(precision.value, precision.low, precision.high)
    return [row.method, *cells, interval]
