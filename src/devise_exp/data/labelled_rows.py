"""What a split is made of: labelled rows, and what else is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from devise_exp.core.files import fingerprint


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRows:
    """The N rows of a dataset with the C classes that may take part. Every split is made of these.

    Attributes:
        classes: (C,) class names.
        labels: (N,) class ids, -1 for a row of no part.
        rows: (N,) unique row names, <class folder>/<image>.
        contents: (N,) what each row shows, the same for copies of one image: they must not be on
            two sides of a split; None if that is unknown.
        parts: (N,) the part that the publisher of the data gave each row, None for a row without
            one; None if the data come without parts.
        groups: (N,) the group of each row, whose images must not be on two sides of a split; None
            for a row without one; None if the data come without groups.
        verdicts: Class name -> the kind of its verdict in the overlap audit: clean, overlapping,
            possibly overlapping or not identified; None if nobody has asked, or nobody knows what
            the backbone was pretrained on.
    """

    classes: Sequence[str]
    labels: np.ndarray = field(repr=False)
    rows: Sequence[str] = field(repr=False)
    contents: Sequence[str] | None = field(default=None, repr=False)
    parts: Sequence[str | None] | None = field(default=None, repr=False)
    groups: Sequence[str | None] | None = field(default=None, repr=False)
    verdicts: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("labels", "contents", "parts", "groups"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.rows):
                raise ValueError(f"{len(values)} {name} for {len(self.rows)} rows")


def split_fingerprint(
    classes: Sequence[str],
    is_unseen: np.ndarray,
    rows: Sequence[str],
    parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> str:
    """Hash the classes with their sides and the parts of a split, in whatever order.

    Args:
        classes: (C,) names of the classes that take part.
        is_unseen: (C,) bool.
        rows: (N,) row names.
        parts: Rows to train, validate and test, and those of unseen classes.

    Returns:
        The fingerprint.
    """
    sides = sorted((c, bool(u)) for c, u in zip(classes, is_unseen, strict=True))
    names = (repr(sorted(rows[row] for row in part)) for part in parts)
    return fingerprint(repr(sides), names, size=8)
