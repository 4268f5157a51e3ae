"""A study: what a sweep searches, by what it judges, and how its trials are planned.

Trials are planned in rounds. Those of a round are chosen by the results of all rounds before it and
know nothing of each other; so the plan hangs on the study alone, and not on how many workers there
are, which of them is the quicker, or how often the study was stopped and resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from devise_exp.core.errors import InputError, as_input_error

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


@dataclass(frozen=True)
class Study:
    """overrides: of train.py, the same for each trial. space: key of the config or group ->
    what values it may take. objectives: figure -> direction. round: how many trials are planned
    together. sampler: makes an Optuna sampler of a seed.
    """

    name: str
    overrides: tuple[str, ...]
    space: Mapping[str, BaseDistribution]
    objectives: Mapping[str, str]
    trials: int
    round: int
    seed: int
    sampler: Callable[..., optuna.samplers.BaseSampler]
    pruner: optuna.pruners.BasePruner | None
    planned_by: str  # sampler and pruner as configured

    def overrides_of(self, values: Mapping[str, Any]) -> list[str]:
        """What train.py has to be told for the trial of these values."""
        own = [f"{key}={override_value(value)}" for key, value in values.items()]
        return [*self.overrides, *own]

    @property
    def directions(self) -> list[StudyDirection]:
        return [StudyDirection[each.upper()] for each in self.objectives.values()]

    def plan(self, known: Sequence[FrozenTrial], round_number: int) -> list[dict[str, Any]]:
        """The values of each trial of a round; known: all trials of the rounds before it, by
        number.
        """
        seed = np.random.SeedSequence([self.seed, round_number]).generate_state(1)[0]
        memory = self.in_memory(known, sampler=self.sampler(seed=int(seed)))
        return [memory.ask(dict(self.space)).params for _ in range(self.round)]

    def pruning_trial(
        self, known: Sequence[FrozenTrial], values: Mapping[str, Any]
    ) -> optuna.Trial:
        """A trial of these values whose should_prune compares with `known`, by the pruner."""
        memory = self.in_memory(known, pruner=self.pruner or optuna.pruners.NopPruner())
        memory.enqueue_trial(dict(values))
        return memory.ask(dict(self.space))

    def in_memory(self, known: Sequence[FrozenTrial], **parts: Any) -> optuna.Study:
        """An Optuna study in memory that holds `known`."""
        study = optuna.create_study(directions=self.directions, **parts)
        study.add_trials(known)
        return study

    def identity(self) -> str:
        """What two studies must share for their trials to be of one study."""
        space = {
            key: optuna.distributions.distribution_to_json(each) for key, each in self.space.items()
        }
        parts = {
            "overrides": list(self.overrides),
            "space": space,
            "objectives": dict(self.objectives),
            "round": self.round,
            "seed": self.seed,
            "planned_by": self.planned_by,
        }
        return json.dumps(parts)


def study_of(config: DictConfig) -> Study:
    """The study of a config of conf/study; InputError for what is none."""
    _check_keys(config)
    space = {str(key): _values(str(key), given) for key, given in config.space.items()}
    if not space:
        raise InputError(f"study {config.name}: its space is empty: give a key and its values")
    objectives: dict[str, str] = OmegaConf.to_container(config.objectives)  # type: ignore[assignment]
    for figure, direction in objectives.items():
        if figure not in OBJECTIVES or direction not in DIRECTIONS:
            raise InputError(
                f"study.objectives: {figure}: {direction}: give one of {', '.join(OBJECTIVES)} and "
                "maximize or minimize"
            )
    if not objectives or len(objectives) > 2:
        raise InputError("study.objectives: give one figure, or two")
    for key, least in (("trials", 1), ("round", 1), ("seed", 0)):
        if type(config[key]) is not int or config[key] < least:
            raise InputError(f"study.{key}={config[key]}: give a whole number from {least} on")
    if config.pruner is not None and (len(objectives) > 1 or next(iter(objectives))[:4] == "cost"):
        raise InputError("study.pruner: prunes by one objective that is no cost: give pruner=null")
    for override in config.overrides:
        if re.match(r"~|experiment=|hydra|resume=", str(override)):
            raise InputError(f"study.overrides: {override}: say what it changes, key by key")
    with as_input_error("study.sampler or study.pruner"):
        sampler, pruner = instantiate(config.sampler), config.pruner and instantiate(config.pruner)
        # Others keep notes of their own in a storage, beside the results that a plan rests on.
        if not isinstance(sampler(seed=0), SAMPLERS) or not isinstance(pruner, PRUNERS):
            raise ValueError(
                "takes TPESampler or RandomSampler; MedianPruner, PercentilePruner, "
                "ThresholdPruner or null"
            )
    planned_by = json.dumps([plain_values(config.sampler), plain_values(config.pruner)])
    return Study(
        str(config.name), tuple(config.overrides), space, objectives, config.trials, config.round,
        config.seed, sampler, pruner, planned_by,
    )  # fmt: skip


def _check_keys(config: DictConfig) -> None:
    if not OmegaConf.is_dict(config):
        raise InputError(f"study: give the keys {', '.join(sorted(KEYS))}, as conf/study has them")
    strange, missing = sorted(set(map(str, config)) - KEYS), sorted(KEYS - set(map(str, config)))
    if strange or missing:
        wrong = f"study.{strange[0]}: no such key" if strange else f"study.{missing[0]} is needed"
        raise InputError(f"{wrong}; a study has {', '.join(sorted(KEYS))}: see conf/study")
    if not re.fullmatch(r"\w[\w.-]*", str(config.name)) or config.name is None:
        raise InputError(f"study.name={config.name}: give a name of letters, digits, _, - and .")
    for key, is_kind, kind in (
        ("space", OmegaConf.is_dict, "key: values"),
        ("objectives", OmegaConf.is_dict, "figure: direction"),
        ("overrides", OmegaConf.is_list, "[key=value, ...], or []"),
    ):
        if not is_kind(config[key]):
            raise InputError(f"study.{key}={config[key]}: give {kind}")
    both = sorted({str(each).partition("=")[0] for each in config.overrides} & set(config.space))
    if both:
        raise InputError(f"study.overrides: {both[0]} is in the space too: give it in one of them")


def plain_values(config: DictConfig | None) -> Any:
    """A config as plain values, None for none."""
    return None if config is None else OmegaConf.to_container(config)


def override_value(value: Any) -> str:
    """A value as Hydra reads it back, of the same type."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _values(key: str, given: Any) -> BaseDistribution:
    """A list of choices, or a range: whole numbers where both of its ends are."""
    if OmegaConf.is_list(given) and len(given):
        choices: Any = OmegaConf.to_container(given)
        if all(isinstance(each, str | int | float | bool) or each is None for each in choices):
            return CategoricalDistribution(choices)
    elif OmegaConf.is_dict(given) and {"low", "high"} <= set(given) <= _RANGE:
        low, high, log = given.low, given.high, given.get("log", False)
        whole = isinstance(low, int) and isinstance(high, int)
        kind = IntDistribution if whole else FloatDistribution
        try:
            return kind(low, high, log=log, step=given.get("step", 1 if whole else None))
        except (TypeError, ValueError) as error:
            raise InputError(f"study.space.{key}: {str(error).rstrip('.')}") from error
    raise InputError(
        f"study.space.{key}={given}: give a list of values, or low and high (and log: true, step)"
    )


optuna.logging.set_verbosity(optuna.logging.WARNING)
