"""What all ranks of a training do together: extract features, train projection and network.

Rank 0 calls `features`, or a stage within `on_all_ranks`; the other ranks then call `run_stage`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers.logger import DummyLogger

from devise_exp.core.command import spelled
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.machine import processors
from devise_exp.core.row_shards import Rows
from devise_exp.features.bank import write_shard
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.pipelines import fit
from devise_exp.pipelines.build import untrained
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.option_errors import check_option
from devise_exp.pipelines.option_kinds import FromOne
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.user_parts import use_user_parts
from devise_exp.runs.folder import RunFolder
from devise_exp.training.checkpoint import BEST, load_weights
from devise_exp.training.distributed.environment import launcher_of
from devise_exp.training.distributed.group import StageRequest, in_group, leading
from devise_exp.training.distributed.ranks import gpu_of, processes_per_node
from devise_exp.training.lightning import silence_lightning

Stage = Literal["projection", "network"]


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


def as_rank_0(
    config: DictConfig, function: Callable[..., Any], *arguments: Any, **read: Any
) -> Any:
    """Call a function as the first of the processes that config.trainer asks for.

    The others are there if torchrun or srun has started this program, or if this is called within
    the function; else they are started for it, the first one too, and end with it.

    Args:
        config: Of train.py.
        function: A function of a module, for pickle.
        *arguments: What it is called with, plain data.
        **read: Keyword arguments that this process has read already; a process that is started for
            the function reads them anew.

    Returns:
        What the function returns.

    Raises:
        InputError: If other processes were started than config.trainer asks for, or one has failed.
    """
    processes, machines = processes_of(config)
    if in_group():
        _check_started(config, processes, machines)
    elif (launched := launcher_of(os.environ)) is not None:
        raise InputError(
            f"{launched[0]} has started {launched[1]} processes, which do not train together: if "
            "an earlier job of this sweep has failed, start the rest again; else give each job one "
            "task (hydra.launcher.tasks_per_node=1)"
        )
    elif machines > 1:
        raise InputError(
            f"trainer.num_nodes={machines}: start {spelled('train')} on every node, by torchrun or "
            "srun (README)"
        )
    elif processes > 1:
        from devise_exp.training.distributed.launch import launch  # late: torch's launcher

        return launch(
            processes, run_stage, _of_this_job, HydraConfig.instance().cfg, function, arguments
        )
    return function(*arguments, **read)


def features(config: DictConfig, data: ExperimentData, tuned: RunFolder | None = None) -> Rows:
    """Take features from the cache, or extract them on all ranks.

    Args:
        config: Of train.py.
        data: Its images and its backbone.
        tuned: The run that has trained the network, if one has.

    Returns:
        (N, feature_dim), a row for each of data.dataset.
    """
    if not in_group():
        return features_of(config, data)
    checkpoint = None if tuned is None else str((tuned.checkpoints / BEST).resolve())

    def other_shards(key: str, first_row: int) -> AbstractContextManager[None]:
        request = _request(
            "features", config, bank_key=key, first_row=first_row, checkpoint=checkpoint
        )
        return leading(request)

    return features_of(config, data, other_shards, **_share(config))


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
    if not in_group():
        yield
        return
    with leading(_request(stage, config, run_folder=str(run.path.resolve()))):
        yield


def run_stage(request: StageRequest) -> None:
    """Do a stage as a rank above 0.

    Args:
        request: What rank 0 is doing.

    Raises:
        InputError: If this machine does not see the run folder.
    """
    silence_lightning()
    config = cast(DictConfig, OmegaConf.create(request.config))
    use_user_parts(config, quietly=True)  # rank 0 has said so
    data, run = prepare(config), RunFolder(Path(request.run_folder))
    recipe = recipe_of(config, data.n_train)
    if request.stage == "features":
        if request.checkpoint is not None:
            load_weights(untrained(recipe, data), Path(request.checkpoint))
        settings = ExtractionSettings(**{**config.features, **_share(config)})
        write_shard(request.bank_key, request.first_row, data.dataset, data.backbone, settings)
        return
    if not run.path.is_dir():
        raise InputError(f"{run.path} is not there: set hydra.run.dir to a folder all nodes share")
    # Rank 0 logs; a callback may want a logger here too.
    logger = DummyLogger() if config.get("logger") else False
    if request.stage == "projection":
        fit.fit_projection(recipe, run, data, features_of(config, data), logger)
    else:
        fit.fit_network(recipe, run, data, logger)


def _of_this_job(
    hydra: DictConfig | None, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """Call a function in a process that Hydra has not started, as in the job that it belongs to."""
    if hydra is not None:
        HydraConfig.instance().set_config(hydra)
    return function(*arguments)


def _check_started(config: DictConfig, processes: int, machines: int) -> None:
    """InputError if other processes were started than the config asks for."""
    started = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["GROUP_WORLD_SIZE"])
    if started != (processes, machines):
        n = processes * machines
        raise InputError(
            f"trainer.devices={config.trainer.devices} and trainer.num_nodes={machines} ask for "
            f"{n} process{'es' if n > 1 else ''}, but {started[0]} on each of {started[1]} nodes "
            "were started: let both agree (with trainer=ddp)"
        )


def _share(config: DictConfig) -> dict[str, int]:
    """This rank's share of an extraction, as ExtractionSettings has it."""
    gpu = gpu_of(config.trainer.devices, int(os.environ["LOCAL_RANK"]))
    return {
        "rank": torch.distributed.get_rank(),
        "world_size": torch.distributed.get_world_size(),
        "gpu": gpu,
    }


def _request(stage: str, config: DictConfig, **more: Any) -> StageRequest:
    return StageRequest(stage=stage, config=OmegaConf.to_yaml(config, resolve=True), **more)
