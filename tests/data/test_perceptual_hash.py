"""How images look: the same for resized and re-encoded copies, found without all pairs."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from devise_exp.data.perceptual_hash import (
    LOOK_BYTES,
    MAX_BITS,
    MAX_LEVELS,
    join_groups,
    look_of,
    looks_of_grey,
    near_groups,
)


def photograph(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return Image.open(stream).convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encoded(image, "JPEG", quality=30),
        lambda image: encoded(image, "WEBP", quality=50),
        lambda image: encoded(image.convert("P"), "GIF"),
        lambda image: image.resize((96, 72), Image.Resampling.LANCZOS),
        lambda image: image.resize((801, 602), Image.Resampling.NEAREST),
        lambda image: image.convert("L").convert("RGB"),
    ],
)
def test_a_changed_copy_looks_the_same(change: Callable[[Image.Image], Image.Image]) -> None:
    looks = [look_of(photograph(seed)) for seed in range(40)]
    looks += [look_of(change(photograph(seed))) for seed in range(40)]
    groups = near_groups(np.array(looks))
    assert (groups == np.tile(np.arange(40), 2)).mean() > 0.97
    assert len(np.unique(groups[:40])) == 40


def test_an_image_of_one_colour_looks_like_none() -> None:
    looks = np.array([look_of(Image.new("RGB", (50, 40), c)) for c in ("red", "red", "white")])
    assert looks.shape == (3, LOOK_BYTES)
    assert not looks.any()
    assert near_groups(looks).tolist() == [0, 1, 2]
    assert near_groups(looks[:0]).tolist() == []


def test_every_pair_within_the_limits_is_found() -> None:
    """As a comparison of all pairs finds them."""
    rng = np.random.default_rng(0)
    looks = looks_of_grey(rng.integers(0, 256, (60, 32, 32)))[rng.integers(0, 60, 600)]
    flips = np.packbits(rng.random((600, 64)) < 0.05, axis=1)
    looks[:, :8] ^= flips
    looks[:, 8:] = np.clip(looks[:, 8:].astype(int) + rng.integers(-6, 7, (600, 1)), 0, 255)
    bits = np.unpackbits(looks[:, :8], axis=1).astype(int)
    groups = np.arange(600)
    for row in range(600):
        levels = np.abs(looks[row, 8:].astype(int) - looks[:, 8:]).mean(axis=1)
        near = (np.abs(bits[row] - bits).sum(axis=1) <= MAX_BITS) & (levels <= MAX_LEVELS)
        others = np.flatnonzero(near)
        groups = join_groups(groups, np.full(len(others), row), others)
    assert near_groups(looks).tolist() == groups.tolist()
    assert 100 < len(np.unique(groups)) < 590


def test_a_hundred_thousand_frames_of_one_scene_are_one_group() -> None:
    look = look_of(photograph(0))
    looks = np.repeat(look[None], 100_000, axis=0)
    looks[:, 8:] = np.clip(looks[:, 8:], 1, 254)
    looks[:, 8:] += np.random.default_rng(0).integers(0, 2, (100_000, 64), dtype=np.uint8)
    assert not near_groups(looks).any()


def test_groups_join_along_chains() -> None:
    a, b = np.array([4, 3, 2, 1, 7]), np.array([3, 2, 1, 0, 8])
    assert join_groups(np.arange(9), a, b).tolist() == [0, 0, 0, 0, 0, 5, 6, 7, 7]
