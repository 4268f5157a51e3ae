"""Fixtures of the tests of data."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.images import noise_image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone."""
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of two images each, one of them in a deeper folder."""
    root = tmp_path / "photos"
    for seed, name in enumerate(("okapi/a.jpg", "okapi/b.jpg", "emu/a.png", "emu/deep/er/c.jpg")):
        noise_image(root / name, seed, (200, 150))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a published dataset."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
