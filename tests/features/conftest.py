"""A cache of its own, and a small dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.banks import Watched

from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def dataset(image_tree: Path) -> ImageDataset:
    return image_folder(image_tree)


@pytest.fixture
def watched(dataset: ImageDataset, tmp_path: Path) -> ImageDataset:
    assert dataset.images is not None
    return dataclasses.replace(dataset, images=Watched(dataset.images, tmp_path / "opened"))
