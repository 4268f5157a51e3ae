"""Before a run: every part of a config built once, and what a person should know of its data."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.command import spelled
from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.name_files import listed
from devise_exp.core.user_code import user_errors
from devise_exp.data.copies import CopyReport
from devise_exp.evaluation.protocol_options import ks_of
from devise_exp.evaluation.protocols import MODEL, standard_protocols
from devise_exp.methods.pretraining_words import PRETRAINING, missing_classifier
from devise_exp.pipelines import reused_hyperparameters
from devise_exp.pipelines.class_audit import announce_audit
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.few_classes import require_classes, too_few_classes
from devise_exp.pipelines.fit import build_method, fit_to
from devise_exp.pipelines.logger import check_loggers
from devise_exp.pipelines.option_errors import as_written
from devise_exp.pipelines.plain_names import PLAIN_NAMES
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.training_checks import check_training
from devise_exp.pipelines.user_parts import user_target
from devise_exp.text import labels
from devise_exp.text.distinct import near_classes
from devise_exp.text.same_things import same_things, same_things_line


def check(config: DictConfig, data: ExperimentData) -> None:
    """Build every part once and read every option before anything is written.

    Args:
        config: Of train.py.
        data: What was prepared by it.

    Raises:
        InputError: If an option is wrong, or a part cannot be built.
    """
    require_classes(config, data.split)
    check_training(config, data)
    for protocol in standard_protocols(data.split.seen, data.split.unseen):
        ks_of(protocol, config.ks)
    check_loggers(config)
    if "_target_" not in (config.index or {}):
        raise InputError(
            f"index=saved is for {spelled('evaluate')}: choose hnsw, brute_force, exact, auto or "
            "faiss"
        )
    with as_input_error("index"), user_errors("index", user_target(config, "index")):
        _check_index(instantiate(config.index)(data.class_vectors[:2]), data.class_vectors[:2])
    if config.prior and data.pretraining is not None:
        with as_input_error("prior"):
            instantiate(config.prior)(data.pretraining)
    reason = missing_classifier(data.backbone)
    if PRETRAINING in (config.spaces or ()) and reason is not None:
        raise InputError(
            f"spaces=[{PRETRAINING}]: {reason}: leave it out, or choose a backbone whose own "
            "classifier is known"
        )
    _check_methods(config, data)
    reused_hyperparameters.read(config, data)


def _check_index(index: Any, vectors: np.ndarray) -> None:
    """InputError if an index of two vectors (2, D) does not answer as `Index` says."""
    if np.shape(getattr(index, "vectors", ())) != vectors.shape:
        raise InputError(
            f"index: {type(index).__name__} has no attribute vectors of the shape {vectors.shape} "
            "that it was given: see devise_exp.index.protocol.Index"
        )
    ids, similarities = index.search(vectors, 2)
    shapes = np.shape(ids), np.shape(similarities)
    if shapes != ((2, 2), (2, 2)) or np.sort(ids, axis=1).tolist() != [[0, 1], [0, 1]]:
        raise InputError(
            f"index: {type(index).__name__}.search of 2 queries and 2 neighbours gives ids "
            f"{shapes[0]} and similarities {shapes[1]}: give both (2, 2), with each id once"
        )


def _check_methods(config: DictConfig, data: ExperimentData) -> None:
    """Raise an InputError for an entry of config.method that is no method."""
    for name, spec in (config.method or {}).items():
        if not OmegaConf.is_dict(spec) or not re.fullmatch(r"\w+", str(name)) or name == MODEL:
            raise InputError(
                f"method.{name}: give a method of conf/method by a name of letters, digits and _, "
                f"or leave it out with '~method.{name}'"
            )
        with as_input_error(f"method.{name}"):
            if "_target_" not in spec:  # else its `loss` is an argument like any other
                loss = spec.get("loss", config.loss)
                if not OmegaConf.is_dict(loss):
                    raise InputError(
                        f"method.{name}.loss={as_written(loss)}: give a loss as in conf/loss"
                    )
                instantiate(loss)
                _check_vectors(str(name), spec.get("class_vectors"))
            project = partial(fit_to, recipe_of(config, data.n_train))
            build_method(config, str(name), spec, data, project)


def _check_vectors(name: str, vectors: object) -> None:
    """Raise an InputError for class vectors of a method that nobody knows."""
    if vectors not in (None, "random", PLAIN_NAMES):
        raise InputError(
            f"method.{name}.class_vectors={as_written(vectors)}: give random or {PLAIN_NAMES}, or "
            "leave it out"
        )


def announce(data: ExperimentData) -> None:
    """Print what the run uses, with warnings to read before trusting a table.

    Args:
        data: Of the run.
    """
    split, rules = data.split, labels.count_rules(data.resolutions)
    words = ", ".join(f"{n} {name}" for name, n in rules.items() if n)
    notify(f"{len(data.dataset.rows)} images of {data.dataset.name}; classes by words: {words}")
    notify(
        f"split {split.name} ({split.fingerprint}): {len(split.seen)} seen and "
        f"{len(split.unseen)} unseen classes"
    )
    for line in data.dataset.about:
        notify(line)
    if data.dataset.skipped:
        shown = "; ".join(data.dataset.skipped[:3])
        warn(f"skipped {len(data.dataset.skipped)}: {shown} (all in about.json)")
    if data.missing:
        n = len(data.missing) + len(data.resolutions)
        warn(
            f"left out {len(data.missing)} of {n} classes, which have no word in "
            f"{data.vocabulary.name}: {listed(data.missing)}: give them an alias (labels.aliases)"
        )
    if data.copies is not None:
        _announce_copies(data.copies)
    for remark in (*data.dataset.remarks, *split.remarks):
        warn(remark)
    _announce_words(data)
    if few := too_few_classes(split):
        warn(f"{few}: hold out another number of classes, or use data of more classes")
    announce_audit(data.class_audit, [split.classes[c] for c in split.unseen])


def _announce_words(data: ExperimentData) -> None:
    """Warn of words that may not mean the classes."""
    by_rule = {
        rule: [r for r in data.resolutions if r.rule == rule] for rule in ("subword", "nearest")
    }
    if subword := by_rule["subword"]:
        warn(
            f"{len(subword)} of {len(data.resolutions)} classes have no word in "
            f"{data.vocabulary.name}, only a vector of their letters, which any text has: "
            f"{listed(r.name for r in subword)}: give them an alias (labels.aliases)"
        )
    if nearest := by_rule["nearest"]:
        pairs = (f"{r.name} -> {r.display_name}" for r in nearest)
        warn(f"{len(nearest)} classes have the words spelt most like their names: {listed(pairs)}")
    names = [r.name for r in data.resolutions]
    near = near_classes(names, data.class_vectors)
    if near.n:
        counted = "1 pair of classes has" if near.n == 1 else f"{near.n:,} pairs of classes have"
        warn(f"{counted} nearly the same vector, so few images tell: {near}")
    words, seen = [r.display_name for r in data.resolutions], {*data.split.seen.tolist()}
    is_seen = [c in seen for c in range(len(names))]
    if same := same_things(names, words, data.class_vectors, is_seen):
        warn(same_things_line(same))


def _announce_copies(copies: CopyReport) -> None:
    """Say how many images are copies, and which are in two classes."""
    if copies.copies:
        left_out = f", {copies.left_out} of which take no part" if copies.left_out else ""
        notify(
            f"{copies.copies} copies of images, kept on one side of the split{left_out} "
            "(about.json lists them)"
        )
    if copies.ambiguous:
        shown = "; ".join(copies.ambiguous[:3]) + (" ..." if len(copies.ambiguous) > 3 else "")
        warn(
            f"{copies.in_two_classes} images are in two classes: {shown} (all in about.json): "
            "correct their folders, or leave them out with copies.in_two_classes=drop"
        )
    if copies.near_on_two_sides:
        warn(
            f"{copies.near_on_two_sides} images look like one on another side of the split: "
            "resized, encoded anew or photographed in series (about.json lists them): "
            "copies.near=group keeps such images together"
        )
