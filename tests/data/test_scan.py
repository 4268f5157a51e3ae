"""A scan finds the broken images once, and its fingerprint knows names and contents."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.data.folders import image_folder
from devise_exp.data.scan import images_fingerprint


def test_the_fingerprint_is_of_names_and_contents_only(tree: Path, tmp_path: Path) -> None:
    first = image_folder(tree).fingerprint
    moved = tree.rename(tmp_path / "moved")
    for path in moved.rglob("*.*"):
        os.utime(path, (1, 1))
    assert image_folder(moved).fingerprint == first
    renamed = (moved / "okapi/b.jpg").rename(moved / "okapi/z.jpg")
    assert image_folder(moved).fingerprint != first
    renamed.rename(moved / "okapi/b.jpg")
    assert image_folder(moved).fingerprint == first
    with (moved / "okapi/b.jpg").open("ab") as file:
        file.write(b"\0")
    assert image_folder(moved).fingerprint != first


def test_a_second_scan_asks_only_for_sizes_and_times(tree: Path) -> None:
    before = image_folder(tree)
    victim = tree / "okapi/b.jpg"
    status = victim.stat()
    victim.write_bytes(bytes(status.st_size))
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image_folder(tree).fingerprint == before.fingerprint  # not read again
    os.utime(victim)
    after = image_folder(tree)
    assert after.fingerprint != before.fingerprint
    assert after.skipped[0].startswith("okapi/b.jpg: not an image")
    assert image_folder(tree).skipped == after.skipped  # remembered, too


def test_every_good_row_has_the_hash_of_its_file(tree: Path) -> None:
    """The same for copies under any name, and remembered."""
    (tree / "okapi/b (1).jpg").write_bytes((tree / "okapi/b.jpg").read_bytes())
    (tree / "emu/broken.jpg").write_bytes(b"no image")
    for _ in range(2):
        dataset = image_folder(tree)
        assert dataset.contents is not None
        content = dict(zip(dataset.rows, dataset.contents, strict=True))
        assert len(content) == len(dataset.rows)
        assert content["okapi/b (1).jpg"] == content["okapi/b.jpg"]
        assert len(set(content.values())) == len(content) - 1


def test_a_damaged_memo_is_made_again(tree: Path, cache: Path) -> None:
    first = image_folder(tree)
    (memo,) = cache.glob("scans/*.json")
    memo.write_text('{"fingerprint": ')
    assert image_folder(tree).fingerprint == first.fingerprint


def test_an_unreadable_image_is_not_remembered_as_such(tree: Path, cache: Path) -> None:
    (tree / "okapi" / "c.jpg").symlink_to("gone.jpg")
    assert image_folder(tree).skipped[0].startswith("okapi/c.jpg: cannot be read")
    assert not list(cache.glob("scans/*.json"))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_fingerprint_knows_any_change_and_no_order(data: st.DataObject) -> None:
    contents = data.draw(st.dictionaries(st.text(min_size=1), st.binary(), min_size=1))
    contents = {row.replace("\0", "_").encode("utf-8", "replace").decode(): content
                for row, content in contents.items()}  # fmt: skip
    pairs = list(contents.items())
    assert images_fingerprint(data.draw(st.permutations(pairs))) == images_fingerprint(pairs)
    row = data.draw(st.sampled_from(sorted(contents)))
    assert images_fingerprint(
        (contents | {row: contents[row] + b"x"}).items()
    ) != images_fingerprint(pairs)
    assert images_fingerprint(pair for pair in pairs if pair[0] != row) != images_fingerprint(pairs)


def test_two_folders_with_equal_names_sizes_and_times_are_two_datasets(tmp_path: Path) -> None:
    """Archives may set one time for all, and uncompressed images of one shape have one size."""
    for name, colour in (("one", "red"), ("two", "blue")):
        file = tmp_path / name / "cat" / "1.bmp"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (9, 9), colour).save(file)
        os.utime(file, (1, 1))
    one, two = (image_folder(tmp_path / name) for name in ("one", "two"))
    assert one.fingerprint != two.fingerprint
