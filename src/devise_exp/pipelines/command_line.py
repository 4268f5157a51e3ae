"""The command that a run was ordered by, as its report prints it."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig


def task_overrides() -> tuple[str, ...]:
    """List the overrides that Hydra was given.

    Returns:
        Those of train.py, of a job of a grid with its values; () of a run that Python ordered.
    """
    return tuple(HydraConfig.get().overrides.task) if HydraConfig.initialized() else ()
