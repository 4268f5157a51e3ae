"""What this machine has."""

from __future__ import annotations

import os


def processors() -> int:
    """Count the processors that this process may use.

    Returns:
        Those that the system allows, if it says so; else all.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
