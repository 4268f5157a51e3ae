"""The commands that Hydra reads: devise-exp train | evaluate."""

from __future__ import annotations

import sys
from typing import Any

import typer

# Hydra reads all that follows the command, --help too.
SETTINGS: dict[str, Any] = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}


def train(context: typer.Context) -> None:
    """Train and evaluate a run, or with -m a grid of runs."""
    from devise_exp.pipelines import commands  # late: it imports Hydra

    _hand_over(context)
    commands.train()


def evaluate(context: typer.Context) -> None:
    """Evaluate a finished run again: run_dir=outputs/latest ks=[1,5]."""
    from devise_exp.pipelines import commands  # late: it imports Hydra

    _hand_over(context)
    commands.evaluate()


def _hand_over(context: typer.Context) -> None:
    """Let Hydra find its arguments in sys.argv, as if the command were a script."""
    sys.argv = [f"{sys.argv[0]} {context.info_name}", *context.args]
