"""A logger whose errors are warnings, so that the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pytorch_lightning.loggers.logger import DummyLogger, Logger

from devise_exp.core.console import format_error, warn


class LastingLogger(Logger):
    """A logger that ends with a warning where another one would end the run.

    Args:
        make: Makes the logger; it may fail.
        title: Its name in the warning, if there are several.
    """

    def __init__(self, make: Callable[[], Any], title: str = "") -> None:
        super().__init__()
        self.inner: Any = None
        self.title = title
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
            title = f" {self.title}" if self.title else ""
            warn(
                f"the logger{title} has failed, so the run goes on without it: "
                f"{format_error(error)}: logger=none leaves it out, the run folder has every metric"
            )
            self.inner = None
            return None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """That of the logger: callbacks ask for it by isinstance."""
        inner = self.__dict__.get("inner")
        return type(self) if inner is None else type(inner)

    def __getattr__(self, name: str) -> Any:
        """What else a callback asks of the logger, such as its `experiment`."""
        if name.startswith("_") or "inner" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.inner or DummyLogger(), name)

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
