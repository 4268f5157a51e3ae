"""Splits: which classes are unseen, and which rows of the seen ones train, validate and test."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint


@dataclass(frozen=True)
class Split:
    """Classes as ids into `classes`; rows as indices into the dataset.

    classes: those that take part, in the order of the data. seen, unseen: class ids. train, val,
    test: rows of seen classes, disjoint, each class in all three. unseen_rows: every row of the
    unseen classes. clean: report, or require that the backbone's pretraining knew none of the
    unseen classes.
    """

    name: str
    seed: int
    classes: tuple[str, ...]
    seen: np.ndarray
    unseen: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    unseen_rows: np.ndarray
    fingerprint: str
    clean: str = "report"

    def __post_init__(self) -> None:
        if self.clean not in ("report", "require"):
            raise InputError(f"split.clean={self.clean}: choose report or require")
        rows = np.concatenate([self.train, self.val, self.test, self.unseen_rows])
        if len(np.unique(rows)) != len(rows):
            raise ValueError("a row stands in two parts of the split")
        if set(self.seen) & set(self.unseen):
            raise ValueError("a class is both seen and unseen")


def random_split(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    n_unseen: int | None = None,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.2,
    clean: str = "report",
    n_seen: int | None = None,
    train_per_class: int | None = None,
) -> Split:
    """Unseen classes drawn by `seed`; n_unseen None is a fifth of the classes, at least one.

    The rest is as in `named`.
    """
    count = max(1, round(len(classes) / 5)) if n_unseen is None else n_unseen
    if not 0 < count < len(classes) - 1:
        raise InputError(
            f"split.n_unseen={count} of {len(classes)} classes: zero-shot needs at least one "
            f"unseen class and two "
            "seen ones; choose another split.n_unseen or data with more classes"
        )
    _check_seed(seed)
    drawn = np.random.default_rng(seed).permutation(len(classes))[:count]
    chosen = [sorted(classes)[i] for i in drawn]
    shares = val_share, test_share
    return named_split(
        classes, labels, rows, chosen, f"random{count}", seed, *shares, clean, n_seen,
        train_per_class,
    )  # fmt: skip


def named_split(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    unseen: Sequence[str] = (),
    name: str = "named",
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.2,
    clean: str = "report",
    n_seen: int | None = None,
    train_per_class: int | None = None,
) -> Split:
    """The listed classes are unseen, all others seen; `seed` deals the rows.

    classes: class names; labels: (N,) class id per row, -1 for a row that stands in no part;
    rows: (N,) row names. n_seen: only so many seen classes take part, drawn by `seed`, those of a
    smaller number among those of a larger one. train_per_class: at most so many training rows of
    each seen class, nested alike; the other parts stay as they are. Names alone decide the dealing
    and the fingerprint, so that both are the same on every machine, in whatever order classes and
    rows come.
    """
    _check_seed(seed)
    unseen = [str(name) for name in unseen]  # a class called 42 comes as a number from the config
    twice = sorted(c for c, n in Counter(unseen).items() if n > 1)
    if twice:
        raise InputError(f"split.unseen names {', '.join(twice)} more than once: name a class once")
    unknown = [c for c in unseen if c not in classes]
    if unknown:
        near = difflib.get_close_matches(unknown[0], classes, 3)
        raise InputError(
            f"split.unseen: no class {', '.join(unknown)} in the data (near {unknown[0]}: "
            f"{', '.join(near) or 'none'}); give names as the merged class "
            "list has them, without those that subset or labels.on_missing leave out"
        )
    is_unseen = np.array([c in set(unseen) for c in classes])
    if not 0 < is_unseen.sum() < len(classes) - 1:
        number = {0: "none", len(classes): "all"}.get(len(unseen), "all but one")
        raise InputError(
            f"split.unseen names {number} of the {len(classes)} classes: zero-shot needs at least "
            "one unseen class to test and two seen ones to train on"
        )
    if not (val_share > 0 and test_share > 0 and val_share + test_share < 1):
        raise InputError(
            f"split.val_share={val_share} and split.test_share={test_share}: both above 0, "
            f"together below 1"
        )
    if train_per_class is not None and (type(train_per_class) is not int or train_per_class < 1):
        raise InputError(f"split.train_per_class={train_per_class}: give a whole number from 1 on")
    if n_seen is not None:
        kept = is_unseen | _drawn(classes, ~is_unseen, n_seen, seed)
        # The last entry stays for labels of -1.
        labels = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)[labels]
        classes, is_unseen = [c for c, k in zip(classes, kept, strict=True) if k], is_unseen[kept]
    parts = _deal(classes, labels, rows, ~is_unseen, seed, val_share, test_share, train_per_class)
    unseen_rows = np.flatnonzero(np.isin(labels, np.flatnonzero(is_unseen)))
    return given_split(classes, labels, rows, (*parts, unseen_rows), name, seed, clean, is_unseen)


def draw_class_folds(split: Split, clean: np.ndarray, folds: int) -> tuple[np.ndarray, ...]:
    """Seen classes that play the unseen ones in each of so many class folds, on which choices are
    made; the sets are disjoint, and split.seed alone draws them.

    clean: ids of seen classes that the pretraining does not know, as it must not know the unseen
    ones; they are taken where there are four or more for each class fold, else any. A set holds a
    fifth of the seen classes or fewer; () where they are too few for sets of two. InputError for a
    number of class folds that is no whole number from 0 on.
    """
    if type(folds) is not int or folds < 0:
        raise InputError(f"class_folds={folds}: give a whole number from 0 on")
    pool = clean if len(clean) >= 4 * folds else split.seen
    size = min(len(pool) // max(folds, 1), round(len(split.seen) / 5))
    if folds < 1 or size < 2:
        return ()
    by_name = sorted(pool.tolist(), key=lambda c: split.classes[c])
    drawn = np.random.default_rng(split.seed).permutation(len(by_name))
    ids = np.array(by_name)[drawn]
    return tuple(np.sort(ids[i * size : (i + 1) * size]) for i in range(folds))


def given_split(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    name: str,
    seed: int = 0,
    clean: str = "report",
    is_unseen: np.ndarray | None = None,
) -> Split:
    """A split whose rows are decided already: train, val, test and those of unseen classes.

    classes, labels and rows: as in `named`; is_unseen: (C,) bool, the last part's where None.
    """
    if is_unseen is None:
        is_unseen = np.isin(np.arange(len(classes)), labels[parts[3]])
    return Split(
        name,
        seed,
        tuple(classes),
        np.flatnonzero(~is_unseen),
        np.flatnonzero(is_unseen),
        *parts,
        _fingerprint(classes, is_unseen, rows, parts),
        clean,
    )


def _drawn(classes: Sequence[str], is_seen: np.ndarray, n: int, seed: int) -> np.ndarray:
    """(C,) bool: n of the seen classes, the first n of an order that `seed` alone decides."""
    names = sorted(c for c, seen in zip(classes, is_seen, strict=True) if seen)
    if type(n) is not int or not 2 <= n <= len(names):
        raise InputError(
            f"split.n_seen={n}: give a whole number from 2 to {len(names)}, the classes that are "
            "not unseen, or null for all of them"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    chosen = {names[i] for i in order[:n]}
    return np.array([c in chosen for c in classes])


def _deal(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    is_seen: np.ndarray,
    seed: int,
    val_share: float,
    test_share: float,
    most: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, val and test rows, stratified: each seen class gives its share, at least one picture,
    to each part, but at most `most` to train.

    Classes that were merged may hold one photograph twice under one name (Caltech-101's
    Faces/image_0001.jpg and its crop Faces_easy/image_0001.jpg): the two go to the same part.
    """
    pictures: dict[int, dict[str, list[int]]] = {c: {} for c in np.flatnonzero(is_seen).tolist()}
    for row, c in enumerate(labels.tolist()):
        if c in pictures:
            name = rows[row].partition("/")[2] or rows[row]
            pictures[c].setdefault(name, []).append(row)
    small = [f"{classes[c]} ({len(own)})" for c, own in pictures.items() if len(own) < 3]
    if small:
        raise InputError(
            f"too few pictures to train, validate and test on in {', '.join(small[:10])}"
            f"{' ...' if len(small) > 10 else ''}: add pictures (3 or more a class), or leave "
            f"such classes out with "
            "subset.min_images=3"
        )
    train: list[int] = []
    val: list[int] = []
    test: list[int] = []
    for c, by_name in pictures.items():
        names = sorted(by_name)
        # A class's own stream: its rows are dealt alike whatever other classes there are.
        rng = class_rng(seed, classes[c])
        own = [by_name[names[i]] for i in rng.permutation(len(names))]
        n_val, n_test = (max(1, round(len(own) * share)) for share in (val_share, test_share))
        n_val = min(n_val, len(own) - 2)
        n_test = min(n_test, len(own) - n_val - 1)
        val += chain.from_iterable(own[:n_val])
        test += chain.from_iterable(own[n_val : n_val + n_test])
        train += [*chain.from_iterable(own[n_val + n_test :])][:most]
    return np.sort(train), np.sort(val), np.sort(test)


def class_rng(seed: int, class_name: str) -> np.random.Generator:
    """Make the random stream of one class, the same whatever other classes there are.

    Args:
        seed: The seed of the split.
        class_name: The class.

    Returns:
        A generator for this class alone.
    """
    digits = bytes.fromhex(fingerprint(class_name, size=64))[:8]  # as the first splits were drawn
    return np.random.default_rng([seed, *digits])


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise InputError(f"split.seed={seed}: give a whole number from 0 on")


def _fingerprint(
    classes: Sequence[str],
    is_unseen: np.ndarray,
    rows: Sequence[str],
    parts: tuple[np.ndarray, ...],
) -> str:
    sides = sorted((c, bool(u)) for c, u in zip(classes, is_unseen, strict=True))
    names = (repr(sorted(rows[row] for row in part)) for part in parts)
    return fingerprint(repr(sides), names, size=8)
