"""What is not pixels does not decide whether an image is read; what is no image says what it is."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.images import noise_image, png, png_chunk
from PIL import Image, PngImagePlugin

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.data.folders import image_folder

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 9, 3), dtype=np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in PIXELS)
TURNED = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)  # EXIF: a quarter turn


def with_wrong_sum(chunk: bytes) -> bytes:
    return chunk[:-4] + bytes(4)


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(png_chunk(b"eXIf", b"not a TIFF header"), id="eXIf of something else"),
        pytest.param(png_chunk(b"eXIf", b""), id="empty eXIf"),
        pytest.param(png_chunk(b"eXIf", TURNED[:17]), id="eXIf that is cut"),
        pytest.param(with_wrong_sum(png_chunk(b"eXIf", TURNED)), id="eXIf with a wrong checksum"),
        pytest.param(with_wrong_sum(png_chunk(b"tEXt", b"a\0b")), id="text with a wrong checksum"),
        pytest.param(
            png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21))), id="text of two megabytes"
        ),
        pytest.param(
            png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20))) * 70, id="much text"
        ),
        pytest.param(png_chunk(b"zTXt", b"a\0\0broken"), id="text that is not deflated"),
        pytest.param(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0broken"), id="broken XMP"),
        pytest.param(
            png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**21))), id="a profile too large"
        ),
        pytest.param(png_chunk(b"iCCP", b"a\0\7x"), id="a profile of an unknown compression"),
        pytest.param(png_chunk(b"pHYs", b"\0"), id="a chunk too short"),
        pytest.param(png_chunk(b"acTL", b"\0"), id="a broken animation"),
        pytest.param(png_chunk(b"gAMA", b""), id="an empty gamma"),
    ],
)
def test_a_png_is_read_without_its_broken_metadata(extra: bytes) -> None:
    image = open_image(png((9, 6), 8, 2, ROWS, extra))
    assert np.array_equal(np.asarray(image), PIXELS)


def test_whole_exif_beside_broken_text_turns_the_image() -> None:
    extra = png_chunk(b"eXIf", TURNED) + png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))
    image = open_image(png((9, 6), 8, 2, ROWS, extra))
    assert np.array_equal(np.asarray(image), np.rot90(PIXELS, -1))


def test_transparency_beside_broken_text_is_kept() -> None:
    extra = png_chunk(b"tRNS", struct.pack(">H", 7)) + with_wrong_sum(png_chunk(b"tEXt", b"a\0b"))
    image = open_image(png((2, 1), 8, 0, b"\0\x07\x08", extra))
    assert np.asarray(image)[0, :, 0].tolist() == [255, 8]


def test_pixels_that_are_broken_are_damaged_whatever_the_metadata() -> None:
    content = png((9, 6), 8, 2, ROWS, with_wrong_sum(png_chunk(b"tEXt", b"a\0b")))
    with pytest.raises(InputError, match=r"^the image: damaged: "):
        open_image(content[:-60])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0junk", b"Exif\0\0" + TURNED[:15], b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_broken_exif_in_other_formats_leaves_the_image_as_it_is(kind: str, exif: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).resize((90, 60)).save(stream, kind, exif=exif)
    assert open_image(stream.getvalue()).size == (90, 60)


def test_a_png_with_a_large_profile_is_in_the_dataset(tmp_path: Path) -> None:
    for name in ("plain", "large"):
        noise_image(tmp_path / "cat" / f"{name}.png")
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "x" * 2**21, zip=True)
    Image.open(tmp_path / "cat" / "large.png").save(tmp_path / "cat" / "large.png", pnginfo=text)
    dataset = image_folder(tmp_path, strict=True)
    assert dataset.rows == ("cat/large.png", "cat/plain.png")
    assert dataset.images is not None
    assert dataset.images[0].tobytes() == dataset.images[1].tobytes()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html>\n<html><title>Sign in</title>", "a web page that was saved instead"),
        (b"\xef\xbb\xbf<html lang='de'>", "a web page that was saved instead"),
        (b"just some words\n" * 200, "a text file"),
        ("Bücher und Bäume".encode(), "a text file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14", "a ZIP archive"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "a PostScript"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "a file of the format HDF5"),
        (HEIC, "HEIC: pip install pillow-heif, or convert it to JPEG"),
    ],
)
def test_what_is_no_image_says_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path}: not an image that Pillow can open (")
    assert reason in str(caught.value)
    assert str(caught.value).endswith("): give another image file")
    assert "\n" not in str(caught.value)


def test_heic_is_read_where_pillow_heif_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package that stands for pillow-heif adds a format to Pillow, as that does."""
    (tmp_path / "pillow_heif.py").write_text(
        "from PIL import Image\n"
        "def opened(stream, path):\n"
        "    image = Image.new('RGB', (3, 2), 'red')\n"
        "    image.format = 'HEIF'\n"
        "    return image\n"
        "def register_heif_opener():\n"
        "    Image.register_open('HEIF', opened, lambda start: start[4:12] == b'ftypheic')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    formats = list(Image.ID)
    try:
        assert open_image(HEIC).size == (3, 2)
    finally:
        Image.OPEN.pop("HEIF", None)
        Image.ID[:] = formats
        sys.modules.pop("pillow_heif", None)
