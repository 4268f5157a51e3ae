"""How seeds deal seen classes, and their rows to train, validate and test."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint
from devise_exp.core.name_files import listed
from devise_exp.data.group_dealing import deal_groups
from devise_exp.data.labelled_rows import LabelledRows


def class_rng(seed: int, class_name: str) -> np.random.Generator:
    """Make the random stream of one class, the same whatever other classes there are.

    Args:
        seed: The seed of the split.
        class_name: The class.

    Returns:
        A generator for this class alone.
    """
    digits = bytes.fromhex(fingerprint(class_name, size=64))[:8]  # all 64 decide these eight
    # The stream of default_rng([seed, *digits]), which takes twice as long to read its numbers.
    words = [seed >> shift & 0xFFFFFFFF for shift in range(0, max(seed.bit_length(), 1), 32)]
    entropy = np.array([*words, *digits], np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def draw_seen_classes(
    classes: Sequence[str], is_seen: np.ndarray, n_seen: int, seed: int
) -> np.ndarray:
    """Draw some of the seen classes, those of a smaller number among those of a larger one.

    Args:
        classes: (C,) class names.
        is_seen: (C,) bool.
        n_seen: How many to draw.
        seed: Decides alone, with the names, which ones.

    Returns:
        (C,) bool: the drawn classes.

    Raises:
        InputError: If n_seen is not a whole number from 2 to the number of seen classes.
    """
    names = sorted(c for c, seen in zip(classes, is_seen, strict=True) if seen)
    if type(n_seen) is not int or not 2 <= n_seen <= len(names):
        raise InputError(
            f"split.n_seen={n_seen}: give a whole number from 2 to {len(names)}, the classes that "
            "are not unseen, or null for all of them"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    chosen = {names[i] for i in order[:n_seen]}
    return np.array([c in chosen for c in classes])


def deal_rows(
    data: LabelledRows,
    is_seen: np.ndarray,
    seed: int,
    val_share: float,
    test_share: float,
    train_per_class: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deal the rows of seen classes, stratified: a class gives its share, at least one image.

    Classes that were merged may hold one photograph twice under one name (Caltech-101's
    Faces/image_0001.jpg and its crop Faces_easy/image_0001.jpg): both go to the same part. So do
    the copies of an image within a class, which count as one. Groups are dealt by `deal_groups`.

    Args:
        data: The rows and their classes.
        is_seen: (C,) bool.
        seed: Decides alone, with the names, which row goes where.
        val_share: Share of the images of a class that validate.
        test_share: Share that test; the rest trains.
        train_per_class: At most so many rows of a class train; None: all.

    Returns:
        Sorted rows to train, validate and test.

    Raises:
        InputError: If a class has fewer than three images.
    """
    if data.groups is not None:
        return deal_groups(data, is_seen, seed, val_share, test_share, train_per_class)
    images = _images_by_name(data, is_seen)
    small = [f"{data.classes[c]} ({len(names)})" for c, names in images.items() if len(names) < 3]
    if small:
        rest = (
            ", or leave such classes out with subset.min_images=3"
            if len(small) < len(images)
            else ""
        )
        raise InputError(
            f"too few images to train, validate and test on in {listed(small)}: add images "
            f"(3 or more a class, no copies){rest}"
        )
    train: list[int] = []
    val: list[int] = []
    test: list[int] = []
    for c, by_name in images.items():
        names = sorted(by_name)
        order = class_rng(seed, data.classes[c]).permutation(len(names))
        dealt = [by_name[names[i]] for i in order]
        n_val, n_test = (max(1, round(len(dealt) * share)) for share in (val_share, test_share))
        n_val = min(n_val, len(dealt) - 2)
        n_test = min(n_test, len(dealt) - n_val - 1)
        val += chain.from_iterable(dealt[:n_val])
        test += chain.from_iterable(dealt[n_val : n_val + n_test])
        train += [*chain.from_iterable(dealt[n_val + n_test :])][:train_per_class]
    return np.sort(train), np.sort(val), np.sort(test)


def _images_by_name(data: LabelledRows, is_seen: np.ndarray) -> dict[int, dict[str, list[int]]]:
    """Return the rows of every image of every seen class: class id -> image name -> rows."""
    images: dict[int, dict[str, list[int]]] = {c: {} for c in np.flatnonzero(is_seen).tolist()}
    for row, c in enumerate(data.labels.tolist()):
        if c in images:
            name = data.rows[row].partition("/")[2] or data.rows[row]
            images[c].setdefault(name, []).append(row)
    if data.contents is None:
        return images
    return {c: _join_copies(by_name, data.contents) for c, by_name in images.items()}


def _join_copies(by_name: dict[str, list[int]], contents: Sequence[str]) -> dict[str, list[int]]:
    """Put the rows of one content under one name, the first of theirs."""
    above = {name: name for name in by_name}

    def first(name: str) -> str:
        while above[name] != name:
            name = above[name]
        return name

    name_of: dict[str, str] = {}
    for name in sorted(by_name):
        for row in by_name[name]:
            low, high = sorted((first(name), first(name_of.setdefault(contents[row], name))))
            above[high] = low
    joined: dict[str, list[int]] = {}
    for name in sorted(by_name):
        joined.setdefault(first(name), []).extend(by_name[name])
    return joined
