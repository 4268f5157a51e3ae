"""Storages: whole lines in the journal, and errors in one line."""

from __future__ import annotations

import resource
import threading
from pathlib import Path

import pytest
from helpers.sweeps import spec
from sqlalchemy.exc import DBAPIError

from devise_exp.core.errors import InputError, Terminated
from devise_exp.pipelines.sweep.storage import (
    StorageError,
    first_cause,
    storage_errors,
)
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.trial_queue import TrialQueue


def test_a_stop_in_the_middle_of_a_write_is_a_stop() -> None:
    """As Optuna's lock tells it: it was about to remove a file that it had removed."""

    def write() -> None:
        with storage_errors("journal.log"):
            try:
                raise Terminated
            except BaseException:
                Path("no/such/lock").unlink()
                raise

    with pytest.raises(Terminated):
        write()


def test_a_line_that_a_full_disk_has_cut_short_is_dropped(tmp_path: Path) -> None:
    study, file = study_of(spec(trials=2)), tmp_path / "log"
    claimed = TrialQueue.open(study, str(file)).claim()
    assert claimed is not None
    file.write_bytes(file.read_bytes() + b'{"op_code": 4, "wor')
    again = TrialQueue.open(study, str(file))
    assert [trial.number for trial in again.trials()] == [0]
    again.finish(claimed, [0.5], {})
    assert TrialQueue.open(study, str(file)).trials()[0].values == [0.5]


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^storage=mysql:.*the driver .*postgresql") as e:
        TrialQueue.open(study_of(spec()), "mysql://a:secret@127.0.0.1:1/x")
    assert "secret" not in str(e.value)


def test_the_reason_is_the_driver_s_own_first_word() -> None:
    later = RuntimeError("Can't reconnect until invalid transaction is rolled back")
    later.__context__ = DBAPIError("select 1", {}, OSError("terminating connection\nLINE 1"))
    assert first_cause(later) == "terminating connection"


def test_a_full_disk_leaves_no_half_line_for_other_workers(tmp_path: Path) -> None:
    """Who goes on writing while another's line was cut short adds no line to its half."""
    study, file = study_of(spec(trials=2)), tmp_path / "log"
    first, second = (TrialQueue.open(study, str(file)) for _ in range(2))
    claimed = first.claim()
    assert claimed is not None
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"no longer answers \(File too large\)"):
            first.report(claimed, 0, 0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    second.finish(claimed, [0.5], {})
    assert first.trials()[0].values == [0.5]
    assert TrialQueue.open(study, str(file)).trials()[0].values == [0.5]


def test_two_that_open_an_empty_database_at_once(tmp_path: Path) -> None:
    study, opened_by = study_of(spec()), []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        opened_by.append(TrialQueue.open(study, f"sqlite:///{tmp_path}/new.db").study_id)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened_by) == 4
    assert len(set(opened_by)) == 1
