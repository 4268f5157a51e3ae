"""What a tree of folders is: classes, parts of a published split, levels above the classes.

Everything here looks at names and at numbers of images alone, and reads no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from devise_exp.data.part_names import Part, is_filler, part_of, parts_among

Folder = tuple[str, ...]  # the names from below the root down to a folder; () is the root
Counts = Mapping[Folder, int]  # images that lie directly in a folder, of folders that have any
Levels = int | Literal["leaf"] | None


@dataclass(frozen=True, kw_only=True)
class PartFolders:
    """Folders that are parts of a published split.

    Attributes:
        level: How many folders lie above them.
        parts: Name of such a folder -> its part.
        beside: Names of other folders beside them.
    """

    level: int
    parts: Mapping[str, Part]
    beside: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the folders, those to train on first."""
        order = ("train", "val", "test")
        return tuple(sorted(self.parts, key=lambda name: (order.index(self.parts[name]), name)))


class ClassFolder(NamedTuple):
    """To which class and part the images of a folder belong.

    Attributes:
        path: The names of the folders down to the class folder, without the part's.
        rest: The names of the folders below the class folder.
        part: The name of the part's folder; "" if there are no parts.
    """

    path: Folder
    rest: Folder
    part: str


def wrapper_of(counts: Counts) -> Folder:
    """Find the folders that hold nothing but one folder each, from the root down.

    Args:
        counts: The images of every folder.

    Returns:
        The path of the last one; () if the root holds several folders, or images.
    """
    first = min(counts, key=len)
    shared = 0
    while shared < len(first) - 1 and all(path[shared] == first[shared] for path in counts):
        shared += 1
    return first[:shared]


def find_parts(counts: Counts) -> PartFolders | None:
    """Find folders that are parts of a published split and hold class folders.

    Args:
        counts: The images of every folder; none directly in the root.

    Returns:
        Those in the root, perhaps beside others, or those at one level below; None: none.
    """
    names = sorted({path[0] for path in counts})
    parts = {name: part for name, part in parts_among(names).items() if _has_folders(counts, name)}
    beside = tuple(name for name in names if name not in parts)
    plain = [name for name in beside if (name,) in counts and part_of(name) is None]
    # One part alone is a folder above the classes.
    if len(set(parts.values())) > 1 or (parts and beside and not plain):
        return PartFolders(level=0, parts=parts, beside=beside)
    for level in range(1, max(map(len, counts))):
        below = [path for path in counts if len(path) > level]
        names = sorted({path[level] for path in below})
        parts = parts_among(names)
        if len(parts) == len(names) and len(set(parts.values())) > 1:
            above = {path[:depth] for path in below for depth in range(level + 1)}
            return (
                PartFolders(level=level, parts=parts)
                if counts.keys() <= above.union(below)
                else None
            )
    return None


def _has_folders(counts: Counts, name: str) -> bool:
    """Tell whether most images of a folder in the root lie in class folders below it."""
    inside = {path: path[1:] for path in counts if path[0] == name}
    classes = {path for path, rest in _unwrapped(inside, name).items() if rest}
    return 2 * sum(counts[path] for path in classes) > sum(counts[path] for path in inside)


def without_parts(
    folders: Iterable[Folder], parts: PartFolders | None
) -> dict[Folder, tuple[str, Folder]]:
    """Take the names of parts out of the paths of folders.

    A folder that wraps the classes of a part (training_set/training_set, train/images) is taken out
    as well.

    Args:
        folders: The folders that hold images.
        parts: The parts.

    Returns:
        Folder -> the name of its part ("" without parts) and the path without it; folders outside
        of the parts, and images that lie directly in a part, are left out.
    """
    split: dict[Folder, tuple[str, Folder]] = {}
    for folder in folders:
        if parts is None:
            split[folder] = "", folder
        elif len(folder) > parts.level + 1 or (parts.level and len(folder) > parts.level):
            name, path = folder[parts.level], folder[: parts.level] + folder[parts.level + 1 :]
            if name in parts.parts:
                split[folder] = name, path
    for name in {name for name, _ in split.values()} - {""}:
        inside = {folder: path for folder, (part, path) in split.items() if part == name}
        split |= {folder: (name, path) for folder, path in _unwrapped(inside, name).items()}
    return {folder: (name, path) for folder, (name, path) in split.items() if path}


