"""Folders that an index may and may not replace."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.indexes import gaussian

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.saved import load


def test_save_replaces_an_index_but_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()  # an empty folder is free to use
    NmslibIndex(gaussian(30, 5)).save(folder)
    ExactIndex(gaussian(7, 5)).save(folder)
    assert (load(folder).name, len(load(folder))) == ("exact", 7)
    assert sorted(path.name for path in folder.iterdir()) == ["meta.json", "vectors.npy"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not an index"):
        ExactIndex(gaussian(7, 5)).save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
