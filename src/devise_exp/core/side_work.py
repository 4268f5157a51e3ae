"""Work that forked processes do beside this one, each on one processor.

Two trainings with a thread each take less time than one after the other with two threads. A forked
process has everything that this one has read and imported, so it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from devise_exp.core import streams
from devise_exp.core.console import hide_progress
from devise_exp.core.files import atomic_path
from devise_exp.core.machine import processors
from devise_exp.core.stops import hold_ctrl_c

_MOST = 255  # tasks: each is a byte in the queue
_MOST_PROCESSES = 8  # each may hold a whole run
_FAILED = ".failed"  # ending of the file that says that a task has failed
_PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets once its parent has died


class SideWork:
    """Tasks that any of several processes takes, and their results.

    Args:
        tasks: Name -> function without arguments, in the order in which they are taken. What a
            function changes is lost, but for files; a result that cannot be pickled is made again
            here.
        folder: Where the other processes leave results.
        n_processes: How many other processes take tasks; 0: this one does all, when asked.
    """

    def __init__(
        self, tasks: Mapping[str, Callable[[], Any]], folder: Path, n_processes: int
    ) -> None:
        self._tasks = dict(tasks)
        self._names = list(tasks)
        self._folder = folder
        self._results: dict[str, Any] = {}
        self._children: dict[int, int] = {}  # the end of a pipe that tells of results -> process
        self._queue = -1
        self._limits = ExitStack()  # of threads, while other processes have processors
        if n_processes:
            self._fork(n_processes)

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def take(self, name: str) -> Any:
        """Get the result of a task, once; until it is there, this process takes tasks too.

        Args:
            name: Of the task.

        Returns:
            What the task returns. If it failed elsewhere, it is done here, and raises here.
        """
        while name not in self._results and not self._read(name):
            failed = self._path(name).with_suffix(_FAILED).is_file()
            following = name if failed else self._next()
            if following is not None:
                self._results[following] = self._tasks[following]()
            elif not self._wait():
                self._results[name] = self._tasks[name]()
        return self._results.pop(name)

    def end(self) -> None:
        """End the other processes, whatever they are doing; this one has all processors again."""
        for pipe in list(self._children):
            with suppress(ProcessLookupError):
                os.kill(self._children[pipe], signal.SIGKILL)
            self._bury(pipe)
        self._limits.close()
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1

    def _fork(self, n_processes: int) -> None:
        """Fill the queue, a pipe of which every byte is a task, and start the processes."""
        self._queue, entry = os.pipe()
        os.write(entry, bytes(range(len(self._names))))
        os.close(entry)
        streams.stdout().flush()
        streams.stderr().flush()
        try:
            for _ in range(n_processes):
                self._fork_one()
        except OSError:
            pass  # no more processes, or memory, are to be had: fewer will do
        except BaseException:
            self.end()
            raise
        if self._children:
            n_threads = _processors() - len(self._children)
            self._limits.enter_context(_threads(max(1, n_threads)))

    def _fork_one(self) -> None:
        done, tell = os.pipe()
        parent = os.getpid()
        with warnings.catch_warnings(), hold_ctrl_c():
            # Of other threads, whose locks no task needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                child = os.fork()
            except OSError:
                os.close(done)
                raise
            finally:
                if os.getpid() == parent:
                    os.close(tell)
            if child == 0:
                self._be_a_child(tell, parent)
            self._children[done] = child

    def _next(self) -> str | None:
        """Take a task off the queue that all processes share."""
        taken = os.read(self._queue, 1) if self._queue >= 0 else b""
        return self._names[taken[0]] if taken else None

    def _be_a_child(self, tell: int, parent: int) -> None:
        """Do tasks until none is left; never returns."""
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
            hide_progress()
            with _threads(1):
                while os.getppid() == parent and (name := self._next()) is not None:
                    try:
                        self._leave(name, self._tasks[name]())
                    except Exception:  # the first process does the task, and can say why
                        self._path(name).with_suffix(_FAILED).touch()
                    os.write(tell, b".")
        finally:
            streams.stderr().flush()
            os._exit(0)  # no exit handler is this process's: loggers belong to the first one

    def _leave(self, name: str, result: Any) -> None:
        import cloudpickle  # which can pickle a function within a function

        with atomic_path(self._path(name)) as part, part.open("wb") as file:
            cloudpickle.dump(result, file)

    def _read(self, name: str) -> bool:
        """Read the result of a task, if another process has left it."""
        path = self._path(name)
        if not path.is_file():
            return False
        try:
            with path.open("rb") as file:
                self._results[name] = pickle.load(file)  # written by a fork of this process
        except Exception:  # a class that can be pickled, and no more
            path.with_suffix(_FAILED).touch()
        path.unlink()
        return name in self._results

    def _wait(self) -> bool:
        """Wait until another process has done a task, or ended; False if all have ended."""
        if not self._children:
            return False
        for pipe in select.select(list(self._children), [], [])[0]:
            if not os.read(pipe, 1):
                self._bury(pipe)
        return True

    def _bury(self, pipe: int) -> None:
        """Wait for the end of a process that has ended its work."""
        os.close(pipe)
        with suppress(ChildProcessError):  # the system has, if SIGCHLD is ignored
            os.waitpid(self._children.pop(pipe), 0)

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._names.index(name)}.pickle"


@contextmanager
def side_work(tasks: Mapping[str, Callable[[], Any]], beside: bool = True) -> Iterator[SideWork]:
    """Let other processes begin with tasks while this one goes on.

    Other processes are forked if there are several processors, this process may use several
    threads, no GPU is in use, and the system is one on which a fork is safe. This process then uses
    the processors that are left. They end with the block.

    Args:
        tasks: As of SideWork.
        beside: Whether other processes may be forked; if not, tasks are done as they are asked for.

    Yields:
        The tasks.
    """
    may_fork = beside and len(tasks) <= _MOST
    n_processes = min(len(tasks), _spare_processors()) if may_fork else 0
    with TemporaryDirectory() as folder:
        work = SideWork(tasks, Path(folder), n_processes)
        try:
            yield work
        finally:
            work.end()


def _spare_processors() -> int:
    """How many processes can be forked so that each has a processor."""
    if not sys.platform.startswith("linux"):
        return 0  # a fork is unsafe, or there is none
    torch: Any = sys.modules.get("torch")
    if torch is None or torch.cuda.is_initialized():
        return 0
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return 0  # a fork would speak to the other ranks for this one
    return min(_processors() - 1, _MOST_PROCESSES)


def _processors() -> int:
    """Those that this process may use, by the system and by its number of threads."""
    return min(processors(), int(sys.modules["torch"].get_num_threads()))


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Let torch, numpy and scipy use n threads inside the block."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        torch.set_num_threads(before)