def _unwrapped(paths: Mapping[Folder, Folder], part: str) -> dict[Folder, Folder]:
    """Shorten the paths in a part while all lie in a folder that repeats its name, or says nothing.

    The path of images that are not in a class folder becomes ().
    """
    inside = {folder: path for folder, path in paths.items() if path}
    while inside and len(first := {path[0] for path in inside.values() if path}) == 1:
        (name,) = first
        if name.casefold() != part.casefold() and part_of(name) is None and not is_filler(name):
            break
        inside = {folder: path[1:] for folder, path in inside.items()}
    return dict.fromkeys(paths, ()) | inside


def class_folders_of(
    counts: Counts, split: Mapping[Folder, tuple[str, Folder]], levels: Levels
) -> dict[Folder, ClassFolder]:
    """Say which folder is a class.

    Args:
        counts: The images of every folder.
        split: As of without_parts.
        levels: Depth of the class folders; "leaf": each folder that holds images, but not those
            that say nothing (okapi/images); None: 1.

    Returns:
        Folder -> its class and part; left out are folders above that depth, and folders above
        others with fewer images than any of these.
    """
    below: dict[tuple[str, Folder], list[Folder]] = {}
    for folder, (part, path) in split.items():
        for depth in range(len(path)):
            below.setdefault((part, path[:depth]), []).append(folder)
    classes = {}
    for folder, (part, path) in split.items():
        depth = len(path) if levels == "leaf" else levels or 1
        if levels == "leaf":
            if counts[folder] < min((counts[f] for f in below.get((part, path), [])), default=0):
                continue
            while depth > 1 and _says_nothing(split, below[part, path[: depth - 1]], depth):
                depth -= 1
        if len(path) >= depth:
            classes[folder] = ClassFolder(path[:depth], path[depth:], part)
    return classes


def _says_nothing(
    split: Mapping[Folder, tuple[str, Folder]], folders: Iterable[Folder], depth: int
) -> bool:
    """Tell whether folders that lie at one depth have names that say nothing."""
    return all(is_filler(split[folder][1][depth - 1]) for folder in folders)


def unclear_folders(counts: Counts, split: Mapping[Folder, tuple[str, Folder]]) -> list[str]:
    """Name first-level folders that may be classes, or hold classes.

    A class folder holds images. Images in several folders below it, or in one alone, could as well
    be of classes of their own.

    Args:
        counts: The images of every folder.
        split: As of without_parts.

    Returns:
        The names, sorted.
    """
    direct: Counter[str] = Counter()
    below: dict[str, Counter[str]] = {}
    for folder, (_, path) in split.items():
        if len(path) == 1:
            direct[path[0]] += counts[folder]
        else:
            says = not all(map(is_filler, path[1:]))
            below.setdefault(path[0], Counter())[path[1] if says else ""] += counts[folder]
    unclear = []
    for name, folders in below.items():
        alike = [n for folder, n in folders.items() if folder]
        if alike and (not direct[name] or (len(alike) > 1 and sum(alike) > direct[name])):
            unclear.append(name)
    return sorted(unclear)


def class_names(paths: Iterable[Folder]) -> dict[Folder, str]:
    """Name classes by their folders; folders of one name by the folders above them too.

    Args:
        paths: The paths of the class folders.

    Returns:
        Path -> name, all different.

    Example:
        >>> class_names([("Fruit", "Apple", "Other"), ("Fruit", "Pear", "Other"), ("Fruit", "Fig")])
        {('Fruit', 'Apple', 'Other'): 'Apple/Other', ('Fruit', 'Pear', 'Other'): 'Pear/Other', \
('Fruit', 'Fig'): 'Fig'}
    """
    names = {path: path[-1] for path in paths}
    longest = max(map(len, names), default=0)
    for depth in range(2, longest + 1):
        count = Counter(names.values())
        names = {p: "/".join(p[-depth:]) if count[n] > 1 else n for p, n in names.items()}
    return names
