"""Jobs whose process is killed; light, for the workers that import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from devise_exp.core.errors import InputError


def lost_once(marker: Path) -> str:
    """A job whose process is killed the first time."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def lost_each_time(name: str) -> str:
    """A job whose process is killed each time, if its name says so."""
    if name == "lost":
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def out_of_memory_once(marker: Path) -> str:
    """A job that other work leaves no memory to the first time."""
    if not marker.exists():
        marker.touch()
        raise MemoryError("unable to allocate 9 GiB")
    return marker.name


def blocked_signals(job: object) -> set[int]:
    """A job that says which signals do not reach its process."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def refused(job: object) -> None:
    """A job that says what a person can mend."""
    raise InputError("the disk is full: free some space")
