"""Mutated image files, read as a scan, an extraction and a search read them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

MODES = ("RGB", "L", "P", "1", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16")
# A drawing's program and lists of images; Pillow writes them but reads no image from them.
NOT_READ = ("PDF", "PALM", "EPS")
PNG = b"\x89PNG\r\n\x1a\n"
STARTS = (
    *(PNG, b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\0\0\1\0WEBPVP8 "),
    *(b"\0\0\1\0\1\0", b"P6 9 9 255\n", b"P3 9 9 99\n", b"8BPS\0\1", b"\0\0\0\x20ftypavif"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"qoif", b"DDS ", b"icns", b"FLIF", b""),
    *(b"<!DOCTYPE html><html>", b"\0\0\0\x18ftypheic", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"SIMPLE  ="),
)
KINDS = (
    *(b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"pHYs"),
    *(b"PLTE", b"gAMA", b"cHRM", b"sRGB", b"junk"),
)


@cache
def formats() -> tuple[str, ...]:
    Image.init()
    return tuple(sorted(set(Image.SAVE) - set(NOT_READ)))


def noise(random: random.Random, size: tuple[int, int]) -> Image.Image:
    """Noise, or an area of one colour with a line, in any mode."""
    width, height = size
    if random.random() < 0.3:
        return Image.new(random.choice(("RGB", "L", "RGBA")), size, random.randrange(256))
    seed = random.randrange(2**32)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mode = random.choice(MODES)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * random.choice((1, 16, 257)))
    image = Image.fromarray(pixels)
    if mode == "LAB":
        return Image.frombytes("LAB", size, pixels.tobytes())
    return image.convert(mode)


def written(random: random.Random, size: tuple[int, int] | None = None, kind: str = "") -> bytes:
    """An image in a random format that can hold it."""
    side = random.choice((4, 40, 200))
    while True:
        image = noise(random, size or (random.randint(1, side), random.randint(1, side)))
        options: dict[str, object] = {}
        if random.random() < 0.3:
            exif = Image.Exif()
            exif[0x0112] = random.randint(0, 9)
            options["exif"] = exif
        if random.random() < 0.2:
            options |= {"save_all": True, "append_images": [image.copy()], "progressive": True}
        stream, chosen = io.BytesIO(), kind or random.choice(formats())
        if chosen == "AVIF":  # its writer crashes on small images with options
            image, options = image.resize((40, 30)), {}
        try:
            image.save(stream, chosen, **options)
        except Exception:  # most formats hold some modes only
            continue
        return stream.getvalue()


def flipped(random: random.Random) -> bytes:
    content = bytearray(written(random))
    for _ in range(random.randint(1, 12)):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


def header_changed(random: random.Random) -> bytes:
    """Bytes of the first sixty are set to extremes: sizes, depths, offsets, counts."""
    content = bytearray(written(random))
    for _ in range(random.randint(1, 4)):
        start, width = random.randrange(min(60, len(content))), random.choice((1, 2, 4))
        value = random.choice(
            (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, random.randrange(2**32))
        )
        order = random.choice("<>")
        field = struct.pack(f"{order}I", value)[-width if order == ">" else 0 :][:width]
        content[start : start + width] = field
    return bytes(content)


def cut(random: random.Random) -> bytes:
    content = written(random)
    return content[: random.randrange(len(content))]


def spliced(random: random.Random) -> bytes:
    first, second = written(random), written(random)
    return first[: random.randrange(len(first))] + second[random.randrange(len(second)) :]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks_moved(random: random.Random) -> bytes:
    """A PNG with chunks repeated, lost, moved or added, each with its right checksum."""
    content, chunks, start = written(random, kind="PNG"), [], 8
    while start < len(content):
        length = struct.unpack(">I", content[start : start + 4])[0]
        chunks.append((content[start + 4 : start + 8], content[start + 8 : start + 8 + length]))
        start += 12 + length
    for _ in range(random.randint(1, 4)):
        i, j = random.randrange(len(chunks)), random.randrange(len(chunks))
        kind = random.choice(KINDS)
        data = random.choice((b"", b"a\0\0" + zlib.compress(bytes(2**21)), random.randbytes(30)))
        change = random.randrange(4)
        if change == 0:
            chunks.insert(random.choice((1, j)), (kind, data))
        elif change == 1:
            chunks[i], chunks[j] = chunks[j], chunks[i]
        elif change == 2:
            chunks.insert(j, chunks[i])
        else:
            chunks[i] = (chunks[i][0], chunks[i][1][: random.randrange(len(chunks[i][1]) + 1)])
    return PNG + b"".join(chunk(kind, data) for kind, data in chunks)


def claimed(random: random.Random) -> bytes:
    """A PNG of a few hundred bytes that claims any size, depth and colour."""
    sides = (1, 2, 3000, 16_000, 16_384, 60_000, 300_000, 2**31 - 1)
    depth, colour = random.choice((1, 2, 4, 8, 16)), random.choice((0, 2, 3, 4, 6))
    size = random.choice(sides), random.choice(sides)
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, random.randrange(2))
    data = zlib.compress(bytes(random.choice((0, 10, 1000, 2**20))))
    palette = chunk(b"PLTE", bytes(range(30))) if colour == 3 else b""
    return PNG + chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def extreme(random: random.Random) -> bytes:
    long, short = random.choice((5000, 65_000, 300_000)), random.randint(1, 3)
    size = random.choice(((long, short), (short, long)))
    limited = ("GIF", "JPEG") if long <= 65_000 else ()
    return written(random, size, random.choice(("PNG", "TIFF", "BMP", "PPM", *limited)))


def deep(random: random.Random) -> bytes:
    """Numbers of 16 and 32 bits of any range, some of them no numbers."""
    kind = random.choice((np.uint16, np.int32, np.float32))
    values = np.random.default_rng(random.randrange(2**32)).normal(size=(9, 7))
    values *= 10.0 ** random.randint(-40, 38)
    for _ in range(random.randrange(4)):
        values.flat[random.randrange(63)] = random.choice((np.nan, np.inf, -np.inf, 0))
    with np.errstate(all="ignore"):
        image = Image.fromarray(values.astype(kind))
    stream = io.BytesIO()
    image.save(stream, "TIFF")
    return stream.getvalue()


def started(random: random.Random) -> bytes:
    return random.choice(STARTS) + random.randbytes(random.choice((0, 3, 50, 3000)))


SORTS: dict[str, Callable[[random.Random], bytes]] = {
    "any format, as written": written,
    "bytes changed": flipped,
    "fields of the header changed": header_changed,
    "cut": cut,
    "two files spliced": spliced,
    "PNG chunks moved, lost, added": chunks_moved,
    "PNG of any claimed size and depth": claimed,
    "1 to 3 pixels wide or high": extreme,
    "numbers of 16 and 32 bits": deep,
    "a known start, then noise": started,
}


def make(folder: Path, random: random.Random, number: int) -> str:
    """Write the image file of a case as FOLDER/class/image.SUFFIX."""
    label = list(SORTS)[number % len(SORTS)]
    (folder / "class").mkdir()
    suffix = random.choice((".jpg", ".png", ".tif", ".JPEG", ""))
    (folder / "class" / f"image{suffix}").write_bytes(SORTS[label](random))
    return label


def prepare() -> None:
    """Import and warm up what every case needs."""
    import torch

    from devise_exp.features.backbones.base import Augment, Preprocess

    torch.set_num_threads(1)
    Image.init()
    image = Image.new("RGB", (300, 200))
    Preprocess(resize=256, crop=224, interpolation="bicubic")(image)
    Augment(Preprocess(resize=256, crop=224))(image)


def read(folder: Path) -> str:
    """Open the image as a search does, scan it, and transform it for both kinds of training."""
    from devise_exp.core.errors import InputError
    from devise_exp.data.decoding import open_image
    from devise_exp.data.images import ImageFiles
    from devise_exp.data.scan import scan_images
    from devise_exp.features.backbones.base import Augment, Preprocess

    [path] = (folder / "class").iterdir()
    scan = scan_images({"class/image": str(path)})
    try:
        image = open_image(path)
    except InputError:
        assert scan.broken, "the scan calls good what cannot be opened"
        raise
    assert not scan.broken, f"the scan calls broken what can be opened: {scan.broken}"
    assert image.mode == "RGB"
    assert ImageFiles([str(path)], min_side=512)[0].mode == "RGB"
    preprocess = Preprocess(resize=256, crop=224, interpolation="bicubic")
    for transform in (preprocess, Augment(preprocess)):
        assert transform(image).shape == (3, 224, 224)
    return f"{image.width} x {image.height}"
