"""Small images that are easily told apart."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {
    "cat": (200, 30, 30),
    "dog": (30, 200, 30),
    "lion": (200, 120, 30),
    "tiger": (120, 200, 30),
    "boat": (30, 30, 200),
    "ship": (30, 120, 200),
    "airplane": (120, 30, 200),
    "helicopter": (200, 30, 200),
}


def draw(path: Path, colour: tuple[int, int, int], seed: int, size: int = 40) -> None:
    """An image of one colour with noise."""
    noise = np.random.default_rng(seed).integers(-25, 26, (size, size, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def noise_image(
    path: Path, seed: int = 0, size: tuple[int, int] = (24, 16), mode: str = "RGB"
) -> Path:
    """An image of noise, in the format of its suffix."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def truncate(path: Path) -> None:
    """Cut a file to its first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, pixels: bytes, extra: bytes = b"") -> bytes:
    """A PNG file; `extra` are chunks between its header and its pixels (rows of a filter byte)."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + png_chunk(b"IEND", b"")


def bomb(path: Path, size: tuple[int, int] = (60_000, 60_000), colour: int = 2) -> None:
    """A PNG of a few hundred bytes that claims 60,000 × 60,000 pixels."""
    path.write_bytes(png(size, 8, colour, bytes(1000)))
