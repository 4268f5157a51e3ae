"""Where the trials of a study are kept, opened: a storage of Optuna's, in a journal file or in a
database; and what is wrong with it in one line.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from devise_exp.core.command import underlying_stop
from devise_exp.core.errors import InputError

_OPENINGS = 5  # two that make the tables of an empty database at once stand in each other's way
_MADE_BY_ANOTHER = re.compile("already exists|duplicate key|UNIQUE constraint|is locked")


class StorageError(InputError):
    """A storage that could be opened cannot be read or written any more."""


def open_storage(given: str) -> BaseStorage:
    """A journal file, which is made where there is none, or the database of a URL.

    InputError for a URL that hides where its password ends, or whose driver is not installed;
    whatever else the driver or the system says.
    """
    if "://" not in given:
        _mend(Path(given))
        return JournalStorage(_Journal(given))
    if given.count("@") > 1 and not given.startswith("sqlite"):
        raise InputError(
            f"storage={masked(given)}: has an @ too many: write those of the name or the password "
            "as %40"
        )
    for attempt in range(1, _OPENINGS + 1):
        try:
            return get_storage(_database(given))
        except ImportError as error:
            raise InputError(
                f"storage={masked(given)}: the driver of this database is not installed; that of "
                "postgresql:// is: pip install 'devise-exp[postgresql]'"
            ) from error
        except Exception as error:
            if attempt == _OPENINGS or not _MADE_BY_ANOTHER.search(str(error)):
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


def _database(url: str) -> RDBStorage:
    """One whose transactions, claims above all, are of one piece."""
    if not url.startswith("sqlite"):
        # A connection that was cut since its last use is made again.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    made = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60.0}})

    # Python's driver begins a transaction at the first change: two could read the same before it.
    def leave_it_to_us(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    event.listen(made.engine, "connect", leave_it_to_us)
    event.listen(made.engine, "begin", lambda own: own.exec_driver_sql("BEGIN IMMEDIATE"))
    made.engine.dispose()  # the connections so far
    return made


def masked(storage: str) -> str:
    """A storage as it may be shown: the URL of a database holds a password."""
    return re.sub(r"://.*", "://...", storage)


def first_cause(error: BaseException) -> str:
    """What an error of a storage says, in one line; of several that led to each other the first
    word of the database's own driver, since the others are but about transactions.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, DBAPIError) and each.orig is not None:
            error = each.orig
        each = each.__cause__ or each.__context__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().split("\n")[0] or type(error).__name__


@contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Whatever a storage, or the driver under it, raises, as a StorageError; but a stop is one,
    also where putting a file in order after it has failed.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if (stop := underlying_stop(error)) is not None:
            raise stop from None
        raise StorageError(
            f"storage={masked(storage)}: no longer answers ({first_cause(error)}): mend that, "
            "and the same command goes on"
        ) from error


class _Journal(JournalFileBackend):
    """One that cuts off, at once, the half line that a full disk leaves: the next would be added
    to it.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except OSError:
            _mend(Path(self._file_path))
            raise


def _mend(journal: Path) -> None:
    """Cut off a last line that a full disk or a power cut has left without its end."""
    if not journal.exists():
        return
    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    try:
        content = journal.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(journal, content.rfind(b"\n") + 1)
    finally:
        lock.release()
