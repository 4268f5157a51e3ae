"""The metrics of a run as terminal tables, metrics.json, results.csv, search.csv and report.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devise_exp.core.console import print_content
from devise_exp.core.files import write_text
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord
from devise_exp.reports import numbers, search_tables
from devise_exp.reports.numbers import to_precision
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Column, Heading, Table, to_csv, to_markdown
from devise_exp.reports.titles import AVERAGE_TITLES, PROTOCOL_TITLES

_INTERVAL = "95 % of hit@1"


@dataclass(frozen=True)
class HitRow:
    """A row of the tables: hit@k of one method in one protocol.

    Attributes:
        method: Name of the method, "chance" for a random ranking.
        protocol: Such as "unseen".
        average: "image" for the share of images, "class" for the mean over classes.
        hits: k -> its record.
    """

    method: str
    protocol: str
    average: str
    hits: Mapping[int, MetricRecord]


def hit_rows(report: EvalReport) -> list[HitRow]:
    """Group hit@k by method, protocol and average.

    Args:
        report: The metrics of a run.

    Returns:
        Rows in the order of evaluation.
    """
    groups: dict[tuple[str, str, str], dict[int, MetricRecord]] = {}
    for record in report.records:
        if record.metric == "hit" and record.average and record.k:
            group = (record.method, record.protocol, record.average)
            groups.setdefault(group, {})[record.k] = record
    return [HitRow(*group, hits) for group, hits in groups.items()]


def shown_rows(report: EvalReport) -> dict[str, list[HitRow]]:
    """Choose the rows of the tables.

    Args:
        report: The metrics of a run.

    Returns:
        Protocol -> rows; of other methods than the trained model, class means alone (of chance both
        averages are the same).
    """
    rows = hit_rows(report)
    return {
        protocol: [
            row
            for row in rows
            if row.protocol == protocol
            and (row.method in (MODEL, CHANCE) or row.average == "class")
        ]
        for protocol in report.n
        if protocol in PROTOCOL_TITLES
    }


def hit_table(report: EvalReport, title: str = "") -> Table:
    """Make the table for the terminal.

    Args:
        report: The metrics of a run.
        title: Above the table.

    Returns:
        Per cent, a section for each protocol: the trained model per image and per class, then the
        other methods.
    """
    by_protocol = shown_rows(report)
    ks = _ks(by_protocol)
    rows: list[tuple[str, ...]] = []
    sections = []
    for protocol, protocol_rows in by_protocol.items():
        images, labels = report.n[protocol]
        sections.append(len(rows))
        heading = f"{PROTOCOL_TITLES[protocol]} ({images:,} images, {labels:,} labels)"
        rows.append((Heading(heading),))
        for row in protocol_rows:
            rows.append((f"  {row.method}, {AVERAGE_TITLES[row.average]}", *_cells(row, ks)))
    # On a narrow terminal the first column wraps, never the numbers.
    columns = [Column(text, "right", wrap=False) for text in (*map("hit@{}".format, ks), _INTERVAL)]
    return Table(
        columns=(Column("images among labels"), *columns),
        rows=tuple(rows),
        sections=frozenset(sections),
        title=title,
        note=caption(report),
    )


def caption(report: EvalReport) -> str:
    """Say what the metrics rest on.

    Args:
        report: The metrics of a run.

    Returns:
        One line: H@1, then names with their values.
    """
    about = report.about
    wanted = MetricName("all", "H", 1)
    harmonic = [r.value for r in report.records if (r.method, r.name) == (MODEL, wanted)]
    parts = [f"H@1 {100 * value:.1f}" for value in harmonic]
    parts += [f"{key} {_short(about[key])}" for key in about]
    parts += [f"{r.key} {r.value:.4g}" for r in report.records if r.protocol == "index"]
    return " · ".join(parts)


def markdown(report: EvalReport, title: str) -> str:
    """Write report.md.

    Args:
        report: The metrics of a run.
        title: The heading of the file.

    Returns:
        The table of hit@k, then those of the searches.
    """
    by_protocol = shown_rows(report)
    ks = _ks(by_protocol)
    headings = ["images among labels", "labels", "method", "mean over", *map("hit@{}".format, ks)]
    table = Table(
        columns=tuple(map(Column, [*headings, _INTERVAL])),
        rows=tuple(
            (PROTOCOL_TITLES[protocol], n_labels, row.method, row.average, *_cells(row, ks))
            for protocol, rows in by_protocol.items()
            for n_labels in [f"{report.n[protocol][1]:,}"]
            for row in rows
        ),
        title=title,
        note=caption(report),
    )
    searches = search_tables.markdown(report)
    return "\n".join([to_markdown(table, level=1, escape=False), *searches])


def hit_records(report: EvalReport) -> list[dict[str, Any]]:
    """List hit@k as the rows of results.csv.

    Args:
        report: The metrics of a run.

    Returns:
        An entry for each metric: its method, protocol, sizes, average and k, then its value and
        its intervals over images and over classes, shares in [0, 1].
    """
    return [
        {
            "method": row.method,
            "protocol": row.protocol,
            "n_images": report.n[row.protocol][0],
            "n_labels": report.n[row.protocol][1],
            "mean_over": row.average,
            "k": k,
            "hit": record.value,
            "lo": record.low,
            "hi": record.high,
            "classes_lo": record.classes_low,
            "classes_hi": record.classes_high,
        }
        for row in hit_rows(report)
        for k, record in row.hits.items()
    ]


def write(report: EvalReport, folder: Path, title: str) -> None:
    """Write metrics.json, results.csv, report.md and, if searches were measured, search.csv.

    Args:
        report: The metrics of a run.
        folder: Where the files go, each whole or not at all.
        title: The heading of report.md.
    """
    contents = {
        "metrics.json": json.dumps(report.about | report.values, indent=1),
        "results.csv": to_csv(Table.of_records(hit_records(report))),
        "report.md": markdown(report, title),
    }
    if searches := search_tables.search_records(report):
        contents["search.csv"] = to_csv(Table.of_records(searches))
    for name, content in contents.items():
        write_text(folder / name, content)


def show(report: EvalReport, title: str) -> None:
    """Print the tables of a run.

    Args:
        report: The metrics of the run.
        title: Above the first table.
    """
    tables = [hit_table(report, title), *search_tables.search_tables(report)]
    print_content(*(to_rich(table, ruled=True) for table in tables))


def run_title(about: Mapping[str, Any]) -> str:
    """Name the tables of a run.

    Args:
        about: What its metrics rest on.

    Returns:
        The heading.
    """
    return f"{about['data']}, {about['backbone']}, {about['word_vectors']}: flat hit@k in per cent"


def _ks(by_protocol: Mapping[str, Sequence[HitRow]]) -> list[int]:
    """Every k of some rows."""
    return sorted({k for rows in by_protocol.values() for row in rows for k in row.hits})


def _cells(row: HitRow, ks: Sequence[int]) -> list[str]:
    """Per cent for each k, then the interval of hit@1; empty if there is no metric."""
    hits = [row.hits.get(k) for k in ks]
    cells = [to_precision(hit.value, hit.low, hit.high) if hit else "" for hit in hits]
    first = row.hits.get(1)
    return [*cells, numbers.bounds(first.value, first.low, first.high) if first else ""]


def _short(value: str | int | float) -> str:
    """A value with at most four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
