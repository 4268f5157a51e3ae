"""The logger that a run's config asks for; its errors are warnings, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from devise_exp.core.console import format_error, warn
from devise_exp.core.stops import hold_stops
from devise_exp.pipelines.grid import grid_folder
from devise_exp.reports.wandb import logger_options
from devise_exp.runs.folder import RunFolder


class LastingLogger(Logger):
    """A logger that ends with a warning where another one would end the run.

    Args:
        make: Makes the logger; it may fail.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self.inner: Any = None
        self.attempt(lambda _: setattr(self, "inner", make()))

    def attempt(self, action: Callable[[Any], Any]) -> Any:
        """Do something with the logger; after the first error nothing is done any more.

        Args:
            action: Is given the logger.

        Returns:
            What the action returns, None if it has failed.
        """
        try:
            return action(self.inner)
        except Exception as error:  # of a library, a disk or a network: the run needs none of them
            warn(
                f"the logger has failed, so the run goes on without it: {format_error(error)}: "
                "logger=none leaves it out, the run folder has every metric"
            )
            self.inner = None
            return None

    @property
    def name(self) -> str | None:
        """Of the logger, None if it has failed."""
        return cast("str | None", self._attribute("name"))

    @property
    def version(self) -> int | str | None:
        """Of the logger, None if it has failed."""
        return cast("int | str | None", self._attribute("version"))

    @property
    def save_dir(self) -> str | None:
        """Where the logger writes, None if it has failed."""
        return cast("str | None", self._attribute("save_dir"))

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Log the metrics of a step."""
        self._call("log_metrics", metrics, step=step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Log the settings of a run."""
        self._call("log_hyperparams", params, *args, **kwargs)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Log the graph of a network."""
        self._call("log_graph", model, input_array)

    def save(self) -> None:
        """Write what was logged."""
        self._call("save")

    def finalize(self, status: str) -> None:
        """End a training."""
        self._call("finalize", status)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Note that a checkpoint was written."""
        self._call("after_save_checkpoint", checkpoint_callback)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.inner is not None:
            return self.attempt(lambda inner: getattr(inner, method)(*args, **kwargs))
        return None

    def _attribute(self, name: str) -> Any:
        if self.inner is not None:
            return self.attempt(lambda inner: getattr(inner, name))
        return None


@contextmanager
def run_logger(config: DictConfig, run: RunFolder) -> Iterator[LastingLogger | None]:
    """Open the logger of a run; its W&B run ends with the block.

    Args:
        config: Of the run; its group `logger` may be empty.
        run: Where the logger writes.

    Yields:
        The logger, None for none.
    """
    if not config.logger:
        yield None
        return
    logger = LastingLogger(lambda: _wandb_logger(config, run))
    try:
        logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
        yield logger
    finally:
        with hold_stops():  # a W&B run that is ended halfway keeps the process from ending
            logger.attempt(lambda _: _finish_wandb())  # the next job of a sweep gets its own


def _wandb_logger(config: DictConfig, run: RunFolder) -> Any:
    options = logger_options(
        run.path,
        offline=config.logger.offline,
        group=config.logger.get("group"),
        grid=grid_folder(),
    )
    logger = instantiate(config.logger)(**options)
    # Lightning always passes it, and W&B warns that it has no meaning any more.
    getattr(logger, "_wandb_init", {}).pop("anonymous", None)
    return logger


def _finish_wandb() -> None:
    import wandb

    wandb.finish()
