"""An error that a user's own code has raised, or has called for, names the user's file and line."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from devise_exp.core.errors import user_message
from devise_exp.core.user_frames import raised_by_user_code
from devise_exp.core.vectors import normalize_rows

TEXT = """\
import torch


def raises(x):
    raise ValueError("three\\nlines\\nof text")


def calls_torch(x):
    return torch.zeros(2) @ torch.zeros(3)


def takes_all(x):
    raise MemoryError("all of it")


def calls_this_package(x):
    from devise_exp.core.vectors import normalize_rows

    return normalize_rows(x)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "frames_of_users.py").write_text(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("frames_of_users")
    del sys.modules["frames_of_users"]


def raised_by(function: Callable[[object], object]) -> Exception:
    """What a function raises, without the lines of this file that have called it."""
    with pytest.raises(Exception, match=r"\w") as caught:
        function("no array")
    traceback = caught.value.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return caught.value.with_traceback(traceback)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "raises",
            r"code of your own failed: ValueError: three lines of text \(.*line 5\): mend",
        ),
        ("calls_torch", r"code of your own failed: RuntimeError: .*users.py, line 9\): mend"),
    ],
    ids=["by itself", "in a library"],
)
def test_the_line_names_the_users_file(module: ModuleType, name: str, line: str) -> None:
    error = raised_by(getattr(module, name))
    assert raised_by_user_code(error)
    assert re.match(line, user_message(error) or "")


def test_memory_that_is_used_up_is_nobodys_fault(module: ModuleType) -> None:
    assert not raised_by_user_code(raised_by(module.takes_all))


def test_an_error_of_this_package_below_a_users_code_keeps_its_traceback(
    module: ModuleType,
) -> None:
    assert not raised_by_user_code(raised_by(module.calls_this_package))


def test_an_error_of_this_package_or_of_a_library_keeps_its_traceback() -> None:
    error = raised_by(normalize_rows)  # type: ignore[arg-type]
    assert error.__traceback__ is not None
    assert not raised_by_user_code(error)
    assert user_message(error) is None
