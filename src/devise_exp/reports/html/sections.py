"""What the sections of a run's page hold, from the files of its folder.

Each function gives tables and plain values for the template, or nothing if its files have nothing
to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName
from devise_exp.reports import numbers
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.figures.plots import Curve
from devise_exp.reports.numbers import to_precision
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


def metric_cell(
    value: float | None, low: float | None = None, high: float | None = None, mark: str = ""
) -> Marked:
    """Write a metric in per cent, with the decimals that its interval supports.

    Args:
        value: A share in [0, 1], None for an empty cell.
        low: The lower bound of its interval, None without one.
        high: The upper bound of its interval, None without one.
        mark: BEST, TIED or "".

    Returns:
        The cell, with its interval.
    """
    if value is None:
        return Marked("")
    interval = numbers.bounds(value, low, high, dash=" – ")
    return Marked(to_precision(value, low, high), mark, interval)


def curves(records: Iterable[Mapping[str, str]]) -> dict[str, dict[str, Curve]]:
    """Read the curves of hit@k from results.csv.

    Args:
        records: The rows of results.csv.

    Returns:
        Protocol -> method -> k -> class mean of hit@k with its interval; of chance both averages
        are the same.
    """
    by_protocol: dict[str, dict[str, Any]] = {}
    for r in records:
        if r["mean_over"] == "class" or r["method"] == CHANCE:
            curve = by_protocol.setdefault(r["protocol"], {}).setdefault(r["method"], {})
            curve[int(r["k"])] = (float(r["hit"]), _number(r["lo"]), _number(r["hi"]))
    return by_protocol


def hits(records: Sequence[Mapping[str, str]]) -> list[Table]:
    """Make the tables of hit@k.

    Args:
        records: The rows of results.csv.

    Returns:
        A table for each protocol: the trained model per image and per class, the other methods per
        class.
    """
    sizes: dict[str, tuple[int, int]] = {}
    rows: dict[str, dict[tuple[str, str], dict[int, Marked]]] = {}
    for r in records:
        if r["mean_over"] == "image" and r["method"] not in (MODEL, CHANCE):
            continue
        sizes[r["protocol"]] = (int(r["n_images"]), int(r["n_labels"]))
        row = rows.setdefault(r["protocol"], {}).setdefault((r["method"], r["mean_over"]), {})
        row[int(r["k"])] = metric_cell(float(r["hit"]), _number(r["lo"]), _number(r["hi"]))
    tables = []
    for protocol, (images, labels) in sizes.items():
        ks = sorted({k for row in rows[protocol].values() for k in row})
        table = Table(
            columns=(*left("method", "mean"), *right(*map("hit@{}".format, ks))),
            rows=tuple(
                (method, AVERAGE_TITLES[mean], *(row.get(k) for k in ks))
                for (method, mean), row in rows[protocol].items()
            ),
            title=f"{protocol_title(protocol)} ({images:,} images, {labels:,} labels)",
        )
        tables.append(table)
    return tables


def method_table(comparison: Comparison) -> Table:
    """Make the table of methods side by side.

    Args:
        comparison: The methods of the run.

    Returns:
        A row for each method; the best and what is not shown to differ from it are marked.
    """
    return Table(
        columns=(*left("method"), *right(*comparison.columns.values())),
        rows=tuple(
            (
                line.names[0],
                *(metric_cell(c.value, c.lo, c.hi, c.mark) if c else None for c in line.cells),
            )
            for line in comparison.lines
        ),
    )


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


def searches(records: Sequence[Mapping[str, str]]) -> list[Table]:
    """Make the tables of searches.

    Args:
        records: The rows of search.csv.

    Returns:
        A table for each task: by class names, or by an image.
    """
    tasks: dict[str, dict[tuple[str, str, str, str], dict[str, Marked]]] = {}
    for r in records:
        queries, n_queries, n_images = r["protocol"], int(r["n_queries"]), int(r["n_pictures"])
        row = (queries.replace("_", " "), f"{n_queries:,}", f"{n_images:,}", r["method"])
        cells = tasks.setdefault(r["task"], {}).setdefault(row, {})
        cells[r["figure"]] = metric_cell(float(r["value"]), _number(r["lo"]), _number(r["hi"]))
    tables = []
    for task, rows in tasks.items():
        metrics = list(dict.fromkeys(name for cells in rows.values() for name in cells))
        compared = left("method" if task == "search" else "space")
        table = Table(
            columns=(*left("queries"), *right("number", "images"), *compared, *right(*metrics)),
            rows=tuple((*row, *map(cells.get, metrics)) for row, cells in rows.items()),
            title="By class names" if task == "search" else "By an image, itself left out",
        )
        tables.append(table)
    return tables


def _number(text: str) -> float | None:
    """A number of a CSV file, None for an empty cell."""
    return float(text) if text else None
