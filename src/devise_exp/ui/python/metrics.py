"""The metrics of a run, or of another evaluation of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NoReturn

from devise_exp.core.console import printable
from devise_exp.core.spelling import nearest_spellings
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.records import MetricRecord
from devise_exp.reports.run_tables import hit_records, hit_table, run_title
from devise_exp.reports.tables import Table
from devise_exp.ui.python.tables import ShownTable, data_frame

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("seen/hit@1", "unseen/hit@1", "all/H@1", "calibrated/H@1")


class Metrics(dict[str, float]):
    """Metrics by their names in metrics.json, as shares in [0, 1].

    Args:
        report: The metrics, with what they rest on.
    """

    def __init__(self, report: EvalReport) -> None:
        super().__init__(report.values)
        self.report = report

    @property
    def records(self) -> tuple[MetricRecord, ...]:
        """One record per metric, method and protocol, with its intervals."""
        return self.report.records

    @property
    def about(self) -> Mapping[str, str | int | float]:
        """What the metrics rest on: data, backbone, split ..."""
        return self.report.about

    def to_pandas(self) -> pd.DataFrame:
        """Make a pandas table of the records.

        Returns:
            A row for each metric, with a column for each field of a record.

        Raises:
            InputError: If pandas is not installed.
        """
        names = [field.name for field in fields(MetricRecord)]
        rows = [[getattr(record, name) for name in names] for record in self.records]
        return data_frame(names, rows)

    def table(self) -> ShownTable:
        """Make the table of hit@k.

        Returns:
            Per cent, a section for each protocol; as data, the rows of results.csv.
        """
        n = self.report.n
        records = tuple(record for record in self.records if record.protocol in n)
        report = replace(self.report, records=records)
        title = printable(run_title(self.report.about))
        return ShownTable(hit_table(report, title), Table.of_records(hit_records(report)))

    def __missing__(self, name: str) -> NoReturn:
        near = nearest_spellings(str(name), list(self))
        hint = f"did you mean {' or '.join(near)}?" if near else "list(metrics) has all names"
        raise KeyError(f"no metric {name}: {hint}")

    def __repr__(self) -> str:
        first = ", ".join(f"{name} {self[name]:.3f}" for name in _FIRST if name in self)
        return f"<{len(self):,} metrics{': ' if first else ''}{first}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Metrics, (self.report,)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
