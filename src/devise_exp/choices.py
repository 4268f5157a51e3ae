"""What a finished run has chosen on its rehearsals, for further seeds of the same recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from devise_exp.baselines import SEEDLESS
from devise_exp.errors import InputError
from devise_exp.prepare import Prepared
from devise_exp.pretraining import Prior
from devise_exp.protocols import MODEL, Embedded
from devise_exp.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Choices:
    """factors: of calibrated stacking, by method. prior: of the trained model. about: what each
    method chose. seedless: what those methods made of the images that no seed changes.
    """

    factors: dict[str, float]
    prior: Prior | None
    about: dict[str, dict[str, Any]]
    seedless: dict[str, Embedded]


def read(config: DictConfig, parts: Prepared) -> Choices | None:
    """The choices of the finished run config.choices, None where that is null; InputError where it
    has another split, backbone, prior or other class vectors, for which they would not be right.
    """
    if config.choices is None:
        return None
    folder = str(config.choices)
    run = RunFolder.existing(folder)
    saved, own = run.config(), config
    vectors = run.class_vectors()
    different = ["split"] * (run.split()["fingerprint"] != parts.split.fingerprint)
    different += [key for key in ("backbone", "prior") if saved.get(key) != own.get(key)]
    if vectors.shape != parts.class_vectors.shape or not np.allclose(vectors, parts.class_vectors):
        different.append("word_vectors")
    if different:
        raise InputError(
            f"choices={folder}: that run has another {' and '.join(different)}, so its choices do "
            "not hold: leave choices=null, which chooses anew"
        )
    fixed = (
        () if parts.backbone.trainable else SEEDLESS
    )  # a trained network has its seed's features
    models = {name: run.embedded(name) for name in run.models()}
    return Choices(
        {name: model.factor for name, model in models.items() if model.factor is not None},
        run.prior(),
        {name: run.chosen(name) for name in (MODEL, *models)},
        {name: model for name, model in models.items() if name in fixed},
    )
