"""MATLAB files are read as scipy reads them, and what crashes scipy is an InputError."""

from __future__ import annotations

import errno
import io
import resource
import signal
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from helpers.xlsa17 import cells, published_files, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from devise_exp.core.errors import InputError, user_message
from devise_exp.core.files import cache_dir
from devise_exp.data.xlsa17 import matlab
from devise_exp.data.xlsa17.matlab import read_arrays


def element(kind: int, content: bytes) -> bytes:
    """An element of a MATLAB file; up to four bytes stand within its tag, as MATLAB has them."""
    if 0 < len(content) <= 4:
        return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def array(name: str, kind: int, shape: tuple[int, int], content: bytes) -> bytes:
    flags, dimensions = struct.pack("<II", kind, 0), struct.pack("<ii", *shape)
    return element(
        14, element(6, flags) + element(5, dimensions) + element(1, name.encode()) + content
    )


def test_numbers_and_texts_as_matlab_stores_them(tmp_path: Path) -> None:
    """Unlike scipy, MATLAB writes doubles as small integers and texts of two bytes a letter."""
    words = ("antelope", "grizzly+bear", "ox", "na\u00efve")
    cell = [array("", 4, (1, len(w)), element(4, w.encode("utf-16-le"))) for w in words]
    stored = (
        array("n", 6, (3, 1), element(2, bytes([1, 50, 200]))),
        array("allclasses_names", 1, (4, 1), b"".join(cell)),
        array("x", 6, (2, 3), element(9, np.arange(6.0).tobytes())),
    )
    packed = [zlib.compress(content) for content in stored]
    file = tmp_path / "of_matlab.mat"
    file.write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124)
        + b"\0\1IM"
        + b"".join(struct.pack("<II", 15, len(content)) + content for content in packed)
    )
    arrays = read_arrays(
        file,
        numbers={"n": (None, 1), "x": (2, None)},
        texts=["allclasses_names"],
        shapes={"x": (2, None)},
    )
    assert arrays.numbers["n"].ravel().tolist() == [1, 50, 200]
    assert arrays.texts == {"allclasses_names": words}
    np.testing.assert_array_equal(arrays.numbers["x"], [[0, 2, 4], [1, 3, 5]])
    assert arrays.shapes == {"x": (2, 3)}
    assert np.array_equal(loadmat(file)["x"], arrays.numbers["x"])


@pytest.mark.parametrize("compressed", [False, True])
def test_the_values_are_those_of_scipy(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    stored = {
        "doubles": rng.random((5, 3)),
        "singles": rng.random((1, 4)).astype(np.float32),
        "bytes": rng.integers(0, 255, (2, 7), dtype=np.uint8),
        "whole": rng.integers(-9, 9, (3, 3), dtype=np.int32),
    }
    savemat(tmp_path / "a.mat", stored, do_compression=compressed)
    arrays = read_arrays(tmp_path / "a.mat", numbers=dict.fromkeys(stored, (None, None)))
    wanted = loadmat(tmp_path / "a.mat")
    for key, values in arrays.numbers.items():
        assert values.dtype == wanted[key].dtype == stored[key].dtype
        np.testing.assert_array_equal(values, wanted[key])


def test_a_file_that_crashes_scipy_is_damaged(tmp_path: Path) -> None:
    """A text of an unknown type ends the process of scipy's reader by a segmentation fault."""
    stored = io.BytesIO()
    savemat(stored, {"names": cells(["zebra", "a"])})
    tag = struct.pack("<HH", 16, 1) + b"a"  # type 16 is UTF-8
    assert stored.getvalue().count(tag) == 1
    file = tmp_path / "a.mat"
    file.write_bytes(stored.getvalue().replace(tag, struct.pack("<HH", 0x80, 1) + b"a"))
    with pytest.raises(InputError, match=r"a\.mat: damaged.*: get the published file again") as e:
        read_arrays(file, texts=["names"])
    assert "\n" not in str(e.value)


def test_a_claim_of_too_much_text_is_short_of_memory(tmp_path: Path) -> None:
    """scipy asks for 4 GiB before it looks for them."""
    text = array("", 4, (1, 3), struct.pack("<II", 4, (1 << 32) - 8))
    file = tmp_path / "a.mat"
    file.write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + array("names", 1, (1, 1), text)
    )
    with pytest.raises(
        InputError, match=r"a\.mat: needs more memory than there is: free some"
    ) as e:
        read_arrays(file, texts=["names"])
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "reading was stopped: free some memory, then start again"),
        (signal.SIGTERM, "reading was stopped: free some memory, then start again"),
        (signal.SIGABRT, "damaged: get the published file again"),
    ],
)
def test_a_reader_that_is_killed_is_not_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, message: str
) -> None:
    file, scipy = tmp_path / "a.mat", tmp_path / "scipy"
    savemat(file, {"a": np.zeros((2, 2))})
    scipy.mkdir()
    (scipy / "__init__.py").write_text(f"import os; os.kill(os.getpid(), {number.value})")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as caught:
        read_arrays(file, numbers={"a": (2, 2)})
    assert str(caught.value) == f"{file}: {message}"


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    file = tmp_path / "a.mat"
    savemat(file, {"a": np.zeros((300, 300))}, do_compression=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the child inherits it
    try:
        with pytest.raises(OSError, match=r"No space left|too large") as caught:
            read_arrays(file, numbers={"a": (300, 300)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    line = user_message(caught.value)
    assert line is not None
    assert line.startswith(f"{cache_dir()}: ")
    assert "free some space" in line
    assert not list(cache_dir().glob(".matlab*"))


@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_damage_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = write(Path(folder), *published_files())
        whole = (root / "AWA2" / "att_splits.mat").read_bytes()
        damaged = bytearray(whole)
        for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
            damaged[at] = data.draw(st.integers(0, 255))
        kept = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
        file = Path(folder) / "damaged.mat"
        file.write_bytes(damaged[:kept])
        with suppress(InputError):
            arrays = read_arrays(
                file, numbers={"test_unseen_loc": (None, 1)}, texts=["allclasses_names"]
            )
            assert len(arrays.texts["allclasses_names"]) > 0


def test_a_flipped_bit_of_a_packed_array_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.mat"
    savemat(file, {"a": np.random.default_rng(0).random((50, 50))}, do_compression=True)
    damaged = bytearray(file.read_bytes())
    damaged[-40] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.mat: damaged"):
        read_arrays(file, numbers={"a": (50, 50)})


def test_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "names.mat"
    savemat(file, {"names": cells(["four", "more"])})
    assert read_arrays(file, texts=["names"]).texts["names"] == ("four", "more")
    monkeypatch.setattr(matlab, "MAX_TEXT_BYTES", 7)
    with pytest.raises(InputError, match=r"names holds more than 7 bytes of text") as caught:
        read_arrays(file, texts=["names"])
    assert str(file) in str(caught.value)


def test_a_claim_of_too_many_numbers_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.mat"
    savemat(file, {"a": np.zeros((2048, 300))})
    monkeypatch.setattr(matlab, "MAX_NUMBERS", 2048 * 299)
    with pytest.raises(InputError, match=r"no more than 612,352 numbers"):
        read_arrays(file, shapes={"a": (2048, None)})
