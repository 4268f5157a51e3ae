"""Pixels: images decoded small enough, and images that cannot be read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.banks import ROW_BYTES, bank_of, left_in, plain_loop, small_backbone
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageFiles


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 500))
def test_a_jpeg_decoded_small_keeps_what_is_needed(width: int, height: int, needed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/image.jpg"
        Image.new("RGB", (width, height)).save(path)
        small = ImageFiles([path]).reduced(needed)
        taken = small.take([0])[0], small[:][0], small[0]
        assert len({image.size for image in taken}) == 1
        side, whole = min(taken[0].size), min(width, height)
        assert side >= min(needed, whole)
        assert side < 2 * needed + 2 or side == -(-whole // 8)  # an eighth is the least


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("broken", ["removed", "junk"])
def test_an_image_that_breaks_after_the_scan_is_named(
    broken: str, num_workers: int, image_tree: Path, tmp_path: Path, cache: Path
) -> None:
    root = tmp_path / "images"
    for name in ("cat", "dog"):
        shutil.copytree(image_tree / name, root / name)
    dataset = image_folder(root)
    image = root / "dog" / "03.png"
    good = image.read_bytes()
    image.unlink()
    if broken == "junk":
        image.write_bytes(b"junk")
    with pytest.raises(InputError, match=r"can no longer be read: dog/03\.png: ") as caught:
        bank_of(dataset, num_workers=num_workers)
    assert "\n" not in str(caught.value)
    [unfinished] = left_in(cache)
    assert (cache / unfinished).stat().st_size == 8 * ROW_BYTES
    image.write_bytes(good)
    bank = bank_of(dataset)
    assert left_in(cache) == [bank.key] == [unfinished.removesuffix(".unfinished")]
    assert np.allclose(bank.features, plain_loop(dataset, small_backbone()), rtol=1e-3, atol=1e-4)
