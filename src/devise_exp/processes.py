"""Training on several devices: one process for each, started and watched from the first."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import torch

from devise_exp.errors import WRONG_INPUT, InputError

_READY = "DEVISE_READY"  # in a child of `launched`: the pipe on which it says that it is ready
_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_GRACE = 60.0  # seconds for the other ranks to follow one that has ended


def ranks(strategy: str, devices: int | str | Sequence[int], accelerator: str = "auto") -> int:
    """How many processes this machine shall run for trainer.strategy, .devices and .accelerator.

    InputError for strategies that start their processes in another way than `launched`.
    """
    if not (strategy == "auto" or strategy == "ddp" or strategy.startswith("ddp_find_unused")):
        if devices in (1, "1"):
            return 1
        raise InputError(f"trainer.strategy={strategy}: for several devices choose ddp")
    if isinstance(devices, str) and "," in devices:  # "0,1": these two
        return len([each for each in devices.split(",") if each.strip()])
    if devices in (-1, "-1", "auto"):
        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return int(devices) if isinstance(devices, int | str) else len(devices)


@contextmanager
def launched(world: int, child: Sequence[str]) -> Iterator[None]:
    """Run `child` (arguments after the interpreter) as ranks 1 ... world - 1 beside this process,
    rank 0.

    Lightning would start the ranks with this process's own command line, which in a Hydra multirun
    is that of the whole sweep; so ranks are started here, from the run folder's own config, and
    Lightning finds them there. A child must come to `fit`. InputError where one ends with an error,
    and where this process is itself a rank of a launcher such as torchrun.
    """
    if world == 1:
        yield
        return
    if "LOCAL_RANK" in os.environ:
        raise InputError(
            "LOCAL_RANK is set: start train.py once, not by torchrun or srun; it starts a process "
            "for each of trainer.devices itself"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    os.environ.update(shared, NODE_RANK="0", LOCAL_RANK="0")
    children: list[subprocess.Popen] = []
    done = threading.Event()
    try:
        # The ranks meet in a call that nothing can interrupt, not even Ctrl-C: so only once all of
        # them are sure to come.
        pipes = [_start(child, rank, children) for rank in range(1, world)]
        if not all(pipe.read(1) for pipe in pipes):
            raise _failed()
        threading.Thread(target=_watch, args=(children, done), daemon=True).start()
        try:
            yield
        except RuntimeError as error:  # "connection closed by peer" is but an echo of its end
            if any(_ends_badly(process, 5) for process in children):
                raise _failed() from error
            raise
        if any(_ends_badly(process, _GRACE) for process in children):
            raise _failed()
    finally:
        done.set()
        for process in children:
            process.kill()
            process.wait()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in (*_RANK_VARIABLES, "PL_GLOBAL_SEED"):  # the next job of a sweep starts clean
            os.environ.pop(name, None)


def _start(child: Sequence[str], rank: int, children: list[subprocess.Popen]) -> IO[bytes]:
    """Start one rank; returns the pipe that gives a byte when it is ready, and ends when it is."""
    ready, says = os.pipe()
    environment = {**os.environ, "LOCAL_RANK": str(rank), _READY: str(says)}
    children.append(subprocess.Popen([sys.executable, *child], env=environment, pass_fds=[says]))
    os.close(says)
    return os.fdopen(ready, "rb", buffering=0)


def say_ready() -> None:
    """Tell the rank 0 that has started this process, if one has, that its rank comes now."""
    if _READY in os.environ:
        with os.fdopen(int(os.environ.pop(_READY)), "wb") as pipe:
            pipe.write(b"1")


def _ends_badly(process: subprocess.Popen, seconds: float) -> bool:
    """Whether it ends with an error within `seconds`, or not at all."""
    try:
        return process.wait(seconds) != 0
    except subprocess.TimeoutExpired:
        return True


def _watch(children: Sequence[subprocess.Popen], done: threading.Event) -> None:
    """End this process where another rank has failed and this one waits for it all the same: deaf
    to signals, on some networks for half an hour.
    """
    while not done.wait(1):
        if any(process.poll() for process in children) and not done.wait(_GRACE):
            print(f"error: {_failed()}", file=sys.stderr, flush=True)
            for process in children:
                process.kill()
            os._exit(WRONG_INPUT)


def _failed() -> InputError:
    return InputError("a training process ended with an error: see its message above")
