"""The bank that ships with the package, in eight bits per number."""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers.banks import cosines, left_in, small_backbone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.data.subset import subset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.bank import FeatureBank, feature_bank
from devise_exp.features.shipped import SHIPPED, dequantize, quantize

DATA = os.environ.get("DEVISE_DATA")


finite = st.floats(-100, 1000, width=32)


@cache
def packed_parts() -> tuple[Backbone, ImageDataset]:
    """Whose fingerprints every example packs; to make them takes longer than to pack."""
    return small_backbone(), caltech101()


@settings(deadline=None, max_examples=25)
@given(arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 9)), elements=finite))
def test_packing_keeps_each_value_to_half_a_step(features: np.ndarray) -> None:
    backbone, listed = packed_parts()
    path = Path(os.environ["DEVISE_CACHE"]) / "packed.npz"
    quantize(features, listed, backbone, path)
    unpacked, of_dataset, of_backbone = dequantize(path)
    assert (of_dataset, of_backbone) == (listed.fingerprint, backbone.fingerprint)
    assert (unpacked.dtype, unpacked.shape) == (np.float32, features.shape)
    step = (features.max(0) - features.min(0)) / 255
    assert (abs(unpacked - features) <= 0.501 * step + 1e-4).all()


def test_packed_rows_point_where_they_pointed(tmp_path: Path) -> None:
    """Features as networks give them: not negative, many zeros, channels of unlike size."""
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(size=256))
    features = np.maximum(rng.normal(size=(500, 256)), 0) * size
    bank = FeatureBank(features.astype(np.float16), "key")
    quantize(bank.features, caltech101(), small_backbone(), tmp_path / "packed.npz")
    unpacked, _, _ = dequantize(tmp_path / "packed.npz")
    assert cosines(unpacked, features).min() > 0.999
    assert (tmp_path / "packed.npz").stat().st_size < 1.1 * features.size


def shipped() -> tuple[np.ndarray, str, str]:
    import devise_exp

    return dequantize(Path(devise_exp.__file__).parent / "features" / "assets" / SHIPPED)


def test_the_shipped_features_are_those_of_the_default_run(cache: Path) -> None:
    listed, backbone = caltech101(), efficientnet_lite(0)
    features, of_dataset, of_backbone = shipped()
    assert of_dataset == listed.fingerprint
    assert of_backbone == backbone.fingerprint
    bank = feature_bank(listed, backbone)
    assert bank.features.shape == (8677, 1280)
    assert bank.features.dtype == np.float16
    assert np.allclose(bank.features, features, rtol=1e-3)
    assert left_in(cache) == [bank.key]
    before = (cache / bank.key / "features.npy").stat()
    assert feature_bank(listed, backbone).key == bank.key
    assert (cache / bank.key / "features.npy").stat() == before
    # Images of one class look alike to the network, more than those of two.
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = np.argsort(unit[::40] @ unit.T, axis=1)[:, -2]
    assert (listed.labels[nearest] == listed.labels[::40]).mean() > 0.8


def test_nothing_else_is_shipped(cache: Path) -> None:
    for listed, backbone in (
        (caltech101(), small_backbone()),
        (subset(caltech101(), limit_per_class=3), efficientnet_lite(0)),
    ):
        with pytest.raises(InputError, match=r"images of caltech101 .*data\.root=FOLDER"):
            feature_bank(listed, backbone)
        assert left_in(cache) == []


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "caltech101/101_ObjectCategories").is_dir(),
    reason="needs the images: DEVISE_DATA names the folder that holds caltech101/",
)
def test_the_shipped_features_are_those_of_the_images() -> None:
    assert DATA is not None
    folder, listed = Path(DATA) / "caltech101/101_ObjectCategories", caltech101()
    sample = sorted(np.random.default_rng(0).choice(len(listed.rows), 60, replace=False).tolist())
    rows = tuple(listed.rows[i] for i in sample)
    images = ImageFiles(str(folder / row) for row in rows)
    some = dataclasses.replace(listed, rows=rows, labels=listed.labels[sample], images=images)
    extracted = feature_bank(some, efficientnet_lite(0)).features
    assert cosines(extracted, shipped()[0][sample]).min() > 0.999
