"""The figures of searches in an EvalReport: tables of P@k and mAP, and their tidy records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.image_retrieval import KS
from devise_exp.evaluation.records import SEARCHES, MetricRecord
from devise_exp.reports import numbers
from devise_exp.reports.numbers import to_precision

TITLES = {
    "search": "search by class names: P@k and mAP in per cent",
    "similar": "search by a picture, itself left out: P@k and mAP in per cent",
}
_QUERIES = {
    "search/seen": "seen names over {} seen pictures",
    "search/unseen": "unseen names over {} unseen pictures",
    "search/all_seen": "seen names over all {} pictures",
    "search/all_unseen": "unseen names over all {} pictures",
    "search/seen_compound": "compound seen names over {} seen pictures",
    "search/unseen_compound": "compound unseen names over {} unseen pictures",
    "search/seen_pairs": "pairs of seen names over {} seen pictures",
    "search/unseen_pairs": "pairs of unseen names over {} unseen pictures",
    "similar/seen": "seen pictures over {} others",
    "similar/unseen": "unseen pictures over {} others",
}
_COMPARED = {"search": "method", "similar": "space"}
_FIGURES = (*(f"P@{k}" for k in KS), "mAP")


@dataclass(frozen=True)
class SearchRow:
    """One line of the tables: what `model`, or a space of the trained one, makes of `protocol`
    (search/unseen); figures maps P@k and mAP to (share, low, high), bounds None for chance.
    """

    method: str
    protocol: str
    figures: dict[str, tuple[float, float | None, float | None]]


def rows(report: EvalReport) -> list[SearchRow]:
    """The figures grouped by model or space and by protocol, in the order of evaluation."""
    groups: dict[tuple[str, str], list[MetricRecord]] = {}
    for record in report.records:
        if record.protocol.startswith(SEARCHES):
            groups.setdefault((record.row, record.protocol), []).append(record)
    return [
        SearchRow(*group, {r.name.ending: (r.value, r.low, r.high) for r in records})
        for group, records in groups.items()
    ]


def tables(report: EvalReport) -> list[Table]:
    """A table for each kind of search that was measured, in per cent."""
    found = []
    for task, title in TITLES.items():
        head, groups = _grouped(report, task)
        if not groups:
            continue
        out = Table(title=title, box=SIMPLE_HEAD)
        out.add_column(head[0])  # on a narrow terminal this wraps, never the figures
        out.add_column(head[1], no_wrap=True)
        for heading in head[2:]:
            out.add_column(heading, justify="right", no_wrap=True)
        for queries, lines in groups.items():
            out.add_section()
            for i, line in enumerate(lines):
                out.add_row(f"[bold]{queries}[/bold]" if i == 0 else "", *line)
        found.append(out)
    return found


def markdown(report: EvalReport) -> list[str]:
    """The lines of the same tables as GitHub Markdown, each under its heading."""
    lines: list[str] = []
    for task, title in TITLES.items():
        head, groups = _grouped(report, task)
        if groups:
            lines += ["", f"## {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
            lines += [
                f"| {' | '.join([queries, *line])} |"
                for queries, own in groups.items()
                for line in own
            ]
    return lines


def tidy(report: EvalReport) -> list[dict[str, Any]]:
    """One record per figure: model, task, protocol ... value, lo, hi (shares in [0, 1])."""
    return [
        {
            "method": row.method,
            "task": row.protocol.split("/")[0],
            "protocol": row.protocol.split("/")[1],
            "n_queries": report.n[row.protocol][0],
            "n_pictures": report.n[row.protocol][1],
            "figure": name,
            "value": value,
            "lo": low,
            "hi": high,
        }
        for row in rows(report)
        for name, (value, low, high) in row.figures.items()
    ]


def _grouped(report: EvalReport, task: str) -> tuple[list[str], dict[str, list[list[str]]]]:
    """(headings, lines of cells by their queries)."""
    own = [row for row in rows(report) if row.protocol.startswith(f"{task}/")]
    names = [name for name in _FIGURES if any(name in row.figures for row in own)]
    head = ["queries over gallery", _COMPARED[task], *names, "95 % of mAP"]
    groups: dict[str, list[list[str]]] = {}
    for protocol in (p for p in report.n if p.startswith(f"{task}/")):
        n_queries, n_pictures = report.n[protocol]
        queries = f"{n_queries:,} {_QUERIES[protocol].format(f'{n_pictures:,}')}"
        groups[queries] = [_line(row, names) for row in own if row.protocol == protocol]
    return head, groups


def _line(row: SearchRow, names: list[str]) -> list[str]:
    shown = [to_precision(*row.figures[n]) if n in row.figures else "" for n in names]
    return [row.method, *shown, numbers.bounds(*row.figures["mAP"])]
