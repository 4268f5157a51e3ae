"""The name of a worker, by which others see whether its process has ended."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def worker_id() -> str:
    """Name this process as a worker.

    Returns:
        MACHINE:PID.
    """
    return f"{_machine()}:{os.getpid()}"


def is_dead(worker: str | None) -> bool:
    """Check whether a worker was a process of this machine that has ended.

    Args:
        worker: MACHINE:PID; None: no worker.

    Returns:
        False too if the worker is of another machine, or its number is another process's by now.
    """
    machine, _, pid = (worker or "").rpartition(":")
    if machine != _machine():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False  # or its number is another's by now, which its silence will tell


def _machine() -> str:
    """The name of this machine; containers of one host name have process numbers of their own."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.stat().st_ino if space.exists() else 0}"
