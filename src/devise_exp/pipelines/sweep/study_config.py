"""A study as conf/study gives it, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.pipelines.option_errors import as_written, check_option
from devise_exp.pipelines.option_kinds import FromOne, Seed
from devise_exp.pipelines.part_options import check_part
from devise_exp.pipelines.sweep.study import Study, plain_values

# What a trial can be judged by: seen classes only, and what it costs.
OBJECTIVES = ("val/hit@1", "rehearsal/AUSUC", "rehearsal/seen", "cost/weights", "cost/seconds")
DIRECTIONS = ("maximize", "minimize")
SAMPLERS = (optuna.samplers.TPESampler, optuna.samplers.RandomSampler)
PRUNERS = (
    optuna.pruners.PercentilePruner,  # and MedianPruner, which is one
    optuna.pruners.ThresholdPruner,
    type(None),
)
KEYS = {
    "name", "overrides", "space", "objectives", "trials", "round", "seed", "sampler", "pruner",
}  # fmt: skip
_RANGE = {"low", "high", "log", "step"}


def study_of(config: DictConfig) -> Study:
    """Read a study.

    Args:
        config: Of conf/study.

    Returns:
        The study.

    Raises:
        InputError: If a key is missing, unknown or has a wrong value.
    """
    _check_keys(config)
    space = {str(key): _values(str(key), values) for key, values in config.space.items()}
    if not space:
        raise InputError(f"study {config.name}: its space is empty: give a key and its values")
    objectives = _objectives(config)
    for key, kind in (("trials", FromOne), ("round", FromOne), ("seed", Seed)):
        check_option(f"study.{key}", config[key], kind)
    for override in config.overrides:
        if re.match(r"~|experiment=|hydra|resume=", str(override)):
            raise InputError(f"study.overrides: {override}: say what it changes, key by key")
    for key in ("sampler", "pruner"):
        if OmegaConf.is_dict(config[key]) and "_target_" in config[key]:
            check_part(f"study.{key}", config[key])
    sampler, pruner = _planner(config)
    return Study(
        name=str(config.name),
        overrides=tuple(config.overrides),
        space=space,
        objectives=objectives,
        trials=config.trials,
        round=config.round,
        seed=config.seed,
        sampler=sampler,
        pruner=pruner,
        planned_by=json.dumps([plain_values(config.sampler), plain_values(config.pruner)]),
    )


def _objectives(config: DictConfig) -> dict[str, str]:
    """Metric -> direction, of a study."""
    objectives: dict[str, str] = OmegaConf.to_container(config.objectives)  # type: ignore[assignment]
    for metric, direction in objectives.items():
        if metric not in OBJECTIVES or direction not in DIRECTIONS:
            raise InputError(
                f"study.objectives: {metric}: {direction}: give one of {', '.join(OBJECTIVES)} and "
                "maximize or minimize"
            )
    if not objectives or len(objectives) > 2:
        raise InputError("study.objectives: give one metric, or two")
    if config.pruner is not None and (len(objectives) > 1 or next(iter(objectives))[:4] == "cost"):
        raise InputError("study.pruner: prunes by one objective that is no cost: give pruner=null")
    return objectives


def _planner(config: DictConfig) -> tuple[Callable[..., BaseSampler], BasePruner | None]:
    """What plans the trials of a study, and what stops them."""
    with as_input_error("study.sampler or study.pruner"):
        sampler, pruner = instantiate(config.sampler), config.pruner and instantiate(config.pruner)
        # Others keep notes of their own in a storage, beside the results that a plan rests on.
        if not isinstance(sampler(seed=0), SAMPLERS) or not isinstance(pruner, PRUNERS):
            raise ValueError(
                "takes TPESampler or RandomSampler; MedianPruner, PercentilePruner, "
                "ThresholdPruner or null"
            )
    return sampler, pruner


def _check_keys(config: DictConfig) -> None:
    """Raise an InputError for a key that is missing, unknown or of the wrong kind."""
    if not OmegaConf.is_dict(config):
        raise InputError(f"study: give the keys {', '.join(sorted(KEYS))}, as conf/study has them")
    strange, missing = sorted(set(map(str, config)) - KEYS), sorted(KEYS - set(map(str, config)))
    if strange or missing:
        wrong = f"study.{strange[0]}: no such key" if strange else f"study.{missing[0]} is needed"
        raise InputError(f"{wrong}; a study has {', '.join(sorted(KEYS))}: see conf/study")
    if not re.fullmatch(r"\w[\w.-]*", str(config.name)) or config.name is None:
        raise InputError(
            f"study.name={as_written(config.name)}: give a name of letters, digits, _, - and ."
        )
    for key, is_kind, kind in (
        ("space", OmegaConf.is_dict, "key: values"),
        ("objectives", OmegaConf.is_dict, "metric: direction"),
        ("overrides", OmegaConf.is_list, "[key=value, ...], or []"),
    ):
        if not is_kind(config[key]):
            raise InputError(f"study.{key}={as_written(config[key])}: give {kind}")
    both = sorted({str(item).partition("=")[0] for item in config.overrides} & set(config.space))
    if both:
        raise InputError(f"study.overrides: {both[0]} is in the space too: give it in one of them")


def _values(key: str, values: Any) -> BaseDistribution:
    """A list of values, or a range: of whole numbers if both of its ends are whole."""
    if OmegaConf.is_list(values) and len(values):
        choices: Any = OmegaConf.to_container(values)
        if all(isinstance(item, str | int | float | bool) or item is None for item in choices):
            return CategoricalDistribution(choices)
    elif OmegaConf.is_dict(values) and {"low", "high"} <= set(values) <= _RANGE:
        low, high, log = values.low, values.high, values.get("log", False)
        whole = isinstance(low, int) and isinstance(high, int)
        kind = IntDistribution if whole else FloatDistribution
        try:
            return kind(low, high, log=log, step=values.get("step", 1 if whole else None))
        except (TypeError, ValueError) as error:
            raise InputError(f"study.space.{key}: {str(error).rstrip('.')}") from error
    raise InputError(
        f"study.space.{key}={as_written(values)}: give a list of values, or low and high (and "
        "log: true, step)"
    )
