"""Errors become the one line that a user should read."""

from __future__ import annotations

import errno
import os
import re

import pytest
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError, user_message


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "change the permissions"),
        (errno.EROFS, "another folder"),
        (errno.ENOTDIR, "check the path"),
    ],
)
def test_what_the_system_refuses_comes_with_advice(number: int, advice: str) -> None:
    line = user_message(OSError(number, os.strerror(number), "some/file"))
    assert line is not None
    assert line.startswith(f"some/file: {os.strerror(number)}: ")
    assert advice in line


def test_an_input_error_is_always_one_line() -> None:
    assert user_message(InputError("two\n  lines")) == "two lines"
    assert user_message(ValueError("a bug")) is None


def test_a_missing_value_deep_in_a_config() -> None:
    with pytest.raises(Exception, match="Missing") as caught:
        OmegaConf.create({"a": {"b": "???"}}).a.b  # noqa: B018
    line = user_message(caught.value)
    assert line is not None
    assert re.search(r"^a\.b is needed", line)


def test_a_key_that_was_taken_out_of_a_config() -> None:
    config = OmegaConf.create({"a": {"b": 1}})
    OmegaConf.set_struct(config, True)
    with pytest.raises(Exception, match="key") as caught:
        config.a.c  # noqa: B018
    with pytest.raises(Exception, match="Missing key") as whole:
        OmegaConf.create({"a": {"b": 1}}).a["c"]
    assert "c" in str(user_message(caught.value))
    assert str(user_message(whole.value)).startswith("a.c is missing: ")
