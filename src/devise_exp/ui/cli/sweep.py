"""The command that searches hyperparameters: devise-exp sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from devise_exp.core.command import command
from devise_exp.core.errors import InputError


@command
def sweep(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OPTION=VALUE]...",
            help="study=NAME of conf/study; workers=2, storage=URL, study.trials=200 ... "
            "(conf/sweep.yaml).",
        ),
    ] = None,
    config_dir: Annotated[
        Path | None,
        typer.Option(help="A folder of your own studies, FOLDER/study/NAME.yaml."),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import and build parts of your own that the study names."),
    ] = False,
) -> None:
    """Search hyperparameters by a study (needs the extra `sweep`); run it again to continue."""
    _run_sweep([*(overrides or []), *(["trust=true"] * trust)], config_dir)


def _run_sweep(overrides: list[str], config_dir: Path | None) -> None:
    try:
        from devise_exp.core.config import check_given_once  # late: Hydra and optuna
        from devise_exp.pipelines.sweep.sweep import run_sweep
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "optuna":
            raise
        raise InputError("sweeps need optuna: pip install 'devise-exp[sweep]'") from error
    check_given_once(overrides)
    run_sweep(overrides, config_dir)
