"""Array files: what they hold is read, what they only claim is refused before memory is taken."""

from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.array_files import load_array, load_arrays

ARRAYS = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.asarray(2.5),
    "texts": np.array(["a", "éé"]),
    "none": np.empty((0, 3)),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
}


def claiming(shape: str, dtype: str = "<f4", content: bytes = b"1234") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


REASON = "no array|not what|larger than|compressed|[Hh]eader|magic|[Dd]escr|shape|[Ff]ailed"
LIES = [
    claiming("(50000000000, 1000)"), claiming("(2,)"), claiming("()", content=b"12345"),
    claiming("(-1,)"), claiming("(1000000000,)"), claiming("(100000000000000,)", "<U0", b""),
    claiming("(1,)", "|O"), claiming("(7,)", "|V0", b""),
    claiming("(1000000000000, 0)", content=b""),
    claiming("((((1,),),),)"), claiming("[1]"), claiming("(1,)", "nonsense"), b"", b"\x93NUMPY",
    b"\x93NUMPY\x09\x09junk", b"PK\x03\x04", np.array([1.0]).tobytes(),
]  # fmt: skip


def test_arrays_come_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", allow_pickle=False, **ARRAYS)
    for name, array in load_arrays(tmp_path / "all.npz").items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
        np.save(tmp_path / "one.npy", array)
        np.testing.assert_array_equal(load_array(tmp_path / "one.npy"), array, strict=True)
    assert list(load_arrays(tmp_path / "all.npz", ("scalar", "other"))) == ["scalar"]
    np.save(tmp_path / "one.npy", ARRAYS["numbers"])
    mapped = load_array(tmp_path / "one.npy", mapped=True)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, ARRAYS["numbers"])


@pytest.mark.parametrize("content", LIES)
def test_a_claim_is_refused_without_its_memory(tmp_path: Path, content: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=REASON):
        load_array(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match=REASON):
        load_arrays(tmp_path / "a.npz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


def test_an_archive_that_grows_as_it_is_read_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10**6))
    with pytest.raises(ValueError, match=REASON):
        load_arrays(tmp_path / "a.npz")
    stream = io.BytesIO()
    np.save(stream, np.zeros(10**6))
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", stream.getvalue())
        archive.writestr("b.npy", stream.getvalue())
    with pytest.raises(ValueError, match=REASON):
        load_arrays(tmp_path / "b.npz", ("b",))
