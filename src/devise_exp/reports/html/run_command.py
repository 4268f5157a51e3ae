"""The command that made a run, and the same for another split."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_OF_A_SPLIT = re.compile(r"[~+]*(split|split_seeds|hyperparameters_from|resume)([.=@]|$)")


def train_command(overrides: Sequence[str]) -> str:
    """Write a training as a shell takes it.

    Args:
        overrides: As Hydra takes them.

    Returns:
        The command in one line.
    """
    return " ".join(["devise-exp train", *map(shlex.quote, overrides)])


def without_split(overrides: Sequence[str]) -> list[str]:
    """Leave out what belongs to one split: the split, what was chosen on it, and a resumed folder.

    Args:
        overrides: As Hydra takes them.

    Returns:
        The others.
    """
    return [override for override in overrides if not _OF_A_SPLIT.match(override)]
