"""From a config and prepared data to a trained module; every rank of a training comes here.

The map is trained first, on the features of the backbone as it was pretrained. With
backbone.trainable the network follows (the paper's second stage, Frome et al. 2013, section 3.2):
the map goes on together with the backbone, on augmented pictures, the backbone at its own rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.methods.baselines.projections import DeviseWithoutPrior, RandomVectors
from devise_exp.methods.devise_model import Project
from devise_exp.methods.method import FunctionMethod, Method
from devise_exp.methods.task import Task, seen_targets
from devise_exp.pipelines.fit_projection import fit_plain, is_plain, projection_of, rows_of
from devise_exp.pipelines.prepare import ExperimentData
from devise_exp.runs.folder import RunFolder
from devise_exp.training.batches import FeatureInputs, Inputs, RowBatches, image_inputs
from devise_exp.training.checkpoint import BEST, load_part
from devise_exp.training.distributed.ranks import processes_per_node
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.module import DeviseModule

Trained = tuple[DeviseModule, dict[str, float]]  # at its best epoch, with val/hit@1 and the epoch


def processes_of(config: DictConfig) -> tuple[int, int]:
    """How many config.trainer asks for on each machine, and on how many machines."""
    trainer, nodes = config.trainer, config.trainer.get("num_nodes", 1)
    if not isinstance(nodes, int) or nodes < 1:
        raise InputError(f"trainer.num_nodes={nodes}: give a whole number from 1 on")
    with as_input_error("trainer.devices"):
        return processes_per_node(
            trainer.strategy, trainer.devices, trainer.accelerator, nodes
        ), nodes


def fit_projection(
    config: DictConfig,
    run: RunFolder,
    data: ExperimentData,
    features: np.ndarray,
    logger: Any = False,
) -> Trained:
    """The map alone, on features (N, feature_dim) of the backbone."""
    module = build_module(config, data.backbone.feature_dim, seen_vectors(data))
    guarded = data.task(features, config.seed).features
    inputs, make_trainer = FeatureInputs(guarded), instantiate(config.trainer)
    place = projection_folder(config, run)
    return module, _fit(config, data, module, make_trainer, (inputs, inputs), place, logger)


def fit_network(
    config: DictConfig, run: RunFolder, data: ExperimentData, logger: Any = False
) -> Trained:
    """The projection that `fit_projection` has left in the run folder and the network of
    data.backbone, which is changed in place.
    """
    module = untrained(config, data)
    module.make_scheduler = None  # the config's is made for the epochs of the map
    load_part(module.projection, projection_folder(config, run) / BEST, "projection")
    make_trainer = partial(instantiate(config.trainer), max_epochs=config.tuning.max_epochs)
    inputs = image_inputs(data.dataset, data.backbone)
    sizes = {key: config.tuning[key] for key in ("batch_size", "num_workers")}
    return module, _fit(
        config, data, module, make_trainer, inputs, run.checkpoints, logger, **sizes
    )


def fit_to(config: DictConfig, task: Task) -> nn.Module:
    """The projection trained by the run's own recipe on a task, on one device; nothing of it is
    kept on disk.
    """
    if is_plain(config.trainer):
        return fit_plain(config, task)[0]
    module = build_module(config, task.features.dim, task.class_vectors[task.seen])
    with TemporaryDirectory() as folder:
        fit_with_lightning(
            module,
            partial(instantiate(config.trainer), devices=1, num_nodes=1, strategy="auto"),
            *rows_of(task),
            Path(folder),
            config.seed,
            FitSettings(resumable=False, **config.training),
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
        method = build_method(config, str(name), spec, data, project)
        if method.needs_pretraining and data.pretraining is None:
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
        spec: Its value: a part with a `_target_`, or else what a run without a prior has instead
            of the run's own loss or class vectors.
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
    loss = spec.get("loss", config.loss)
    if loss != config.loss:
        changed = config.copy()
        changed.loss = loss
        project = partial(fit_to, changed)
    if spec.get("class_vectors") == "random":
        return RandomVectors(name=name, project=project, classes=tuple(data.split.classes))
    return DeviseWithoutPrior(name=name, project=project)


def untrained(config: DictConfig, data: ExperimentData) -> DeviseModule:
    """A module of the run's shape, to load a checkpoint into."""
    network = _trainable_network(data)
    return build_module(config, data.backbone.feature_dim, seen_vectors(data), network)


def projection_folder(config: DictConfig, run: RunFolder) -> Path:
    """Where the checkpoints of the map are: those of the run, where the network is not trained."""
    return run.checkpoints / "map" if config.backbone.trainable else run.checkpoints


def _fit(
    config: DictConfig,
    data: ExperimentData,
    module: DeviseModule,
    make_trainer: Callable[..., pl.Trainer],
    inputs: tuple[Inputs, Inputs],
    folder: Path,
    logger: Any = False,
    **sizes: int,
) -> dict[str, float]:
    train, val = data.split.train, data.split.val
    return fit_with_lightning(
        module,
        make_trainer,
        RowBatches(inputs[0], train, seen_targets(data.class_ids[train], data.split.seen)),
        RowBatches(inputs[1], val, seen_targets(data.class_ids[val], data.split.seen)),
        folder,
        config.seed,
        FitSettings(**{**config.training, **sizes}),
        logger,
    )


def build_module(
    config: DictConfig, feature_dim: int, seen_vectors: np.ndarray, network: nn.Module | None = None
) -> DeviseModule:
    """A new module whose weights the seed decides; seen_vectors: (S, D)."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    return DeviseModule(
        projection_of(config, feature_dim, seen_vectors.shape[1]),
        instantiate(config.loss),
        torch.from_numpy(seen_vectors),
        instantiate(config.optimizer),
        instantiate(config.scheduler),
        network,
        config.tuning.backbone_lr_factor,
    )


def seen_vectors(data: ExperimentData) -> np.ndarray:
    vectors: np.ndarray = data.class_vectors[data.split.seen]
    return vectors


def _trainable_network(data: ExperimentData) -> nn.Module | None:
    if not data.backbone.trainable:
        return None
    # As for features: faster, and the same bits whether features were extracted before or not.
    network: nn.Module = data.backbone.network.to(memory_format=torch.channels_last)
    return network
