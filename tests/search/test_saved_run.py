"""A finished run opened for asking: its spaces, galleries and network, from the folder alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.runs.folder import RunFolder
from devise_exp.search.saved_run import Run


def test_each_part_holds_its_rows_of_the_split(searchable: Path) -> None:
    images = searchable.parent / "images"
    saved, split = Run.open(searchable), RunFolder(searchable).split()
    assert saved.galleries() == ["all", "val", "test", "unseen"]
    for part in ("val", "test", "unseen"):
        rows = saved.gallery(part).rows
        assert [row.name for row in rows] == list(getattr(split, part))
        assert all(row.label == row.name.split("/")[0] for row in rows)
        assert all(row.path == str(images / row.name) for row in rows)
    together = [row.name for row in saved.gallery("all").rows]
    assert together == [*split.val, *split.test, *split.unseen]
    embedded = RunFolder(searchable).embedded("devise")
    seen = [entry.seen for entry in saved.folder.classes()]
    centre = saved.class_vectors[seen].astype(float).mean(axis=0)
    for part, vectors in (("test", embedded.seen.vectors), ("unseen", embedded.unseen.vectors)):
        away = (vectors - centre) / np.linalg.norm(vectors - centre, axis=1, keepdims=True)
        np.testing.assert_allclose(saved.gallery(part).index.vectors, away, atol=1e-6)


def test_what_a_run_does_not_have_is_one_line(searchable: Path, tmp_path: Path) -> None:
    saved = Run.open(searchable)
    with pytest.raises(InputError, match="holiday: no such folder"):
        saved.gallery(str(tmp_path / "holiday"))
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InputError, match="not indexed yet: devise-exp index"):
        saved.gallery(str(tmp_path / "holiday"))
    plain = shutil.copytree(searchable, tmp_path / "plain")
    config = OmegaConf.load(plain / "config.yaml")
    config.spaces = []
    OmegaConf.save(config, plain / "config.yaml")
    with pytest.raises(InputError, match=r"spaces=\[backbone\]"):
        Run.open(plain).gallery("all", "backbone")
    with pytest.raises(InputError, match="choose among devise, backbone, classifier"):
        saved.gallery("all", "pixels")
    config.word_vectors = {
        "_target_": "devise_exp.text.word_vectors.random_word_vectors",
        "dim": 7,
        "seed": 0,
    }
    OmegaConf.save(config, plain / "config.yaml")
    with pytest.raises(InputError, match="7 dimensions now, not 50"):
        _ = Run.open(plain).vocabulary
