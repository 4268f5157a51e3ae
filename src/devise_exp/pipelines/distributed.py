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
from devise_exp.features.bank import shard_rows
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.pipelines import distributed_main, fit
from devise_exp.pipelines.fit import Trained, processes_of
from devise_exp.pipelines.prepare import ExperimentData, features_of, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.training.checkpoint import BEST, load_weights
from devise_exp.training.distributed.launchers import from_environment
from devise_exp.training.distributed.pool import WorkerPool, has_worker_pool, worker_pool
from devise_exp.training.distributed.ranks import RankInfo, StageRequest, gpu_of
from devise_exp.training.distributed.serving import send_rows
from devise_exp.training.lightning import silence_lightning

WORKER_COMMAND = ("-m", distributed_main.__name__)  # what a worker of this process runs


def all_ranks(config: DictConfig) -> AbstractContextManager[WorkerPool]:
    """The other ranks that config.trainer asks for; those that this starts stay until it ends."""
    process = None if has_worker_pool() else from_environment(os.environ)
    if process is not None:
        raise InputError(
            f"{process.launcher} has started {process.world_size} processes for a job that is not "
            "train.py itself: give each job of a sweep one task (hydra.launcher.tasks_per_node=1)"
        )
    return worker_pool(*processes_of(config), command=WORKER_COMMAND)


def features(
    config: DictConfig, data: ExperimentData, tuned: RunFolder | None = None
) -> np.ndarray:
    """(N, feature_dim) of data.dataset under data.backbone, from the cache or by all ranks;
    tuned: the run that has trained the network.
    """
    checkpoint = None if tuned is None else str((tuned.checkpoints / BEST).resolve())
    with all_ranks(config) as pool:

        def remote_shards(key: str, start: int) -> AbstractContextManager[list[Iterator[bytes]]]:
            request = _request(
                "features", config, bank_key=key, first_row=start, checkpoint=checkpoint
            )
            return pool.extracting(request)

        gpu = gpu_of(config.trainer.devices, 0)
        if pool.world_size == 1:
            return features_of(config, data)
        return features_of(config, data, remote_shards, world_size=pool.world_size, gpu=gpu)


def fit_projection(
    config: DictConfig,
    run: RunFolder,
    data: ExperimentData,
    features: np.ndarray,
    logger: Any = False,
) -> Trained:
    """The map alone, on features (N, feature_dim) of the backbone, on all devices of the config."""
    with all_ranks(config) as pool, pool.training(_request("projection", config, run)):
        return fit.fit_projection(config, run, data, features, logger)


def fit_network(
    config: DictConfig, run: RunFolder, data: ExperimentData, logger: Any = False
) -> Trained:
    """The projection that `fit_projection` has left in the run folder and the network of
    data.backbone, which is changed in place.
    """
    with all_ranks(config) as pool, pool.training(_request("network", config, run)):
        return fit.fit_network(config, run, data, logger)


def run_stage(request: StageRequest, rank_info: RankInfo) -> None:
    """What any other rank does when rank 0 is in `features`, `fit_projection` or `fit_network`."""
    silence_lightning()
    config = cast(DictConfig, OmegaConf.create(request.config))
    data, run = prepare(config), RunFolder(Path(request.run_folder))
    if request.stage == "features":
        _send_shard(config, data, request, rank_info)
        return
    if not run.path.is_dir():
        raise InputError(f"{run.path} is not there: set hydra.run.dir to a folder all nodes share")
    if request.stage == "projection":
        fit.fit_projection(config, run, data, features_of(config, data), logger=False)
    else:
        fit.fit_network(config, run, data, logger=False)


def _request(
    stage: str, config: DictConfig, run: RunFolder | None = None, **more: Any
) -> StageRequest:
    folder = "" if run is None else str(run.path.resolve())
    text = OmegaConf.to_yaml(config, resolve=True)
    return StageRequest(stage=stage, config=text, run_folder=folder, **more)


def _send_shard(
    config: DictConfig, data: ExperimentData, request: StageRequest, rank_info: RankInfo
) -> None:
    """Send rank 0 the rows of this rank's shard."""
    if request.checkpoint is not None:
        load_weights(fit.untrained(config, data), Path(request.checkpoint))
    shard = {
        "rank": rank_info.rank,
        "world_size": rank_info.world_size,
        "gpu": gpu_of(config.trainer.devices, rank_info.local_rank),
    }
    settings = ExtractionSettings(**{**config.features, **shard})
    key, first_row = request.bank_key, request.first_row
    for rows in shard_rows(key, first_row, data.dataset, data.backbone, settings):
        send_rows(rows)
