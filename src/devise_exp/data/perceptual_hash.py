"""How an image looks, in few bytes, and which of many images look the same.

The look of an image is a 64-bit hash of its lowest frequencies (pHash: of the 8 x 8 lowest
coefficients of the cosine transform of 32 x 32 grey pixels, which lie above their median), then
8 x 8 grey pixels. Two images look the same if the hashes differ in at most MAX_BITS and the pixels
by MAX_LEVELS on average: of 250 images of Caltech-101, 99 % look like their copies of half and a
quarter of the size, and like those in other formats and qualities.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

LOOK_BYTES = 72
MAX_BITS, MAX_LEVELS = 4, 3
_SIDE, _KEPT = 32, 8
_PLAIN = 1.0  # grey levels of deviation below which the frequencies are those of noise
_NEIGHBOURS = 512  # so many images of one band, those nearest in brightness, are compared with each


def look_of(image: Image.Image) -> np.ndarray:
    """Hash how an image looks.

    Args:
        image: An RGB image.

    Returns:
        (72,) uint8, all zero for an image of a single colour.
    """
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    look: np.ndarray = looks_of_grey(np.asarray(small.convert("L"))[None])[0]
    return look


def looks_of_grey(grey: np.ndarray) -> np.ndarray:
    """Hash how small grey images look.

    Args:
        grey: (n, 32, 32) grey levels from 0 to 255.

    Returns:
        (n, 72) uint8.
    """
    grey = grey.astype(np.float32)
    cosines = _cosines()
    frequencies = np.matmul(cosines, grey @ cosines.T).reshape(len(grey), -1)  # (n, 64)
    # Without the first one, the mean grey level.
    above = frequencies > np.median(frequencies[:, 1:], axis=1, keepdims=True)
    thumbnails = grey.reshape(-1, 8, _SIDE // 8, 8, _SIDE // 8).mean(axis=(2, 4))
    looks = np.zeros((len(grey), LOOK_BYTES), np.uint8)
    looks[:, :8] = np.packbits(above, axis=1)
    looks[:, 8:] = thumbnails.reshape(len(grey), -1).round()
    looks[grey.std(axis=(1, 2)) < _PLAIN] = 0
    return looks


@cache
def _cosines() -> np.ndarray:
    """The (8, 32) lowest rows of the orthonormal cosine transform."""
    angles = np.outer(np.arange(_KEPT), 2 * np.arange(_SIDE) + 1) * np.pi / (2 * _SIDE)
    rows: np.ndarray = np.cos(angles) * np.sqrt(2 / _SIDE)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def near_groups(looks: np.ndarray) -> np.ndarray:
    """Group images that look the same, or like a third one of the group.

    Two hashes that differ in at most MAX_BITS agree in one of MAX_BITS + 1 bands of their bits, so
    only images that agree in a band are compared.

    Args:
        looks: (N, 72) uint8; an image whose look is all zero is in no group but its own.

    Returns:
        (N,) int64: the lowest row of the group of each row.
    """
    groups = np.arange(len(looks))
    shown = np.flatnonzero(looks.any(axis=1))
    hashes = np.ascontiguousarray(looks[shown, :8]).view(np.uint64).ravel()
    brightness = looks[shown, 8:].mean(axis=1, dtype=np.float32)
    for bits in np.array_split(np.arange(64, dtype=np.uint64), MAX_BITS + 1):
        band = hashes & np.bitwise_or.reduce(np.uint64(1) << bits)
        order = np.lexsort((brightness, band))
        rows, band, light, hash_ = shown[order], band[order], brightness[order], hashes[order]
        left = np.arange(len(rows))
        for step in range(1, _NEIGHBOURS + 1):
            left = left[left + step < len(rows)]
            right = left + step
            left = left[(band[left] == band[right]) & (light[right] - light[left] <= MAX_LEVELS)]
            if step % 16 == 0:
                left = left[_has_other_group(groups[rows], band)[left]]
            if not len(left):
                break
            pairs = left[np.bitwise_count(hash_[left] ^ hash_[left + step]) <= MAX_BITS]
            a, b = rows[pairs], rows[pairs + step]
            apart = groups[a] != groups[b]
            groups = join_groups(groups, *_same_pixels(a[apart], b[apart], looks))
    return groups


def _has_other_group(groups: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Tell which of the rows of a band have one of another group after them.

    Without it, thousands of frames of one scene would be compared again and again.
    """
    last = len(groups) - 1
    changes = np.append(np.flatnonzero(groups[1:] != groups[:-1]), last)
    next_change = changes[np.searchsorted(changes, np.arange(len(groups)))]
    result: np.ndarray = band[np.minimum(next_change + 1, last)] == band
    return result & (next_change < last)


def _same_pixels(a: np.ndarray, b: np.ndarray, looks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the pairs (a, b) of rows whose grey pixels differ little."""
    levels = np.abs(looks[a, 8:].astype(np.int16) - looks[b, 8:]).mean(axis=1)
    return a[levels <= MAX_LEVELS], b[levels <= MAX_LEVELS]


def join_groups(groups: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Join the groups of pairs of rows.

    Args:
        groups: (N,) int64: the lowest row of the group of each row.
        a: (n,) rows.
        b: (n,) rows; row i joins row i of `a`.

    Returns:
        (N,) int64: the lowest row of each row's group after that.
    """
    groups = groups.copy()
    while len(a):
        first, second = groups[a], groups[b]
        a, b = a[first != second], b[first != second]
        low, high = np.minimum(groups[a], groups[b]), np.maximum(groups[a], groups[b])
        np.minimum.at(groups, high, low)
        while not np.array_equal(parents := groups[groups], groups):
            groups = parents
    return groups
