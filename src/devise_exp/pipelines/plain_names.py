"""The trained model, with the plain names of unseen classes in place of their aliases.

An alias is chosen by a person, so what it adds is not what the model can do with a name that nobody
has looked at. Nothing is trained anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from omegaconf import DictConfig

from devise_exp.core.console import notify
from devise_exp.core.name_files import listed
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import CalibratedMethod
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.state import MethodFit
from devise_exp.text import labels

PLAIN_NAMES = "plain_names"  # as `class_vectors` of an entry of config.method


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainNames:
    """The classes of a run under the plain names of the unseen ones.

    Attributes:
        class_vectors: (C, D) unit rows; zero for an unseen class whose plain name has no vector.
        aliases: Names of the unseen classes that have an alias.
        missing: Those of them whose plain names have no vector.
    """

    class_vectors: np.ndarray
    aliases: tuple[str, ...]
    missing: tuple[str, ...]


def plain_names(data: ExperimentData, on_missing: str) -> PlainNames | None:
    """Give unseen classes with an alias the vectors of their plain names, by the rules of words.

    Args:
        data: Of the run.
        on_missing: config.labels.on_missing; "nearest" takes the words that are spelt most like a
            name without a vector, otherwise such a class has none.

    Returns:
        The classes; None if no unseen class has an alias, or none of those has a vector.
    """
    ids = [c for c in data.split.unseen.tolist() if data.resolutions[c].rule == "alias"]
    if not ids:
        return None
    vectors, missing = data.class_vectors.copy(), []
    names = [data.resolutions[c].name for c in ids]
    rule = "nearest" if on_missing == "nearest" else "drop"
    resolutions = labels.resolve(names, data.vocabulary, on_missing=rule, strict=False)
    for c, resolution in zip(ids, resolutions, strict=True):
        if resolution.words:
            vectors[c] = labels.class_vectors([resolution], data.vocabulary)[0]
        else:
            vectors[c] = 0
            missing.append(resolution.name)
    if len(missing) == len(ids):
        return None
    return PlainNames(class_vectors=vectors, aliases=tuple(names), missing=tuple(missing))


def plain_name_fits(
    config: DictConfig,
    data: ExperimentData,
    model: CalibratedMethod,
    trained: TrainedProjection,
    about: dict[str, Any],
) -> Iterator[MethodFit]:
    """Put the trained model beside itself under plain names, if the config asks for it.

    Args:
        config: Of train.py.
        data: Of the run.
        model: The trained model; its gamma holds for both.
        trained: Its projection, which puts words in its space.
        about: What the metrics of the run rest on; gains how many unseen classes have an alias.

    Yields:
        The entries of config.method of this kind; none if no unseen class has an alias.
    """
    for name, spec in (config.method or {}).items():
        if spec.get("class_vectors") != PLAIN_NAMES:
            continue
        plain = plain_names(data, config.labels.on_missing)
        if plain is None:
            continue
        n_unseen = len(data.split.unseen)
        about["labels/unseen_alias"] = f"{len(plain.aliases)} of {n_unseen}"
        chosen = {"aliases": len(plain.aliases), "left_out": len(plain.missing)}
        if plain.missing:
            left_out = f"{len(plain.missing)} of {n_unseen} unseen classes"
            about[f"{name}/left_out"] = f"{left_out}: {listed(plain.missing)}"
            notify(
                f"{name} leaves out {left_out}, as their plain names have no vector: "
                f"{listed(plain.missing)}"
            )
        vectors = trained.words(plain.class_vectors)
        fitted = replace(model.fitted, class_vectors=vectors, hyperparameters=chosen)
        method = replace(model, name=str(name), fitted=fitted, leaves_out_classes=True)
        yield MethodFit(str(name), chosen, method)
