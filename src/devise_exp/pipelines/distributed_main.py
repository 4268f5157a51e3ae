"""train.py as rank 0 runs it, and as the other ranks of torchrun or srun do."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec

from devise_exp.core.command import command

Arguments = ParamSpec("Arguments")


def distributed_main(main: Callable[Arguments, Any]) -> Callable[Arguments, None]:
    """`main` as a command. Where torchrun or srun has started several processes, the first alone
    runs it; the others never read the command line, and do what the first tells them.
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
    from devise_exp.training.distributed import workers  # late: one process need not wait for torch
    from devise_exp.training.distributed.launchers import (
        connect_leader,
        connect_worker,
        from_environment,
    )

    place = from_environment(os.environ)
    if place is None:
        alone()
    elif place.rank > 0:
        _follow(connect_worker(place))
    else:
        others = connect_leader(place)
        with workers.installed(others):
            try:
                alone()
            except SystemExit as error:
                if error.code:  # the others end so too: no connection, no leader
                    raise
        others.close()


def _follow(leader: Any) -> None:
    from devise_exp.pipelines.distributed import run_stage
    from devise_exp.training.distributed.ranks import serve_stages

    serve_stages(leader, run_stage)


def _child() -> None:
    from devise_exp.training.distributed import ranks

    _follow(ranks.parent())


if __name__ == "__main__":
    command(_child)()
