"""The feature bank: what the network gives, extracted once, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset, subset
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageFiles
from devise_exp.features import extraction
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.features.bank import FeatureBank, RemoteShards, feature_bank, shard_rows
from devise_exp.features.engines import has_bfloat16
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.features.shipped import SHIPPED, dequantize, quantize

FORK = multiprocessing.get_context("fork")  # a new interpreter would import torch again
ROW_BYTES = 12 * 2  # float16
DATA = os.environ.get("DEVISE_DATA")


class Watched(Sequence[Image.Image]):
    """Images that note in `log` which were opened, over all processes; `stop` is never given."""

    def __init__(self, images: Sequence[Image.Image], log: Path, stop: int | None = None) -> None:
        self.images, self.log, self.stop = images, log, stop

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        while index == self.stop:
            time.sleep(0.1)
        with self.log.open("a") as log:
            log.write(f"{index}\n")
        return self.images[index]

    def opened(self) -> list[int]:
        return sorted(map(int, self.log.read_text().split())) if self.log.exists() else []


def small_backbone(seed: int = 0, scale: float = 1.0) -> Backbone:
    """Twelve features of 24 x 24 pixels."""
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 12, 5, stride=2)
    with torch.no_grad():
        convolution.weight *= scale
    pool = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(convolution, nn.ReLU(), pool, nn.Flatten())
    return Backbone(
        name="small",
        build=lambda: network,
        feature_dim=12,
        preprocess=Preprocess(resize=28, crop=24),
        categories=(),
    )


def plain_loop(dataset: ImageDataset, backbone: Backbone) -> np.ndarray:
    assert dataset.images is not None
    network = backbone.network.eval()
    with torch.no_grad():
        rows = [network(backbone.preprocess(image)[None])[0] for image in dataset.images]
    return torch.stack(rows).numpy()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    similarities: np.ndarray = (
        (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    )
    return similarities


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def dataset(image_tree: Path) -> ImageDataset:
    return image_folder(image_tree)


@pytest.fixture
def watched(dataset: ImageDataset, tmp_path: Path) -> ImageDataset:
    assert dataset.images is not None
    return dataclasses.replace(dataset, images=Watched(dataset.images, tmp_path / "opened"))


def opened(dataset: ImageDataset) -> list[int]:
    assert isinstance(dataset.images, Watched)
    return dataset.images.opened()


def bank_of(
    dataset: ImageDataset,
    backbone: Backbone | None = None,
    remote_shards: RemoteShards | None = None,
    **options: Any,
) -> FeatureBank:
    options = {"batch_size": 8, "num_workers": 0} | options
    return feature_bank(
        dataset, backbone or small_backbone(), ExtractionSettings(**options), remote_shards
    )


def left_in(cache: Path) -> list[str]:
    """What stands in the cache beside locks."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


# What the bank holds


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
    (begun,) = left_in(cache)
    assert begun.endswith(".unfinished")
    assert (cache / begun).stat().st_size == 0


@settings(deadline=None, max_examples=40)
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


def test_the_bank_is_made_once(watched: ImageDataset, cache: Path) -> None:
    first = bank_of(watched)
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [first.key]
    before = (cache / first.key / "features.npy").stat()
    for again in (bank_of(watched), bank_of(watched, batch_size=3, device="cpu")):
        assert again.key == first.key
        assert np.array_equal(again.features, first.features)
    assert opened(watched) == list(range(80))
    assert (cache / first.key / "features.npy").stat() == before


def test_other_content_is_another_bank(dataset: ImageDataset, cache: Path) -> None:
    backbone = small_backbone()
    finer = dataclasses.replace(backbone, preprocess=Preprocess(resize=30, crop=24))
    banks = [
        bank_of(dataset),
        bank_of(dataset, dtype="float32"),
        bank_of(dataset, small_backbone(seed=1)),
        bank_of(dataset, finer),
        bank_of(subset(dataset, limit_per_class=9)),
    ]
    assert left_in(cache) == sorted({bank.key for bank in banks})
    assert len({bank.key for bank in banks}) == 5
    assert bank_of(dataset, dataclasses.replace(backbone)).key == banks[0].key


