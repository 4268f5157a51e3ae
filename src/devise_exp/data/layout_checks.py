"""Readings of a tree of folders that are refused: without its images, or with parts as classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.layout import ClassFolder, Folder, Levels
from devise_exp.data.part_names import parts_among

EXAMPLES = 3  # names of classes beside an option


def check_depth(
    title: str,
    split: Mapping[Folder, tuple[str, Folder]],
    classes: Mapping[Folder, ClassFolder],
    levels: Levels,
) -> None:
    """Refuse a depth that leaves folders out which hold nothing but images.

    Args:
        title: What messages call the tree.
        split: As of layout.without_parts.
        classes: Folder -> its class.
        levels: The depth.

    Raises:
        InputError: If there are such folders.
    """
    above = sorted("/".join(path) for path in _too_high(split, classes))
    if above:
        raise InputError(
            f"{title}: data.levels={levels}: images lie above this depth, in {listed(above)}: give "
            "data.levels=leaf, or a smaller number"
        )


def _too_high(
    split: Mapping[Folder, tuple[str, Folder]], classes: Mapping[Folder, ClassFolder]
) -> set[Folder]:
    """Return the paths of folders that belong to no class, and have no folders of images below."""
    inner = {path[:depth] for _, path in split.values() for depth in range(1, len(path))}
    return {path for folder, (_, path) in split.items() if folder not in classes} - inner


def check_names(title: str, root: Path, classes: Collection[ClassFolder], levels: Levels) -> str:
    """Refuse classes named as parts are.

    Args:
        title: What messages call the tree.
        root: The folder that the tree begins with.
        classes: Those of a reading.
        levels: The depth that was given for it.

    Returns:
        A remark on a class that may be a part; "" if there is none.

    Raises:
        InputError: If classes have such names.
    """
    names = {c.path[-1] for c in classes}
    parts = parts_among(names)
    named, others = sorted(parts), sorted(names - parts.keys())
    if not named:
        return ""
    if not others and not any(c.rest for c in classes):
        raise InputError(
            f"{title} holds parts ({listed(named)}) whose images lie directly in them, without "
            f"class folders: sort them into {root / '<part>' / '<class>' / '<image>'}"
        )
    beside = (
        f"beside other class folders ({listed(others, EXAMPLES)})" if others else "and no others"
    )
    if not others or len(set(parts.values())) > 1:
        raise InputError(
            f"{title} would have classes named as parts of a split ({listed(named)}) {beside}: set "
            "data.root to a folder of classes alone, or rename them"
        )
    if levels is not None:
        return ""
    if len(others) > 1 and [name.lower() for name in named] == ["train"]:
        return f"{named[0]}, {beside}, is read as a class: if it is not one, move it elsewhere"
    raise InputError(
        f"{title}: images lie directly in {listed(named)}, {beside}: move them elsewhere, or "
        "give data.levels=1 if they are classes"
    )
