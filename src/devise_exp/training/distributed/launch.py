"""Starting the ranks of one machine by torch's elastic launcher.

It takes a function; Lightning would give each rank the command line of a whole Hydra multirun.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import active_children, set_forkserver_preload
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from devise_exp.core.errors import InputError, input_errors
from devise_exp.core.stops import end_with_parent, hold_ctrl_c, raise_on_stops
from devise_exp.core.streams import lasting_streams
from devise_exp.training.distributed.environment import TORCH_VARIABLES
from devise_exp.training.distributed.group import StageRequest, lead_or_follow

_LOCAL = "127.0.0.1"


def launch(
    processes: int,
    run_stage: Callable[[StageRequest], None],
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    """Call a function as rank 0 of several processes, which are started for it.

    Args:
        processes: Number of processes.
        run_stage: What the other processes do for each StageRequest of the function.
        function: A function that pickle finds by its name, as all that is handed over. The
            modules of both functions are imported once, by the server that the processes and those
            of later calls are forked from.
        *arguments: Its arguments.

    Returns:
        What the function returns.

    Raises:
        InputError: A process has failed for a reason that a person can mend, or has died.
        RuntimeError: A process has failed otherwise.
        KeyboardInterrupt: This process was stopped; the others have ended.
    """
    _silence_launcher()
    set_forkserver_preload([run_stage.__module__, function.__module__])
    others = set(active_children())
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{_LOCAL}:0",
            local_addr=_LOCAL,
            max_restarts=0,
            start_method="forkserver",
            logs_specs=DefaultLogsSpecs(log_dir=folder, local_ranks_filter={0}),
        )
        start = hold_ctrl_c()(elastic_launch(config, _run_rank))
        ranks = thread.submit(start, dict(os.environ), run_stage, function, arguments)
        try:
            return ranks.result()[0]
        except ChildFailedError as error:
            reason = _reason(*error.get_first_failure())
            raise reason from (None if isinstance(reason, InputError) else error)
        except BaseException:
            _end(ranks, others)
            raise


def _run_rank(
    environment: Mapping[str, str],
    run_stage: Callable[[StageRequest], None],
    function: Callable[..., Any],
    arguments: Any,
) -> Any:
    """Be one of the processes; the result is rank 0's. The fork server's environment is older."""
    end_with_parent()
    os.environ.update({**environment, **{name: os.environ[name] for name in TORCH_VARIABLES}})

    def lead() -> Any:
        with raise_on_stops(), lasting_streams():
            return function(*arguments)

    with input_errors():
        return lead_or_follow(run_stage, lead)


def _end(ranks: Future, others: set[Any]) -> None:
    """End all processes, also one that is being started."""
    while not ranks.done():
        for process in set(active_children()) - others:
            process.terminate()
            others.add(process)
        time.sleep(0.1)


def _reason(rank: int, failure: ProcessFailure) -> Exception:
    """What the first process that failed says, as an error here."""
    message: Any = failure.message
    if not isinstance(message, dict):  # it could say nothing
        return InputError(
            f"process {rank} has died (exit code {failure.exitcode}): was it killed, or is it out "
            "of memory?"
        )
    kind, _, text = str(message["message"]).partition(": ")
    who = f"process {rank}: " if rank > 0 else ""
    if kind in ("InputError", "RankError"):
        return InputError(f"{who}{text}")
    return RuntimeError(f"{who}{kind}: {text}")


def _silence_launcher() -> None:
    """Leave out torch's remarks on processes that it ends, and reports of errors in many lines."""
    for name in (
        "torch.distributed.elastic",
        "torch.distributed.launcher",
        "torch.multiprocessing",
    ):
        log = logging.getLogger(name)
        log.addHandler(logging.NullHandler())
        log.propagate = False
