"""Sequences of images slice, pickle and say if a file has gone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageArrays, ImageFiles


def test_images_pickle_slice_and_say_when_one_has_gone(tree: Path) -> None:
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


def test_arrays_are_a_sequence_of_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    images = ImageArrays(pixels)
    assert [image.size for image in images] == [(6, 8)] * 5
    assert np.array_equal(np.asarray(images.take([4, 1])[1]), pixels[1])
    assert np.array_equal(np.asarray(images[2:][0]), pixels[2])
    with pytest.raises(ValueError, match="shape"):
        ImageArrays(pixels[0])
