"""Storages: one command at a time, whole lines in the journal, and errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.sweeps import spec
from sqlalchemy.exc import DBAPIError

from devise_exp.core.errors import InputError, Terminated
from devise_exp.pipelines.sweep.job import TrialJob
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.storage import first_cause, sole_use, storage_errors
from devise_exp.pipelines.sweep.study_config import study_of


def test_one_command_at_a_time_works_on_a_study_until_it_is_killed(
    storage: str, tmp_path: Path
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from devise_exp.pipelines.sweep.storage import sole_use\n"
        "with sole_use(sys.argv[1], 'small', Path('.')):\n    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, storage], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match=r"^storage=.*: another command works on study small: "),
            sole_use(storage, "small", tmp_path),
        ):
            pass
        with sole_use(storage, "another", tmp_path):
            pass
    finally:
        other.kill()
        other.wait()
    with sole_use(storage, "small", tmp_path):
        pass


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
    jobs = [
        TrialJob(study=study, number=number, values=values, known=())
        for number, values in enumerate(study.plan([], 0)[:2])
    ]
    Results.open(study, str(file)).add(jobs[0].finished([0.5]))
    file.write_bytes(file.read_bytes() + b'{"op_code": 4, "wor')
    again = Results.open(study, str(file))
    assert [trial.number for trial in again.trials()] == [0]
    again.add(jobs[1].finished([0.75]))
    assert [t.values for t in Results.open(study, str(file)).trials()] == [[0.5], [0.75]]


def test_a_driver_that_is_not_installed_is_named() -> None:
    location = "mysql://a:secret@127.0.0.1:1/x"
    with (
        pytest.raises(InputError, match=r"^storage=mysql:.*the driver .*postgresql") as e,
        storage_errors(location, opening=True),
    ):
        Results.open(study_of(spec()), location)
    assert "secret" not in str(e.value)


def test_the_reason_is_the_driver_s_own_first_word() -> None:
    later = RuntimeError("Can't reconnect until invalid transaction is rolled back")
    later.__context__ = DBAPIError("select 1", {}, OSError("terminating connection\nLINE 1"))
    assert first_cause(later) == "terminating connection"
