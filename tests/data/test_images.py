"""Images open as upright RGB, and a scan finds the broken ones once."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.images import noise_image, truncate
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageArrays, ImageFiles, images_fingerprint, open_image


def test_every_format_opens_whatever_its_suffix(tmp_path: Path) -> None:
    root = tmp_path / "formats" / "thing"
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "tiff", "ppm", "ico"):
        noise_image(root / f"as.{suffix}")
    noise_image(root / "palette.png", mode="P")
    noise_image(root / "grey.jpg", mode="L")
    noise_image(root / "cmyk.jpg", mode="CMYK")
    noise_image(root / "bits.png", mode="1")
    noise_image(root / "layered.png", mode="RGBA")
    noise_image(root / "float.tiff", mode="F")
    (root / "jpeg without a suffix").write_bytes((root / "as.jpg").read_bytes())
    (root / "really a gif.jpg").write_bytes((root / "as.gif").read_bytes())
    dataset = image_folder(root.parent, strict=True)
    assert dataset.images is not None
    assert len(dataset.rows) == 16
    for row, image in zip(dataset.rows, dataset.images, strict=True):
        assert image.mode == "RGB", row
        assert row.endswith("ico") or image.size == (24, 16), row


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 257, 200 * 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(ImageFiles([str(tmp_path / "deep.png")])[0])[0, :, 1].tolist() == [
        0,
        1,
        200,
        255,
    ]


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[9, 8, 7, 255], [9, 8, 7, 0]]], dtype=np.uint8)).save(
        tmp_path / "layered.png"
    )
    flat = Image.new("P", (2, 1), 1)
    flat.putpalette([255, 0, 0, 9, 8, 7])
    flat.putpixel((1, 0), 0)
    flat.save(tmp_path / "palette.png", transparency=0)
    for name in ("layered.png", "palette.png"):
        opened = np.asarray(ImageFiles([str(tmp_path / name)])[0])
        assert opened.tolist() == [[[9, 8, 7], [255, 255, 255]]]


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be seen upright
    left_white = np.zeros((16, 32, 3), dtype=np.uint8)
    left_white[:, :16] = 255
    Image.fromarray(left_white).save(tmp_path / "turned.jpg", exif=exif)
    upright = np.asarray(ImageFiles([str(tmp_path / "turned.jpg")])[0])
    assert upright.shape == (32, 16, 3)
    assert upright[:12].min() > 200
    assert upright[20:].max() < 50


def bomb(path: Path) -> None:
    """A PNG of a few hundred bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


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


def test_a_damaged_memo_is_made_again(tree: Path, cache: Path) -> None:
    first = image_folder(tree)
    (memo,) = cache.glob("scans/*.json")
    memo.write_text('{"fingerprint": ')
    assert image_folder(tree).fingerprint == first.fingerprint


def test_an_unreadable_picture_is_not_remembered_as_such(tree: Path, cache: Path) -> None:
    (tree / "okapi" / "c.jpg").symlink_to("gone.jpg")
    assert image_folder(tree).skipped[0].startswith("okapi/c.jpg: cannot be read")
    assert not list(cache.glob("scans/*.json"))


def test_pictures_pickle_slice_and_say_when_one_has_gone(tree: Path) -> None:
    images = image_folder(tree).images
    assert isinstance(images, ImageFiles)
    copy = pickle.loads(pickle.dumps(images))
    assert np.array_equal(np.asarray(copy[-1]), np.asarray(images[3]))
    assert [len(images[1:]), len(images.take([0, 2]))] == [3, 2]
    assert images.take([2])[0].tobytes() == images[2].tobytes()
    with pytest.raises(IndexError):
        images[4]
    (tree / "emu/a.png").unlink()
    with pytest.raises(InputError, match=r"emu/a\.png: .*restore it"):
        images[0]


def test_arrays_are_a_sequence_of_pictures() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    images = ImageArrays(pixels)
    assert [image.size for image in images] == [(6, 8)] * 5
    assert np.array_equal(np.asarray(images.take([4, 1])[1]), pixels[1])
    assert np.array_equal(np.asarray(images[2:][0]), pixels[2])
    with pytest.raises(ValueError, match="shape"):
        ImageArrays(pixels[0])


@settings(max_examples=40, deadline=None)
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
    """Archives may set one time for all, and uncompressed pictures of one shape have one size."""
    for name, colour in (("one", "red"), ("two", "blue")):
        place = tmp_path / name / "cat" / "1.bmp"
        place.parent.mkdir(parents=True)
        Image.new("RGB", (9, 9), colour).save(place)
        os.utime(place, (1, 1))
    one, two = (image_folder(tmp_path / name) for name in ("one", "two"))
    assert one.fingerprint != two.fingerprint


def test_any_picture_file_is_opened_as_the_dataset_has_it(tree: Path) -> None:
    noise_image(tree / "okapi" / "layered.png", mode="RGBA")
    dataset = image_folder(tree)
    assert dataset.images is not None
    for row, image in zip(dataset.rows, dataset.images, strict=True):
        for source in (tree / row, (tree / row).read_bytes()):
            assert open_image(source).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"text"), "not an image that Pillow can open"),
        (lambda path: truncate(noise_image(path, 7, (200, 150))), "damaged"),
        (bomb, "too large: over"),
        (lambda path: path.mkdir(), "cannot be read: not a file"),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: os.mkfifo(path), "cannot be read: not a file"),
    ],
)
def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "it.jpg"
    make(path)
    with pytest.raises(InputError) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"^what was sent: "):
        open_image(path.read_bytes() if path.is_file() else b"", name="what was sent")


def test_a_file_larger_than_allowed_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = noise_image(tmp_path / "a.png")
    monkeypatch.setattr("devise_exp.data.images.LARGEST_FILE", 100)
    for source in (path, path.read_bytes()):
        with pytest.raises(InputError, match=r"too large: .* bytes"):
            open_image(source)
