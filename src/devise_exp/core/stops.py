"""Ctrl-C and SIGTERM: where they raise, where they wait, and what a second SIGTERM does."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType

from devise_exp.core.errors import Terminated

_GRACE_SECONDS = 1.0  # some schedulers send SIGTERM to a process and to its group
_RETRY_SECONDS = 0.01
_LONGEST_WAIT = 5.0  # in logging, which may wait for a terminal that takes nothing


class _Stops:
    """What has been received of this process, and whether it may raise now."""

    def __init__(self) -> None:
        self.held = 0
        self.clear()

    def clear(self) -> None:
        """Forget what was received."""
        self.active = False
        self.first_sigterm: float | None = None
        self.pending: type[KeyboardInterrupt] | None = None
        self.pending_since = 0.0
        self.is_retry = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT or SIGTERM."""
        if self.is_retry:
            self.is_retry = False
            if self.pending is not None and not self.held:
                self._raise_or_wait(self.pending, frame)
        elif number == signal.SIGINT:
            if self.held and self.pending is not None:  # a second one does not wait
                self.pending = None
                raise KeyboardInterrupt
            self._raise_or_wait(KeyboardInterrupt, frame)
        elif self.first_sigterm is None:
            self.first_sigterm = time.monotonic()
            self._raise_or_wait(Terminated, frame)
        elif time.monotonic() - self.first_sigterm > _GRACE_SECONDS:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _raise_or_wait(self, stop: type[KeyboardInterrupt], frame: FrameType | None) -> None:
        if not self.active:
            return
        if self.pending is None:
            self.pending_since = time.monotonic()
        waited = time.monotonic() - self.pending_since
        if self.held:
            self.pending = stop
        elif _in_logging(frame) and waited < _LONGEST_WAIT:
            self.pending = stop
            # Not threading.Thread: it takes locks that the interrupted code may hold.
            _thread.start_new_thread(self._retry, ())
        else:
            self.pending = None
            raise stop

    def _retry(self) -> None:
        time.sleep(_RETRY_SECONDS)
        main = threading.main_thread().ident
        if self.pending is not None and self.active and main is not None:
            self.is_retry = True
            signal.pthread_kill(main, signal.SIGTERM)


_stops = _Stops()


def _in_logging(frame: FrameType | None) -> bool:
    """Whether the interrupted code may hold a lock of `logging`, which an exception leaves locked.

    Every thread that logs then waits for it, as those that end W&B do.
    """
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] == "logging":
            return True
        frame = frame.f_back
    return False


@contextmanager
def raise_on_stops() -> Iterator[None]:
    """Let the first SIGTERM raise Terminated, unless something else handles the signal.

    SIGTERM and Ctrl-C raise nothing inside `logging` or `hold_stops`, but right after it. Further
    SIGTERMs within a second are ignored; a later one ends the process at once.

    Yields:
        Nothing; the handlers are set inside the block.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if not main_thread or before[signal.SIGTERM] != signal.SIG_DFL:
        yield
        return
    _stops.clear()
    _stops.active = True
    signal.signal(signal.SIGTERM, _stops.on_signal)
    if before[signal.SIGINT] == signal.default_int_handler:
        signal.signal(signal.SIGINT, _stops.on_signal)
    try:
        yield
    finally:
        _stops.active = False
        _stops.pending = None
        if signal.getsignal(signal.SIGINT) == _stops.on_signal:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if _stops.first_sigterm is None:  # else the process is about to end, and has yet to say why
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def hold_stops() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise at the end of the block, for what must not be left half done.

    A second Ctrl-C, or SIGTERM, does not wait. The block must be short, or end by itself in time.

    Yields:
        Nothing.

    Raises:
        KeyboardInterrupt: If one came while the block ran.
    """
    _stops.held += 1
    try:
        yield
    finally:
        _stops.held -= 1
        stop = _stops.pending
        if stop is not None and not _stops.held:
            _stops.pending = None
            raise stop


def end_by_stops() -> None:
    """Let Ctrl-C and SIGTERM end this process at once, in calls too that no handler interrupts."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def end_with_parent() -> None:
    """Send this process SIGTERM once the process that has started it by multiprocessing is gone.

    The system does not; to a rank's fork server that process is not even its parent.
    """
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def hold_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from this thread, and for good from the processes that it starts in the block.

    Those would each print where they were; SIGTERM ends them.

    Yields:
        Nothing; a Ctrl-C of this thread raises at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
