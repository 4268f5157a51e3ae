from __future__ import annotations

import hashlib
import inspect
import json
import pickle
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra.utils
import numpy as np
import pytest
import torchvision.datasets
from helpers.paths import CONF
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from scipy.io import savemat

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101, caltech256, dataset_from_listing, dataset_listing
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.imagenet_sets import imagenet, tiny_imagenet200
from devise_exp.data.intel import intel_scenes
from devise_exp.data.torchvision_sets import cifar100, flowers102, food101

GROUP = CONF / "data"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def picture(path: Path, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, format="JPEG")
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


# Caltech


def caltech101_tree(root: Path) -> Path:
    folder = root / "caltech101" / "101_ObjectCategories"
    names = ("okapi/image_0001", "okapi/image_0002", "okapi/image_0005", "Faces/image_0001")
    for seed, name in enumerate(names):
        picture(folder / f"{name}.jpg", seed)
    return folder


def test_caltech101_reads_what_torchvision_cannot(root: Path) -> None:
    folder = caltech101_tree(root)  # a gap in the numbers, and no BACKGROUND_Google
    (folder / ".DS_Store").touch()
    plain = caltech101(root)
    assert plain.classes == ("Faces", "okapi")
    assert plain.rows[:2] == ("Faces/image_0001.jpg", "okapi/image_0001.jpg")
    assert plain.labels.tolist() == [0, 1, 1, 1]
    picture(folder / "BACKGROUND_Google" / "image_0001.jpg")
    (folder / "BACKGROUND_Google" / "tmp").touch()
    for place in (root, folder.parent, folder, str(root)):
        dataset = caltech101(place)
        assert dataset.fingerprint == plain.fingerprint
        assert (dataset.rows, dataset.skipped) == (plain.rows, ())


def test_caltech101_strict_names_a_broken_picture(root: Path) -> None:
    folder = caltech101_tree(root)
    (folder / "okapi" / "image_0002.jpg").write_bytes(b"\xff\xd8\xff")
    assert len(caltech101(root).skipped) == 1
    with pytest.raises(InputError, match=r"1 of 4 images are broken \(okapi/image_0002\.jpg"):
        caltech101(root, strict=True)


def test_the_listing_of_a_tree_makes_the_same_dataset_without_pictures(root: Path) -> None:
    caltech101_tree(root)
    dataset = caltech101(root)
    content = dataset_listing(dataset)
    assert content["classes"] == {"Faces": "1-1", "okapi": "1-2,5-5"}
    again = dataset_from_listing("caltech101", json.loads(json.dumps(content)))
    assert again.images is None
    assert (again.classes, again.rows) == (dataset.classes, dataset.rows)
    assert again.labels.tolist() == dataset.labels.tolist()
    assert again.fingerprint == dataset.fingerprint


@given(
    st.dictionaries(
        st.text("abcAB_ -", min_size=1), st.sets(st.integers(0, 9999), min_size=1), min_size=1
    )
)
def test_any_listing_round_trips(numbers: dict[str, set[int]]) -> None:
    rows = sorted(f"{name}/image_{each:04d}.jpg" for name in numbers for each in numbers[name])
    classes = tuple(sorted(numbers))
    labels = np.array([classes.index(row.rsplit("/", 1)[0]) for row in rows], dtype=np.int64)
    dataset = ImageDataset(
        name="made", classes=classes, labels=labels, rows=tuple(rows), fingerprint="f", images=None
    )
    again = dataset_from_listing("made", dataset_listing(dataset))
    assert (again.classes, again.rows) == (classes, tuple(rows))
    assert again.labels.tolist() == labels.tolist()


def test_other_row_names_have_no_listing() -> None:
    dataset = ImageDataset(
        name="x",
        classes=("a",),
        labels=np.array([0]),
        rows=("a/photo.png",),
        fingerprint="f",
        images=None,
    )
    with pytest.raises(InputError, match=r"a/photo\.png is not"):
        dataset_listing(dataset)


def test_the_shipped_listing_is_the_published_caltech101() -> None:
    dataset = caltech101()
    assert dataset.images is None
    assert (len(dataset.rows), len(dataset.classes)) == (8677, 101)
    assert list(dataset.rows) == sorted(dataset.rows)
    counts = dict(zip(dataset.classes, np.bincount(dataset.labels), strict=True))
    assert (counts["airplanes"], counts["okapi"], counts["inline_skate"]) == (800, 39, 31)
    assert counts["Faces"] == counts["Faces_easy"] == 435
    with pytest.raises(InputError, match=r"set data\.root"):
        caltech101(download=True)


