"""Files of a run folder: absent, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.runs import files


def test_json_and_arrays_come_back(tmp_path: Path) -> None:
    files.write_json(tmp_path, "a.json", {"é": [1, None]})
    assert files.read_json(tmp_path, "a.json", dict) == {"é": [1, None]}
    files.write_arrays(tmp_path, "deep/b.npz", {"x": np.arange(3), "y": np.eye(2)})
    arrays = files.read_arrays(tmp_path, "deep/b.npz", dict)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "x": [0, 1, 2], "y": [[1, 0], [0, 1]]
    }  # fmt: skip
    some = files.read_some_arrays(tmp_path, "deep/b.npz", ("x", "z"), lambda array: array[1:])
    assert {name: array.tolist() for name, array in some.items()} == {"x": [1, 2]}


def test_an_editor_may_have_put_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"x": 1}')
    assert files.read_json(tmp_path, "a.json", dict) == {"x": 1}
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,k\r\nokapi,1\r\n")
    assert files.read_rows(tmp_path, "a.csv") == [{"name": "okapi", "k": "1"}]


def test_what_may_be_absent_is_none_or_empty(tmp_path: Path) -> None:
    assert files.read_rows(tmp_path, "a.csv") == []
    assert files.read_some_arrays(tmp_path, "b.npz", (), np.asarray) == {}
    files.write_arrays(tmp_path, "b.npz", {"x": np.arange(3)})
    assert files.read_some_arrays(tmp_path, "b.npz", ("y",), np.asarray) == {}


def test_a_folder_that_is_not_there_is_no_run_to_train_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder: give a run folder"):
        files.read_json(tmp_path / "nowhere", "a", dict)


@pytest.mark.parametrize("read", [files.read_json, files.read_arrays])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\3\4 cut short", b"[" * 100_000])
def test_a_damaged_file_is_one_line(
    tmp_path: Path, read: Callable[[Path, str, Callable[[Any], Any]], Any], content: bytes
) -> None:
    with pytest.raises(InputError, match=r"not a run folder \(no config.yaml\)"):
        read(tmp_path, "a", dict)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="lacks a: train the run again"):
        read(tmp_path, "a", dict)
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match="a: damaged: train the run again"):
        read(tmp_path, "a", dict)
