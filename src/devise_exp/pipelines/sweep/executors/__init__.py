"""Where the trials of a sweep run: each executor is a thin adapter to a library's own.

An executor is a context manager; leaving it ends what still runs.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, TypeVar

from devise_exp.core.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Executor(AbstractContextManager["Executor"]):
    """Runs jobs."""

    @abstractmethod
    def outcomes(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Run jobs.

        Args:
            function: Of a module, so that other processes find it.
            jobs: Its arguments.

        Yields:
            Each job with its result as soon as it has one; None if its process was lost each time
            that it ran. What the function raises is raised.
        """


@contextmanager
def one_thread() -> Iterator[None]:
    """Let processes that are started have one thread each, so that their sums round alike.

    Yields:
        Nothing; the environment has the variables inside the block.
    """
    before = dict(os.environ)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def extra(executor: str, package: str, name: str) -> Any:
    """Import the library of an executor.

    Args:
        executor: Its option.
        package: To import.
        name: Of the extra that installs it.

    Returns:
        The library.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"executor={executor} needs {package}: pip install 'devise-exp[{name}]'"
        ) from error
