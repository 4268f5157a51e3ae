"""The logger that a run's config asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.pipelines.grid import grid_folder
from devise_exp.reports.wandb import logger_options
from devise_exp.runs.folder import RunFolder


@contextmanager
def run_logger(config: DictConfig, run: RunFolder) -> Iterator[Any]:
    """Open the logger of a run; its W&B run ends with the block.

    Args:
        config: Of the run; its group `logger` may be empty.
        run: Where the logger writes.

    Yields:
        The logger, False for none.
    """
    if not config.logger:
        yield False
        return
    import wandb

    options = logger_options(
        run.path,
        offline=config.logger.offline,
        group=config.logger.get("group"),
        grid=grid_folder(),
    )
    logger = instantiate(config.logger)(**options)
    try:
        logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        yield logger
    finally:
        wandb.finish()  # the next job of a sweep gets its own
