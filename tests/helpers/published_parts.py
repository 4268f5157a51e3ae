"""Rows of a published split, and what a split makes of them."""

from __future__ import annotations

import numpy as np

from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split

CLASSES = ("ant", "bee", "cat", "dog", "emu")


def published(
    parts: dict[str, int],
    without: tuple[tuple[str, str], ...] = (),
    classes: tuple[str, ...] = CLASSES,
) -> LabelledRows:
    """So many rows of each class in each part; `without` names (class, part) of no rows."""
    rows = [
        (c, f"{name}/{part}/{i}.png", part)
        for c, name in enumerate(classes)
        for part, n in parts.items()
        for i in range(n)
        if (name, part) not in without
    ]
    labels, names, of_part = zip(*rows, strict=True)
    return LabelledRows(
        classes=classes, labels=np.array(labels, np.int64), rows=names, parts=of_part
    )


def parts_of(data: LabelledRows, rows: np.ndarray) -> set[str | None]:
    assert data.parts is not None
    return {data.parts[row] for row in rows}


def counts_of(split: Split) -> tuple[int, ...]:
    return tuple(map(len, (split.train, split.val, split.test, split.unseen_rows)))