def test_caltech256_drops_numbers_markers_clutter_and_strays(root: Path) -> None:
    folder = root / "caltech256" / "256_ObjectCategories"
    for name in ("001.ak47/001_0001", "250.zebra/250_0002", "251.airplanes-101/251_0001"):
        picture(folder / f"{name}.jpg")
    picture(folder / "257.clutter" / "257_0001.jpg")
    picture(folder / "001.ak47" / "greg" / "vision" / "001_0001.jpg")
    picture(folder / "001.ak47" / "001_0001.jpg.orig")
    (folder / "001.ak47" / "RENAME2").write_text("mv a b")
    dataset = caltech256(root, strict=True)
    assert dataset.classes == ("airplanes", "ak47", "zebra")
    assert dataset.rows == (
        "001.ak47/001_0001.jpg",
        "250.zebra/250_0002.jpg",
        "251.airplanes-101/251_0001.jpg",
    )
    assert dataset.labels.tolist() == [1, 2, 0]


# Intel Image Classification


def test_intel_scenes_joins_its_parts_and_leaves_unsorted_pictures_alone(root: Path) -> None:
    for name in (
        "seg_train/seg_train/sea/1.jpg",
        "seg_train/seg_train/glacier/2.jpg",
        "seg_test/seg_test/sea/1.jpg",  # a name of the other part
        "seg_pred/seg_pred/5.jpg",
    ):
        picture(root / name, len(name))
    (root / "seg_test/seg_test/street").mkdir()
    dataset = intel_scenes(root, strict=True)
    assert dataset.classes == ("glacier", "sea")
    assert dataset.rows == (
        "glacier/seg_train/2.jpg",
        "sea/seg_test/1.jpg",
        "sea/seg_train/1.jpg",
    )
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.skipped == ("street: no images in this class folder",)
    assert dataset.images is not None
    test_part = Image.open(root / "seg_test/seg_test/sea/1.jpg").convert("RGB")
    assert dataset.images[1].tobytes() == test_part.tobytes()


# CIFAR-100, Food-101, Oxford 102 Flower: read by torchvision


