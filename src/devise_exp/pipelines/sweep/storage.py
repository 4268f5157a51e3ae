"""The storage of a study's trials: an Optuna storage in a journal file or a database.

Whatever a driver raises becomes one line that says what is wrong.
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

STORAGE = "DEVISE_STORAGE"  # names it to workers: as an argument or in a file all could read it
STUDY = "DEVISE_STUDY"  # its config, as YAML: a file in the folder another sweep could replace
_ATTEMPTS = 5  # two processes that create the tables of an empty database disturb each other
_CREATED_BY_ANOTHER = re.compile("already exists|duplicate key|UNIQUE constraint|is locked")


class StorageError(InputError):
    """A storage that could be opened can no longer be read or written."""


def open_storage(location: str) -> BaseStorage:
    """Open a storage.

    Args:
        location: A journal file, created if it is not there, or the URL of a database.

    Returns:
        An Optuna storage.

    Raises:
        InputError: If the URL has an @ too many, or its driver is not installed. Other errors of
            the driver or the system pass.
    """
    if "://" not in location:
        _mend(Path(location))
        return JournalStorage(_Journal(location))
    if location.count("@") > 1 and not location.startswith("sqlite"):
        raise InputError(
            f"storage={masked(location)}: has an @ too many: write those of the name or "
            "the password as %40"
        )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return get_storage(_database(location))
        except ImportError as error:
            raise InputError(
                f"storage={masked(location)}: the driver of this database is not "
                "installed; that of postgresql:// is: pip install 'devise-exp[postgresql]'"
            ) from error
        except Exception as error:
            if attempt == _ATTEMPTS or not _CREATED_BY_ANOTHER.search(str(error)):
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


def _database(url: str) -> RDBStorage:
    """A database whose transactions, claims above all, are atomic."""
    if not url.startswith("sqlite"):
        # A connection that was cut since its last use is opened again.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60.0}})

    # Python's driver begins a transaction at the first change: two could read the same before it.
    def no_implicit_begin(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    event.listen(storage.engine, "connect", no_implicit_begin)
    event.listen(
        storage.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
    )
    storage.engine.dispose()  # the connections so far
    return storage


def masked(storage: str) -> str:
    """Hide what may hold a password.

    Args:
        storage: A path, or the URL of a database.

    Returns:
        The storage as it may be shown.

    Example:
        >>> masked("postgresql://me:secret@host/db")
        'postgresql://...'
    """
    return re.sub(r"://.*", "://...", storage)


def first_cause(error: BaseException) -> str:
    """Find what an error of a storage says.

    Args:
        error: Any error; of several that caused each other, the database driver's own comes first.

    Returns:
        Its message in one line.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            error = cause.orig
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().split("\n")[0] or type(error).__name__


@contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Raise every error of a storage, or of the driver under it, as a StorageError.

    Ctrl-C and SIGTERM stay what they are, even if cleaning up after them fails.

    Args:
        storage: Where the trials are kept, for the message.

    Yields:
        Nothing.

    Raises:
        StorageError: If the storage fails.
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
    """A journal that cuts off the half line that a full disk leaves before the next is added."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines to the journal.

        Args:
            logs: What to add.
        """
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
