"""Extraction: what the network gives, exactly or fast, and options that cannot be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.banks import bank_of, cosines, left_in, plain_loop
from PIL import Image
from torch import Tensor

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder
from devise_exp.features import extraction
from devise_exp.features.backbones.base import Preprocess
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.features.bank import feature_bank
from devise_exp.features.engines import Engine, has_bfloat16
from devise_exp.features.extraction import ExtractionSettings, in_order


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("float32", 1e-5)])
def test_each_row_is_what_the_network_gives_for_its_image(
    dtype: str, tolerance: float, dataset: ImageDataset
) -> None:
    whole = torchvision_backbone("resnet18", weights=None)
    backbone = dataclasses.replace(whole, preprocess=Preprocess(resize=40, crop=32))
    bank = feature_bank(dataset, backbone, ExtractionSettings(batch_size=32, dtype=dtype))
    expected = plain_loop(dataset, backbone)
    assert bank.features.dtype == dtype
    assert bank.features.shape == expected.shape == (80, 512)
    assert np.allclose(bank.features, expected, rtol=tolerance, atol=1e-4 * expected.max())
    assert len(np.unique(bank.features, axis=0)) == 80


def test_openvino_makes_the_same_bank_in_batches_of_any_size(
    dataset: ImageDataset, cache: Path
) -> None:
    whole = bank_of(dataset, batch_size=7, engine="openvino", dtype="float32")
    rows = np.array(whole.features)
    shutil.rmtree(cache / whole.key)
    again = bank_of(dataset, batch_size=32, engine="openvino", dtype="float32")
    assert again.key == whole.key
    assert np.array_equal(again.features, rows)
    by_torch = bank_of(dataset, batch_size=7, engine="torch", dtype="float32")
    assert by_torch.key != whole.key  # no bank holds rows of both
    assert cosines(by_torch.features, rows).min() > 0.9999


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    """Large JPEGs of soft shapes, as a camera's are, and a PNG."""
    root, rng = tmp_path_factory.mktemp("photographs") / "shapes", np.random.default_rng(0)
    root.mkdir()
    for i, size in enumerate([(900, 600), (500, 700), (448, 448), (200, 300)]):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(root / f"{i}.jpg", quality=95)
    coarse.resize((900, 700), Image.Resampling.BICUBIC).save(root / "4.png")
    return image_folder(root.parent)


def test_fast_features_are_nearly_the_exact_ones_in_a_bank_of_their_own(
    photographs: ImageDataset, cache: Path
) -> None:
    exact, fast = (bank_of(photographs, dtype="float32", fast=fast) for fast in (False, True))
    assert exact.key != fast.key
    assert not np.array_equal(exact.features, fast.features)  # of JPEGs that were decoded small
    assert cosines(exact.features, fast.features).mean() > 0.999
    made_by = json.loads((cache / fast.key / "meta.json").read_text())["made_by"]
    assert made_by == f"torch {'bfloat16' if has_bfloat16('cpu') else 'float32'} fast"


def test_fast_features_that_are_others_are_refused(
    photographs: ImageDataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "MIN_FAST_COSINE", 1.0)
    with pytest.raises(
        InputError,
        match=r"fast=true: features of small .* cosine of 0\.\d+ to .*leave features\.fast=false$",
    ):
        bank_of(photographs, fast=True)
    assert left_in(cache) == []


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(has_bfloat16("cpu"), reason="fast features are faster on this processor")
def test_fast_features_that_are_not_faster_are_exact(
    dataset: ImageDataset, photographs: ImageDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """Small images cannot be decoded smaller; of photographs one can be, which is enough."""
    banks = [bank_of(dataset, fast=fast, device="cpu") for fast in (False, True)]
    assert banks[0].key == banks[1].key
    output = capsys.readouterr()
    assert "features.fast=true is not faster here: no bfloat16 on this cpu" in (
        output.out + output.err
    )
    assert bank_of(photographs, fast=True).key != bank_of(photographs).key
    output = capsys.readouterr()
    assert "not faster" not in output.out + output.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "bfloat16"}, r"features\.dtype=bfloat16: choose float16 or float32"),
        ({"device": "cuda:99"}, r"features\.device=cuda:99: .*auto takes"),
        ({"device": "gpu"}, r"features\.device=gpu: .*auto takes"),
        ({"batch_size": 0}, r"features\.batch_size=0"),
        ({"num_workers": -1}, r"features\.num_workers=-1"),
        ({"num_workers": True}, r"features\.num_workers=True"),
        ({"batch_size": True}, r"features\.batch_size=True"),
        ({"fast": "true"}, r"features\.fast='true': choose true or false"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_wrong_options(options: dict[str, Any], message: str, dataset: ImageDataset) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bank_of(dataset, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("waits", [False, True])
def test_features_before_an_error_come_first(n: int, waits: bool) -> None:
    """Also from a device that is some batches behind, to which pixels go as they are then."""

    def batches() -> Iterator[Tensor]:
        slot = torch.zeros(1)
        for i in range(n):
            yield slot.fill_(i)
        raise InputError("the next one is broken")

    def start(pixels: Tensor) -> Callable[[], np.ndarray]:
        copied = pixels.clone()
        return lambda: copied.numpy()

    engine = Engine("torch", "float32", lambda pixels: pixels.numpy().copy(), start)
    features = in_order(engine if waits else dataclasses.replace(engine, start=None), batches())
    assert [float(next(features)[0]) for _ in range(n)] == [*range(n)]
    with pytest.raises(InputError, match="the next one is broken"):
        next(features)
