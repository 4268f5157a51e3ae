"""Every mode of an image becomes RGB by what its numbers mean."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.images import png, png_chunk
from PIL import Image, ImageCms

from devise_exp.data import rgb
from devise_exp.data.decoding import decode, open_image


def seen(path: Path | bytes) -> np.ndarray:
    """The pixels (height, width, 3) as a run sees them."""
    return np.asarray(open_image(path))


def grey16(values: list[int], extra: bytes = b"") -> bytes:
    return png((len(values), 1), 16, 0, b"\0" + np.array(values, ">u2").tobytes(), extra)


@pytest.mark.parametrize(
    ("bits", "values"),
    [(8, [0, 7, 255]), (10, [0, 512, 1023]), (12, [0, 300, 4095]), (14, [0, 5000, 16383]),
     (16, [0, 30000, 65535]), (16, [0, 9, 40000])],
)  # fmt: skip
def test_grey_of_16_bits_is_scaled_by_the_bits_that_it_uses(bits: int, values: list[int]) -> None:
    expected = [round(value * 255 / (2**bits - 1)) for value in values]
    assert seen(grey16(values))[0, :, 0].tolist() == expected
    stream = io.BytesIO()
    Image.fromarray(np.array([values], dtype=np.uint16)).save(stream, "TIFF")
    assert seen(stream.getvalue())[0, :, 1].tolist() == expected


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("top", [200, 4095, 16383])
def test_colours_of_16_bits_are_scaled_by_the_bits_that_they_use(top: int, alpha: bool) -> None:
    values = np.random.default_rng(0).integers(0, top + 1, (5, 7, 3 + alpha)).astype(np.uint16)
    values[0, 0] = top
    if alpha:
        values[..., 3] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    expected = (values[..., :3] * (255 / top)).round()
    content = png((7, 5), 16, 6 if alpha else 2, rows)
    if top != 200:
        assert seen(content).tolist() == expected.tolist()
    else:
        assert seen(content).tolist() == values[..., :3].tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_12_bits_in_a_tiff_are_scaled(order: str) -> None:
    values = np.arange(36).reshape(3, 4, 3) * 117
    pixels = values.astype(f"{order}u2").tobytes()
    entries = [(256, 3, 1, 4), (257, 3, 1, 3), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 1, 140), (277, 3, 1, 3), (278, 3, 1, 3), (279, 4, 1, len(pixels)),
               (284, 3, 1, 1)]  # fmt: skip
    ifd = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        numbers = (value, 0) if short else (value,)
        ifd += struct.pack(f"{order}HHI{'HH' if short else 'I'}", tag, kind, count, *numbers)
    start = b"II*\0" if order == "<" else b"MM\0*"
    content = start + struct.pack(f"{order}I", 8) + ifd + bytes(4)
    content += struct.pack(f"{order}3H", 16, 16, 16)
    assert len(content) == 140
    assert seen(content + pixels).tolist() == (values * (255 / 4095)).round().tolist()


def test_bright_colours_of_16_bits_keep_the_bits_that_pillow_gives() -> None:
    values = np.random.default_rng(1).integers(0, 65536, (4, 6, 3)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    assert seen(png((6, 4), 16, 2, rows)).tolist() == (values >> 8).tolist()


def test_a_transparent_grey_of_16_bits_is_white() -> None:
    transparent = png_chunk(b"tRNS", struct.pack(">H", 100))
    assert seen(grey16([0, 100, 4095], transparent))[0, :, 2].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0, 8, 255], np.int32, [0, 8, 255]),
        ([0, 2048, 4095], np.int32, [0, 128, 255]),
        ([0, 2**31 - 1, 2**30], np.int32, [0, 127, 64]),
        ([-1000, 1000, 3000], np.int32, [0, 127, 255]),
        ([-5, -5, -5], np.int32, [0, 0, 0]),
        ([0.25, 0.5, 0.75], np.float32, [0, 127, 255]),
        ([1.0, float("nan"), 3.0], np.float32, [0, 0, 255]),
        ([float("-inf"), 2.0, float("inf")], np.float32, [0, 0, 0]),
        ([1.0, 2.0, float("inf")], np.float32, [0, 255, 255]),
        ([float("nan")] * 3, np.float32, [0, 0, 0]),
    ],
)
def test_numbers_of_32_bits(values: list[float], kind: type, expected: list[int]) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([values], dtype=kind)).save(stream, "TIFF")
    assert seen(stream.getvalue())[0, :, 0].tolist() == expected


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


RED = Image.new("RGB", (8, 8), (200, 30, 30))


def lab() -> Image.Image:
    to_lab = ImageCms.createProfile("LAB")
    red = ImageCms.profileToProfile(RED, ImageCms.createProfile("sRGB"), to_lab, outputMode="LAB")
    assert red is not None
    return red


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(saved(RED.convert("CMYK"), "JPEG", quality=95), 6, id="CMYK JPEG"),
        pytest.param(saved(RED.convert("CMYK"), "TIFF"), 0, id="CMYK TIFF"),
        pytest.param(saved(lab(), "TIFF"), 3, id="Lab TIFF"),
        pytest.param(saved(RED.quantize(4), "GIF"), 0, id="GIF"),
        pytest.param(
            saved(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
            0,
            id="animated GIF",
        ),
        pytest.param(
            saved(RED, "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
            6,
            id="animated WebP",
        ),
        pytest.param(
            saved(RED, "PNG", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
            0,
            id="APNG",
        ),
        pytest.param(
            saved(RED, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]), 6, id="MPO"
        ),
        pytest.param(
            saved(RED, "TIFF", save_all=True, append_images=[Image.new("RGB", (4, 4))]),
            0,
            id="TIFF of two pages",
        ),
        pytest.param(saved(RED, "PNG") + b"\r\n<!-- trailing -->" * 9, 0, id="bytes after the end"),
        pytest.param(saved(RED, "JPEG", quality=95) + bytes(999), 6, id="zeros after the end"),
    ],
)
def test_what_is_red_is_seen_red(content: bytes, error: int) -> None:
    pixels = seen(content).astype(int)
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels - [200, 30, 30]).max() <= error


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    layered = Image.new("LA", (2, 1), (50, 255))
    layered.putpixel((1, 0), (50, 0))
    image = layered if mode == "LA" else layered.convert("RGBA").convert(mode)
    assert np.asarray(rgb.as_rgb(image))[0, :, 0].tolist() == [50, 255]


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.tiff", compression="group4")
    assert seen(tmp_path / "bits.tiff")[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1", "I;16", "I", "F", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_image_in_tiles_has_the_bits_of_the_whole(
    mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if mode.startswith("I;"):
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 9)
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(noise[..., 0]))
    else:
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(image, "TIFF", exif=exif)
    whole = decode(content)
    assert isinstance(whole, Image.Image)
    monkeypatch.setattr(rgb, "TILE", 16)
    tiled = decode(content)
    assert isinstance(tiled, Image.Image)
    assert tiled.size == whole.size == ((61, 83) if orientation == 6 else (83, 61))
    assert tiled.tobytes() == whole.tobytes()
    monkeypatch.setattr(rgb, "FULL_SIZE", 2000)
    reduced = decode(content)
    assert isinstance(reduced, Image.Image)
    assert reduced.size == ((31, 42) if orientation == 6 else (42, 31))
    average = np.asarray(whole.reduce(2)).astype(int)
    assert np.abs(np.asarray(reduced).astype(int) - average).max() <= 1


def test_upright_once_is_upright_twice() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    image = open_image(saved(Image.new("RGB", (9, 4)), "JPEG", exif=exif))
    assert image.size == rgb.as_rgb(image).size == (4, 9)
