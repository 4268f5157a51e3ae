"""What this machine has, and how Python uses it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def processors() -> int:
    """Count the processors that this process may use.

    Returns:
        Those that the system allows, if it says so; else all.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def without_collection() -> Iterator[None]:
    """Import large packages a sixth faster: nothing that an import makes is garbage.

    Yields:
        Nothing; the collector of garbage rests inside the block.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
