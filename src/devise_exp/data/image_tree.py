"""The files of a tree of folders as images with classes and parts, once its layout is known."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from devise_exp.data.dataset import ImageEntry
from devise_exp.data.file_names import image_endings, portable
from devise_exp.data.layout import (
    ClassFolder,
    Counts,
    Folder,
    class_folders_of,
    class_names,
    without_parts,
)
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.layout_choice import Layout

FileTree = dict[Folder, list[str]]  # folder below the root -> the files in it that may be images


def image_counts(tree: FileTree) -> dict[Folder, int]:
    """Count the images of folders by the endings of their names.

    Args:
        tree: The files of each folder.

    Returns:
        Folder -> number, of folders with images. If no name has the ending of an image, all files
        count.
    """
    endings = image_endings()
    counts = {
        folder: n
        for folder, files in tree.items()
        if (n := sum(Path(file).suffix.lower() in endings for file in files))
    }
    return counts or {folder: len(files) for folder, files in tree.items()}


def image_entries(
    root: Path, tree: FileTree, layout: Layout, parts: PartOption
) -> Iterator[ImageEntry]:
    """Yield the images of all classes.

    Args:
        root: The folder that the tree begins with.
        tree: The files of each folder.
        layout: Of the tree.
        parts: Whether the images keep their parts.

    Yields:
        The images; a row is <class>/<part>/<folders below the class>/<file>.
    """
    classes: Mapping[Folder, ClassFolder] = layout.classes
    if layout.parts is None:  # folders of files that only their content shows to be images, too
        counts = {folder: len(files) for folder, files in tree.items() if folder}
        every = class_folders_of(counts, without_parts(counts, None), layout.levels)
        classes = {**every, **classes}
    names = class_names(class_folder.path for class_folder in classes.values())
    for folder, (path, rest, part) in classes.items():
        class_name = portable(names[path])
        above = "/".join((class_name, *([part] if part else []), *rest))
        published = layout.parts.parts[part] if layout.parts and parts == "keep" else None
        for file in tree[folder]:
            row = portable(f"{above}/{file}")
            yield ImageEntry(class_name, row, str(root.joinpath(*folder, file)), published)


def left_out_notes(counts: Counts, layout: Layout) -> list[str]:
    """Name the folders with images that belong to no class.

    Args:
        counts: The images of every folder.
        layout: Of the tree.

    Returns:
        A note for each of them; a folder beside the parts is one.
    """
    left_out: Counter[str] = Counter()
    for folder, n in counts.items():
        if folder not in layout.classes:
            is_part = layout.parts is not None and folder[0] in layout.parts.parts
            beside_part = layout.parts is not None and not layout.parts.level and not is_part
            left_out[folder[0] if beside_part else "/".join(folder)] += n
    return [f"{portable(name)}: {n} images not in a class folder" for name, n in left_out.items()]


def layout_remarks(layout: Layout, parts: PartOption) -> tuple[str, ...]:
    """Say what a person should know of how a tree was read.

    Args:
        layout: Of the tree.
        parts: What is done with its parts.

    Returns:
        A line for each remark.
    """
    remarks = [layout.remark] if layout.remark else []
    if parts == "join" and layout.parts is not None:
        remarks.append(
            f"data.parts=join: the parts {', '.join(layout.parts.names)} are joined and split "
            "anew, so near-copies of training images may be among test images"
        )
    return tuple(remarks)


def layout_about(name: str, layout: Layout, parts: PartOption) -> tuple[str, ...]:
    """Say which folders were read as which parts.

    Args:
        name: The name of the dataset.
        layout: Of the tree.
        parts: What is done with its parts.

    Returns:
        A line; none of a tree without parts, or with joined ones.
    """
    if layout.parts is None or parts != "keep":
        return ()
    folders = layout.parts.parts
    shown = ", ".join(f"{folder} ({folders[folder]})" for folder in layout.parts.names)
    return (f"{name}: folders {shown} are the parts",)


def missing_classes(root: Path, images: int, tree: FileTree) -> str:
    """Say what a folder without class folders is, and what to do.

    Args:
        root: The folder.
        images: How many images lie directly in it.
        tree: Its files.

    Returns:
        The end of a message.
    """
    if not images:
        return f"holds no images: expected {root / '<class>' / '<image>'}"
    siblings = [path for path in islice(root.resolve().parent.iterdir(), 100) if path.is_dir()]
    above = ""
    if len([path for path in siblings if _holds_images(path)]) > 1:
        option = shlex.quote(f"data.root={root.resolve().parent}")
        above = f"set {option} if this is one class, "
    return (
        f"has no class folders, its {images} images lie directly in it (such as {tree[()][0]}): "
        f"{above}move them into {root / '<class>' / '<image>'}, or search among them with a "
        f"finished run: devise-exp index RUN {shlex.quote(str(root))}"
    )


def _holds_images(folder: Path) -> bool:
    """Tell whether one of the first files of a folder is named as images are."""
    endings = image_endings()
    try:
        with os.scandir(folder) as entries:
            return any(Path(entry.name).suffix.lower() in endings for entry in islice(entries, 100))
    except OSError:
        return False
