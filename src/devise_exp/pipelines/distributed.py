"""The stages of a training, which all ranks take together: features, projection, network.

Rank 0 calls `features`, or a stage within `on_all_ranks`; that asks the other ranks, which call
`run_stage`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.machine import processors
from devise_exp.core.row_shards import Rows
from devise_exp.features.bank import shard_rows
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.pipelines import distributed_main, fit
from devise_exp.pipelines.build import untrained
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import FromOne
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.runs.folder import RunFolder
from devise_exp.training.checkpoint import BEST, load_weights
from devise_exp.training.distributed.launchers import from_environment
from devise_exp.training.distributed.pool import WorkerPool, has_worker_pool, worker_pool
from devise_exp.training.distributed.ranks import RankInfo, StageRequest, gpu_of, processes_per_node
from devise_exp.training.distributed.serving import send_rows
from devise_exp.training.lightning import silence_lightning

Stage = Literal["projection", "network"]
WORKER_COMMAND = ("-m", distributed_main.__name__)  # what a worker of this process runs


def processes_of(config: DictConfig) -> tuple[int, int]:
    """Read how many processes train.

    Args:
        config: Of train.py.

    Returns:
        Processes on each machine, and machines.

    Raises:
        InputError: If config.trainer asks for devices that are not there, or for more processes
            than there are processors.
    """
    trainer = config.trainer
    machines = trainer.get("num_nodes", 1)
    check_option("trainer.num_nodes", machines, FromOne)
    with as_input_error("trainer.devices"):
        processes = processes_per_node(
            trainer.strategy, trainer.devices, trainer.accelerator, machines
        )
    most = processors()
    has_gpu = trainer.accelerator != "cpu" and torch.cuda.is_available()
    if trainer.accelerator in ("cpu", "auto") and not has_gpu and processes > most:
        raise InputError(
            f"trainer.devices={trainer.devices}: more processes than this machine's "
            f"{most} processor{'s' * (most > 1)}: give {most} or fewer"
        )
    return processes, machines


def all_ranks(config: DictConfig) -> AbstractContextManager[WorkerPool]:
    """The other ranks that config.trainer asks for; this process's own workers end with the block.

    Args:
        config: Of train.py.

    Returns:
        A context that gives the pool of workers.

    Raises:
        InputError: If a launcher has started several processes for a job of a sweep.
    """
    process = None if has_worker_pool() else from_environment(os.environ)
    if process is not None:
        raise InputError(
            f"{process.launcher} has started {process.world_size} processes for what is not the "
            "training command itself: give each job of a grid one task "
            "(hydra.launcher.tasks_per_node=1)"
        )
    return worker_pool(*processes_of(config), command=WORKER_COMMAND)


def features(config: DictConfig, data: ExperimentData, tuned: RunFolder | None = None) -> Rows:
    """Take features from the cache, or extract them on all ranks.

    Args:
        config: Of train.py.
        data: Its images and its backbone.
        tuned: The run that has trained the network, if one has.

    Returns:
        (N, feature_dim), a row for each of data.dataset.
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


@contextmanager
def on_all_ranks(stage: Stage, config: DictConfig, run: RunFolder) -> Iterator[None]:
    """All other ranks take the same stage of a training as the block does.

    Args:
        stage: What the block calls: `fit.fit_projection` or `fit.fit_network`.
        config: Of train.py.
        run: Where checkpoints go.

    Yields:
        Nothing.
    """
    with all_ranks(config) as pool, pool.training(_request(stage, config, run)):
        yield


def run_stage(request: StageRequest, rank_info: RankInfo) -> None:
    """Do a stage as a rank above 0.

    Args:
        request: What rank 0 is doing.
        rank_info: Which rank this is.

    Raises:
        InputError: If this machine does not see the run folder.
    """
    silence_lightning()
    config = cast(DictConfig, OmegaConf.create(request.config))
    data, run = prepare(config), RunFolder(Path(request.run_folder))
    if request.stage == "features":
        _send_shard(config, data, request, rank_info)
        return
    if not run.path.is_dir():
        raise InputError(f"{run.path} is not there: set hydra.run.dir to a folder all nodes share")
    recipe = recipe_of(config, data.n_train)
    if request.stage == "projection":
        fit.fit_projection(recipe, run, data, features_of(config, data))
    else:
        fit.fit_network(recipe, run, data)


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
        recipe = recipe_of(config, data.n_train)
        load_weights(untrained(recipe, data), Path(request.checkpoint))
    shard = {
        "rank": rank_info.rank,
        "world_size": rank_info.world_size,
        "gpu": gpu_of(config.trainer.devices, rank_info.local_rank),
    }
    settings = ExtractionSettings(**{**config.features, **shard})
    key, first_row = request.bank_key, request.first_row
    for rows in shard_rows(key, first_row, data.dataset, data.backbone, settings):
        send_rows(rows)
