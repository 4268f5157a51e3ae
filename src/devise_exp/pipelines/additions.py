"""What a config adds to the trained projection: the groups prior and classifiers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from devise_exp.core.errors import InputError
from devise_exp.methods.additions import Classifiers
from devise_exp.methods.prior import Priors
from devise_exp.pipelines.option_errors import as_written

ADDITIONS = ("prior", "classifiers")  # groups of the config
_WEIGHTS = ("prior/weight", "classifiers/share")  # hyperparameters: how much of each is added


def additions_of(
    config: DictConfig, names: Collection[str] = ADDITIONS
) -> tuple[Priors | None, Classifiers | None]:
    """Build additions of a config.

    Args:
        config: Of train.py.
        names: Those to build, of ADDITIONS.

    Returns:
        What makes the priors and what chooses predicted classifiers; None for one that the config
        does not have, or that is not among `names`.
    """
    parts: list[Any] = [
        # A config of before may have no such group.
        instantiate(config[name]) if name in names and config.get(name) else None
        for name in ADDITIONS
    ]
    return parts[0], parts[1]


def checked_additions(method: str, names: Any) -> tuple[str, ...]:
    """Check the additions that a method takes.

    Args:
        method: Its key in config.method.
        names: The value of its `additions`.

    Returns:
        The names.

    Raises:
        InputError: If the value is no list of them.
    """
    known = isinstance(names, list | tuple | ListConfig) and all(n in ADDITIONS for n in names)
    if not known:
        raise InputError(
            f"method.{method}.additions={as_written(names)}: give a list of "
            f"{' and '.join(ADDITIONS)}, which may be empty"
        )
    return tuple(map(str, names))


def has_addition(hyperparameters: Mapping[str, Any]) -> bool | None:
    """Tell whether anything of the pretraining was added to a method.

    Args:
        hyperparameters: As chosen on class folds.

    Returns:
        Whether the prior or the predicted classifiers have a weight; None if nothing of the kind
        was to choose.
    """
    weights = [hyperparameters[key] for key in _WEIGHTS if key in hyperparameters]
    return any(weights) if weights else None
