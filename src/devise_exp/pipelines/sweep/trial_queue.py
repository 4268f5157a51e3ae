"""Where the trials of a study are claimed and their results kept, by any number of workers on any
number of machines: an Optuna storage, a journal file or the URL of a database.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.storage import first_cause, masked, open_storage, storage_errors
from devise_exp.pipelines.sweep.study import Study

HEARTBEAT_SECONDS = 15.0  # seconds between two signs of life of a worker
STALE_AFTER_SECONDS = (
    90.0  # seconds without one after which another machine's worker counts as dead
)
MAX_ATTEMPTS = 3  # so many workers may die of one trial
PAUSE = 0.2  # seconds between two looks for work
_IDENTITY = "identity"


@dataclass(frozen=True, eq=False)
class ClaimedTrial:
    """A trial to run: its id in the storage, its number, its values, and all trials of the rounds
    before its own.
    """

    id: int
    number: int
    values: dict[str, Any]
    known: Sequence[FrozenTrial]


@dataclass(eq=False)
class TrialQueue:
    """The trials of one study in a storage. Every claim is made in one step of the storage, so no
    trial is run by two workers. Methods raise StorageError where the storage does not answer.
    """

    storage: BaseStorage
    study_id: int
    study: Study
    place: str  # of the storage, as it was given
    plans: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    # trial id -> its worker and beat, and when they were last another
    last_heartbeat: dict[int, tuple[Any, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, study: Study, storage: str) -> TrialQueue:
        """InputError where the storage cannot be reached, or holds another study of this name."""
        shown = masked(storage)
        try:
            place = open_storage(storage)
            try:
                study_id = place.create_new_study(study.directions, study.name)
            except DuplicatedStudyError:
                study_id = place.get_study_id_from_name(study.name)
            if _IDENTITY not in place.get_study_user_attrs(study_id):
                place.set_study_user_attr(study_id, _IDENTITY, study.identity())
            known = place.get_study_user_attrs(study_id)[_IDENTITY]
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
        return cls(place, study_id, study, storage)

    def trials(self) -> list[FrozenTrial]:
        """Those of the study as it is now, by number; a storage may hold more for later."""
        return sorted(self._all(), key=lambda trial: trial.number)[: self.study.trials]

    def finished(self) -> int:
        """How many trials are finished, of all that the storage has of the study."""
        return sum(trial.state.is_finished() for trial in self._all())

    def _all(self) -> list[FrozenTrial]:
        with self._storage_errors():
            return self.storage.get_all_trials(self.study_id, deepcopy=False)

    def claim(self) -> ClaimedTrial | None:
        """The next trial to run; waits for the round before it. None once every trial is done."""
        while True:
            trials = self.trials()
            self._requeue_stale(trials)
            if len(trials) == self.study.trials and all(t.state.is_finished() for t in trials):
                return None
            done = next((t.number for t in trials if not t.state.is_finished()), len(trials))
            start = done // self.study.round * self.study.round
            end = min(start + self.study.round, self.study.trials)
            found = self._take(trials, end)
            if found is not None:
                return self._planned(found, trials[:start])
            time.sleep(PAUSE)

    def _take(self, trials: Sequence[FrozenTrial], end: int) -> FrozenTrial | None:
        """A waiting or a new trial numbered below `end`."""
        for trial in trials[:end]:
            if trial.state == TrialState.WAITING and self._set(trial, TrialState.RUNNING):
                return trial
        if len(trials) >= end:
            return None
        own = create_trial(state=TrialState.RUNNING, user_attrs={"worker": worker_id()})
        with self._storage_errors():
            trial = self.storage.get_trial(self.storage.create_new_trial(self.study_id, own))
        if trial.number < end:
            return trial
        self._wait(trial)  # another worker was quicker; it may be needed later
        return None

    def _planned(self, trial: FrozenTrial, known: list[FrozenTrial]) -> ClaimedTrial:
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
        return ClaimedTrial(_id, number, values, known)

    def mark(self, trial_id: int, key: str, value: Any) -> None:
        """Note something of a trial, unless another worker has finished it by now."""
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(trial_id, key, value)

    def report(self, claimed: ClaimedTrial, step: int, value: float) -> None:
        """An intermediate value of the first objective, unless another worker has finished the
        trial by now.
        """
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_intermediate_value(claimed.id, step, value)

    def finish(
        self, claimed: ClaimedTrial, values: Sequence[float] | None, notes: Mapping[str, Any]
    ) -> None:
        """The end of a trial: its values by objective; without, it was pruned, or failed where the
        notes have an error.
        """
        for key, value in notes.items():
            self.mark(claimed.id, key, value)
        failed = TrialState.FAIL if "error" in notes else TrialState.PRUNED
        state = failed if values is None else TrialState.COMPLETE
        # A worker that thought this one dead may have finished it, to the same result.
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(claimed.id, state, values)

    def requeue(self, trial: FrozenTrial) -> None:
        """Let another worker have the trial of a dead one, unless several have died of it."""
        if trial.user_attrs.get("tries", 0) < MAX_ATTEMPTS:
            self._wait(trial)
            return
        why = f"its worker died {MAX_ATTEMPTS} times (out of memory?)"
        self.mark(trial._trial_id, "error", why)
        self._set(trial, TrialState.FAIL)

    def _wait(self, trial: FrozenTrial) -> None:
        """Nobody's until it is claimed again: its next worker is not to be taken for the last."""
        self.mark(trial._trial_id, "worker", None)
        self._set(trial, TrialState.WAITING)

    def _set(self, trial: FrozenTrial, state: TrialState) -> bool:
        with self._storage_errors(), suppress(UpdateFinishedTrialError):
            return self.storage.set_trial_state_values(trial._trial_id, state)
        return False

    def _storage_errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.place)

    def release(self) -> None:
        """What this process has claimed and not finished waits for another worker."""
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and trial.user_attrs.get("worker") == worker_id():
                self.mark(trial._trial_id, "tries", trial.user_attrs.get("tries", 1) - 1)
                self._wait(trial)

    def _requeue_stale(self, trials: Sequence[FrozenTrial]) -> None:
        now = time.monotonic()
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            sign = tuple(trial.user_attrs.get(key) for key in ("worker", "beat"))
            heard, since = self.last_heartbeat.setdefault(trial._trial_id, (sign, now))
            if heard != sign:
                self.last_heartbeat[trial._trial_id] = sign, now
                continue
            if is_dead(sign[0]) or now - since > STALE_AFTER_SECONDS:
                with self._storage_errors():
                    latest = self.storage.get_trial(trial._trial_id)
                if latest.state == TrialState.RUNNING and latest.user_attrs == trial.user_attrs:
                    self.requeue(trial)


def worker_id() -> str:
    """This process, as a worker is named: MACHINE:PID."""
    return f"{_machine()}:{os.getpid()}"


def is_dead(worker: str | None) -> bool:
    """Whether a worker was a process of this machine, and is no longer."""
    machine, _, pid = (worker or "").rpartition(":")
    if machine != _machine():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False  # or its number is another's by now, which its silence will tell


def _machine() -> str:
    """Containers of one host name have process numbers of their own."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.stat().st_ino if space.exists() else 0}"
