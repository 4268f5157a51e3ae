"""A study: what a sweep searches, by what it judges, and how its trials are planned.

Trials are planned in rounds. The trials of a round are chosen by the results of all earlier rounds
and know nothing of each other; so the plan depends on the study alone, and not on how many workers
there are, which of them is faster, or how often the study was stopped and resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from devise_exp.core.overrides import quoted_value

NUMBER = "trial"  # that the plan gives a trial, among its user attributes


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a sweep searches.

    Attributes:
        name: Of the study, and of the experiment that it writes.
        overrides: Of train.py, the same for each trial.
        space: Key of the config, or group -> the values that it may take.
        objectives: Metric -> maximize or minimize.
        trials: How many trials there are.
        round: How many trials are planned together.
        seed: Of the plan.
        sampler: Makes an Optuna sampler of a seed.
        pruner: Stops trials early; None: no trial is stopped.
        planned_by: Sampler and pruner as configured, as JSON.
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
    planned_by: str

    def overrides_of(self, values: Mapping[str, Any]) -> list[str]:
        """Spell a trial for train.py.

        Args:
            values: Key -> value.

        Returns:
            Overrides of train.py.
        """
        overrides = [f"{key}={override_value(value)}" for key, value in values.items()]
        return [*self.overrides, *overrides]

    @property
    def directions(self) -> list[StudyDirection]:
        """Optuna's directions of the objectives, in order."""
        return [StudyDirection[item.upper()] for item in self.objectives.values()]

    def plan(self, known: Sequence[FrozenTrial], round_number: int) -> list[dict[str, Any]]:
        """Plan a round.

        Args:
            known: All trials of the rounds before it, by number.
            round_number: From 0 on.

        Returns:
            The values of each trial of the round.
        """
        seed = np.random.SeedSequence([self.seed, round_number]).generate_state(1)[0]
        memory = self.in_memory(known, sampler=self.sampler(seed=int(seed)))
        return [memory.ask(dict(self.space)).params for _ in range(self.round)]

    def pruning_trial(
        self, known: Sequence[FrozenTrial], values: Mapping[str, Any]
    ) -> optuna.Trial:
        """Make a trial that decides about pruning.

        Args:
            known: The trials that it is compared with.
            values: Of this trial.

        Returns:
            An Optuna trial whose should_prune asks the pruner.
        """
        memory = self.in_memory(known, pruner=self.pruner or optuna.pruners.NopPruner())
        memory.enqueue_trial(dict(values))
        return memory.ask(dict(self.space))

    def in_memory(self, known: Sequence[FrozenTrial], **options: Any) -> optuna.Study:
        """Make an Optuna study in memory.

        Args:
            known: The trials that it holds.
            **options: Sampler or pruner.

        Returns:
            The study.
        """
        study = optuna.create_study(directions=self.directions, **options)
        study.add_trials(known)
        return study

    def identity(self) -> str:
        """Say what two studies must share for their trials to be of one study.

        Returns:
            JSON of space, objectives, overrides and plan.
        """
        space = {
            key: optuna.distributions.distribution_to_json(item) for key, item in self.space.items()
        }
        identity = {
            "overrides": list(self.overrides),
            "space": space,
            "objectives": dict(self.objectives),
            "round": self.round,
            "seed": self.seed,
            "planned_by": self.planned_by,
        }
        return json.dumps(identity)


def plain_values(config: DictConfig | None) -> Any:
    """Turn a config into plain values.

    Args:
        config: A node, or None.

    Returns:
        Dicts, lists and scalars; None for None.
    """
    return None if config is None else OmegaConf.to_container(config)


def override_value(value: Any) -> str:
    """Spell a value as Hydra reads it back, of the same type.

    Args:
        value: A scalar.

    Returns:
        Its spelling in an override.

    Example:
        >>> override_value("a b"), override_value(None), override_value(0.1)
        ("'a b'", 'null', '0.1')
    """
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        return quoted_value(value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


optuna.logging.set_verbosity(optuna.logging.WARNING)
