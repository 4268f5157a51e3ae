"""Published results of DeViSE, to compare a run with."""

from __future__ import annotations

from devise_exp.data.xlsa17.files import dataset_title
from devise_exp.evaluation.records import PUBLISHED, MetricName, MetricRecord

# DEVISE under the proposed splits, per class, in per cent (Xian et al. 2018): T1 of zero-shot
# learning, then u, s and H of generalised zero-shot learning.
_DEVISE = {
    "SUN": (56.5, 16.9, 27.4, 20.9),
    "CUB": (52.0, 23.8, 53.0, 32.8),
    "AWA1": (54.2, 13.4, 68.7, 22.4),
    "AWA2": (59.7, 17.1, 74.7, 27.8),
    "APY": (39.8, 4.9, 76.9, 9.2),
}
_NAMES = (
    MetricName("unseen", "hit", 1, "class"),
    MetricName("all_unseen", "hit", 1, "class"),
    MetricName("all_seen", "hit", 1, "class"),
    MetricName("all", "H", 1),
)


def published(split_name: str) -> tuple[MetricRecord, ...]:
    """Look up the published results of DEVISE (Xian et al. 2018).

    Args:
        split_name: Name of the run's split.

    Returns:
        Their records; none unless the split is a whole proposed split.
    """
    row = {dataset_title(name): row for name, row in _DEVISE.items()}.get(split_name, ())
    return tuple(
        MetricRecord(method=PUBLISHED, value=round(per_cent / 100, 3), **vars(name))
        for name, per_cent in zip(_NAMES, row, strict=False)
    )
