"""A folder of images: one folder per class, with or without train/val/test above."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.decoding import UNREADABLE

# Only what people keep beside images; whatever else a class folder holds is tried as an image.
# fmt: off
NOT_IMAGES = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
    ".ini", ".db", ".mat", ".npy", ".npz", ".pkl", ".h5", ".pt", ".pth", ".parquet", ".zip", ".tar",
    ".gz", ".tgz", ".7z", ".rar", ".py", ".sh", ".mp4", ".avi", ".mov", ".md5",
))
# fmt: on
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing", "eval"}


def class_folders(
    root: Path, pattern: re.Pattern[str] | None = None
) -> tuple[list[ImageEntry], list[str]]:
    """List the images of ROOT/<class>/**/<image>.

    Args:
        root: The folder of class folders. Names with a leading dot are hidden.
        pattern: What the whole path of a file below its class folder must match; None: anything.

    Returns:
        The images, their row names relative to root, and a note per class folder without images.
    """
    images: list[ImageEntry] = []
    notes: list[str] = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        class_name = portable(folder.name)
        files = files_below(folder, notes)
        if pattern is not None:
            files = [file for file in files if pattern.fullmatch(file)]
        if not files:
            notes.append(f"{class_name}: no images in this class folder")
        for file in files:
            row = f"{class_name}/{portable(file)}"
            images.append(ImageEntry(class_name, row, f"{folder}{os.sep}{file}"))
    return images, notes


def files_below(folder: Path, notes: list[str]) -> list[str]:
    """List the files below a folder that may be images.

    Args:
        folder: The folder. Links to folders are followed, but not back to a folder above.
        notes: Gets a line per folder that cannot be read.

    Returns:
        Sorted paths relative to the folder, with "/" between the parts.
    """
    files: list[str] = []
    above = [parent.stat() for parent in folder.resolve().parents]
    visited = {(status.st_dev, status.st_ino) for status in above}

    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: {UNREADABLE}: {error.strerror}")

    for path, folders, names in os.walk(folder, onerror=note, followlinks=True):
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link back to a folder above
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(path).relative_to(folder).as_posix()
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() not in NOT_IMAGES:
                files.append(name if within == "." else f"{within}/{name}")
    return sorted(files)


def portable(name: str) -> str:
    """Write a file name in one form on every file system.

    Args:
        name: A file name, perhaps in decomposed Unicode form or with undecodable bytes.

    Returns:
        The name in composed form, with undecodable bytes escaped.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))


def image_folder(
    root: str | Path, strict: bool = False, name: str = "image_folder"
) -> ImageDataset:
    """Read ROOT/<class>/**/<image>, in any format that Pillow opens.

    Args:
        root: The folder of class folders.
        strict: Whether a broken image is an error instead of skipped.
        name: The name of the dataset in tables and reports.

    Returns:
        The dataset.

    Raises:
        InputError: If `root` is not such a folder, or an image is broken with `strict`.
    """
    root = Path(root).expanduser()
    layout = f"{name}: {root}"
    if not root.exists():
        raise InputError(f"{layout} does not exist: set data.root to a folder of class folders")
    if not root.is_dir():
        raise InputError(f"{layout} is a file: set data.root to a folder of class folders")
    images, notes = class_folders(root)
    if not images:
        files = files_below(root, [])
        if files:
            raise InputError(
                f"{layout} has no class folders, its images lie directly in it (such as "
                f"{files[0]}): move them into {root / '<class>' / '<image>'}"
            )
        raise InputError(f"{layout} holds no images: expected {root / '<class>' / '<image>'}")
    names = sorted({image.class_name for image in images})
    if {class_name.lower() for class_name in names} <= SPLIT_NAMES:
        raise InputError(
            f"{layout} holds splits ({', '.join(names)}), not classes: set data.root to one of "
            "them, or join their class folders (seen and unseen splits are made later)"
        )
    return dataset_from_images(name, images, strict, notes)
