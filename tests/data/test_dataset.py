from __future__ import annotations

import os
import pickle
import shutil
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, subset
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageArrays, ImageFiles, images_fingerprint, open_image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (24, 16), mode: str = "RGB") -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).convert(mode).save(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for seed, name in enumerate(("okapi/a.jpg", "okapi/b.jpg", "emu/a.png", "emu/deep/er/c.jpg")):
        picture(root / name, seed, (200, 150))
    return root


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_class_is_a_first_level_folder_and_rows_are_sorted_relative_names(tree: Path) -> None:
    dataset = image_folder(tree)
    assert dataset.classes == ("emu", "okapi")
    assert dataset.rows == ("emu/a.png", "emu/deep/er/c.jpg", "okapi/a.jpg", "okapi/b.jpg")
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.skipped == ()
    assert dataset.images is not None
    assert [image.size for image in dataset.images] == [(200, 150)] * 4


def test_hidden_and_clearly_other_files_are_ignored_silently(tree: Path) -> None:
    clean = image_folder(tree)
    for name in ("okapi/.DS_Store", "okapi/Thumbs.db", "okapi/notes.TXT", "emu/boxes.mat", "x.csv"):
        (tree / name).write_bytes(b"no picture")
    picture(tree / ".cache" / "old.png")
    picture(tree / "okapi" / ".trash" / "old.png")
    again = image_folder(tree)
    assert (again.rows, again.skipped) == (clean.rows, ())
    assert again.fingerprint == clean.fingerprint


def test_every_format_opens_whatever_its_suffix(tmp_path: Path) -> None:
    root = tmp_path / "formats" / "thing"
    for suffix in ("png", "jpg", "gif", "bmp", "webp", "tiff", "ppm", "ico"):
        picture(root / f"as.{suffix}")
    picture(root / "palette.png", mode="P")
    picture(root / "grey.jpg", mode="L")
    picture(root / "cmyk.jpg", mode="CMYK")
    picture(root / "bits.png", mode="1")
    picture(root / "layered.png", mode="RGBA")
    picture(root / "float.tiff", mode="F")
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


@pytest.mark.parametrize(
    ("name", "reason", "harm"),
    [
        ("okapi/cut.jpg", "damaged", lambda path: truncate(picture(path, 7, (200, 150)))),
        ("okapi/cut.png", "damaged", lambda path: truncate(picture(path, 7, (200, 150)))),
        ("okapi/text.jpg", "not an image", lambda path: path.write_text("an okapi")),
        ("okapi/empty.jpg", "not an image", lambda path: path.touch()),
        ("okapi/bomb.png", "too large", bomb),
        ("okapi/half bomb.png", "too large", lambda p: picture_of(p, (10_000, 9_000))),
        ("okapi/nowhere.jpg", "cannot be read", lambda path: path.symlink_to("gone.jpg")),
        ("okapi/pipe.jpg", "cannot be read", os.mkfifo),
    ],
)
def test_a_broken_picture_is_named_and_skipped(tree: Path, name: str, reason: str, harm) -> None:
    whole = image_folder(tree)
    harm(tree / name)
    dataset = image_folder(tree)
    assert dataset.rows == whole.rows
    assert dataset.fingerprint == whole.fingerprint
    assert len(dataset.skipped) == 1
    assert dataset.skipped[0].startswith(f"{name}: {reason}")
    assert "0x" not in dataset.skipped[0]
    with pytest.raises(InputError, match=rf"1 of 5 images are broken \({name}: {reason}"):
        image_folder(tree, strict=True)


def picture_of(path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(path)


def test_classes_without_good_pictures_are_left_out_and_named(tree: Path) -> None:
    (tree / "unicorn").mkdir()
    (tree / "yeti").mkdir()
    (tree / "yeti" / "blurred.jpg").write_text("it was here")
    dataset = image_folder(tree)
    assert dataset.classes == ("emu", "okapi")
    assert [note.split(":")[0] for note in dataset.skipped] == [
        "unicorn",
        "yeti/blurred.jpg",
        "yeti",
    ]


def test_names_in_any_script_and_unicode_form_give_one_row_name(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Großer Käfer/été n° 1.png")
        picture(tmp_path / form / name)
        picture(tmp_path / form / "猫" / "写真 (2).jpg")
    composed, decomposed = image_folder(tmp_path / "NFC"), image_folder(tmp_path / "NFD")
    assert composed.rows == ("Großer Käfer/été n° 1.png", "猫/写真 (2).jpg")
    assert decomposed.rows == composed.rows
    assert decomposed.fingerprint == composed.fingerprint
    picture(tmp_path / "NFC" / unicodedata.normalize("NFD", "Großer Käfer/été n° 1.png"), seed=5)
    both = image_folder(tmp_path / "NFC")
    assert len(both.rows) == 2
    assert both.skipped == ("Großer Käfer/été n° 1.png: a second file of this name",)


def test_a_name_that_is_not_utf8_is_escaped(tree: Path) -> None:
    shutil.copy(tree / "emu/a.png", os.fsencode(tree) + b"/emu/caf\xe9.png")
    dataset = image_folder(tree)
    assert "emu/caf\\udce9.png" in dataset.rows
    assert dataset.images is not None
    assert dataset.images[dataset.rows.index("emu/caf\\udce9.png")].size == (200, 150)


def test_symlinks_are_followed_and_a_loop_ends(tree: Path, tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "d.png", 9)
    (tree / "kiwi").symlink_to(tmp_path / "elsewhere")
    (tree / "okapi" / "c.jpg").symlink_to(tree / "okapi" / "a.jpg")
    (tree / "okapi" / "more").symlink_to(tmp_path / "elsewhere")
    (tree / "okapi" / "loop").symlink_to(tree / "okapi")
    dataset = image_folder(tree)
    rows = dataset.rows
    assert dataset.skipped == ()
    assert "kiwi/d.png" in rows
    assert [row for row in rows if row.startswith("okapi")] == [
        "okapi/a.jpg",
        "okapi/b.jpg",
        "okapi/c.jpg",
        "okapi/more/d.png",
    ]


def test_wrong_roots_say_what_to_do(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist: set data\.root"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is a file: set data\.root"):
        image_folder(tree / "okapi" / "a.jpg")
    with pytest.raises(InputError, match=r"images lie directly in it \(such as a\.jpg\): move"):
        image_folder(tree / "okapi")
    (tmp_path / "empty" / "okapi").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no images: expected .*<class>"):
        image_folder(tmp_path / "empty")
    shutil.copytree(tree, tmp_path / "parts" / "train")
    shutil.copytree(tree, tmp_path / "parts" / "val")
    with pytest.raises(InputError, match=r"holds splits \(train, val\), not classes"):
        image_folder(tmp_path / "parts")
    (tmp_path / "bad" / "okapi").mkdir(parents=True)
    (tmp_path / "bad" / "okapi" / "a.jpg").write_text("?")
    with pytest.raises(InputError, match="none of the 1 files is a good image"):
        image_folder(tmp_path / "bad")


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


def in_memory(labels: list[int], classes: int) -> ImageDataset:
    names = tuple(f"class{index:02d}" for index in range(classes))
    rows = tuple(f"{names[label]}/{index:03d}" for index, label in enumerate(labels))
    contents = [(row, row.encode()) for row in rows]
    pixels = np.arange(len(rows), dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), dtype=np.uint8
    )
    return ImageDataset(
        name="made",
        classes=names,
        labels=np.array(labels, dtype=np.int64),
        rows=rows,
        fingerprint=images_fingerprint(contents),
        images=ImageArrays(pixels),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 8),
)
def test_filtered_agrees_with_a_row_by_row_count(
    labels: list[int], minimum: int | None, limit: int | None
) -> None:
    dataset = in_memory(labels, 5)
    wanted = []
    for index, row in enumerate(dataset.rows):
        of_class = [i for i in range(len(labels)) if labels[i] == labels[index]]
        if len(of_class) >= (minimum or 1) and of_class.index(index) < (limit or 1000):
            wanted.append(row)
    if not wanted:
        with pytest.raises(InputError, match=r"lower subset\.min_images"):
            subset(dataset, minimum, limit)
        return
    kept = subset(dataset, minimum, limit)
    assert list(kept.rows) == wanted
    assert [kept.classes[label] for label in kept.labels] == [row.split("/")[0] for row in wanted]
    assert kept.images is not None
    assert [np.asarray(image)[0, 0, 0] for image in kept.images] == [
        int(row.split("/")[1]) for row in wanted
    ]
    assert (kept.fingerprint == dataset.fingerprint) == (len(wanted) == len(labels))
    if minimum is not None:
        assert set(kept.classes) == {row.split("/")[0] for row in wanted}
        assert len(kept.skipped) == 5 - len(kept.classes)


def test_filtered_takes_the_first_by_name_and_refuses_zero(tree: Path) -> None:
    dataset = image_folder(tree)
    assert subset(dataset, limit_per_class=1).rows == ("emu/a.png", "okapi/a.jpg")
    fewer, all_rows = subset(dataset, limit_per_class=1), subset(dataset, min_images=2)
    assert fewer.fingerprint != dataset.fingerprint == all_rows.fingerprint
    picture(tree / "okapi/a.jpg", seed=77)
    assert subset(image_folder(tree), limit_per_class=1).fingerprint != fewer.fingerprint
    with pytest.raises(InputError, match="limit_per_class=0"):
        subset(dataset, limit_per_class=0)


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


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"classes": ("b", "a")}, "sorted"),
        ({"classes": ()}, "one or more"),
        ({"labels": np.array([0, 2])}, "outside the 2 classes"),
        ({"labels": np.array([0])}, "one for each"),
        ({"labels": np.array([0.0, 1.0])}, "int64"),
        ({"rows": ("a/1", "a/1")}, "not unique"),
        ({"images": []}, "0 images for 2 rows"),
    ],
)
def test_a_dataset_that_does_not_fit_together_is_refused(change: dict, wrong: str) -> None:
    fields = {
        "name": "x",
        "classes": ("a", "b"),
        "labels": np.array([0, 1]),
        "rows": ("a/1", "b/1"),
        "fingerprint": "f",
        "images": None,
    }
    ImageDataset(**fields)
    with pytest.raises(ValueError, match=wrong):
        ImageDataset(**(fields | change))


