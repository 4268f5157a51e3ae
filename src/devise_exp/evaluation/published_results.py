"""Published figures of DeViSE, to compare a run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devise_exp.data.xlsa17.files import dataset_title

if TYPE_CHECKING:
    pass
# DEVISE under the proposed splits, per class, in per cent (Xian et al. 2018): T1 of zero-shot
# learning, then u, s and H of generalised zero-shot learning.
_DEVISE = {
    "SUN": (56.5, 16.9, 27.4, 20.9),
    "CUB": (52.0, 23.8, 53.0, 32.8),
    "AWA1": (54.2, 13.4, 68.7, 22.4),
    "AWA2": (59.7, 17.1, 74.7, 27.8),
    "APY": (39.8, 4.9, 76.9, 9.2),
}
_FIGURES = (
    "unseen/hit@1/class_mean",
    "all_unseen/hit@1/class_mean",
    "all_seen/hit@1/class_mean",
    "all/H@1",
)


def published(split_name: str) -> dict[str, float]:
    """The published figures of DEVISE under the split of this name, shares in [0, 1] (Xian et al.
    2018); {} where it is no whole proposed split.
    """
    row = {dataset_title(name): row for name, row in _DEVISE.items()}.get(split_name, ())
    return {figure: round(share / 100, 3) for figure, share in zip(_FIGURES, row, strict=False)}
