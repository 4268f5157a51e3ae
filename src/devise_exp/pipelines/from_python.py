"""Train, evaluate and open runs from Python code, such as a notebook."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError, input_errors
from devise_exp.pipelines import reevaluation
from devise_exp.search.saved_run import Run


def train(*overrides: str, folder: str | Path | None = None) -> Run:
    """Train and evaluate one run.

    For several devices processes are started that import the calling script, which therefore calls
    this under `if __name__ == "__main__":`.

    Args:
        *overrides: Options as for train.py, such as "loss=cosine" or "seed=1".
        folder: The run folder; None: outputs/DATE/TIME in the working folder, as for train.py.

    Returns:
        The finished run.

    Raises:
        InputError: If an option is wrong, or asks for several runs.
    """
    with input_errors():
        return _train(overrides, folder)


def _train(overrides: tuple[str, ...], folder: str | Path | None) -> Run:
    """Train as `train` does; errors are those of the libraries too."""
    from devise_exp.pipelines.run import train as train_run  # late: torch

    config = compose_config(overrides)
    if config.seeds != 1 or config.split_seeds != 1:
        raise InputError("seeds and split_seeds: one run here: call train for every seed")
    path = Path("outputs") / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
    path = path if folder is None else Path(folder).expanduser()
    train_run(config, path)
    return Run.open(path if config.resume is None else Path(str(config.resume)).expanduser())


def evaluate(run: Run | str | Path, *overrides: str) -> dict[str, float]:
    """Evaluate a finished run again.

    Args:
        run: The run, or its folder.
        *overrides: Options as for evaluate.py, such as "ks=[1,5]".

    Returns:
        The metrics by name, as in metrics.json.

    Raises:
        InputError: If an option is wrong, or the path is not a folder of a finished run.
    """
    path = run.folder.path if isinstance(run, Run) else Path(run)
    with input_errors():
        config = compose_config(overrides, "evaluate")
        config.run_dir = str(path)
        return reevaluation.evaluate(config)


def open_run(path: str | Path) -> Run:
    """Open a finished run to search it, or to read its classes and vectors.

    Args:
        path: The run folder.

    Returns:
        The run.

    Raises:
        InputError: The path is not a folder of a finished run.
    """
    return Run.open(path)
