"""The files of the benchmark of Xian et al. 2018: read and checked, but for their features.

ROOT/NAME/res101.mat has features (2048, N) of an ImageNet ResNet-101, labels (N, 1) and image_files
(N, 1); ROOT/NAME/att_splits.mat has allclasses_names (C, 1), att (A, C) and the places (n, 1) of
the parts among the N: trainval_loc, test_seen_loc, test_unseen_loc, val_loc. Labels and places
count from 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17 import matlab
from devise_exp.data.xlsa17.matlab import PUBLISHED

if TYPE_CHECKING:
    pass

BACKBONE = "xlsa17_res101"


def dataset_title(name: str) -> str:
    return f"xlsa17_{name}"


NAMES = ("SUN", "CUB", "AWA1", "AWA2", "APY")
FEATURE_DIM = 2048
FEATURES, SPLITS = "res101.mat", "att_splits.mat"
PARTS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")
HELD_OUT = "val_loc"


@dataclass(frozen=True, eq=False)
class Listing:
    """What the two files say of one data set, its features and attributes apart.

    classes: (C,) names in the order of the files; labels: (N,) positions in classes; rows: (N,)
    unique row names, <class>/<picture>; parts: trainval, test of seen and test of unseen classes,
    positions in rows.
    """

    name: str
    folder: Path
    classes: tuple[str, ...]
    labels: np.ndarray
    rows: tuple[str, ...]
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]


def read_listing(root: str | Path, name: str) -> Listing:
    """Both files, but for features and attributes, checked against each other.

    Raises InputError with what is wrong and where.
    """
    folder = _folder(root, name)
    stats = [(folder / file).stat() for file in (FEATURES, SPLITS) if (folder / file).is_file()]
    return _read_listing(name, folder, tuple((each.st_mtime_ns, each.st_size) for each in stats))


@lru_cache(maxsize=1)  # for the data and for their split
def _read_listing(name: str, folder: Path, state: tuple[tuple[int, int], ...]) -> Listing:
    """`read`, again where the files' times and sizes, `state`, are others."""
    bank, file = folder / FEATURES, folder / SPLITS
    classes = _classes(file)
    _, n = matlab.shape(bank, "features", (FEATURE_DIM, None))
    labels = _places(bank, "labels", len(classes), "classes")
    pictures = matlab.texts(bank, "image_files")
    for key, found in (("labels", len(labels)), ("image_files", len(pictures))):
        if found != n:
            raise InputError(f"{bank}: {found} {key} for {n} columns of features: {PUBLISHED}")
    names = [classes[label] for label in labels.tolist()]
    parts = tuple(_places(file, key, n, "rows") for key in PARTS)
    held_out = np.unique(labels[_places(file, HELD_OUT, n, "rows")])
    _check_parts(file, classes, labels, parts, held_out)
    return Listing(
        name,
        folder,
        classes,
        labels,
        _row_names(names, pictures),
        (parts[0], parts[1], parts[2]),
    )


def read_features(listing: Listing) -> np.ndarray:
    """(N, 2048) as the file has them, a view of what was loaded."""
    file = listing.folder / FEATURES
    columns = matlab.numbers(file, "features", (FEATURE_DIM, None))
    return np.asarray(columns.T)


def read_attributes(root: str | Path, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and (C, A) float64 unit rows, of att_splits.mat alone.

    Raises InputError for a class whose attributes are all zero or not finite.
    """
    file = _folder(root, name) / SPLITS
    classes = _classes(file)
    vectors = matlab.numbers(file, "att", (None, len(classes))).T.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    for of_class, length in zip(classes, lengths.tolist(), strict=True):
        if not 1e-6 < length < np.inf:
            raise InputError(
                f"{file}: the attributes of class {of_class!r} are all zero or not finite, so it "
                f"has no vector: {PUBLISHED}"
            )
    return classes, vectors / lengths[:, None]


def _folder(root: str | Path, name: str) -> Path:
    """The folder of a data set: in `root` or where the published archive has it below."""
    if name not in NAMES:
        raise InputError(f"data.name={name}: choose among {', '.join(NAMES)}")
    place = Path(root).expanduser()
    places = [place / below / name for below in ("", "data", "xlsa17/data")]
    folder = next((each for each in places if each.is_dir()), None)
    if folder is None:
        raise InputError(
            f"{place}: no folder {name} in it: set data.root to the folder that holds "
            f"{Path(name) / FEATURES} and {Path(name) / SPLITS} (xlsa17/data of the archive)"
        )
    return folder


def _classes(file: Path) -> tuple[str, ...]:
    """allclasses_names; what would part a row name or a class name is an InputError."""
    names = matlab.texts(file, "allclasses_names")
    twice = [name for name, n in Counter(names).items() if n > 1]
    split = [name for name in names if "/" in name or "," in name]
    if twice or split:
        what = "has more than one" if twice else "has a / or comma in"
        raise InputError(f"{file}: allclasses_names {what} {(twice or split)[0]!r}: {PUBLISHED}")
    return names


def _places(file: Path, key: str, n: int, what: str) -> np.ndarray:
    """Places among `n` of something, counted from 1 in the file, as (m,) int64 from 0."""
    found = matlab.numbers(file, key, (None, None))
    if 1 not in found.shape:
        raise InputError(f"{file}: {key} is no single row or column of numbers: {PUBLISHED}")
    values = found.ravel().astype(np.float64)
    # NaN is in no range either.
    wrong = values[~((values >= 1) & (values <= n) & (values == np.round(values)))]
    if len(wrong):
        raise InputError(
            f"{file}: {key} has {wrong[0]:g}, which is none of the {what} 1 to {n}: {PUBLISHED}"
        )
    return values.astype(np.int64) - 1


def _row_names(classes: Sequence[str], pictures: Sequence[str]) -> tuple[str, ...]:
    """<class>/<picture>, of the pictures without their folders; further ones of a name numbered."""
    # As a path of Windows, for / and \ both part its folders.
    wanted = [
        f"{of_class}/{PureWindowsPath(picture).name}"
        for of_class, picture in zip(classes, pictures, strict=True)
    ]
    taken, times = set(wanted), Counter[str]()
    names = []
    for name in wanted:
        times[name] += 1
        own = name
        while times[name] > 1 and own in taken:
            own = f"{name} {times[name]}"
            times[name] += own in taken
        taken.add(own)
        names.append(own)
    return tuple(names)


def _check_parts(
    file: Path,
    classes: Sequence[str],
    labels: np.ndarray,
    parts: Sequence[np.ndarray],
    held_out: np.ndarray,
) -> None:
    """InputError where a row stands in two parts, or a class on both sides or on none."""
    rows = np.concatenate(parts)
    if len(np.unique(rows)) < len(rows):
        twice = np.flatnonzero(np.bincount(rows) > 1)[0]
        raise InputError(
            f"{file}: row {twice + 1} stands more than once in {', '.join(PARTS)}: {PUBLISHED}"
        )
    trainval, test, unseen = (set(labels[part].tolist()) for part in parts)
    for wrong, what in (
        (trainval ^ test, f"stands in one of {PARTS[0]} and {PARTS[1]} only"),
        (trainval & unseen, f"stands in {PARTS[0]} and in {PARTS[2]}"),
        (set(range(len(classes))) - trainval - unseen, "stands in no part"),
        (set(held_out.tolist()) - trainval, f"stands in {HELD_OUT} but not in {PARTS[0]}"),
    ):
        if wrong:
            raise InputError(f"{file}: class {classes[min(wrong)]!r} {what}: {PUBLISHED}")
