"""Gamma in tables: how sure it is, and what another would have given in hindsight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricRecord


@dataclass(frozen=True, kw_only=True)
class GammaRow:
    """The gamma of one method.

    Attributes:
        gamma: The gamma with its 95 % interval over the classes of the folds, if that is known.
        per_fold: The best gamma of each class fold; () in older runs.
        best: The best gamma of the test images, in hindsight; None in older runs.
        regret: What that gamma would have added to H, None if unknown.
    """

    gamma: MetricRecord
    per_fold: tuple[float, ...] = ()
    best: float | None = None
    regret: float | None = None

    @property
    def interval(self) -> str:
        """The interval, such as "0.071 – 0.095"; "" if it is unknown."""
        if self.gamma.low is None or self.gamma.high is None:
            return ""
        return f"{self.gamma.low:.3f} – {self.gamma.high:.3f}"

    @property
    def folds(self) -> str:
        """The gammas of the folds, as "0.071, 0.095"; "" if they are unknown."""
        return ", ".join(f"{gamma:.3f}" for gamma in self.per_fold)

    @property
    def hindsight(self) -> str:
        """The best gamma of the test images, "" if it is unknown."""
        return "" if self.best is None else f"{self.best:.3f}"

    @property
    def lost(self) -> str:
        """The regret in per cent, "" if it is unknown."""
        return "" if self.regret is None else f"{100 * self.regret:.1f}"


def gamma_rows(records: Iterable[MetricRecord]) -> Mapping[str, GammaRow]:
    """Read the gammas of a run.

    Args:
        records: Its metrics.

    Returns:
        Method -> its gamma.
    """
    of_kind: dict[str, dict[str, list[MetricRecord]]] = {}
    for record in records:
        if record.protocol == "calibrated":
            kinds = of_kind.setdefault(record.method, {})
            kinds.setdefault(record.metric, []).append(record)
    return {
        method: GammaRow(
            gamma=kinds["gamma"][0],
            per_fold=tuple(record.value for record in kinds.get("fold_gamma", ())),
            best=_only(kinds.get("best_gamma", ())),
            regret=_only(kinds.get("regret", ())),
        )
        for method, kinds in of_kind.items()
        if "gamma" in kinds
    }


def _only(records: Sequence[MetricRecord]) -> float | None:
    """The value of the only record, None without one."""
    return records[0].value if records else None


def gamma_line(records: Iterable[MetricRecord]) -> str:
    """Say how sure the gamma of the trained model is.

    Args:
        records: The metrics of a run.

    Returns:
        Such as "gamma 0.083 (95 % 0.071 – 0.095, 2 class folds); in hindsight the best gamma,
        0.091, had 0.8 more H"; "" without a gamma.
    """
    row = gamma_rows(records).get(MODEL)
    if row is None:
        return ""
    rests_on = [
        f"95 % {row.interval}" if row.interval else "",
        f"{len(row.per_fold)} class folds" if row.per_fold else "",
    ]
    known = ", ".join(filter(None, rests_on))
    line = f"gamma {row.gamma.value:.2g}" + (f" ({known})" if known else "")
    best = f", {row.hindsight}," if row.hindsight else ""
    return f"{line}; in hindsight the best gamma{best} had {row.lost} more H" if row.lost else line
