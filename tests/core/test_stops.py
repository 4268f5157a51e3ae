"""A stop leaves no lock of `logging` behind, and a second SIGTERM ends a process that hangs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from devise_exp.core.errors import Terminated
from devise_exp.core.stops import hold_stops, raise_on_stops


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of a process that has just started; after SIGTERM the process would end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class StoppingLock:
    """A lock of a handler; the signal comes as soon as it is acquired."""

    def __init__(self, number: int) -> None:
        self.number: int | None = number
        self.lock = threading.RLock()

    def acquire(self) -> None:
        self.lock.acquire()
        number, self.number = self.number, None
        if number is not None:
            os.kill(os.getpid(), number)

    def release(self) -> None:
        self.lock.release()


def is_free(lock: threading.RLock) -> bool:
    """Whether another thread gets the lock."""
    taken = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    return taken == [True]


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_stop_in_logging_comes_when_its_lock_is_released(
    number: int, stop: type[KeyboardInterrupt]
) -> None:
    handler: Any = logging.NullHandler()
    handler.handle = lambda record: logging.Handler.handle(handler, record)  # takes its lock
    handler.emit = lambda record: None
    handler.lock = lock = StoppingLock(number)
    logger = logging.Logger("stopped")
    logger.addHandler(handler)

    def log() -> None:
        with raise_on_stops():
            logger.warning("a line")
            time.sleep(30)

    with pytest.raises(stop):
        log()
    assert lock.number is None, "no signal was sent"
    assert is_free(lock.lock)


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_what_must_not_be_left_half_done_is_done(
    number: int, stop: type[KeyboardInterrupt]
) -> None:
    ended = []

    def end() -> None:
        with raise_on_stops(), hold_stops():
            os.kill(os.getpid(), number)
            with hold_stops():
                time.sleep(0.01)
            ended.append(True)

    with pytest.raises(stop):
        end()
    assert ended == [True]


def test_a_second_ctrl_c_does_not_wait() -> None:
    waited = []

    def end() -> None:
        with raise_on_stops(), hold_stops():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            waited.append(True)

    with pytest.raises(KeyboardInterrupt):
        end()
    assert waited == []
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


TWICE = """
import os, signal, time
from devise_exp.core.command import command

@command
def main():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)  # as some schedulers do
        print("ending", flush=True)
        if WAITS:
            time.sleep(1.2)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

main()
"""


@pytest.mark.parametrize(("waits", "code"), [(False, 128 + 15), (True, -15)])
def test_a_second_sigterm_ends_what_does_not_end(waits: bool, code: int) -> None:
    program = TWICE.replace("WAITS", str(waits))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=50)
    assert (done.returncode, done.stdout) == (code, b"ending\n")
