"""The loggers that a run's config asks for, any number of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.core.stops import hold_stops
from devise_exp.pipelines.grid import grid_folder
from devise_exp.pipelines.lasting_logger import LastingLogger
from devise_exp.reports.loggers import log_artifacts, log_metrics
from devise_exp.reports.wandb import check_wandb, log_run, logger_options
from devise_exp.runs.folder import RunFolder

_LOGGERS = "pytorch_lightning.loggers"
WANDB = f"{_LOGGERS}.WandbLogger"
_MLFLOW = f"{_LOGGERS}.MLFlowLogger"
_EXTRAS = {f"{_LOGGERS}.TensorBoardLogger": "tensorboard", _MLFLOW: "mlflow"}


def loggers_of(config: DictConfig) -> dict[str, DictConfig]:
    """List the loggers of a config.

    Args:
        config: Of train.py; in a run of before its group `logger` is one logger.

    Returns:
        Name -> what Hydra builds it from; none for logger=none.

    Raises:
        InputError: An entry is none.
    """
    group = config.get("logger") or {}
    if "_target_" in group:
        return {"wandb": config.logger}
    for name, node in group.items():
        if node is not None and not (OmegaConf.is_dict(node) and "_target_" in node):
            raise InputError(
                f"logger.{name}: give a logger, +logger.{name}._target_=..., or choose among "
                "logger=wandb, csv, tensorboard, mlflow and none"
            )
    return {str(name): node for name, node in group.items() if node is not None}


def has_wandb(config: DictConfig) -> bool:
    """Tell whether W&B is among the loggers of a config.

    Args:
        config: Of train.py.

    Returns:
        Whether it is.
    """
    return any(node._target_ == WANDB for node in loggers_of(config).values())


def check_loggers(config: DictConfig) -> None:
    """Check that the loggers of a config can log, as far as that can be seen before a run.

    Args:
        config: Of train.py.

    Raises:
        InputError: W&B is online without an account, or a package is missing.
    """
    for name, node in loggers_of(config).items():
        if node._target_ == WANDB:
            check_wandb(node.offline)
        if package := _EXTRAS.get(node._target_):
            try:
                import_module(package)
            except ImportError as error:
                raise InputError(
                    f"logger={name} needs {package}: pip install 'devise-exp[{package}]'"
                ) from error


@contextmanager
def run_loggers(config: DictConfig, run: RunFolder) -> Iterator[Mapping[str, LastingLogger]]:
    """Open the loggers of a run; they end with the block.

    Args:
        config: Of the run; its group `logger` may be empty.
        run: Where the loggers write.

    Yields:
        Name -> logger.
    """
    nodes = loggers_of(config)
    loggers = {
        name: LastingLogger(partial(_build, node, run), name * (len(nodes) > 1))
        for name, node in nodes.items()
    }
    try:
        for logger in loggers.values():
            logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        yield loggers
    finally:
        with hold_stops():  # a W&B run that is ended halfway keeps the process from ending
            for name, logger in loggers.items():
                if nodes[name]._target_ == WANDB:
                    logger.attempt(lambda _: _finish_wandb())  # the next job gets a run of its own


def log_finished(
    loggers: Mapping[str, LastingLogger], config: DictConfig, report: Any, shown: Any
) -> None:
    """Log what a finished run has come to.

    Args:
        loggers: Name -> logger.
        config: Of the run.
        report: Its metrics, an EvalReport.
        shown: The run, a ShownRun.
    """
    for name, node in loggers_of(config).items():
        logger = loggers[name]
        if node._target_ != WANDB:
            logger.attempt(partial(log_metrics, report=report))
            continue
        logger.attempt(partial(log_run, report=report, run=shown))
        if node.get("log_model"):
            logger.attempt(partial(log_artifacts, folder=shown.path))


def _build(node: DictConfig, run: RunFolder) -> Any:
    if node._target_ == WANDB:
        return _wandb_logger(node, run)
    folder = run.path
    given: dict[str, Any] = {"save_dir": str(folder)}
    if node._target_ == _MLFLOW:
        given = {"save_dir": str(folder / "mlruns"), "run_name": folder.name}
        node = OmegaConf.create({key: value for key, value in node.items() if value is not None})
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # that of the run folder
    taken = inspect.signature(get_object(node._target_)).parameters
    logger = instantiate(node, **{k: v for k, v in given.items() if k in taken and k not in node})
    return logger() if node.get("_partial_") else logger


def _wandb_logger(node: DictConfig, run: RunFolder) -> Any:
    options = logger_options(
        run.path, offline=node.offline, group=node.get("group"), grid=grid_folder()
    )
    # Lightning's log_model knows its own checkpoints alone, and refuses offline runs.
    plain = {key: value for key, value in node.items() if key != "log_model"}
    logger = instantiate(OmegaConf.create(plain))(**options)
    # Lightning always passes it, and W&B warns that it has no meaning any more.
    getattr(logger, "_wandb_init", {}).pop("anonymous", None)
    return logger


def _finish_wandb() -> None:
    import wandb

    wandb.finish()
