"""Images open as upright RGB; what cannot be used is one line."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from helpers.images import bomb, noise_image, truncate
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import decode, open_image
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageFiles


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


def test_exif_orientation_turns_the_image_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise to be seen upright
    left_white = np.zeros((16, 32, 3), dtype=np.uint8)
    left_white[:, :16] = 255
    Image.fromarray(left_white).save(tmp_path / "turned.jpg", exif=exif)
    upright = np.asarray(ImageFiles([str(tmp_path / "turned.jpg")])[0])
    assert upright.shape == (32, 16, 3)
    assert upright[:12].min() > 200
    assert upright[20:].max() < 50


def test_any_image_file_is_opened_as_the_dataset_has_it(tree: Path) -> None:
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
        (bomb, "too large: over 268,435,456 pixels (data.max_pixels=268435456)"),
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
    monkeypatch.setattr("devise_exp.data.decoding.LARGEST_FILE", 100)
    for source in (path, path.read_bytes()):
        with pytest.raises(InputError, match=r"too large: .* bytes"):
            open_image(source)


def test_threads_that_overlap_refuse_bombs_and_leave_the_warnings_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second image is looked at when the first has been opened meanwhile."""
    names = ("first", "second")
    reached, go_on = ({name: threading.Event() for name in names} for _ in range(2))

    def held(stream: IO[bytes], path: str | bytes) -> Image.Image:
        name = stream.read().decode()
        reached[name].set()
        assert go_on[name].wait(60)
        return Image.new("L", (20, 40) if name == "second" else (2, 2))

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    monkeypatch.setattr(Image, "ID", [*Image.ID, "HELD"])
    monkeypatch.setitem(Image.OPEN, "HELD", (held, lambda prefix: prefix.startswith((b"f", b"s"))))
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("default")
        filters = [*warnings.filters]
        opened: list[Future[Image.Image | str]] = []
        for name in names:
            opened.append(pool.submit(decode, name.encode(), max_pixels=300))
            assert reached[name].wait(60)
        go_on["first"].set()
        small = opened[0].result()
        assert isinstance(small, Image.Image)
        assert small.size == (2, 2)
        go_on["second"].set()
        assert opened[1].result() == "too large: over 300 pixels (data.max_pixels=300)"
        assert [*warnings.filters] == filters
        assert Image.MAX_IMAGE_PIXELS == 300
