"""A folder of images: one folder per class, with or without train/val/test above."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.decoding import MAX_PIXELS, UNREADABLE
from devise_exp.data.file_names import portable, system_devices
from devise_exp.data.image_tree import (
    FileTree,
    image_counts,
    image_entries,
    layout_about,
    layout_remarks,
    left_out_notes,
    missing_classes,
)
from devise_exp.data.layout import Levels
from devise_exp.data.layout_advice import PartOption
from devise_exp.data.layout_choice import choose_layout
from devise_exp.data.system_files import image_files, is_system_folder

# Only what people keep beside images; whatever else a class folder holds is tried as an image.
# fmt: off
NOT_IMAGES = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
    ".ini", ".db", ".mat", ".npy", ".npz", ".pkl", ".h5", ".pt", ".pth", ".parquet", ".zip", ".tar",
    ".gz", ".tgz", ".7z", ".rar", ".py", ".sh", ".mp4", ".avi", ".mov", ".md5",
))
# fmt: on


def class_folders(
    root: Path, pattern: re.Pattern[str] | None = None
) -> tuple[list[ImageEntry], list[str]]:
    """List the images of ROOT/<class>/**/<image>.

    Args:
        root: The folder of class folders. Hidden and system folders are left out.
        pattern: What the whole path of a file below its class folder must match; None: anything.

    Returns:
        The images, their row names relative to root, and a note per class folder without images.
    """
    images: list[ImageEntry] = []
    notes: list[str] = []
    for folder in sorted(root.iterdir()):
        if is_system_folder(folder.name) or not folder.is_dir():
            continue
        class_name = portable(folder.name)
        n_notes = len(notes)
        files = files_below(folder, notes, root)
        if pattern is not None:
            files = [file for file in files if pattern.fullmatch(file)]
        if not files and len(notes) == n_notes:
            notes.append(f"{class_name}: no images in this class folder")
        for file in files:
            row = f"{class_name}/{portable(file)}"
            images.append(ImageEntry(class_name, row, f"{folder}{os.sep}{file}"))
    return images, notes


def files_below(folder: Path, notes: list[str], root: Path | None = None) -> list[str]:
    """List the files below a folder that may be images.

    Args:
        folder: The folder. Links to folders are followed, but not back to a folder above.
        notes: Gets a line per folder that cannot be read, and per link back.
        root: The folder that the listing began with; None: `folder`.

    Returns:
        Sorted paths relative to the folder, with "/" between the parts.
    """
    files: list[str] = []
    starts = [folder] if root is None else [folder, root]  # the folder itself may be such a link
    above = _identities(parent for start in starts for parent in start.resolve().parents)
    above |= set() if root is None else _identities([root])
    visited = set(above)

    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: {UNREADABLE}: {error.strerror}")

    for path, folders, names in os.walk(folder, onerror=note, followlinks=True):
        (identity,) = _identities([Path(path)])
        if identity in visited:
            folders.clear()
            if identity in above:
                notes.append(f"{portable(path)}: a link back to a folder above it: left out")
            continue
        visited.add(identity)
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        within = Path(path).relative_to(folder).as_posix()
        for name in image_files(names):
            if Path(name).suffix.lower() not in NOT_IMAGES:
                files.append(name if within == "." else f"{within}/{name}")
    return sorted(files)


def _identities(folders: Iterable[Path]) -> set[tuple[int, int]]:
    """What tells folders from others, whatever their paths: device and number."""
    return {(status.st_dev, status.st_ino) for status in map(Path.stat, folders)}


def image_folder(
    root: str | Path,
    strict: bool = False,
    name: str = "image_folder",
    levels: Levels = None,
    parts: PartOption = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageDataset:
    """Read ROOT/<class>/**/<image>, in any format that Pillow opens, or class folders elsewhere.

    A tree that may be read in several ways is refused, with the options that read it.

    Args:
        root: The folder of class folders.
        strict: Whether a broken image is an error instead of skipped.
        name: The name of the dataset in tables and reports.
        levels: Depth of the class folders below root, or below a part; "leaf": each folder that
            holds images is a class. None: 1, of folders that hold images themselves.
        parts: What to do with ROOT/{train,val,test}/<class>: "keep" the parts for
            `folders_split`, or "join" them. None: raise.
        max_pixels: Images of more pixels count as broken; `devise_exp.data.decoding.decode` says
            what memory they take.

    Returns:
        The dataset.

    Raises:
        InputError: If `root` is not such a folder, or it is not clear what its folders are, or an
            image is broken with `strict`.
    """
    if levels not in (None, "leaf") and (type(levels) is not int or levels < 1):
        raise InputError(f"data.levels={levels}: give leaf, a whole number from 1 on, or null")
    if parts not in (None, "keep", "join"):
        raise InputError(f"data.parts={parts}: choose keep, join or null")
    root = Path(root).expanduser()
    title = f"{name}: {root}"
    if not root.exists():
        raise InputError(f"{title} does not exist: set data.root to a folder of class folders")
    if not root.is_dir():
        raise InputError(f"{title} is a file: set data.root to a folder of class folders")
    if root.stat().st_dev in system_devices():
        raise InputError(
            f"{title} is a folder of the operating system: set data.root to a folder of class "
            "folders"
        )
    tree, notes = read_tree(root)
    counts = image_counts(tree)
    beside = counts.pop((), 0)
    if not counts:
        raise InputError(f"{title} {missing_classes(root, beside, tree)}")
    layout = choose_layout(title, root, counts, levels, parts)
    if beside:
        notes.append(f"{beside} images beside the class folders, such as {tree[()][0]}: left out")
    notes += left_out_notes(counts, layout)
    images = image_entries(root, tree, layout, parts)
    remarks = layout_remarks(layout, parts)
    about = layout_about(name, layout, parts)
    return dataset_from_images(name, images, strict, notes, remarks, max_pixels, about=about)


def read_tree(root: Path) -> tuple[FileTree, list[str]]:
    """List the files that may be images, by folder.

    Args:
        root: A folder.

    Returns:
        Path of each folder with such files, as names below the root -> the sorted names of its
        files; and a note per folder that cannot be read or is empty.
    """
    tree: FileTree = {}
    notes: list[str] = []
    entries = sorted(entry for entry in root.iterdir() if not is_system_folder(entry.name))
    beside = set(image_files(entry.name for entry in entries))
    for entry in entries:
        if entry.is_dir() and entry.stat().st_dev not in system_devices():
            n_notes = len(notes)
            files = files_below(entry, notes, root)
            if not files and len(notes) == n_notes:
                notes.append(f"{portable(entry.name)}: no images in this class folder")
            for file in files:
                *within, name = file.split("/")
                tree.setdefault((entry.name, *within), []).append(name)
        elif entry.is_file() and entry.name in beside and entry.suffix.lower() not in NOT_IMAGES:
            tree.setdefault((), []).append(entry.name)
    return tree, notes