def test_a_changed_image_is_another_bank(image_tree: Path, tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "images"
    shutil.copytree(image_tree, root)
    before = bank_of(image_folder(root))
    shutil.copy(root / "cat" / "01.png", root / "cat" / "00.png")
    after = bank_of(image_folder(root))
    assert before.key != after.key
    assert left_in(cache) == sorted({before.key, after.key})
    row = image_folder(root).rows.index("cat/00.png")
    assert np.array_equal(after.features[row], before.features[row + 1])
    assert not np.array_equal(after.features[row], before.features[row])


def test_a_bank_is_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"\(5,\)"):
        FeatureBank(np.zeros(5), "key")


# Killed, damaged, at once


def killed_extraction(dataset: ImageDataset, stop: int, cache: Path, log: Path) -> Path:
    """Extract in a process that waits for row `stop` for ever, and kill it there."""
    assert dataset.images is not None
    stuck = dataclasses.replace(dataset, images=Watched(dataset.images, log, stop))
    process = FORK.Process(target=bank_of, args=(stuck,))
    process.start()
    enough = stop // 8 * 8 * ROW_BYTES
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in cache.glob("*.unfinished")) < enough:
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    [unfinished] = cache.glob("*.unfinished")
    assert unfinished.stat().st_size == enough
    return unfinished


