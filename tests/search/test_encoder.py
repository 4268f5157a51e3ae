"""Images are embedded by the network of a finished run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.runs.folder import RunFolder
from devise_exp.search.saved_run import Run


def test_an_image_is_embedded_as_it_was_in_training(searchable: Path) -> None:
    saved = Run.open(searchable)
    assert saved.spaces == ("devise", "backbone", "classifier")
    rows = saved.gallery("all").rows[::7]
    embedded = saved.embed([open_image(Path(row.path or "")) for row in rows])
    for space in saved.spaces:
        expected = saved.gallery("all", space).index.vectors[::7]
        assert embedded[space].dtype == np.float32
        np.testing.assert_allclose(embedded[space], expected, atol=1e-4)


def test_the_classifier_space_is_the_features_times_the_weights_of_the_best_class(
    searchable: Path,
) -> None:
    saved = Run.open(searchable)
    weight, _ = RunFolder(searchable).classifier()
    features = saved.gallery("all", "backbone").index.vectors.astype(float)
    assert weight.shape == (6, features.shape[1])
    # The bias stands beside features of full length, which the unit rows have lost: take the rows
    # whose best class does not depend on it.
    certain = 0
    for row, stored in zip(features, saved.gallery("all", "classifier").index.vectors, strict=True):
        candidates = [row * w / np.linalg.norm(row * w) for w in weight.astype(float)]
        certain += any(np.allclose(stored, candidate, atol=1e-5) for candidate in candidates)
    assert certain == len(features)


def test_a_checkpoint_of_another_shape_is_told(searchable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config.projection.hidden = 8
    OmegaConf.save(config, folder / "config.yaml")
    saved = Run.open(folder)
    path = saved.gallery("all").rows[0].path
    with pytest.raises(InputError, match="another shape"):
        saved.embed([open_image(Path(path or ""))])
