"""The attributes of the benchmark as word vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from helpers.xlsa17 import CLASSES, attributes_of
from omegaconf import DictConfig

from devise_exp.pipelines.experiment_data import ExperimentData

Config = Callable[..., DictConfig]


def test_class_vectors_are_the_attributes(xlsa17_data: ExperimentData) -> None:
    assert [r.rule for r in xlsa17_data.resolutions] == ["exact"] * len(CLASSES)
    for resolution, vector in zip(xlsa17_data.resolutions, xlsa17_data.class_vectors, strict=True):
        np.testing.assert_allclose(vector, attributes_of(resolution.name), atol=1e-6)
    vocabulary = xlsa17_data.vocabulary
    assert set(vocabulary.words) == {
        "zebra", "killer whale", "black footed albatross", "sheep", "access road", "bobcat"
    }  # fmt: skip
    np.testing.assert_allclose(
        vocabulary.vector("killer whale"), attributes_of("killer+whale"), atol=1e-6
    )
    assert vocabulary.near_spellings("bobcats") == ["bobcat"]
