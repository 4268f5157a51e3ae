"""How a seed deals rows that come in groups, none of which may be in two parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.row_units import content_groups, with_groups

TRAIN, VAL, TEST = range(3)


@dataclass(frozen=True, eq=False)
class _Unit:
    """Rows that stay together: (r,) rows, and how many (k,) they are of which (k,) classes."""

    rows: np.ndarray
    classes: np.ndarray
    counts: np.ndarray


def deal_groups(
    data: LabelledRows,
    is_seen: np.ndarray,
    seed: int,
    val_share: float,
    test_share: float,
    train_per_class: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deal the rows of seen classes, so that each group is in one part and the shares are near.

    Groups come in an order that the seed draws, the large ones first; each goes where it brings the
    shares of its classes nearest (as scikit-learn's StratifiedGroupKFold deals its folds).

    Args:
        data: The rows, their classes and groups.
        is_seen: (C,) bool.
        seed: Decides alone, with the names, which group goes where.
        val_share: Share of the images of a class that validate.
        test_share: Share that test; the rest trains.
        train_per_class: At most so many rows of a class train; None: all.

    Returns:
        Sorted rows to train, validate and test. A group that has images of unseen classes too
        counts in no share; its rows train, until `devise_exp.data.sides.keep_apart` takes them out.

    Raises:
        InputError: If the groups of a class are too few.
    """
    units, blocked = _units(data, is_seen, seed)
    n = len(data.classes)
    totals = np.zeros(n, int)
    for unit in units:
        totals[unit.classes] += unit.counts
    lost = [data.classes[c] for c in np.flatnonzero((totals == 0) & is_seen).tolist()]
    if lost:
        raise InputError(
            f"data.group: every image of {listed(lost)} is in a group that has images of unseen "
            "classes too: choose other unseen classes, or leave the groups out"
        )
    val, test = (np.maximum(1, np.round(totals * share)) for share in (val_share, test_share))
    targets = np.stack([np.maximum(1, totals - val - test), val, test])
    parts = _nearest(units, targets)
    _fill(units, parts, is_seen, data)
    rows: list[list[int]] = [[], [], []]
    for unit, part in zip(units, parts, strict=True):
        rows[part] += unit.rows.tolist()
    kept: dict[int, int] = {}
    train = []
    for row in rows[TRAIN]:
        c = int(data.labels[row])
        kept[c] = kept.get(c, 0) + 1
        if train_per_class is None or kept[c] <= train_per_class:
            train.append(row)
    return np.sort(np.array(train + blocked, int)), np.sort(rows[VAL]), np.sort(rows[TEST])


def _units(data: LabelledRows, is_seen: np.ndarray, seed: int) -> tuple[list[_Unit], list[int]]:
    """The groups of seen classes alone, in the order in which they are dealt; and other rows."""
    units = np.arange(len(data.rows)) if data.contents is None else content_groups(data.contents)
    units = with_groups(units, data.groups)
    takes_part = data.labels >= 0
    is_seen_row = takes_part & np.append(is_seen, False)[data.labels]
    blocked = set(units[takes_part & ~is_seen_row].tolist())
    members: dict[int, list[int]] = {}
    others = []
    for row in sorted(np.flatnonzero(is_seen_row).tolist(), key=data.rows.__getitem__):
        if units[row] in blocked:
            others.append(row)
        else:
            members.setdefault(int(units[row]), []).append(row)
    by_name = [*members.values()]  # in the order of the first name of each
    drawn = [by_name[i] for i in np.random.default_rng(seed).permutation(len(by_name))]
    dealt = []
    for rows in sorted(drawn, key=len, reverse=True):
        classes, counts = np.unique(data.labels[rows], return_counts=True)
        dealt.append(_Unit(np.array(rows, int), classes, counts))
    return dealt, others


def _nearest(units: list[_Unit], targets: np.ndarray) -> list[int]:
    """Deal each unit to the part that brings the shares nearest to (3, C) targets."""
    dealt = np.zeros(targets.shape)
    parts = []
    for unit in units:
        wanted, now = targets[:, unit.classes], dealt[:, unit.classes]
        after = ((now + unit.counts) / wanted - 1) ** 2 - (now / wanted - 1) ** 2
        part = int((after * wanted).sum(axis=1).argmin())
        dealt[part, unit.classes] += unit.counts
        parts.append(part)
    return parts


def _fill(units: list[_Unit], parts: list[int], is_seen: np.ndarray, data: LabelledRows) -> None:
    """Move the smallest units to parts in which a class has none yet."""
    groups = np.zeros((3, len(is_seen)), int)  # how many units of a class are in a part
    for unit, part in zip(units, parts, strict=True):
        groups[part, unit.classes] += 1
    for _ in range(3 * len(is_seen)):
        empty = np.argwhere((groups == 0) & is_seen)
        if not len(empty):
            return
        wanted, c = empty[0].tolist()
        movable = [
            i
            for i in reversed(range(len(units)))
            if c in units[i].classes and (groups[parts[i], units[i].classes] > 1).all()
        ]
        if not movable:
            raise InputError(
                f"too few groups to train, validate and test on in {data.classes[c]}: add groups "
                "(3 or more a class, not all of them with images of the same other classes), or "
                "leave such classes out"
            )
        i = movable[0]
        groups[parts[i], units[i].classes] -= 1
        groups[wanted, units[i].classes] += 1
        parts[i] = wanted
