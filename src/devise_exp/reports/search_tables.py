"""The metrics of searches in a run: tables of P@k and mAP, and the rows of search.csv."""

from __future__ import annotations

from typing import Any

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.reports.metric_rows import MetricRow, metric_rows, names_of
from devise_exp.reports.tables import Column, Heading, Table, left, right, to_markdown

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
METRICS = ("P", "mAP")


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
        heads = [*left(headings[0]), Column(headings[1], wrap=False)]
        if groups:
            table = Table(
                columns=(*heads, *right(*headings[2:], wrap=False)),
                rows=tuple(rows),
                sections=frozenset(sections),
                title=title + _about_draws(report, task),
            )
            tables.append(table)
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
            title += _about_draws(report, task)
            table = Table(columns=tuple(left(*headings)), rows=tuple(rows), title=title)
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
            "draws": record.draws,
        }
        for row in metric_rows(report.records, *METRICS)
        for name, record in row.records.items()
    ]


def _grouped(report: EvalReport, task: str) -> tuple[list[str], dict[str, list[list[str]]]]:
    """The headings, and the rows of cells by their queries."""
    rows = metric_rows(report.records, *METRICS)
    names = names_of(row for row in rows if row.protocol.startswith(f"{task}/"))
    headings = ["queries over gallery", _COMPARED[task], *names, "95 % of mAP"]
    groups: dict[str, list[list[str]]] = {}
    for protocol in (p for p in report.n if p.startswith(f"{task}/")):
        n_queries, n_images = report.n[protocol]
        queries = f"{n_queries:,} {_QUERIES[protocol].format(f'{n_images:,}')}"
        groups[queries] = [
            [_name(row), *row.texts(names, "mAP")] for row in rows if row.protocol == protocol
        ]
    return headings, groups


def _name(row: MetricRow) -> str:
    """The name of a row, short enough for a terminal of 120 columns."""
    return f"{row.method} ({row.draws})" if row.draws else row.method


def _about_draws(report: EvalReport, task: str) -> str:
    """What stands behind the title of a table with rows that are means over draws."""
    of_task = (r for r in report.records if r.protocol.startswith(f"{task}/"))
    draws = max((record.draws or 0 for record in of_task), default=0)
    return f"; ({draws}): mean over {draws} draws" if draws else ""
