"""Train and evaluate from Python code, such as a notebook, and leave its process as it was."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError, input_errors
from devise_exp.core.stops import raise_on_stops
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.pipelines import reevaluation
from devise_exp.pipelines.outputs import point_latest
from devise_exp.pipelines.resumed import naming_config

# A training seeds what is random in the whole process, and torch has one state for it.
_ONE_AT_A_TIME = threading.RLock()
_LIGHTNING_NOTES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")


def train(overrides: Sequence[str], folder: str | PathLike[str] | None = None) -> Path:
    """Train and evaluate one run.

    Args:
        overrides: Options as for train.py, such as "loss=cosine" or "seed=1".
        folder: The run folder; None: outputs/DATE/TIME in the working folder, as for train.py.

    Returns:
        The run folder.

    Raises:
        InputError: If an option is wrong, or asks for several runs.
    """
    with _ONE_AT_A_TIME, input_errors(), raise_on_stops():
        config = compose_config(overrides)
        if config.seeds != 1 or config.split_seeds != 1:
            raise InputError("seeds and split_seeds: one run here: call train for every seed")
        path = Path("outputs") / f"{datetime.now():%Y-%m-%d/%H-%M-%S-%f}"
        path = path if folder is None else Path(folder).expanduser()
        with process_as_it_was():
            from devise_exp.pipelines.run import train as train_run  # late: torch

            with naming_config(config.resume):
                train_run(config, path, quietly=True)
        if config.resume is not None:
            path = Path(str(config.resume)).expanduser()
        point_latest(path)
        return path


def evaluate(run: str | Path, overrides: Sequence[str]) -> tuple[EvalReport, Path]:
    """Evaluate a finished run again.

    Args:
        run: Its folder.
        overrides: Options as for evaluate.py, such as "ks=[1,5]".

    Returns:
        The metrics, and the folder that has their tables.

    Raises:
        InputError: If an option is wrong, or the path is not a folder of a finished run.
    """
    with _ONE_AT_A_TIME, input_errors(), raise_on_stops():
        config = compose_config(overrides, "evaluate")
        config.run_dir = str(run)
        needs_torch = config.checkpoint is not None or config.data.root is not None
        with process_as_it_was() if needs_torch else nullcontext():
            return reevaluation.evaluate_quietly(config)


@contextmanager
def process_as_it_was() -> Iterator[None]:
    """Leave what is random, and how torch computes, as they were before the block.

    Lightning seeds the generators of Python, numpy and torch, notes the seed in the environment,
    and turns torch to repeatable kernels.

    Yields:
        Nothing.
    """
    import torch  # late: what needs no torch does not wait for it

    environment = {name: os.environ.get(name) for name in _LIGHTNING_NOTES}
    generators = random.getstate(), np.random.get_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=gpus):
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
            random.setstate(generators[0])
            np.random.set_state(generators[1])
            for name, value in environment.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
