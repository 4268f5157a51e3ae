"""The benchmark as a dataset: its rows, labels and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, N, published_files, write

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17.dataset import xlsa17_dataset
from devise_exp.features.backbones import published
from devise_exp.features.bank import feature_bank
from devise_exp.features.extraction import ExtractionSettings


def test_rows_labels_and_features_are_those_of_the_file(tmp_path: Path) -> None:
    bank, splits = published_files()
    data = xlsa17_dataset(write(tmp_path, bank, splits), "AWA2")
    assert data.classes == tuple(sorted(CLASSES))
    names = [CLASSES[int(label) - 1] for label in bank["labels"].ravel()]
    assert [data.classes[label] for label in data.labels] == names
    for i, row in enumerate(data.rows):
        file = Path(bank["image_files"][i, 0]).name
        assert row in (f"{names[i]}/{file}", f"{names[i]}/{file} 2")
    assert sum(row.endswith(" 2") for row in data.rows) > 0
    features = feature_bank(data, published.res101()).features
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, bank["features"].T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("below", ["data", "xlsa17/data"])
def test_the_published_archive_may_be_given_as_unpacked(tmp_path: Path, below: str) -> None:
    write(tmp_path / below, *published_files())
    assert len(xlsa17_dataset(tmp_path, "AWA2").rows) == N


def test_another_content_is_another_data_set(tmp_path: Path) -> None:
    bank, splits = published_files()
    first = xlsa17_dataset(write(tmp_path / "first", bank, splits), "AWA2")
    bank["features"][0, 0] += 1
    second = xlsa17_dataset(write(tmp_path / "second", bank, splits), "AWA2")
    assert second.rows == first.rows
    assert second.fingerprint != first.fingerprint


def test_features_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    bank, splits = published_files()
    bank["features"][5, 7] = 70_000
    data = xlsa17_dataset(write(tmp_path, bank, splits), "AWA2")
    with pytest.raises(InputError, match=r"float16 cannot hold.*float32"):
        feature_bank(data, published.res101())
    whole = feature_bank(data, published.res101(), ExtractionSettings(dtype="float32")).features
    assert whole[7, 5] == 70_000


def test_a_missing_folder_names_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder CUB in it: .*CUB/res101\.mat"):
        xlsa17_dataset(tmp_path, "CUB")
