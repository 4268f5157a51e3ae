"""train.py as rank 0 runs it, and as the other ranks of torchrun or srun do."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec

from devise_exp.core.command import command

Arguments = ParamSpec("Arguments")


def distributed_main(main: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """Make a command of `main` that torchrun and srun may start several times.

    Rank 0 alone reads the command line and writes into the run folder; the others get its config
    with every stage that all ranks do together.

    Args:
        main: The function of the command.

    Returns:
        The command.
    """
    alone = command(main)

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if not {"RANK", "SLURM_PROCID"} & os.environ.keys():
            alone(*args, **kwargs)
        else:
            command(_join)(functools.partial(alone, *args, **kwargs))

    return run


def _join(alone: Callable[[], None]) -> None:
    """Join the other ranks; run `alone` as rank 0, or follow it."""
    from devise_exp.training.distributed.environment import (  # late: torch, which takes seconds
        launcher_of,
        set_torch_variables,
    )

    if launcher_of(os.environ) is None:
        alone()
        return
    from devise_exp.pipelines.distributed import run_stage
    from devise_exp.training.distributed.group import lead_or_follow

    def lead() -> None:
        try:
            alone()
        except SystemExit as error:
            if error.code:  # the other ranks end once they lose this one
                raise

    set_torch_variables(os.environ)
    lead_or_follow(run_stage, lead)