def cifar100_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    folder = root / "cifar-100-python"
    folder.mkdir()
    names = ["apple", "aquarium_fish", "zebra"]
    data = np.random.default_rng(1).integers(0, 256, (7, 3072), dtype=np.uint8)
    parts = {"train": ([2, 0, 2, 1], data[:4]), "test": ([0, 1, 2], data[4:])}
    for part, (labels, pixels) in parts.items():
        content = {"fine_labels": labels, "coarse_labels": [0] * len(labels), "data": pixels}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    kind = torchvision.datasets.CIFAR100
    monkeypatch.setattr(kind, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(kind, "test_list", [["test", md5(folder / "test")]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(folder / "meta")})
    return data


def test_cifar100_joins_train_and_test(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cifar100_files(root, monkeypatch)
    dataset = cifar100(root)
    assert dataset.classes == ("apple", "aquarium_fish", "zebra")
    assert dataset.rows == (
        "apple/test_00000",
        "apple/train_00001",
        "aquarium_fish/test_00001",
        "aquarium_fish/train_00003",
        "zebra/test_00002",
        "zebra/train_00000",
        "zebra/train_00002",
    )
    assert dataset.labels.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert dataset.images is not None
    # The files hold planes of (3, 32, 32); data has the 4 of train, then the 3 of test.
    for row, source in enumerate((4, 1, 5, 3, 6, 0, 2)):
        wanted = data[source].reshape(3, 32, 32).transpose(1, 2, 0)
        assert np.array_equal(np.asarray(dataset.images[row]), wanted)
    copy = pickle.loads(pickle.dumps(dataset.images))
    assert copy[6].tobytes() == dataset.images[6].tobytes()


def test_cifar100_has_a_fingerprint_of_its_content(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar100_files(root, monkeypatch)
    first = cifar100(root).fingerprint
    assert cifar100(root).fingerprint == first
    path = root / "cifar-100-python" / "test"
    content = pickle.loads(path.read_bytes())
    content["data"] = content["data"].copy()
    content["data"][0, 0] ^= 1
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="not found or damaged"):
        cifar100(root)
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "test_list", [["test", md5(path)]])
    assert cifar100(root).fingerprint != first


def food101_files(root: Path) -> Path:
    folder = root / "food-101"
    lists = {
        "train": {"apple_pie": ["apple_pie/11", "apple_pie/12"], "waffles": ["waffles/21"]},
        "test": {"apple_pie": ["apple_pie/13"], "waffles": ["waffles/22"]},
    }
    (folder / "meta").mkdir(parents=True)
    for part, content in lists.items():
        (folder / "meta" / f"{part}.json").write_text(json.dumps(content))
        for paths in content.values():
            for path in paths:
                picture(folder / "images" / f"{path}.jpg", int(path[-2:]))
    return folder


def test_food101_joins_its_lists_and_names_what_is_missing(root: Path) -> None:
    folder = food101_files(root)
    dataset = food101(root, strict=True)
    assert dataset.classes == ("apple_pie", "waffles")
    assert dataset.rows == (
        "apple_pie/11.jpg",
        "apple_pie/12.jpg",
        "apple_pie/13.jpg",
        "waffles/21.jpg",
        "waffles/22.jpg",
    )
    (folder / "images" / "apple_pie" / "13.jpg").unlink()
    fewer = food101(root)
    assert len(fewer.rows) == 4
    assert fewer.skipped == ("apple_pie/13.jpg: cannot be read: No such file or directory",)
    (folder / "meta" / "test.json").write_text("{")
    with pytest.raises(InputError, match=r"food101: not found or damaged under .*meta/train\.json"):
        food101(root)


def test_flowers102_names_its_classes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "flowers-102"
    for number in range(1, 6):
        picture(folder / "jpg" / f"image_{number:05d}.jpg", number)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[77, 1, 77, 54, 1]])})
    parts = {"trnid": [[1, 4]], "valid": [[2, 5]], "tstid": [[3, 3]]}
    savemat(folder / "setid.mat", {key: np.array(value) for key, value in parts.items()})
    kind = torchvision.datasets.Flowers102
    table = dict(kind._file_dict)
    for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat")):
        table[key] = (name, md5(folder / name))
    monkeypatch.setattr(kind, "_file_dict", table)
    dataset = flowers102(root)
    assert dataset.classes == ("passion flower", "pink primrose", "sunflower")
    assert dataset.rows == (
        "passion flower/image_00001.jpg",
        "passion flower/image_00003.jpg",
        "pink primrose/image_00002.jpg",
        "pink primrose/image_00005.jpg",
        "sunflower/image_00004.jpg",
    )
    assert dataset.skipped == ("passion flower/image_00003.jpg: a second file of this name",)


# ImageNet


def test_imagenet_joins_its_parts_and_names_wnids(root: Path) -> None:
    picture(root / "train" / "n01443537" / "n01443537_10.JPEG", 1)
    picture(root / "train" / "n02012849" / "n02012849_7.JPEG", 2)
    picture(root / "val" / "n01443537" / "ILSVRC2012_val_00000236.JPEG", 3)
    dataset = imagenet(root)
    assert dataset.classes == ("crane bird", "goldfish")
    assert dataset.rows == (
        "n01443537/ILSVRC2012_val_00000236.JPEG",
        "n01443537/n01443537_10.JPEG",
        "n02012849/n02012849_7.JPEG",
    )
    assert dataset.labels.tolist() == [1, 1, 0]


def test_imagenet_names_the_larger_hierarchy_and_tells_twins_apart(root: Path) -> None:
    # Classes of ImageNet-21K, where many a lemma belongs to two synsets.
    from timm.data import ImageNetInfo

    lemmas = ImageNetInfo("imagenet-21k").label_descriptions(as_dict=True)
    old = set(ImageNetInfo().label_names())
    by_name: dict[str, list[str]] = {}
    for wnid in sorted(lemmas.keys() - old):
        by_name.setdefault(lemmas[wnid], []).append(wnid)
    twins = next(each for each in by_name.values() if len(each) == 2)
    single = by_name["okapi, Okapia johnstoni"]
    for wnid in twins + single:
        picture(root / "train" / wnid / "a.JPEG")
    name = lemmas[twins[0]]
    assert set(imagenet(root).classes) == {
        "okapi, Okapia johnstoni",
        *(f"{name} ({wnid})" for wnid in twins),
    }


