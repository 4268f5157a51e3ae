"""The storage of a study's trials: an Optuna storage in a journal file or a database.

Whatever a driver raises becomes one line that says what is wrong.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy import NullPool, create_engine, func, make_url, select
from sqlalchemy.exc import DBAPIError

from devise_exp.core.command import underlying_stop
from devise_exp.core.errors import InputError


def open_storage(location: str) -> BaseStorage:
    """Open a storage.

    Args:
        location: A journal file, created if it is not there, or the URL of a database.

    Returns:
        An Optuna storage.
    """
    if "://" not in location:
        _mend(Path(location))
        return JournalStorage(JournalFileBackend(location))
    # A connection that was cut since its last use is opened again.
    return RDBStorage(location, engine_kwargs={"pool_pre_ping": True})


@contextmanager
def sole_use(location: str, name: str, folder: Path) -> Iterator[None]:
    """Keep other commands from a study: its results are for one coordinator to write.

    The lock is PostgreSQL's own (an advisory lock), for all machines; else the system's on a file,
    beside a storage that is a file or in the folder. It ends with the process, however that ends.

    Args:
        location: Of the storage.
        name: Of the study.
        folder: Of the study.

    Yields:
        Nothing; the study may be used inside the block.

    Raises:
        InputError: If another command works on the study, or the URL has an @ too many.
    """
    url = make_url(location) if "://" in location else None
    if url is not None and location.count("@") > 1 and url.get_backend_name() != "sqlite":
        raise InputError(
            f"storage={masked(location)}: has an @ too many: write those of the name or "
            "the password as %40"
        )
    if url is not None and url.get_backend_name() == "postgresql":
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            key = func.hashtext(f"devise-exp {name}")
            if not connection.scalar(select(func.pg_try_advisory_lock(key))):
                raise _in_use(location, name)
            yield
        return
    path = folder / f".{name}.lock"
    if url is None or url.get_backend_name() == "sqlite":
        path = Path(f"{url.database if url is not None else location}.{name}.lock")
        if not path.parent.is_dir():  # the lock would create it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    try:
        lock = FileLock(path).acquire(blocking=False)
    except Timeout:
        raise _in_use(location, name) from None
    with lock:
        yield


def _in_use(location: str, name: str) -> InputError:
    return InputError(
        f"storage={masked(location)}: another command works on study {name}: wait for its end, or "
        "give study.name=ANOTHER"
    )


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
def storage_errors(storage: str, *, opening: bool = False) -> Iterator[None]:
    """Raise every error of a storage, or of the driver under it, as an InputError.

    Ctrl-C and SIGTERM stay what they are, even if cleaning up after them fails.

    Args:
        storage: Where the trials are kept, for the message.
        opening: Whether it is not in use yet.

    Yields:
        Nothing.

    Raises:
        InputError: If the storage fails.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # drivers raise whatever they like
        if (stop := underlying_stop(error)) is not None:
            raise stop from None
        raise InputError(f"storage={masked(storage)}: {_fault(error, opening)}") from error


def _fault(error: Exception, opening: bool) -> str:
    if isinstance(error, ImportError):
        return (
            "the driver of this database is not installed; that of postgresql:// is: "
            "pip install 'devise-exp[postgresql]'"
        )
    if not opening:
        return f"no longer answers ({first_cause(error)}): mend that, and the same command goes on"
    return (
        f"cannot be used ({first_cause(error)}): give a file that can be written, or the URL of a "
        "database that runs, such as postgresql://USER:PASSWORD@HOST/NAME"
    )


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
