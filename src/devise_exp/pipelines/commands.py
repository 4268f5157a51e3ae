"""The two Hydra commands: train.py and `devise-exp train`, evaluate.py and `devise-exp evaluate`.

Both read sys.argv as Hydra does: overrides, -m, --help, --cfg job. The configs are those of the
clone or, in a wheel, those beside the code.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from devise_exp.core.command import NOT_PRINTED, command
from devise_exp.core.config import check_arguments, check_given_once, warn_of_sections
from devise_exp.core.errors import InputError
from devise_exp.core.machine import without_collection
from devise_exp.core.paths import CONF
from devise_exp.core.short_forms import long_forms
from devise_exp.core.streams import all_printed
from devise_exp.pipelines.distributed_main import distributed_main


def _train(config: DictConfig) -> float:
    """Train and evaluate; the result is the seen validation hit@1, which a sweep may maximise."""
    from devise_exp.pipelines.labelled import first_look  # late: a mistyped option needs no numpy
    from devise_exp.pipelines.outputs import remove_empty
    from devise_exp.pipelines.resumed import naming_config

    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        labelled = first_look(config, folder)
        with without_collection():
            from devise_exp.pipelines.series import train_series  # late: wrong input needs no torch

        with naming_config(config.resume):
            return train_series(config, folder, labelled)["val/hit@1"]
    finally:
        remove_empty(folder)


def _evaluate(config: DictConfig) -> dict[str, float]:
    """Evaluate a finished run again; the result is its metrics by name."""
    with without_collection():
        from devise_exp.pipelines import reevaluation  # late: a mistyped option needs no numpy

    return reevaluation.evaluate(config)


def _hydra_main(function: Callable[[DictConfig], Any], config_name: str) -> Callable[[], None]:
    """The function with the config that Hydra composes of the command line."""
    main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(function)

    @wraps(function)
    def run() -> None:
        _quiet_matplotlib()
        try:
            check_given_once(sys.argv[1:])
            check_arguments(sys.argv[1:])
            sys.argv[1:] = long_forms(sys.argv[1:])
            warn_of_sections(sys.argv[1:])
            flags = _flags()
            main()
            prints_only = flags.cfg or flags.info or flags.help or flags.hydra_help
            if prints_only and not all_printed():
                sys.exit(NOT_PRINTED)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(str(error) or _how_to_go_on()) from error

    return run


def _how_to_go_on() -> str:
    """What to do after a stop before, between or after the runs of a command."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return "nothing had begun; the same command starts it"
    folder = Path(HydraConfig.get().sweep.dir).absolute()
    return f"the grid is not finished; the same command with hydra.sweep.dir={folder} goes on"


def _flags() -> Namespace:
    """Hydra's flags; InputError, where Hydra prints its usage, for one that it does not know."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{message}: flags such as -m come first (--help lists them)")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_args()


def _quiet_matplotlib() -> None:
    """No figure is shown in a window here, and nobody needs remarks on fonts and caches."""
    os.environ["MPLBACKEND"] = "agg"  # a wrong one would end the import of Lightning's metrics
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)


# The functions above stay importable by name: launchers pickle them for other processes.
train = distributed_main(_hydra_main(_train, "config"))
evaluate = command(_hydra_main(_evaluate, "evaluate"))
