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

    The first process alone runs `main`; the others never read the command line, and do what the
    first asks for.

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
            command(_meet)(functools.partial(alone, *args, **kwargs))

    return run


def _meet(alone: Callable[[], None]) -> None:
    """Run `alone` as rank 0, or serve rank 0."""
    from devise_exp.training.distributed.launchers import (  # late: torch, which takes seconds
        accept_workers,
        connect_to_rank_0,
        from_environment,
    )
    from devise_exp.training.distributed.pool import use_worker_pool

    process = from_environment(os.environ)
    if process is None:
        alone()
    elif process.rank > 0:
        _serve(connect_to_rank_0(process))
    else:
        pool = accept_workers(process)
        with use_worker_pool(pool):
            try:
                alone()
            except SystemExit as error:
                if error.code:  # the workers end too, once their connections to rank 0 close
                    raise
        pool.close()


def _serve(connection: Any) -> None:
    """Take the stages that rank 0 asks for."""
    from devise_exp.pipelines.distributed import run_stage
    from devise_exp.training.distributed.serving import serve_stages

    serve_stages(connection, run_stage)


def _worker() -> None:
    """Serve the process that started this one."""
    from devise_exp.training.distributed.serving import rank_0_connection

    _serve(rank_0_connection())


if __name__ == "__main__":
    command(_worker)()
