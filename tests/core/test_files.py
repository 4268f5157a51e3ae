"""Storage: nothing half-written, one writer at a time, one place for what can be made again."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from devise_exp.core.errors import user_message
from devise_exp.core.files import (
    atomic_path,
    cache_dir,
    checksum,
    file_lock,
    fingerprint,
    write_text,
)

HOLD = """
import sys
from pathlib import Path
from devise_exp.core.files import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    Path(sys.argv[1]).write_text("finished")
"""


def content(path: Path) -> object:
    """What stands at `path`: text, a folder's names and texts, or None."""
    if path.is_dir():
        return {child.name: child.read_text() for child in path.iterdir()}
    return path.read_text() if path.exists() else None


def make(path: Path, kind: str, text: str) -> None:
    if kind == "file":
        path.write_text(text)
    elif kind == "folder":
        path.mkdir()
        (path / text).write_text(text)


@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
@pytest.mark.parametrize("after", ["file", "folder"])
def test_the_new_replaces_whatever_stood_there(before: str, after: str, tmp_path: Path) -> None:
    path, wanted = tmp_path / "deep" / "entry", tmp_path / "wanted"
    path.parent.mkdir()
    make(path, before, "old")
    old = content(path)
    make(wanted, after, "new")
    with atomic_path(path) as temporary:
        make(temporary, after, "new")
        assert content(path) == old
    assert content(path) == content(wanted)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_and_no_trace(
    before: str, error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "entry"
    make(path, before, "old")
    old = content(path)

    def fail_half_way() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail_half_way()
    assert content(path) == old
    assert list(tmp_path.iterdir()) == ([] if before == "nothing" else [path])


def test_folders_above_are_made_and_the_place_is_beside_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.npy"
    with atomic_path(path) as temporary:
        assert temporary.name == "file.npy"
        assert temporary.is_relative_to(path.parent)
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_link_is_replaced_and_what_it_named_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    make(target, "folder", "kept")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        temporary.symlink_to(tmp_path)
    assert link.readlink() == tmp_path
    with atomic_path(link) as temporary:
        make(temporary, "folder", "new")
    assert content(link) == {"new": "new"}
    assert not link.is_symlink()
    assert content(target) == {"kept": "kept"}


def test_who_comes_later_waits_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "entry"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with file_lock(tmp_path / "another"):  # only the same path excludes
            assert not path.exists()
        other.stdin.write("go on\n")
        other.stdin.flush()
        with file_lock(path):
            assert path.read_text() == "finished"


def test_a_failure_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "entry"
    with pytest.raises(RuntimeError), file_lock(path):
        raise RuntimeError
    with file_lock(path):
        pass
    assert not path.exists()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVISE_CACHE", "/somewhere/else")
    assert cache_dir() == Path("/somewhere/else")
    monkeypatch.setenv("DEVISE_CACHE", "~/vectors")
    assert cache_dir() == Path.home() / "vectors"
    for unset in ("", None):
        monkeypatch.delenv("DEVISE_CACHE", raising=False)
        if unset is not None:
            monkeypatch.setenv("DEVISE_CACHE", unset)
        assert cache_dir() == user_cache_path("devise-exp")


def test_a_fingerprint_is_blake2b_of_the_joined_parts() -> None:
    pieces = ("okapi", b"\0\xff", "na\u00efve")
    joined = b"okapi\0\xff" + "na\u00efve".encode()
    wanted = hashlib.blake2b(joined, digest_size=16).hexdigest()
    assert fingerprint(*pieces) == wanted
    assert fingerprint(iter(pieces)) == wanted
    assert fingerprint("okapi", [b"\0", b"\xff"], "na\u00efve") == wanted
    assert fingerprint(size=8) == hashlib.blake2b(digest_size=8).hexdigest()
    assert fingerprint("okapi") == "eec767cabda8d278ff604e6ce61e619b"


def test_a_checksum_is_the_fingerprint_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"okapi")
    assert checksum(tmp_path / "file") == fingerprint("okapi")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("100 requested and 7 written"),  # numpy's
        RuntimeError("inline_container.cc:672: unexpected pos 64 vs 0"),  # torch's
    ],
)
def test_a_full_disk_is_told_with_the_file(error: Exception, tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    path.write_text("as before")
    with pytest.raises(OSError, match=re.escape(str(path))) as raised, atomic_path(path):
        raise error
    assert user_message(raised.value) == (
        f"{path}: No space left on device: free some space, or set DEVISE_CACHE or hydra.run.dir "
        "to another disk"
    )
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "as before"


def test_another_error_while_a_file_is_written_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^odd$"), atomic_path(tmp_path / "rows.npy"):
        raise RuntimeError("odd")
    assert not [*tmp_path.iterdir()]


def test_ctrl_c_while_the_temporary_folder_is_removed_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, calls = shutil.rmtree, []

    def interrupted(*args: object, **kwargs: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(*args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.txt", "whole")
    assert [*tmp_path.iterdir()] == [tmp_path / "a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"
