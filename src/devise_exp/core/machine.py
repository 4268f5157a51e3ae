"""What this machine has, and how Python uses it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

# Rounds in which a thread of GNU's OpenMP waits awake, some 50 microseconds: longer than the gap
# between two layers. By itself it has 300,000, and keeps the processor from whoever has work.
SPINS = 10_000

_blas_alone = threading.Lock()  # the number of BLAS threads is that of the whole process


def processors() -> int:
    """Count the processors that this process may use.

    Returns:
        Those that the system allows, if it says so; else all.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wait_briefly() -> None:
    """Let threads of OpenMP spin for a short time only while they wait for work.

    Where processors have other work too, spinning slows all (experiments/speed/busy.py). It counts
    if torch is imported later; what the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


@contextmanager
def without_collection() -> Iterator[None]:
    """Import large packages a sixth faster: nothing that an import makes is garbage.

    Yields:
        Nothing; the collector of garbage rests inside the block.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def threads_of_one_blas_thread() -> Iterator[int]:
    """Let several threads of Python compute, each with one thread of BLAS.

    One matrix product on all processors leaves them idle while Python works between two products.

    Yields:
        How many threads may compute, as many as BLAS had. 1 leaves BLAS as it is: it has one
        thread, or another thread is inside such a block.
    """
    if not _blas_alone.acquire(blocking=False):
        yield 1
        return
    try:
        from threadpoolctl import ThreadpoolController

        blas = ThreadpoolController().select(user_api="blas")
        n_threads = max((library["num_threads"] for library in blas.info()), default=1)
        with blas.limit(limits=1) if n_threads > 1 else nullcontext():
            yield n_threads
    finally:
        _blas_alone.release()
