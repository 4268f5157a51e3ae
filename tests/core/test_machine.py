"""How many threads of BLAS a thread of Python has, and how threads of OpenMP wait."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from devise_exp.core.machine import SPINS, threads_of_one_blas_thread, wait_briefly

assert np.ones((2, 2)) @ np.ones((2, 2)) is not None  # its BLAS is loaded


def blas_threads() -> set[int]:
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.mark.parametrize("n", [2, 3])
def test_as_many_threads_as_blas_had_have_one_each(n: int) -> None:
    with threadpool_limits(n, user_api="blas"):
        with threads_of_one_blas_thread() as n_threads:
            assert (n_threads, blas_threads()) == (n, {1})
        assert blas_threads() == {n}


def test_one_thread_of_blas_is_one_thread() -> None:
    with threadpool_limits(1, user_api="blas"), threads_of_one_blas_thread() as n_threads:
        assert (n_threads, blas_threads()) == (1, {1})


def test_a_second_thread_leaves_blas_to_the_first() -> None:
    def threads() -> int:
        with threads_of_one_blas_thread() as n_threads:
            return n_threads

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        with threads_of_one_blas_thread() as first:
            assert (first, pool.submit(threads).result(), blas_threads()) == (2, 1, {1})
        assert (pool.submit(threads).result(), blas_threads()) == (2, {2})


def test_an_error_gives_blas_its_threads_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="odd"), threads_of_one_blas_thread():
            raise ValueError("odd")
        assert blas_threads() == {2}
        with threads_of_one_blas_thread() as n_threads:
            assert n_threads == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, str(SPINS)),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_how(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(given))
    wait_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
