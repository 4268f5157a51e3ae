"""From a recipe and prepared data to a trained module; every rank of a training calls this.

The projection is trained first, on the features of the backbone as it was pretrained. With
backbone.trainable the network follows (the paper's second stage, Frome et al. 2013, section 3.2):
the projection goes on together with the backbone, on augmented images, the backbone at its own
learning rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.row_shards import Rows
from devise_exp.methods.additions import Project
from devise_exp.methods.baselines.projections import DeviseWith, DeviseWithoutPrior, RandomVectors
from devise_exp.methods.losses import of_draws
from devise_exp.methods.method import FunctionMethod, Method
from devise_exp.methods.task import Task, seen_targets
from devise_exp.pipelines.additions import additions_of, checked_additions
from devise_exp.pipelines.build import build_module, seen_vectors, untrained
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.fit_projection import fit_plain, rows_of
from devise_exp.pipelines.joint import missing_texts
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import FromOne, ShareOrOne
from devise_exp.pipelines.plain_names import PLAIN_NAMES
from devise_exp.pipelines.recipe import Recipe, recipe_of
from devise_exp.runs.folder import RunFolder
from devise_exp.training.batches import RowBatches, image_inputs
from devise_exp.training.best_epoch import TrainingResult
from devise_exp.training.checkpoint import BEST, load_part
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.module import DeviseModule

Trained = tuple[DeviseModule, TrainingResult]  # the module at its best epoch


def fit_projection(
    recipe: Recipe, run: RunFolder, data: ExperimentData, features: Rows, logger: Any = False
) -> Trained:
    """Train the projection alone, the first stage.

    Args:
        recipe: How to train.
        run: Where checkpoints go.
        data: Rows and class vectors.
        features: (N, feature_dim) of the backbone as it was pretrained.
        logger: Of Lightning; False: none.

    Returns:
        The module at its best epoch, and what the training came to.
    """
    module = build_module(recipe, data.backbone.feature_dim, seen_vectors(data))
    train, val = rows_of(data.task(features, recipe.seed))
    best = fit_with_lightning(
        module,
        recipe.new_trainer(),
        train,
        val,
        projection_folder(data, run),
        recipe.seed,
        _fit_settings(recipe),
        logger,
    )
    return module, best


def fit_network(
    recipe: Recipe, run: RunFolder, data: ExperimentData, logger: Any = False
) -> Trained:
    """Train the network together with the projection in the run folder: the second stage.

    Args:
        recipe: How to train.
        run: Where the projection is read and checkpoints go.
        data: Its backbone is changed in place.
        logger: Of Lightning; False: none.

    Returns:
        The module at its best epoch, and what the training came to.
    """
    module = untrained(recipe, data)
    module.make_scheduler = None  # the recipe's is made for the epochs of the first stage
    load_part(module.projection, projection_folder(data, run) / BEST, "projection")
    train, val = _image_rows(data)
    best = fit_with_lightning(
        module,
        partial(recipe.new_trainer(), max_epochs=recipe.tuning.max_epochs),
        train,
        val,
        run.checkpoints,
        recipe.seed,
        FitSettings(
            patience=recipe.training.patience,
            batch_size=recipe.tuning.batch_size,
            num_workers=recipe.tuning.num_workers,
            **_callbacks(recipe),
        ),
        logger,
    )
    return module, best


def _fit_settings(recipe: Recipe, resumable: bool = True) -> FitSettings:
    """How Lightning fits the first stage."""
    training = recipe.training
    return FitSettings(
        batch_size=training.batch_size,
        patience=training.patience,
        num_workers=training.num_workers,
        resumable=resumable,
        **(_callbacks(recipe) if resumable else {}),
    )


def _callbacks(recipe: Recipe) -> dict[str, Any]:
    """The callbacks of the run's own training; class folds and methods have none of a user's."""
    return {"callbacks": recipe.new_callbacks(), "without": recipe.without}


def fit_to(recipe: Recipe, task: Task) -> nn.Module:
    """Train a projection on a task, on one device, with nothing kept on disk.

    Args:
        recipe: How to train.
        task: What to train on.

    Returns:
        The projection at its best epoch.
    """
    if recipe.is_plain:
        return fit_plain(recipe, task)[0]
    module = build_module(recipe, task.features.dim, task.class_vectors[task.seen])
    with TemporaryDirectory() as folder:
        fit_with_lightning(
            module,
            partial(recipe.new_trainer(), devices=1, num_nodes=1, strategy="auto"),
            *rows_of(task),
            Path(folder),
            recipe.seed,
            _fit_settings(recipe, resumable=False),
        )
    return module.projection


def methods_of(config: DictConfig, data: ExperimentData, project: Project) -> Iterator[Method]:
    """Build the methods of config.method that the data allows; tell of those left out.

    Args:
        config: The run's config.
        data: The run's data.
        project: Trains the projection of a task by the run's own recipe.

    Yields:
        One method per key of config.method, named by the key.
    """
    for name, spec in (config.method or {}).items():
        if spec.get("class_vectors") == PLAIN_NAMES:
            continue  # the trained model itself
        method = build_method(config, str(name), spec, data, project)
        if method.needs_texts and data.texts is None:
            notify(f"no {name} of this backbone: {missing_texts(data.backbone)}")
        elif method.needs_pretraining and data.pretraining is None:
            why = (
                "its network is trained on"
                if data.backbone.trainable
                else "the classifier of its pretraining is unknown"
            )
            notify(f"no {name} of this backbone: {why}")
        else:
            yield method


def build_method(
    config: DictConfig, name: str, spec: DictConfig, data: ExperimentData, project: Project
) -> Method:
    """Build one method of config.method.

    Args:
        config: The run's config.
        name: Key of the method.
        spec: Its value. With `_target_`: a method. With `additions`: the run's projection with
            some of what the run adds. Else `loss` and/or `class_vectors`, which replace the run's
            own in a training with nothing added.
        data: The run's data.
        project: Trains the projection of a task by the run's own recipe.

    Returns:
        The method, named by the key.

    Raises:
        InputError: The part is neither a Method nor a function.
    """
    if "_target_" in spec:
        part = instantiate(spec)
        if isinstance(part, Method):
            return replace(part, name=name)
        if callable(part):
            return FunctionMethod(name=name, function=part)
        raise InputError(
            f"method.{name}: {spec._target_} makes a {type(part).__name__}: give a subclass of "
            "devise_exp.methods.Method, or a function (task, folds) with _partial_: true"
        )
    if "additions" in spec:
        priors, classifiers = additions_of(config, checked_additions(name, spec.additions))
        return DeviseWith(name=name, project=project, priors=priors, classifiers=classifiers)
    loss = spec.get("loss", config.loss)
    changed = config.copy()
    changed.loss = loss
    recipe = recipe_of(changed, data.n_train)
    if spec.get("class_vectors") == "random":
        draws, share = spec.get("draws", 1), spec.get("epochs_share", 1.0)
        check_option(f"method.{name}.draws", draws, FromOne)
        check_option(f"method.{name}.epochs_share", share, ShareOrOne)
        recipe = recipe_of(changed, data.n_train, share)
        drawn = replace(recipe, new_loss=lambda: of_draws(recipe.new_loss(), draws))
        classes = tuple(data.split.classes)
        return RandomVectors(
            name=name, project=partial(fit_to, drawn), classes=classes, draws=draws
        )
    if loss != config.loss:
        project = partial(fit_to, recipe)
    return DeviseWithoutPrior(name=name, project=project)


def projection_folder(data: ExperimentData, run: RunFolder) -> Path:
    """Find where the checkpoints of the projection are.

    Args:
        data: If its network is trained, the projection has a folder of its own.
        run: The run folder.

    Returns:
        A folder, which may not exist yet.
    """
    return run.checkpoints / "map" if data.backbone.trainable else run.checkpoints


def _image_rows(data: ExperimentData) -> tuple[RowBatches, RowBatches]:
    """The images that the network learns from, with their targets among the seen classes."""
    ids, split = data.class_ids, data.split
    train_inputs, val_inputs = image_inputs(data.dataset, split, data.backbone)
    return (
        RowBatches(train_inputs, split.train, seen_targets(ids[split.train], split.seen)),
        RowBatches(val_inputs, split.val, seen_targets(ids[split.val], split.seen)),
    )
