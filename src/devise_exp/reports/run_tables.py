"""The metrics of a run as terminal tables, metrics.json, results.csv, search.csv and report.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devise_exp.core.console import print_content
from devise_exp.core.files import write_text
from devise_exp.evaluation.draws import against_chance
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName, method_key
from devise_exp.reports import search_tables
from devise_exp.reports.gamma_rows import gamma_line
from devise_exp.reports.hierarchical_rows import left_out
from devise_exp.reports.metric_rows import MetricRow, metric_rows, names_of
from devise_exp.reports.none_rows import none_line
from devise_exp.reports.summary import of_report
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Heading, Table, left, right, to_csv, to_markdown
from devise_exp.reports.titles import AVERAGE_TITLES, PROTOCOL_TITLES, in_order

_INTERVAL = "95 % of hit@1"


def shown_rows(report: EvalReport) -> dict[str, list[MetricRow]]:
    """Choose the rows of the tables.

    Args:
        report: The metrics of a run.

    Returns:
        Protocol -> rows, in the order of `titles`; of other methods than the trained model, class
        means alone (of chance both averages are the same).
    """
    rows = metric_rows(report.records, "hit")
    return {
        protocol: [
            row
            for row in rows
            if row.protocol == protocol
            and (row.method in (MODEL, CHANCE) or row.average == "class")
        ]
        for protocol in in_order(report.n)
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
    names = _names(by_protocol)
    rows: list[tuple[str, ...]] = []
    sections = []
    for protocol, protocol_rows in by_protocol.items():
        images, labels = report.n[protocol]
        sections.append(len(rows))
        heading = f"{PROTOCOL_TITLES[protocol]} ({images:,} images, {labels:,} labels)"
        rows.append((Heading(heading),))
        for row in protocol_rows:
            rows.append(
                (f"  {row.title}, {AVERAGE_TITLES[row.average]}", *row.texts(names, "hit@1"))
            )
    # On a narrow terminal the first column wraps, never the numbers.
    return Table(
        columns=(*left("images among labels"), *right(*names, _INTERVAL, wrap=False)),
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
        One line: H@1, calibrated and not; whether random class vectors are at chance; then names
        with their values.
    """
    about = report.about
    values = {r.name: r.value for r in report.records if r.method == MODEL}
    harmonic = {"H@1, calibrated": "calibrated", "H@1": "all"}
    parts = [
        f"{title} {100 * values[name]:.1f}"
        for title, kind in harmonic.items()
        if (name := MetricName(kind, "H", 1)) in values
    ]
    if gamma := gamma_line(report.records):
        parts.insert(1, gamma)
    parts += filter(None, [none_line(report.records)])
    parts += [f"{name} {text}" for name, text in against_chance(report.records).items()]
    parts += [f"{key} {_short(about[key])}" for key in about]
    parts += [f"{r.key} {r.value:.4g}" for r in report.records if r.protocol == "index"]
    parts += filter(None, [left_out(report.records)])
    return " · ".join(parts)


def markdown(report: EvalReport, title: str) -> str:
    """Write report.md.

    Args:
        report: The metrics of a run.
        title: The heading of the file.

    Returns:
        What the metrics say in short, the table of hit@k, then those of the searches.
    """
    by_protocol = shown_rows(report)
    names = _names(by_protocol)
    headings = ["images among labels", "labels", "method", "mean over", *names]
    table = Table(
        columns=tuple(left(*headings, _INTERVAL)),
        rows=tuple(
            (
                PROTOCOL_TITLES[protocol],
                n_labels,
                row.title,
                row.average,
                *row.texts(names, "hit@1"),
            )
            for protocol, rows in by_protocol.items()
            for n_labels in [f"{report.n[protocol][1]:,}"]
            for row in rows
        ),
        note=caption(report),
    )
    head = [f"# {title}", "", *(f"{sentence}\n" for sentence in of_report(report))]
    searches = search_tables.markdown(report)
    return "\n".join([*head, to_markdown(table, escape=False), *searches])


def hit_records(report: EvalReport) -> list[dict[str, Any]]:
    """List hit@k as the rows of results.csv.

    Args:
        report: The metrics of a run.

    Returns:
        An entry for each metric: its method, protocol, sizes, average and k, then its value and
        its intervals over images and over classes, shares in [0, 1]; of random draws, the mean and
        the interval over draws, with their number.
    """
    return [
        {
            "method": row.method,
            "protocol": row.protocol,
            "n_images": report.n[row.protocol][0],
            "n_labels": report.n[row.protocol][1],
            "mean_over": row.average,
            "k": record.k,
            "hit": record.value,
            "lo": record.low,
            "hi": record.high,
            "classes_lo": record.classes_low,
            "classes_hi": record.classes_high,
            "draws": record.draws,
        }
        for row in metric_rows(report.records, "hit")
        for record in row.records.values()
    ]


def write(report: EvalReport, folder: Path, title: str) -> None:
    """Write metrics.json, results.csv, report.md and, if searches were measured, search.csv.

    Args:
        report: The metrics of a run.
        folder: Where the files go, each whole or not at all.
        title: The heading of report.md.
    """
    contents = {
        "metrics.json": json.dumps(report.about | controls(report) | report.values, indent=1),
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
    short = "\n".join(of_report(report))
    print_content(*(to_rich(table, ruled=True) for table in tables), *([short] if short else []))


def run_title(about: Mapping[str, Any]) -> str:
    """Name the tables of a run.

    Args:
        about: What its metrics rest on.

    Returns:
        The heading.
    """
    return f"{about['data']}, {about['backbone']}, {about['word_vectors']}: flat hit@k in per cent"


def controls(report: EvalReport) -> dict[str, str]:
    """Say of the methods of random draws whether they are at chance.

    Args:
        report: The metrics of a run.

    Returns:
        Key of metrics.json -> the line.
    """
    texts = against_chance(report.records)
    return {method_key(name, "control"): text for name, text in texts.items()}


def _names(by_protocol: Mapping[str, Sequence[MetricRow]]) -> list[str]:
    """hit@k for every k."""
    return names_of(row for rows in by_protocol.values() for row in rows)


def _short(value: str | int | float) -> str:
    """A value with at most four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