@pytest.mark.parametrize("torn", [0, ROW_BYTES - 5, 3 * ROW_BYTES + 5])
def test_a_killed_extraction_goes_on_where_it_was(
    torn: int,
    dataset: ImageDataset,
    watched: ImageDataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the kill came amid a row or a batch, which leaves some bytes of it."""
    unfinished = killed_extraction(dataset, 43, cache, tmp_path / "killed")
    assert left_in(cache) == [unfinished.name]
    with unfinished.open("ab") as file:
        file.write(b"\xff" * torn)
    resumed = bank_of(watched)
    assert opened(watched) == list(range(40, 80))
    assert left_in(cache) == [resumed.key]
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "other"))
    whole = bank_of(watched)
    assert whole.key == resumed.key
    assert np.array_equal(whole.features, resumed.features)


def test_a_kill_after_the_last_row_costs_no_image(watched: ImageDataset, cache: Path) -> None:
    bank = bank_of(watched)
    (cache / f"{bank.key}.unfinished").write_bytes(np.asarray(bank.features).tobytes())
    shutil.rmtree(cache / bank.key)
    again = bank_of(watched)
    assert np.array_equal(again.features, np.asarray(bank.features))
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [bank.key]


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda entry: os.truncate(entry / "features.npy", 500),
    "flipped value": lambda entry: flip(entry / "features.npy", -1),
    "flipped header": lambda entry: flip(entry / "features.npy", 20),
    "no features": lambda entry: (entry / "features.npy").unlink(),
    "no meta": lambda entry: (entry / "meta.json").unlink(),
    "torn meta": lambda entry: os.truncate(entry / "meta.json", 9),
    "other meta": lambda entry: (entry / "meta.json").write_text("[]"),
    "a file": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
    "empty": lambda entry: (shutil.rmtree(entry), entry.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_made_again(damage: str, dataset: ImageDataset, cache: Path) -> None:
    bank = bank_of(dataset)
    expected = np.array(bank.features)
    DAMAGE[damage](cache / bank.key)
    again = bank_of(dataset)
    assert np.array_equal(again.features, expected)
    assert left_in(cache) == [bank.key]


def test_two_processes_make_one_bank(watched: ImageDataset, cache: Path) -> None:
    start, results = FORK.Barrier(2), FORK.Queue()

    def extract() -> None:
        start.wait(60)
        bank = bank_of(watched)
        results.put((bank.key, np.array(bank.features)))

    processes = [FORK.Process(target=extract) for _ in range(2)]
    for process in processes:
        process.start()
    (key, features), (other_key, other) = (results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert key == other_key
    assert np.array_equal(features, other)
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [key]


# Several processes


def shards_of(
    dataset: ImageDataset, backbone: Backbone, world_size: int, **options: Any
) -> tuple[RemoteShards, list[int]]:
    """Other processes, played by this one, and the rows that they were asked to start from."""
    first_rows: list[int] = []

    @contextmanager
    def remote_shards(key: str, start: int) -> Iterator[list[Iterator[bytes]]]:
        first_rows.append(start)
        shares = (
            shard_rows(
                key,
                start,
                dataset,
                backbone,
                ExtractionSettings(rank=rank, world_size=world_size, **options),
            )
            for rank in range(1, world_size)
        )
        yield list(shares)

    return remote_shards, first_rows


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("batch_size", [8, 7, 33, 100])
def test_shared_batches_make_the_bank_of_one_process(
    world_size: int, batch_size: int, dataset: ImageDataset, cache: Path
) -> None:
    options = {"batch_size": batch_size, "num_workers": 0}
    alone = bank_of(dataset, **options)
    expected = (cache / alone.key / "features.npy").read_bytes()
    shutil.rmtree(cache / alone.key)
    remote_shards, _ = shards_of(dataset, small_backbone(), world_size, **options)
    bank_of(dataset, remote_shards=remote_shards, world_size=world_size, **options)
    assert (cache / alone.key / "features.npy").read_bytes() == expected
    bank_of(dataset, remote_shards=None, **options)  # and nobody is called where the bank is there


def test_every_image_is_opened_once_and_by_whose_turn_it_is(
    dataset: ImageDataset, watched: ImageDataset, cache: Path
) -> None:
    options = {"batch_size": 8, "num_workers": 0}
    remote_shards, first_rows = shards_of(dataset, small_backbone(), 3, **options)
    bank = bank_of(watched, remote_shards=remote_shards, world_size=3, **options)
    assert opened(watched) == [row for start in (0, 24, 48, 72) for row in range(start, start + 8)]
    assert first_rows == [0]
    bank_of(watched, remote_shards=remote_shards, world_size=3, **options)
    assert first_rows == [0]
    assert left_in(cache) == [bank.key]


def test_an_extraction_goes_on_with_another_number_of_processes(
    dataset: ImageDataset, cache: Path, tmp_path: Path
) -> None:
    killed_extraction(dataset, 43, cache, tmp_path / "killed")
    remote_shards, first_rows = shards_of(dataset, small_backbone(), 3, batch_size=8, num_workers=0)
    bank = bank_of(dataset, remote_shards=remote_shards, world_size=3)
    assert first_rows == [40]
    shared = np.array(bank.features)
    shutil.rmtree(cache / bank.key)
    assert np.array_equal(bank_of(dataset).features, shared)


def test_a_process_with_other_weights_or_images_is_told_so(
    dataset: ImageDataset, cache: Path
) -> None:
    remote_shards, _ = shards_of(dataset, small_backbone(seed=1), 2, batch_size=8, num_workers=0)
    with pytest.raises(InputError, match=r"what runs it \(OpenVINO or torch, .*\) differ from"):
        bank_of(dataset, remote_shards=remote_shards, world_size=2)
    assert left_in(cache) == []


# What cannot be extracted


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


def test_values_beyond_float16_ask_for_float32(dataset: ImageDataset, cache: Path) -> None:
    large = small_backbone(scale=1e6)
    with pytest.raises(InputError, match=r"float16 cannot hold, in rows 0 to 7: .*=float32"):
        bank_of(dataset, large)
    assert [name.partition(".")[2] for name in left_in(cache)] == ["unfinished"]
    bank = bank_of(dataset, large, dtype="float32")
    assert bank.features.max() > np.finfo(np.float16).max
    with pytest.raises(
        InputError, match=r"that float32 cannot hold, in rows 0 to 7: check the weights$"
    ):
        bank_of(dataset, small_backbone(scale=float("nan")), dtype="float32")


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


# Packed and shipped


finite = st.floats(-100, 1000, width=32)


@settings(deadline=None, max_examples=40)
@given(arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 9)), elements=finite))
def test_packing_keeps_each_value_to_half_a_step(features: np.ndarray) -> None:
    backbone = small_backbone()
    path = Path(os.environ["DEVISE_CACHE"]) / "packed.npz"
    listed = caltech101()
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
