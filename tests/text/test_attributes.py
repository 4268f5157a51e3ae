"""The attributes of the benchmark as word vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, attributes_of, published_files, small_run, write
from omegaconf import DictConfig

from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.prepare import prepare

Config = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("xlsa17"), *published_files())


@pytest.fixture(scope="module")
def small(composed: Config, root: Path) -> Config:
    return partial(composed, *small_run(root))


@pytest.fixture(scope="module")
def prepared(small: Config) -> ExperimentData:
    return prepare(small())


def test_class_vectors_are_the_attributes(prepared: ExperimentData) -> None:
    assert [r.rule for r in prepared.resolutions] == ["exact"] * len(CLASSES)
    for resolution, vector in zip(prepared.resolutions, prepared.class_vectors, strict=True):
        np.testing.assert_allclose(vector, attributes_of(resolution.name), atol=1e-6)
    vocabulary = prepared.vocabulary
    assert set(vocabulary.words) == {
        "zebra", "killer whale", "black footed albatross", "sheep", "access road", "bobcat"
    }  # fmt: skip
    np.testing.assert_allclose(
        vocabulary.vector("killer whale"), attributes_of("killer+whale"), atol=1e-6
    )
    assert vocabulary.near_spellings("bobcats") == ["bobcat"]
