"""What a run knows of what it does not know: AUROC of "none of these", as a line and a table."""

from __future__ import annotations

from collections.abc import Iterable

from devise_exp.evaluation.abstention import KNOWN_UNKNOWN, SEEN_UNSEEN
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricRecord
from devise_exp.reports.tables import Table, left, right

_TITLES = {
    SEEN_UNSEEN: "seen images against unseen ones, among seen labels",
    KNOWN_UNKNOWN: "label there against label taken away, all images",
    f"{KNOWN_UNKNOWN}_seen": "label there against label taken away, seen images",
    f"{KNOWN_UNKNOWN}_unseen": "label there against label taken away, unseen images",
    f"search/{KNOWN_UNKNOWN}": "search: images of the class there against taken away",
}


def none_line(records: Iterable[MetricRecord]) -> str:
    """Say how well the trained model tells that nothing fits.

    Args:
        records: The metrics of a run.

    Returns:
        A short line; "" if it was not measured.
    """
    areas = _of_model(records, "AUROC")
    titles = {SEEN_UNSEEN: "seen against unseen", KNOWN_UNKNOWN: "known against unknown"}
    parts = [f"{title} {areas[name]:.3f}" for name, title in titles.items() if name in areas]
    return f"AUROC {', '.join(parts)}" if parts else ""


def none_table(records: Iterable[MetricRecord]) -> Table | None:
    """Make the table for report.html.

    Args:
        records: The metrics of a run.

    Returns:
        A row for each question that was asked of the trained model; None if none was.
    """
    every = tuple(records)
    metrics = {name: _of_model(every, name) for name in ("AUROC", "threshold", "kept", "rejected")}
    rows = [
        (
            title,
            _number(metrics["AUROC"][protocol]),
            _number(metrics["threshold"].get(protocol)),
            *(_per_cent(metrics[name].get(protocol)) for name in ("kept", "rejected")),
        )
        for protocol, title in _TITLES.items()
        if protocol in metrics["AUROC"]
    ]
    heads = ("AUROC", "threshold", "known kept", "unknown rejected")
    return Table(columns=(*left("question"), *right(*heads)), rows=tuple(rows)) if rows else None


def _of_model(records: Iterable[MetricRecord], metric: str) -> dict[str, float]:
    """Protocol -> value of the trained model."""
    return {r.protocol: r.value for r in records if (r.method, r.metric) == (MODEL, metric)}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _per_cent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
