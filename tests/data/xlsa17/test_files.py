"""The two files of a data set are read once and checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, Arrays, N, cells, published_files, write
from scipy.io import savemat

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17 import dataset, files
from devise_exp.features.backbones import published
from devise_exp.features.bank import feature_bank
from devise_exp.text import attributes


def test_the_listing_is_read_once_and_again_when_a_file_changes(tmp_path: Path) -> None:
    bank, stated = published_files()
    write(tmp_path, bank, stated)
    first = files.read_listing(tmp_path, "AWA2")
    assert files.read_listing(tmp_path, "AWA2") is first
    bank["image_files"][0, 0] = "/elsewhere/another_name.jpg"
    savemat(tmp_path / "AWA2" / "res101.mat", bank, do_compression=True)
    assert files.read_listing(tmp_path, "AWA2").rows[0].endswith("/another_name.jpg")


def nan_at(array: np.ndarray) -> np.ndarray:
    array[2, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("features", lambda a: a[1:], r"features is 2047 x 72, not 2048 x any"),
        ("features", lambda a: a[:, :-1], r"72 labels for 71 rows"),
        ("features", lambda a: a.astype(complex) + 1j, r"features is complex numbers, not real"),
        ("features", nan_at, r"values that float16 cannot hold"),
        ("features", lambda a: cells(["x"]), r"features is cells, not real"),
        ("labels", lambda a: a - 1, r"labels has 0, .* classes 1 to 6: count from 1"),
        ("labels", lambda a: a + 0.5, r"labels has .*5, which is none"),
        ("labels", lambda a: np.hstack([a, a]), r"labels is not a single row or column"),
        ("labels", lambda a: np.full_like(a, 1.0), r"class 'zebra' is in only one of|in both "
         r"trainval_loc and test_unseen_loc"),
        ("image_files", lambda a: a[:-1], r"71 image_files for 72 rows"),
        ("image_files", lambda a: np.zeros((3, 1)), r"image_files is numbers of 3 x 1, not cells"),
        ("image_files", lambda a: cells([f"\x1b]0;{t}" for t in a[:, 0]]), r"1 is not one line"),
        ("allclasses_names", lambda a: cells(["zebra", *a[1:-1, 0], "zebra"]), r"more than one 'z"),
        ("allclasses_names", lambda a: cells(["a/b", *a[1:, 0]]), r"a / or comma in 'a/b'"),
        ("allclasses_names", lambda a: cells(["", *a[1:, 0]]), r"allclasses_names 1 is not one"),
        ("allclasses_names", lambda a: cells(["killer_whale", *a[1:, 0]]), r"several classes call"),
        ("att", lambda a: a[:, :-1], r"att is 7 x 5, not any x 6"),
        ("att", lambda a: a * (np.arange(6) != 3), r"class 'sheep' are all zero or not finite"),
        ("att", nan_at, r"class 'zebra' are all zero or not finite"),
        ("trainval_loc", lambda a: np.vstack([a, a[:1]]), r"row \d+ is more than once"),
        ("trainval_loc", lambda a: a + N, r"none of the rows 1 to 72"),
        ("test_seen_loc", lambda a: a[:1], r"in only one of trainval_loc and test_seen_loc"),
        ("test_unseen_loc", lambda a: a[:0], r"test_unseen_loc is 0 x 1"),
        ("test_unseen_loc", lambda a: a[:1], r"class '.*' is in no part"),
        ("val_loc", lambda a: published_files()[1]["test_unseen_loc"], r"in val_loc but not in tr"),
        ("test_seen_loc", None, r"holds no test_seen_loc \(it has 'allclasses_names', 'att'"),
        ("att", None, r"holds no att, the attributes"),
        ("trainval_loc", lambda a: np.append(a, 0), r"trainval_loc has 0, .*: count from 1"),
        ("allclasses_names", lambda a: np.arange(6.0), r"allclasses_names is numbers of 1 x 6"),
    ],
)  # fmt: skip
def test_files_of_another_form_are_refused(
    tmp_path: Path, key: str, change: Callable[[np.ndarray], np.ndarray] | None, message: str
) -> None:
    published_arrays = published_files()
    arrays = next(arrays for arrays in published_arrays if key in arrays)
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    root = write(tmp_path, *published_arrays)

    def read() -> None:
        if key not in published_arrays[0]:
            attributes.xlsa17_attributes(root, "AWA2")
        data = dataset.xlsa17_dataset(root, "AWA2")
        if key == "features":
            feature_bank(data, published.res101())

    with pytest.raises(InputError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"att_splits.mat: the file is empty: take the published file"),
        (b"a text" * 100, r"att_splits.mat: no MATLAB file of version 5 to 7: take the published"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF" + bytes(600), r"7\.3.*-v7"),
        (None, r"att_splits.mat: no such file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = write(tmp_path, *published_files()) / "AWA2" / "att_splits.mat"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        attributes.xlsa17_attributes(tmp_path, "AWA2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Not found</html>", "this is a web page and not a MATLAB file: .*fetch the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), r"7\.3 \(HDF5\).*-v7"),
        (bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(600), r"7\.3 \(HDF5\).*-v7"),
    ],
)
def test_a_file_that_is_no_matlab_file_is_called_by_what_it_is(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = write(tmp_path, *published_files()) / "AWA2" / "att_splits.mat"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        attributes.xlsa17_attributes(tmp_path, "AWA2")
    assert "damaged" not in str(caught.value)


Contents = tuple[files.Listing, np.ndarray, np.ndarray]  # with features and attributes


@pytest.fixture(scope="module")
def as_published(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    root = write(tmp_path_factory.mktemp("published"), *published_files())
    listing = files.read_listing(root, "AWA2")
    return listing, files.read_features(listing), files.read_attributes(root, "AWA2")[1]


def _without_validation(bank: Arrays, splits: Arrays) -> None:
    del splits["val_loc"]


def _with_empty_validation(bank: Arrays, splits: Arrays) -> None:
    splits["val_loc"] = np.empty((0, 0))


def _without_attributes(bank: Arrays, splits: Arrays) -> None:
    del splits["att"]


def _transposed(bank: Arrays, splits: Arrays) -> None:
    for arrays in (bank, splits):
        for key, array in arrays.items():
            arrays[key] = array.T


def _of_other_types(bank: Arrays, splits: Arrays) -> None:
    bank["labels"] = bank["labels"].astype(np.uint8)
    bank["features"] = bank["features"].astype(np.float32)
    splits["trainval_loc"] = splits["trainval_loc"].astype(np.float32)
    splits["test_seen_loc"] = splits["test_seen_loc"].astype(np.int64)


def _saved_by_scipy(bank: Arrays, splits: Arrays) -> None:
    """A list of texts becomes lines of characters of one length."""
    splits["allclasses_names"] = [text for (text,) in splits["allclasses_names"]]
    bank["image_files"] = [text for (text,) in bank["image_files"]]


def _cells_in_cells(bank: Arrays, splits: Arrays) -> None:
    inner = np.empty((len(CLASSES), 1), object)
    for i, (text,) in enumerate(splits["allclasses_names"]):
        inner[i, 0] = cells([text])
    splits["allclasses_names"] = inner


@pytest.mark.parametrize(
    "change",
    [
        _without_validation,
        _with_empty_validation,
        _without_attributes,
        _transposed,
        _of_other_types,
        _saved_by_scipy,
        _cells_in_cells,
    ],
)
def test_other_published_forms_are_the_same_data(
    tmp_path: Path, change: Callable[[Arrays, Arrays], None], as_published: Contents
) -> None:
    expected, features, same_vectors = as_published
    other = published_files()
    change(*other)
    root = write(tmp_path / "other", *other)
    listing = files.read_listing(root, "AWA2")
    assert listing.classes == expected.classes
    assert listing.rows == expected.rows
    np.testing.assert_array_equal(listing.labels, expected.labels)
    for part, same in zip(listing.parts, expected.parts, strict=True):
        np.testing.assert_array_equal(part, same)
    if change in (_transposed, _of_other_types):
        np.testing.assert_allclose(files.read_features(listing), features, rtol=1e-6)
    if change is not _without_attributes:
        _, vectors = files.read_attributes(root, "AWA2")
        np.testing.assert_array_equal(vectors, same_vectors)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, *published_files()) / "AWA2" / "res101.mat"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"res101.mat: (damaged|holds no)"):
        dataset.xlsa17_dataset(tmp_path, "AWA2")
