"""The results of a study: its finished trials, in an Optuna storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.storage import masked, open_storage, storage_errors
from devise_exp.pipelines.sweep.study import NUMBER, Study

_IDENTITY = "identity"


@dataclass(kw_only=True, eq=False)
class Results:
    """The finished trials of one study.

    A storage numbers trials as they come in; here a trial has the number that the study's plan
    gives it. Trials that an earlier version has left unfinished in a storage do not count.

    Attributes:
        study: What is searched.
        location: Of the storage, as it was given.
        stored: The study in the storage.
        by_number: Number -> finished trial.
    """

    study: Study
    location: str
    stored: optuna.Study
    by_number: dict[int, FrozenTrial]

    @classmethod
    def open(cls, study: Study, location: str) -> Results:
        """Read the results of a study; a storage that has none of this name gets it.

        Args:
            study: What is searched.
            location: A journal file, or the URL of a database.

        Returns:
            The results.

        Raises:
            InputError: If the storage holds another study of this name.
        """
        stored = optuna.create_study(
            storage=open_storage(location),
            study_name=study.name,
            directions=study.directions,
            load_if_exists=True,
        )
        if _IDENTITY not in stored.user_attrs:
            stored.set_user_attr(_IDENTITY, study.identity())
        if stored.user_attrs[_IDENTITY] != study.identity():
            raise InputError(
                f"storage={masked(location)}: holds another study named {study.name} (other space, "
                "objectives, overrides, sampler, pruner, round or seed): give study.name=ANOTHER "
                "or another storage"
            )
        results = cls(study=study, location=location, stored=stored, by_number={})
        for trial in stored.get_trials():
            trial.number = trial.user_attrs.get(NUMBER, trial.number)
            if trial.state.is_finished():
                results.by_number.setdefault(trial.number, trial)
        return results

    def add(self, trial: FrozenTrial) -> None:
        """Keep a trial.

        Args:
            trial: Finished, with the number that the plan gives it.

        Raises:
            InputError: If the storage fails.
        """
        with storage_errors(self.location):
            self.stored.add_trial(trial)
        self.by_number[trial.number] = trial

    def trials(self, end: int | None = None) -> Sequence[FrozenTrial]:
        """List the trials of the study; a storage may hold more for later.

        Args:
            end: Only those of smaller numbers; None: all that the study asks for.

        Returns:
            The finished trials by number.
        """
        end = self.study.trials if end is None else end
        return [self.by_number[number] for number in sorted(self.by_number) if number < end]
