"""Whether a split has classes enough for its table to say anything."""

from __future__ import annotations

from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.data.splits import Split

MIN_SEEN = 4
MIN_UNSEEN = 2


def too_few_classes(split: Split) -> str | None:
    """Say what is wrong with the number of classes of a split.

    Among three seen classes every method is near 100, and one unseen class cannot be taken for
    another.

    Args:
        split: Of whatever origin.

    Returns:
        What to say; None for MIN_SEEN seen and MIN_UNSEEN unseen classes or more.
    """
    n_seen, n_unseen = len(split.seen), len(split.unseen)
    if n_seen >= MIN_SEEN and n_unseen >= MIN_UNSEEN:
        return None
    return (
        f"split {split.name} has {n_seen} seen and {n_unseen} unseen classes, too few for its "
        f"metrics to say anything (it takes {MIN_SEEN} seen and {MIN_UNSEEN} unseen ones)"
    )


def require_classes(config: DictConfig, split: Split) -> None:
    """Refuse a split of too few classes, unless the config asks for it.

    Args:
        config: Of train.py; a run of an earlier version has no such option, and goes on.
        split: What it splits the data into.

    Raises:
        InputError: If there are too few classes.
    """
    few = too_few_classes(split)
    if few is not None and config.get("few_classes", "allow") != "allow":
        raise InputError(
            f"{few}: {_remedy(config, split)}, or train all the same with few_classes=allow"
        )


def _remedy(config: DictConfig, split: Split) -> str:
    """What gives classes enough: another split, if the data have them."""
    n, n_seen = len(split.classes), config.split.get("n_seen")
    if n_seen is not None and n_seen < MIN_SEEN:
        return f"give split.n_seen={MIN_SEEN} or more, or null"
    if n < MIN_SEEN + MIN_UNSEEN:
        return f"use data of {MIN_SEEN + MIN_UNSEEN} classes or more (these have {n})"
    most = n - MIN_SEEN
    if most == MIN_UNSEEN:
        return f"hold out {most} of the {n} classes, use data of more"
    return f"hold out {MIN_UNSEEN} to {most} of the {n} classes"
