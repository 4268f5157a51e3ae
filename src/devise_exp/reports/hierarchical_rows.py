"""Hierarchical precision in tables: its rows, what they rest on, and which are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from devise_exp.evaluation.metrics.hierarchical import MIN_CLASSES
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricRecord
from devise_exp.reports.metric_rows import MetricRow, metric_rows
from devise_exp.reports.titles import PROTOCOL_TITLES, protocol_title

Support = Mapping[str, tuple[int, int]]  # protocol -> its classes and images that have a place


def support_of(records: Iterable[MetricRecord]) -> Support:
    """Read what hierarchical precision rests on.

    Args:
        records: The metrics of a run.

    Returns:
        Protocol -> numbers of classes and images; empty for a run that did not count them.
    """
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        if record.metric in ("hp_classes", "hp_images"):
            counts.setdefault(record.protocol, {})[record.metric] = int(record.value)
    return {
        protocol: (of_protocol["hp_classes"], of_protocol["hp_images"])
        for protocol, of_protocol in counts.items()
        if len(of_protocol) == 2
    }


def hierarchical_rows(records: Sequence[MetricRecord]) -> dict[str, list[MetricRow]]:
    """Choose the rows of hp@k that a table shows.

    Args:
        records: The metrics of a run.

    Returns:
        Protocol -> rows, without the protocols that rest on fewer than MIN_CLASSES classes.
    """
    rows, support = metric_rows(records, "hp"), support_of(records)
    measured = {row.protocol for row in rows if row.method == MODEL}
    return {
        protocol: [row for row in rows if row.protocol == protocol]
        for protocol in PROTOCOL_TITLES
        if protocol in measured and not _is_thin(protocol, support)
    }


def left_out(records: Sequence[MetricRecord]) -> str:
    """Say which rows of hp@k the tables leave out, and why.

    Args:
        records: The metrics of a run.

    Returns:
        One line, "" if none is left out.
    """
    support = support_of(records)
    thin = [
        f"{protocol_title(protocol)} ({_counted(classes, 'class', 'classes')})"
        for protocol, (classes, _) in support.items()
        if _is_thin(protocol, support)
    ]
    if not thin:
        return ""
    return (
        f"hp@k left out, as fewer than {MIN_CLASSES} of their classes stand in WordNet: "
        f"{', '.join(thin)}"
    )


def support_text(protocol: str, support: Support) -> str:
    """Say what the rows of one protocol rest on.

    Args:
        protocol: The protocol.
        support: What `support_of` returns.

    Returns:
        Such as "25 classes, 1,575 images"; "" if nobody counted.
    """
    if protocol not in support:
        return ""
    classes, images = support[protocol]
    counts = _counted(classes, "class", "classes"), _counted(images, "image", "images")
    return ", ".join(counts)


def without_thin(records: Sequence[MetricRecord]) -> list[MetricRecord]:
    """Leave out hp@k of protocols that rest on too few classes; the counts stay.

    Args:
        records: The metrics of a run.

    Returns:
        The other records, in their order.
    """
    support = support_of(records)
    return [r for r in records if r.metric != "hp" or not _is_thin(r.protocol, support)]


def _is_thin(protocol: str, support: Support) -> bool:
    """Whether a protocol rests on too few classes; of one that was not counted nobody can tell."""
    return support.get(protocol, (MIN_CLASSES, 0))[0] < MIN_CLASSES


def _counted(n: int, one: str, several: str) -> str:
    """A number with its noun."""
    return f"{n:,} {one if n == 1 else several}"
