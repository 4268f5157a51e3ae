"""The stages of a training, which all ranks take together: features, the map, the network.

Rank 0 calls `features`, `fit_projection` and `fit_network`; that tells the others, who `take_part`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.features.bank import share_of
from devise_exp.pipelines import fit
from devise_exp.pipelines.fit import Trained, processes_of
from devise_exp.pipelines.prepare import ExperimentData, features_of, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.training.checkpoint import load_weights
from devise_exp.training.distributed.launchers import from_environment
from devise_exp.training.distributed.ranks import RankInfo, StageRequest, gpu_of, send_rows
from devise_exp.training.distributed.workers import WorkerPool, has_worker_pool, worker_pool
from devise_exp.training.lightning import BEST, silence_lightning


def all_ranks(config: DictConfig) -> AbstractContextManager[WorkerPool]:
    """The other ranks that config.trainer asks for; those that this starts stay until it ends."""
    place = None if has_worker_pool() else from_environment(os.environ)
    if place is not None:
        raise InputError(
            f"{place.launcher} has started {place.world} processes for a job that is not train.py "
            "itself: give each job of a sweep one task (hydra.launcher.tasks_per_node=1)"
        )
    return worker_pool(*processes_of(config))


def features(
    config: DictConfig, data: ExperimentData, tuned: RunFolder | None = None
) -> np.ndarray:
    """(N, feature_dim) of data.dataset under data.backbone, from the cache or by all ranks;
    tuned: the run that has trained the network.
    """
    checkpoint = None if tuned is None else str((tuned.checkpoints / BEST).resolve())
    with all_ranks(config) as others:

        def helpers(key: str, start: int) -> AbstractContextManager[list[Iterator[bytes]]]:
            order = _order("features", config, key=key, start=start, checkpoint=checkpoint)
            return others.extracting(order)

        gpu = gpu_of(config.trainer.devices, 0)
        if others.size == 1:
            return features_of(config, data)
        return features_of(config, data, helpers, world=others.size, gpu=gpu)


def fit_projection(
    config: DictConfig,
    run: RunFolder,
    data: ExperimentData,
    features: np.ndarray,
    logger: Any = False,
) -> Trained:
    """The map alone, on features (N, feature_dim) of the backbone, on all devices of the config."""
    with all_ranks(config) as others, others.training(_order("projection", config, run)):
        return fit.fit_projection(config, run, data, features, logger)


def fit_network(
    config: DictConfig, run: RunFolder, data: ExperimentData, logger: Any = False
) -> Trained:
    """The projection that `fit_projection` has left in the run folder and the network of
    data.backbone, which is changed in place.
    """
    with all_ranks(config) as others, others.training(_order("network", config, run)):
        return fit.fit_network(config, run, data, logger)


def run_stage(order: StageRequest, seat: RankInfo) -> None:
    """What any other rank does when rank 0 is in `features`, `fit_projection` or `fit_network`."""
    silence_lightning()
    config = cast(DictConfig, OmegaConf.create(order.config))
    data, run = prepare(config), RunFolder(Path(order.run))
    if order.stage == "features":
        _make_share(config, data, order, seat)
        return
    if not run.path.is_dir():
        raise InputError(f"{run.path} is not there: set hydra.run.dir to a folder all nodes share")
    if order.stage == "projection":
        fit.fit_projection(config, run, data, features_of(config, data), logger=False)
    else:
        fit.fit_network(config, run, data, logger=False)


def _order(
    stage: str, config: DictConfig, run: RunFolder | None = None, **more: Any
) -> StageRequest:
    folder = "" if run is None else str(run.path.resolve())
    return StageRequest(stage, OmegaConf.to_yaml(config, resolve=True), folder, **more)


def _make_share(
    config: DictConfig, data: ExperimentData, order: StageRequest, seat: RankInfo
) -> None:
    """Send rank 0 the rows of the bank that are this rank's."""
    if order.checkpoint is not None:
        load_weights(fit.untrained(config, data), Path(order.checkpoint))
    share = {"rank": seat.rank, "world": seat.world}
    share["gpu"] = gpu_of(config.trainer.devices, seat.local)
    settings = {**config.features, **share}
    for rows in share_of(order.key, order.start, data.dataset, data.backbone, **settings):
        send_rows(rows)
