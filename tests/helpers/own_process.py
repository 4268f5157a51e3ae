"""A command in a process of its own, forked from one that has imported torch, timm and Lightning:
to import them takes longer than what most tests do with them.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from helpers.options import last_given

# Not from this process: torch trains in no fork of one that has trained.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["devise_exp.pipelines.series", "timm"])


def collect_rarely() -> None:
    """Look for garbage less often: among the objects of torch and Lightning that takes a fifth of
    the time of a test.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


class OwnProcess:
    """`python *arguments` in the folder `cwd`, the environment with `more` set: as far as the tests
    use it, a subprocess.Popen with pipes for output and messages.
    """

    def __init__(self, *arguments: str, cwd: Path, **more: str) -> None:
        self._streams = Path(tempfile.mkdtemp())
        streams = (os.devnull, str(self._streams / "out"), str(self._streams / "err"))
        given = (arguments, cwd, {**os.environ, **more}, streams)
        self._process = _FORKS.Process(target=_act, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Output and messages, once it has ended; a process that goes on is killed."""
        self._process.join(timeout)
        if self.poll() is None:
            self._process.kill()
            raise TimeoutError(f"no end after {timeout} seconds")
        out, err = ((self._streams / name).read_text() for name in ("out", "err"))
        shutil.rmtree(self._streams)
        return out, err

    @property
    def returncode(self) -> int | None:
        return self.poll()


def _act(
    arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], streams: tuple[str, ...]
) -> None:
    collect_rarely()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[1:1] = [path for path in paths if path not in sys.path]  # a new Python reads them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate(streams):
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    kind, *rest = arguments
    if kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = last_given(arguments)
        runpy.run_path(kind, run_name="__main__")
