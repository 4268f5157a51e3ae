"""What a comparison says of backbones whose pretraining cannot be checked for overlap."""

from __future__ import annotations

from collections.abc import Iterable

from devise_exp.core.console import printable
from devise_exp.runs.records import unpublished_of
from devise_exp.runs.split_groups import Splits


def pretraining_remarks(compared: Iterable[Splits]) -> tuple[str, ...]:
    """Say why no overlap can be ruled out, for each backbone of which that is known.

    Args:
        compared: The runs of each line, by split.

    Returns:
        A remark for each such backbone, once.
    """
    reasons: dict[str, None] = {}
    for splits in compared:
        for run in (run for of_split in splits for run in of_split):
            if reason := unpublished_of(run.metrics):
                reasons[f"{run.metrics.get('backbone', 'unknown')}: {reason}"] = None
    return tuple(map(printable, reasons))
