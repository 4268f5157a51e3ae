"""The queue of a study's trials, in an Optuna storage that workers on any machines share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.storage import first_cause, masked, open_storage, storage_errors
from devise_exp.pipelines.sweep.study import ClaimedTrial, Study
from devise_exp.pipelines.sweep.worker_id import is_dead, worker_id

HEARTBEAT_SECONDS = 15.0  # between two heartbeats of a worker
# Without a heartbeat for so long another machine's worker counts as dead.
STALE_AFTER_SECONDS = 90.0
MAX_ATTEMPTS = 3  # as many workers may die of one trial
PAUSE = 0.2  # seconds between two attempts to claim a trial
_IDENTITY = "identity"


@dataclass(kw_only=True, eq=False)
class TrialQueue:
    """The trials of one study in a storage.

    Every claim is atomic in the storage, so no trial is run by two workers. Methods raise
    StorageError if the storage fails.

    Attributes:
        storage: Of Optuna.
        study_id: In the storage.
        study: What is searched.
        location: Of the storage, as it was given.
        plans: Round -> the values of its trials.
        last_heartbeat: Trial id -> its worker and heartbeat, and when this process saw them change.
    """

    storage: BaseStorage
    study_id: int
    study: Study
    location: str
    plans: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    last_heartbeat: dict[int, tuple[Any, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, study: Study, storage: str) -> TrialQueue:
        """Open the queue of a study, a new one if the storage has none of this name.

        Args:
            study: What is searched.
            storage: A journal file, or the URL of a database.

        Returns:
            The queue.

        Raises:
            InputError: If the storage cannot be reached, or holds another study of this name.
        """
        shown = masked(storage)
        try:
            store = open_storage(storage)
            try:
                study_id = store.create_new_study(study.directions, study.name)
            except DuplicatedStudyError:
                study_id = store.get_study_id_from_name(study.name)
            if _IDENTITY not in store.get_study_user_attrs(study_id):
                store.set_study_user_attr(study_id, _IDENTITY, study.identity())
            known = store.get_study_user_attrs(study_id)[_IDENTITY]
        except InputError:
            raise
        except Exception as error:  # drivers raise whatever they like
            raise InputError(
                f"storage={shown}: cannot be used ({first_cause(error)}): give a file that can be "
                "written, or the URL of a database that runs, such as postgresql://USER:PASSWORD@HOST/NAME"
            ) from error
        if known != study.identity():
            raise InputError(
                f"storage={shown}: holds another study named {study.name} (other space, "
                "objectives, overrides, sampler, pruner, round or seed): give study.name=ANOTHER "
                "or another storage"
            )
        return cls(storage=store, study_id=study_id, study=study, location=storage)

    def trials(self) -> list[FrozenTrial]:
        """List the trials of the study; a storage may hold more for later.

        Returns:
            The trials as they are now, by number.
        """
        return sorted(self._all(), key=lambda trial: trial.number)[: self.study.trials]

    def finished(self) -> int:
        """Count the finished trials, of all that the storage has of the study.

        Returns:
            Their number.
        """
        return sum(trial.state.is_finished() for trial in self._all())

    def _all(self) -> list[FrozenTrial]:
        with self._storage_errors():
            return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def claim(self) -> ClaimedTrial | None:
        """Claim the next trial to run, after waiting for the round before it.

        Returns:
            The trial; None once every trial is done.
        """
        while True:
            trials = self.trials()
            self._requeue_stale(trials)
            if len(trials) == self.study.trials and all(t.state.is_finished() for t in trials):
                return None
            done = next((t.number for t in trials if not t.state.is_finished()), len(trials))
            start = done // self.study.round * self.study.round
            end = min(start + self.study.round, self.study.trials)
            trial = self._take(trials, end)
            if trial is not None:
                return self._planned(trial, trials[:start])
            time.sleep(PAUSE)

    def _take(self, trials: Sequence[FrozenTrial], end: int) -> FrozenTrial | None:
        """A waiting or a new trial numbered below `end`."""
        for trial in trials[:end]:
            if trial.state == TrialState.WAITING and self._set(trial, TrialState.RUNNING):
                return trial
        if len(trials) >= end:
            return None
        new = create_trial(state=TrialState.RUNNING, user_attrs={"worker": worker_id()})
        with self._storage_errors():
            trial = self.storage.get_trial(self.storage.create_new_trial(self.study_id, new))
        if trial.number < end:
            return trial
        self._wait(trial)  # another worker was quicker; it may be needed later
        return None

    def _planned(self, trial: FrozenTrial, known: list[FrozenTrial]) -> ClaimedTrial:
        """The trial with the values that its round plans for it."""
        number, _id = trial.number, trial._trial_id
        round_number = number // self.study.round
        self.mark(_id, "worker", worker_id())  # before planning, which takes a while
        self.mark(_id, "tries", trial.user_attrs.get("tries", 0) + 1)
        if round_number not in self.plans:
            self.plans = {round_number: self.study.plan(known, round_number)}
        values = self.plans[round_number][number % self.study.round]
        for key, value in values.items():
            kind = self.study.space[key]
            with self._storage_errors(), suppress(UpdateFinishedTrialError):
                self.storage.set_trial_param(_id, key, kind.to_internal_repr(value), kind)
        return ClaimedTrial(id=_id, number=number, values=values, known=known)

    def mark(self, trial_id: int, key: str, value: Any) -> None:
        """Note something of a trial, unless another worker has finished it by now.

        Args:
            trial_id: In the storage.
            key: Of the note.
            value: Anything that JSON holds.
        """
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(trial_id, key, value)

    def report(self, claimed: ClaimedTrial, step: int, value: float) -> None:
        """Report an intermediate value, unless another worker has finished the trial by now.

        Args:
            claimed: The trial.
            step: From 0 on.
            value: Of the first objective.
        """
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_intermediate_value(claimed.id, step, value)

    def finish(
        self, claimed: ClaimedTrial, values: Sequence[float] | None, notes: Mapping[str, Any]
    ) -> None:
        """End a trial.

        Args:
            claimed: The trial.
            values: By objective; None: it was pruned, or failed if the notes have an error.
            notes: What else is kept of it.
        """
        for key, value in notes.items():
            self.mark(claimed.id, key, value)
        failed = TrialState.FAIL if "error" in notes else TrialState.PRUNED
        state = failed if values is None else TrialState.COMPLETE
        # A worker that thought this one dead may have finished it, to the same result.
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(claimed.id, state, values)

    def requeue(self, trial: FrozenTrial) -> None:
        """Requeue a trial whose worker died; mark it failed after MAX_ATTEMPTS.

        Args:
            trial: As the storage has it.
        """
        if trial.user_attrs.get("tries", 0) < MAX_ATTEMPTS:
            self._wait(trial)
            return
        why = f"its worker died {MAX_ATTEMPTS} times (out of memory?)"
        self.mark(trial._trial_id, "error", why)
        self._set(trial, TrialState.FAIL)

    def _wait(self, trial: FrozenTrial) -> None:
        """Let the trial wait for another worker, and forget the one that it had."""
        self.mark(trial._trial_id, "worker", None)
        self._set(trial, TrialState.WAITING)

    def _set(self, trial: FrozenTrial, state: TrialState) -> bool:
        """Set the state of a trial; False if another worker was faster."""
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            return self.storage.set_trial_state_values(trial._trial_id, state)
        return False

    def _storage_errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.location)

    def release(self) -> None:
        """Let the trials that this process has claimed and not finished wait for another worker."""
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and trial.user_attrs.get("worker") == worker_id():
                self.mark(trial._trial_id, "tries", trial.user_attrs.get("tries", 1) - 1)
                self._wait(trial)

    def _requeue_stale(self, trials: Sequence[FrozenTrial]) -> None:
        """Requeue the running trials whose workers are dead, or have been silent for too long."""
        now = time.monotonic()
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            sign = tuple(trial.user_attrs.get(key) for key in ("worker", "beat"))
            sign_before, since = self.last_heartbeat.setdefault(trial._trial_id, (sign, now))
            if sign_before != sign:
                self.last_heartbeat[trial._trial_id] = sign, now
                continue
            if is_dead(sign[0]) or now - since > STALE_AFTER_SECONDS:
                with self._storage_errors():
                    latest = self.storage.get_trial(trial._trial_id)
                if latest.state == TrialState.RUNNING and latest.user_attrs == trial.user_attrs:
                    self.requeue(trial)
