"""The files of the benchmark of Xian et al. 2018, checked against each other.

ROOT/NAME/res101.mat has features (2048, N) of an ImageNet ResNet-101, labels (N, 1) and image_files
(N, 1). ROOT/NAME/att_splits.mat has allclasses_names (C, 1), att (A, C) and the row numbers (n, 1)
of its parts: trainval_loc, test_seen_loc, test_unseen_loc. Labels and rows count from 1. Some
published files have val_loc, which decides no row here. Arrays may stand the other way round.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import file_stamp
from devise_exp.core.vectors import normalize_rows
from devise_exp.data.xlsa17.listed_rows import (
    PARTS,
    VALIDATION,
    check_parts,
    positions,
    row_names,
)
from devise_exp.data.xlsa17.matlab import PUBLISHED, MatlabArrays, read_arrays

BACKBONE = "xlsa17_res101"
NAMES = ("SUN", "CUB", "AWA1", "AWA2", "APY")
FEATURE_DIM = 2048
FEATURES, SPLITS = "res101.mat", "att_splits.mat"


@dataclass(frozen=True, eq=False, kw_only=True)
class Listing:
    """The content of both files of one data set but for features and attributes.

    Attributes:
        name: The name in the archive, as AWA2.
        folder: The folder of the two files.
        classes: (C,) names in the order of the files.
        labels: (N,) positions in classes.
        rows: (N,) unique row names, <class>/<image>.
        parts: Positions in rows: trainval, test of seen classes, test of unseen classes.
        rows_in_columns: Whether a row's features are a column of the file, as published.
    """

    name: str
    folder: Path
    classes: tuple[str, ...]
    labels: np.ndarray
    rows: tuple[str, ...]
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]
    rows_in_columns: bool = True


def dataset_title(name: str) -> str:
    """Name a data set in tables and reports.

    Args:
        name: The name in the archive, as AWA2.

    Returns:
        The name with that of the benchmark before it.
    """
    return f"xlsa17_{name}"


def read_listing(root: str | Path, name: str) -> Listing:
    """Read both files but for features and attributes.

    Args:
        root: The folder that holds NAME/, or the archive's folder above it.
        name: One of NAMES.

    Returns:
        The listing; the same object until a file changes.

    Raises:
        InputError: If a file is missing or damaged, or the two contradict each other.
    """
    folder = _folder(root, name)
    return _read_listing(name, folder, file_stamp(folder / FEATURES), file_stamp(folder / SPLITS))


def read_features(listing: Listing) -> np.ndarray:
    """Read the features of a data set.

    Args:
        listing: The data set.

    Returns:
        (N, 2048) values as stored.

    Raises:
        InputError: If the file is damaged or the array has another shape.
    """
    shape = (FEATURE_DIM, len(listing.rows))
    stored = shape if listing.rows_in_columns else shape[::-1]
    arrays = read_arrays(listing.folder / FEATURES, numbers={"features": stored})
    features = arrays.numbers["features"]
    return np.asarray(features.T if listing.rows_in_columns else features)


def read_attributes(
    root: str | Path, name: str, file_name: str = SPLITS
) -> tuple[tuple[str, ...], np.ndarray]:
    """Read the attributes of the classes from att_splits.mat alone, or from a file of its layout.

    Args:
        root: As for read_listing.
        name: One of NAMES.
        file_name: Such as sent_splits.mat, which has vectors of sentences as att.

    Returns:
        The class names and their attributes as (C, A) float64 unit rows.

    Raises:
        InputError: If the attributes of a class are all zero or not finite.
    """
    file = _folder(root, name) / file_name
    arrays = _read_splits(file, file_stamp(file))
    classes = _classes(file, arrays)
    if "att" not in arrays.numbers:
        raise InputError(f"{file}: holds no att, the attributes of the classes: {PUBLISHED}")
    attributes = arrays.numbers["att"]  # (A, C)
    if attributes.shape[1] != len(classes) == attributes.shape[0]:
        attributes = attributes.T
    if attributes.shape[1] != len(classes):
        rows, columns = attributes.shape
        raise InputError(
            f"{file}: att is {rows} x {columns}, not any x {len(classes)}: {PUBLISHED}"
        )
    vectors = attributes.T.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    for class_name, length in zip(classes, lengths.tolist(), strict=True):
        if not 1e-6 < length < np.inf:
            raise InputError(
                f"{file}: the attributes of class {class_name!r} are all zero or not finite, so it "
                f"has no vector: {PUBLISHED}"
            )
    return classes, normalize_rows(vectors, np.float64)


@lru_cache(maxsize=1)  # the data set and its split both ask for it
def _read_listing(name: str, folder: Path, *stamps: str) -> Listing:
    """Read both files, anew if their stamps differ."""
    features_file, splits_file = folder / FEATURES, folder / SPLITS
    splits = _read_splits(splits_file, stamps[1])
    classes = _classes(splits_file, splits)
    images = read_arrays(
        features_file,
        numbers={"labels": (None, None)},
        texts=["image_files"],
        shapes={"features": (None, None)},
    )
    labels = positions(features_file, images, "labels", len(classes), "classes")
    paths = images.texts["image_files"]
    n, rows_in_columns = _orientation(features_file, images.shapes["features"])
    for key, count in (("labels", len(labels)), ("image_files", len(paths))):
        if count != n:
            raise InputError(
                f"{features_file}: {count} {key} for {n} rows of features: {PUBLISHED}"
            )
    trainval, test, unseen = (positions(splits_file, splits, key, n, "rows") for key in PARTS)
    validation = np.empty(0, np.int64)
    if VALIDATION in splits.numbers:
        validation = positions(splits_file, splits, VALIDATION, n, "rows")
    check_parts(splits_file, classes, labels, (trainval, test, unseen), validation)
    return Listing(
        name=name,
        folder=folder,
        classes=classes,
        labels=labels,
        rows=row_names([classes[label] for label in labels.tolist()], paths),
        parts=(trainval, test, unseen),
        rows_in_columns=rows_in_columns,
    )


@lru_cache(maxsize=1)  # the listing and the attributes both ask for it
def _read_splits(file: Path, stamp: str) -> MatlabArrays:
    """Read att_splits.mat, anew if its stamp differs."""
    keys = ("att", *PARTS, VALIDATION)
    numbers = dict.fromkeys(keys, (None, None))
    # The attributes are word vectors, and the validation rows only checked: data do without.
    optional = ("att", VALIDATION)
    return read_arrays(file, numbers=numbers, texts=["allclasses_names"], optional=optional)


def _folder(root: str | Path, name: str) -> Path:
    """Find the folder of a data set: in `root`, or below it as in the published archive."""
    if name not in NAMES:
        raise InputError(f"data.name={name}: choose among {', '.join(NAMES)}")
    root = Path(root).expanduser()
    for below in ("", "data", "xlsa17/data"):
        if (folder := root / below / name).is_dir():
            return folder
    raise InputError(
        f"{root}: no folder {name} in it: set data.root to the folder that holds "
        f"{Path(name) / FEATURES} and {Path(name) / SPLITS} (xlsa17/data of the archive)"
    )


def _classes(file: Path, arrays: MatlabArrays) -> tuple[str, ...]:
    """Return the class names; refuse those that would split a row name or a class name."""
    names = arrays.texts["allclasses_names"]
    twice = [name for name, n in Counter(names).items() if n > 1]
    split = [name for name in names if "/" in name or "," in name]
    if twice or split:
        what = "has more than one" if twice else "has a / or comma in"
        raise InputError(f"{file}: allclasses_names {what} {(twice or split)[0]!r}: {PUBLISHED}")
    return names


def _orientation(file: Path, shape: tuple[int, int]) -> tuple[int, bool]:
    """Return the number of rows, and whether these are columns as in the published files."""
    if shape[0] == FEATURE_DIM:
        return shape[1], True
    if shape[1] == FEATURE_DIM:
        return shape[0], False
    raise InputError(
        f"{file}: features is {shape[0]} x {shape[1]}, not {FEATURE_DIM} x any: {PUBLISHED}"
    )
