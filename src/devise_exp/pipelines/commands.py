"""The two Hydra commands: train.py and `devise-exp train`, evaluate.py and `devise-exp evaluate`.

Both read sys.argv as Hydra does: overrides, -m, --help, --cfg job. The configs are those of the
clone or, in a wheel, those beside the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from devise_exp.core.command import command
from devise_exp.core.config import check_group_options
from devise_exp.core.paths import CONF
from devise_exp.pipelines.distributed_main import distributed_main


def _train(config: DictConfig) -> float:
    """Train and evaluate; the result is the seen validation hit@1, which a sweep may maximise."""
    from devise_exp.pipelines.series import train_series  # late: a mistyped option needs no torch

    folder = Path(HydraConfig.get().runtime.output_dir)
    return train_series(config, folder)["val/hit@1"]


def _evaluate(config: DictConfig) -> dict[str, float]:
    """Evaluate a finished run again; the result is its metrics by name."""
    from devise_exp.pipelines import reevaluation  # late: a mistyped option needs no numpy

    return reevaluation.evaluate(config)


def _hydra_main(function: Callable[[DictConfig], Any], config_name: str) -> Callable[[], None]:
    """The function with the config that Hydra composes of the command line."""
    main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(function)

    @wraps(function)
    def run() -> None:
        check_group_options(sys.argv[1:])
        main()

    return run


# The functions above stay importable by name: launchers pickle them for other processes.
train = distributed_main(_hydra_main(_train, "config"))
evaluate = command(_hydra_main(_evaluate, "evaluate"))
