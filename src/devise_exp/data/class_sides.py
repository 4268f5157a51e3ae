"""Which classes are unseen, and which of the others are seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed, name_of
from devise_exp.core.spelling import nearest_spellings
from devise_exp.data.dealing import draw_seen_classes
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.verdict_kinds import CLEAN, NOT_IDENTIFIED, OVERLAPPING

_LEAST_SEEN = 4  # of a table that says anything


class UnknownClassError(InputError):
    """An option names a class that the data do not have."""


def draw_unseen(classes: Sequence[str], n_unseen: int | None, seed: int) -> list[str]:
    """Draw the unseen classes.

    Args:
        classes: (C,) class names.
        n_unseen: How many to draw; None: a fifth of them, at least one.
        seed: Decides alone, with the names, which ones.

    Returns:
        Their names.

    Raises:
        InputError: If too few seen or unseen classes remain, or the seed is negative.
    """
    return _in_drawn_order(classes, seed)[: _count(classes, n_unseen)]


def draw_clean(verdicts: Mapping[str, str], n_unseen: int | None, seed: int) -> list[str]:
    """Draw unseen classes among those that pass the overlap audit.

    Args:
        verdicts: Class name -> the kind of its verdict, for every class.
        n_unseen: How many to draw; None: a fifth of all classes, at least one.
        seed: Decides alone, with the names, in which order those that pass are drawn.

    Returns:
        Their names.

    Raises:
        InputError: If too few classes pass, too few seen ones remain, or the seed is negative.
    """
    count = _count([*verdicts], n_unseen)
    drawn = [name for name in _in_drawn_order([*verdicts], seed) if verdicts[name] == CLEAN]
    if len(drawn) < count:
        kinds = Counter(verdicts.values())
        others = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()) if kind != CLEAN)
        fewer = f"give split.n_unseen={_up_to(len(drawn))}, or " if drawn else ""
        raise InputError(
            f"split=clean: {len(drawn)} of {len(verdicts)} classes pass the overlap audit, fewer "
            f"than split.n_unseen={count} ({len(drawn)} {CLEAN}, {others}): {fewer}"
            f"{_more_clean(kinds)}; devise-exp look shows every verdict"
        )
    return drawn[:count]


def _count(classes: Sequence[str], n_unseen: int | None) -> int:
    """How many classes are unseen."""
    count = max(1, round(len(classes) / 5)) if n_unseen is None else n_unseen
    if not 0 < count < len(classes) - 1:
        most = len(classes) - _LEAST_SEEN
        remedy = f"give {_up_to(most)}" if most >= 2 else "use data with more classes"
        raise InputError(
            f"split.n_unseen={count} of {len(classes)} classes: zero-shot needs at least one "
            f"unseen class and two seen ones, and a table {_LEAST_SEEN} seen ones: {remedy}"
        )
    return count


def _more_clean(kinds: Collection[str]) -> str:
    """What gives further clean classes; no statement makes one clean that surely overlaps."""
    if not {*kinds} - {CLEAN, OVERLAPPING}:
        return "use data with other classes"
    noun = "give classes that are not identified a noun (labels.aliases), or "
    state = "state what you know to be clean (labels.stated_clean=[NAME,NAME])"
    return f"{noun if NOT_IDENTIFIED in kinds else ''}{state}"


def _up_to(most: int) -> str:
    """Numbers of unseen classes that a training takes; it takes one if it is told so."""
    return "1 with few_classes=allow" if most == 1 else "2" if most == 2 else f"2 to {most}"


def _in_drawn_order(classes: Sequence[str], seed: int) -> list[str]:
    """All classes in the order that a seed draws them."""
    _check_seed(seed)
    names = sorted(classes)
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def choose_sides(
    data: LabelledRows, unseen: Sequence[str], n_seen: int | None, seed: int
) -> tuple[LabelledRows, np.ndarray]:
    """Make the listed classes unseen, and all others or some of them seen.

    Args:
        data: The rows and their classes.
        unseen: The names of the unseen classes.
        n_seen: So many seen classes take part, smaller sets within larger ones; None: all.
        seed: Draws them.

    Returns:
        The rows with the classes that take part, and (C,) bool: the unseen ones of these.

    Raises:
        UnknownClassError: If a class is unknown.
        InputError: If a class is listed twice, or too few classes remain.
    """
    _check_seed(seed)
    classes, labels = data.classes, data.labels
    known = dict.fromkeys(classes)
    unseen = [name_of(name, known) for name in unseen]  # 42 and null come as no texts from a config
    _check_unseen(unseen, classes)
    names = set(unseen)
    is_unseen = np.array([c in names for c in classes])
    if n_seen is not None:
        kept = is_unseen | draw_seen_classes(classes, ~is_unseen, n_seen, seed)
        # The last entry stays for labels of -1.
        labels = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)[labels]
        classes, is_unseen = [c for c, k in zip(classes, kept, strict=True) if k], is_unseen[kept]
    return replace(data, classes=classes, labels=labels), is_unseen


def _check_unseen(unseen: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse names that are unknown or listed twice, and too few seen or unseen classes."""
    twice = sorted(c for c, n in Counter(unseen).items() if n > 1)
    if twice:
        raise InputError(f"split.unseen names {listed(twice)} more than once: name a class once")
    names = set(classes)
    unknown = [c for c in unseen if c not in names]
    if unknown:
        near = nearest_spellings(unknown[0], classes)
        hint = f"for {unknown[0]}, give {' or '.join(near)}" if near else "take it out"
        raise UnknownClassError(
            f"split.unseen: no class {listed(unknown)} in the data, which have {len(classes)} "
            f"classes after subset, labels.merges and labels.on_missing: {hint}"
        )
    if not 0 < len(unseen) < len(classes) - 1:
        number = {0: "none", len(classes): "all"}.get(len(unseen), "all but one")
        raise InputError(
            f"split.unseen names {number} of the {len(classes)} classes: zero-shot needs at least "
            "one unseen class to test and two seen ones to train on"
        )


def _check_seed(seed: int) -> None:
    """Refuse negative seeds."""
    if seed < 0:
        raise InputError(f"split.seed={seed}: give a whole number from 0 on")
