"""A trial as a job, which any process that has the project can run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna import TrialPruned
from optuna.trial import FrozenTrial, TrialState, create_trial

from devise_exp.core.config import compose_config
from devise_exp.core.console import format_error
from devise_exp.core.errors import InputError, is_full_disk, user_message
from devise_exp.pipelines.sweep.study import NUMBER, Study
from devise_exp.pipelines.user_parts import use_user_parts


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """A trial to run.

    Attributes:
        study: What is searched.
        number: Of the trial, from 0 on.
        values: Key -> value.
        known: All trials of the rounds before its own, if trials are pruned.
    """

    study: Study
    number: int
    values: Mapping[str, Any]
    known: Sequence[FrozenTrial]

    def finished(
        self,
        values: Sequence[float] | None = None,
        notes: Mapping[str, Any] | None = None,
        steps: Mapping[int, float] | None = None,
    ) -> FrozenTrial:
        """Say how the trial ended.

        Args:
            values: By objective; None: it was pruned, or failed if the notes have an error.
            notes: What else is kept of it.
            steps: Step -> intermediate value of the first objective.

        Returns:
            The finished trial.
        """
        failed = TrialState.FAIL if "error" in (notes or {}) else TrialState.PRUNED
        trial = create_trial(
            state=failed if values is None else TrialState.COMPLETE,
            values=values,
            params=dict(self.values),
            distributions=dict(self.study.space),
            user_attrs={NUMBER: self.number, **(notes or {})},
            intermediate_values=dict(steps or {}),
        )
        trial.number = self.number
        return trial


def run_job(job: TrialJob) -> FrozenTrial:
    """Run a trial to its values, its pruning or its error, which does not stop other trials.

    It takes one thread, so that a trial gives the same numbers beside any number of others.

    Args:
        job: The trial.

    Returns:
        The finished trial.

    Raises:
        InputError: If the disk is full.
        MemoryError: No fault of the trial's: it may run elsewhere.
    """
    import torch  # late: whoever only hands out jobs does without it

    from devise_exp.pipelines.sweep.trial import SHARED, run_trial

    torch.set_num_threads(1)
    study, started = job.study, time.perf_counter()
    notes: dict[str, Any] = {}
    steps: dict[int, float] = {}
    values = None
    pruning_trial = study.pruning_trial(job.known, job.values) if study.pruner else None

    def report(step: int, value: float) -> None:
        steps[step] = value
        if pruning_trial is not None:
            pruning_trial.report(value, step)
            if pruning_trial.should_prune():
                raise TrialPruned

    try:
        config = compose_config(study.overrides_of(job.values))
        use_user_parts(config, quietly=True)
        metrics = run_trial(study.objectives, config, SHARED.ready_for(config), report)
        values = [metrics[name] for name in study.objectives]
        notes["figures"] = metrics
        if not all(map(math.isfinite, values)):
            notes["error"], values = f"an objective is no finite number: {values}", None
    except TrialPruned:
        pass
    except MemoryError:
        raise
    except Exception as error:
        if is_full_disk(error):  # as text: what Hydra wraps would be lost between processes
            raise InputError(user_message(error) or str(error)) from error
        notes["error"] = format_error(error)
    notes["seconds"] = time.perf_counter() - started
    return job.finished(values, notes, steps)