def test_reading_leaves_nothing_beside_the_pictures(tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    image_folder(tree)
    assert sorted(tree.rglob("*")) == before


def test_two_folders_with_equal_names_sizes_and_times_are_two_datasets(tmp_path: Path) -> None:
    """Archives may set one time for all, and uncompressed pictures of one shape have one size."""
    for name, colour in (("one", "red"), ("two", "blue")):
        place = tmp_path / name / "cat" / "1.bmp"
        place.parent.mkdir(parents=True)
        Image.new("RGB", (9, 9), colour).save(place)
        os.utime(place, (1, 1))
    one, two = (image_folder(tmp_path / name) for name in ("one", "two"))
    assert one.fingerprint != two.fingerprint


def test_a_link_back_to_the_root_does_not_bring_other_classes_in(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        place = tmp_path / name / "1.png"
        place.parent.mkdir()
        Image.new("RGB", (9, 9)).save(place)
    (tmp_path / "dog" / "loop").symlink_to(tmp_path)
    assert image_folder(tmp_path).rows == ("cat/1.png", "dog/1.png")


def test_any_picture_file_is_opened_as_the_dataset_has_it(tree: Path) -> None:
    picture(tree / "okapi" / "layered.png", mode="RGBA")
    dataset = image_folder(tree)
    assert dataset.images is not None
    for row, image in zip(dataset.rows, dataset.images, strict=True):
        for source in (tree / row, (tree / row).read_bytes()):
            assert open_image(source).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"text"), "not an image that Pillow can open"),
        (lambda path: truncate(picture(path, 7, (200, 150))), "damaged"),
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
    path = picture(tmp_path / "a.png")
    monkeypatch.setattr("devise_exp.data.images.LARGEST_FILE", 100)
    for source in (path, path.read_bytes()):
        with pytest.raises(InputError, match=r"too large: .* bytes"):
            open_image(source)
