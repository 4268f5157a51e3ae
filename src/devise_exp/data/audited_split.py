"""A split whose unseen classes are drawn among those that the pretraining did not know."""

from __future__ import annotations

from dataclasses import replace

from devise_exp.core.errors import InputError
from devise_exp.data.class_sides import draw_clean
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import folders_split
from devise_exp.data.splits import Split, named_split


def clean_split(
    data: LabelledRows,
    n_unseen: int | None = None,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.2,
    clean: str = "require",
    n_seen: int | None = None,
    train_per_class: int | None = None,
) -> Split:
    """Draw the unseen classes among those that pass the overlap audit.

    The rows of the others are dealt as by `named_split`, or taken as published, as by
    `folders_split`, if the data have parts.

    Args:
        data: The rows, their classes, and the verdicts of all classes.
        n_unseen: How many classes are unseen; None: a fifth of all classes, at least one.
        seed: Draws the unseen classes and deals the rows.
        val_share: As for named_split.
        test_share: As for named_split; published parts have their test rows.
        clean: As for named_split.
        n_seen: As for named_split.
        train_per_class: As for named_split.

    Returns:
        The split.

    Raises:
        InputError: If the pretraining classes are not known, too few classes pass, or an option has
            a wrong value.
    """
    if data.verdicts is None:
        raise InputError(
            "split=clean: the classes of the backbone's pretraining are unknown, so no class can "
            "be shown to be clean: choose a backbone with published classes, or split=random"
        )
    unseen = draw_clean({name: data.verdicts[name] for name in data.classes}, n_unseen, seed)
    name = f"clean{len(unseen)}"
    if data.parts is not None:
        published = folders_split(
            data, None, unseen, seed, val_share, clean, n_seen, train_per_class
        )
        return replace(published, name=name)
    return named_split(
        data, unseen, name, seed, val_share, test_share, clean, n_seen, train_per_class
    )
