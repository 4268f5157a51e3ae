"""The rows of the tables of a run: what was measured of one method in one protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from devise_exp.evaluation.records import MetricRecord
from devise_exp.reports import numbers


@dataclass(frozen=True)
class MetricRow:
    """A row of a table.

    Attributes:
        method: Name of the method, or of a space of the trained one; "chance" for a random ranking.
        protocol: Such as "unseen" or "search/unseen".
        average: Of hit@k, "image" for the share of images, "class" for the mean over classes; ""
            of other metrics.
        records: The metrics by name and k, such as "hit@5".
    """

    method: str
    protocol: str
    average: str
    records: Mapping[str, MetricRecord]

    @property
    def draws(self) -> int | None:
        """The number of random draws that the row is the mean of; None if it is no mean."""
        return next((record.draws for record in self.records.values()), None)

    @property
    def title(self) -> str:
        """The name of the method, with its number of draws."""
        return f"{self.method} ({self.draws} draws)" if self.draws else self.method

    def texts(self, names: Sequence[str], interval_of: str) -> list[str]:
        """Write the row in per cent.

        Args:
            names: The metrics of the columns.
            interval_of: The metric whose interval comes last.

        Returns:
            A text for each column and the interval; "" for none.
        """
        records = [self.records.get(name) for name in names]
        shares = [numbers.to_precision(r.value, r.low, r.high) if r else "" for r in records]
        record = self.records.get(interval_of)
        return [*shares, numbers.bounds(record.value, record.low, record.high) if record else ""]


def metric_rows(records: Iterable[MetricRecord], *metrics: str) -> list[MetricRow]:
    """Group records by method or space, protocol and average.

    Args:
        records: The metrics of a run.
        metrics: Which of them: "hit", "hp", "P" ...

    Returns:
        Rows in the order of evaluation.
    """
    groups: dict[tuple[str, str, str], dict[str, MetricRecord]] = {}
    for record in records:
        if record.metric in metrics:
            group = groups.setdefault((record.row, record.protocol, record.average or ""), {})
            group[record.metric if record.k is None else f"{record.metric}@{record.k}"] = record
    return [MetricRow(*group, of_group) for group, of_group in groups.items()]


def names_of(rows: Iterable[MetricRow]) -> list[str]:
    """List the metrics of some rows.

    Args:
        rows: Rows of one table.

    Returns:
        Their names by rising k, those without a k last.
    """
    ks = {name: record.k for row in rows for name, record in row.records.items()}
    return sorted(ks, key=lambda name: ks[name] or inf)
