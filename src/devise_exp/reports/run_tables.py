"""An EvalReport as terminal tables, metrics.json, results.csv, search.csv, report.md and W&B."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from devise_exp.core.console import print_content
from devise_exp.core.files import atomic_path
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, MetricRecord
from devise_exp.reports import numbers, search_tables
from devise_exp.reports.numbers import to_precision

TITLES = {
    "seen": "seen among seen",
    "unseen": "unseen among unseen",
    "all_seen": "seen among all",
    "all_unseen": "unseen among all",
    "calibrated_seen": "seen among all, calibrated",
    "calibrated_unseen": "unseen among all, calibrated",
    "unseen_clean": "clean unseen among unseen",
    "unseen_leaked": "overlapping unseen among unseen",
    "train": "training images among seen",
    "extra_seen": "seen among all + extra",
    "extra_unseen": "unseen among all + extra",
}
MEANS = {"image": "per image", "class": "per class"}


@dataclass(frozen=True)
class Row:
    """One line of the tables: hits maps k to (share, low, high), bounds None for chance;
    over_classes: k to the bounds over classes, None where the mean is not over them.
    """

    method: str
    protocol: str
    average: str
    hits: dict[int, tuple[float, float | None, float | None]]
    over_classes: dict[int, tuple[float | None, float | None]]


def rows(report: EvalReport) -> list[Row]:
    """The figures of hit@k grouped by model, protocol and average ("image" or "class"), in the
    order of evaluation.
    """
    groups: dict[tuple[str, str, str], list[MetricRecord]] = {}
    for record in report.records:
        if record.metric == "hit" and record.average:
            group = (record.method, record.protocol, record.average)
            groups.setdefault(group, []).append(record)
    return [
        Row(
            *group,
            {r.k: (r.value, r.low, r.high) for r in records if r.k},
            {r.k: (r.classes_low, r.classes_high) for r in records if r.k},
        )
        for group, records in groups.items()
    ]


def table(report: EvalReport, title: str | None = None) -> Table:
    """In per cent, protocol by protocol: the model per image and per class, then the controls."""
    all_rows = rows(report)
    ks = sorted({k for row in all_rows for k in row.hits})
    out = Table(title=title, caption=caption(report), caption_justify="left", box=SIMPLE_HEAD)
    out.add_column("images among labels")  # on a narrow terminal this wraps, never the figures
    for heading in (*(f"hit@{k}" for k in ks), "95 % of hit@1"):
        out.add_column(heading, justify="right", no_wrap=True)
    for protocol in (p for p in report.n if p in TITLES):
        images, labels = report.n[protocol]
        heading = f"{TITLES[protocol]} ({images:,} images, {labels:,} labels)"
        out.add_section()
        out.add_row(f"[bold]{heading}[/bold]")
        for row in _shown(all_rows, protocol):
            out.add_row(f"  {row.method}, {MEANS[row.average]}", *_cells(row, ks))
    return out


def _shown(all_rows: list[Row], protocol: str) -> list[Row]:
    """The model's rows, then the controls' class means and chance, which is the same for both."""
    return [
        row
        for row in all_rows
        if row.protocol == protocol and (row.method in (MODEL, "chance") or row.average == "class")
    ]


def caption(report: EvalReport) -> str:
    """What the figures rest on, in one or two lines."""
    about = report.about
    wanted = MetricName("all", "H", 1)
    harmonic = [r.value for r in report.records if (r.method, r.name) == (MODEL, wanted)]
    parts = [f"H@1 {100 * value:.1f}" for value in harmonic]
    parts += [f"{key} {_short(about[key])}" for key in about]
    parts += [f"{r.key} {r.value:.4g}" for r in report.records if r.protocol == "index"]
    return " · ".join(parts)


def _short(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def markdown(report: EvalReport, title: str) -> str:
    """The same table as GitHub Markdown, then those of the searches."""
    all_rows = rows(report)
    ks = sorted({k for row in all_rows for k in row.hits})
    head = ["images among labels", "labels", "method", "mean over", *(f"hit@{k}" for k in ks)]
    head.append("95 % of hit@1")
    lines = [f"# {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for protocol in (p for p in report.n if p in TITLES):
        for row in _shown(all_rows, protocol):
            start = [TITLES[protocol], f"{report.n[protocol][1]:,}", row.method, row.average]
            lines.append(f"| {' | '.join([*start, *_cells(row, ks)])} |")
    return "\n".join([*lines, "", caption(report), *search_tables.markdown(report), ""])


def tidy(report: EvalReport) -> list[dict[str, Any]]:
    """One record per figure of hit@k: model, images, candidates ... value and its intervals over
    images and over classes, in [0, 1].
    """
    return [
        {
            "method": row.method,
            "protocol": row.protocol,
            "n_images": report.n[row.protocol][0],
            "n_labels": report.n[row.protocol][1],
            "mean_over": row.average,
            "k": k,
            "hit": value,
            "lo": low,
            "hi": high,
            "classes_lo": row.over_classes[k][0],
            "classes_hi": row.over_classes[k][1],
        }
        for row in rows(report)
        for k, (value, low, high) in row.hits.items()
    ]


def flat(report: EvalReport) -> dict[str, str | int | float]:
    """metrics.json: every figure by name, and what they rest on."""
    return {**report.about, **report.values}


def write(report: EvalReport, folder: Path, title: str) -> None:
    """metrics.json, results.csv, search.csv (where searches were measured) and report.md into
    `folder`, each whole or not at all.
    """
    contents = {
        "metrics.json": json.dumps(flat(report), indent=1),
        "results.csv": _csv(tidy(report)),
        "report.md": markdown(report, title),
    }
    if searches := search_tables.tidy(report):
        contents["search.csv"] = _csv(searches)
    for name, content in contents.items():
        with atomic_path(folder / name) as made:
            made.write_text(content, encoding="utf-8", newline="")


def _csv(records: list[dict[str, Any]]) -> str:
    text = StringIO(newline="")
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def show(report: EvalReport, title: str) -> None:
    """Print the tables of a run."""
    print_content(table(report, title), *search_tables.tables(report))


def _cells(row: Row, ks: list[int]) -> list[str]:
    """Per cent for each k, then the interval of hit@1; empty where there is no figure."""
    hits = [to_precision(*row.hits[k]) if k in row.hits else "" for k in ks]
    return [*hits, numbers.bounds(*row.hits.get(1, (0.0, None, None)))]


def run_title(about: dict[str, Any]) -> str:
    """The heading of a run's tables."""
    return f"{about['data']}, {about['backbone']}, {about['word_vectors']}: flat hit@k in per cent"