def test_imagenet_says_what_is_wrong_with_a_layout(root: Path) -> None:
    picture(root / "train" / "goldfish" / "a.JPEG")
    with pytest.raises(InputError, match=r"goldfish in .* is not a WordNet id"):
        imagenet(root)
    picture(root / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(InputError, match="not sorted into <wnid> folders"):
        imagenet(root)


def tiny_files(root: Path) -> Path:
    folder = root / "tiny-imagenet-200"
    for wnid in ("n01443537", "n02058221"):
        for number in (0, 1):
            picture(folder / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", number)
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("x_0.JPEG\t0\t0\t9\t9\n")
    picture(folder / "val" / "images" / "val_0.JPEG", 8)
    picture(folder / "test" / "images" / "test_0.JPEG", 9)
    (folder / "wnids.txt").write_text("n02058221\nn01443537\n")
    (folder / "words.txt").write_text(
        "n00001740\tentity\n"
        "n01443537\tgoldfish, Carassius auratus\n"
        "n02058221\talbatross, mollymawk\n"
    )
    (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02058221\t0\t32\t44\t62\n")
    return folder


def test_tiny_imagenet_joins_train_and_val(root: Path) -> None:
    folder = tiny_files(root)
    dataset = tiny_imagenet200(root, strict=True)
    assert dataset.classes == ("albatross, mollymawk", "goldfish, Carassius auratus")
    assert dataset.rows == (
        "n01443537/images/n01443537_0.JPEG",
        "n01443537/images/n01443537_1.JPEG",
        "n02058221/images/n02058221_0.JPEG",
        "n02058221/images/n02058221_1.JPEG",
        "n02058221/val_0.JPEG",
    )
    assert dataset.labels.tolist() == [1, 1, 0, 0, 0]
    assert dataset.skipped == ()
    assert tiny_imagenet200(folder).fingerprint == dataset.fingerprint


def test_tiny_imagenet_says_which_file_is_wrong(root: Path) -> None:
    folder = tiny_files(root)
    (folder / "wnids.txt").write_text("n09999999\n")
    with pytest.raises(InputError, match=r"n09999999 is not in words\.txt"):
        tiny_imagenet200(root)
    (folder / "words.txt").unlink()
    with pytest.raises(InputError, match=r"words\.txt not found under"):
        tiny_imagenet200(root)


# Missing data and downloads


DOWNLOADABLE = [caltech101, caltech256, cifar100, food101, flowers102]


@pytest.mark.parametrize("constructor", [*DOWNLOADABLE, imagenet, tiny_imagenet200, intel_scenes])
def test_a_missing_dataset_names_its_layout(
    constructor: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(InputError) as raised:
        constructor(root)
    message = str(raised.value)
    assert f"expected {root}/" in message
    assert ("data.download=true" in message) == (constructor in DOWNLOADABLE)
    assert "\n" not in message


@pytest.mark.parametrize("constructor", DOWNLOADABLE)
def test_a_failed_download_says_what_to_fetch_and_where_to_put_it(
    constructor: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(request: urllib.request.Request, *_: Any, **__: Any) -> None:
        asked.append(request.full_url)
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(InputError, match=r"the download failed \(.*no route to host") as raised:
        constructor(root, download=True)
    assert asked
    archive = asked[0].rsplit("/", 1)[1]
    assert archive in str(raised.value)
    assert f"unpack it to {root}/" in str(raised.value)


def test_pictures_at_hand_are_not_downloaded_again(root: Path) -> None:
    caltech101_tree(root)
    assert len(caltech101(root, download=True).rows) == 4
    food101_files(root)
    assert len(food101(root, download=True).rows) == 5


# Configuration


def of_group(path: Path) -> DictConfig:
    """The dataset's own part of a file that may also choose its labels and split."""
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    return config.get("data", config)


@pytest.mark.parametrize("path", sorted(GROUP.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_config_has_the_keys_of_its_constructor(path: Path) -> None:
    config = of_group(path)
    target = config.pop("_target_")
    constructor = hydra.utils.get_method(target)
    parameters = inspect.signature(constructor).parameters
    assert list(config) == list(parameters)
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty:
            assert OmegaConf.is_missing(config, key)
        elif key != "name":  # what a class folder is called in tables
            assert config[key] == parameter.default


def test_a_config_makes_its_dataset() -> None:
    dataset = hydra.utils.instantiate(of_group(GROUP / "caltech101.yaml"))
    assert len(dataset.rows) == 8677
