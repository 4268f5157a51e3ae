"""CIFAR-100, Food-101 and Oxford 102 Flower in small, as torchvision reads them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from helpers.published_sets import food101_files, image
from scipy.io import savemat

from devise_exp.core.errors import InputError
from devise_exp.data.torchvision_sets import cifar100, flowers102, food101


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


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
        image(folder / "jpg" / f"image_{number:05d}.jpg", number)
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


@pytest.mark.parametrize("parts", [("images",), ("train", "test")])
def test_food101_may_be_sorted_into_class_folders(
    parts: tuple[str, ...], root: Path, tmp_path: Path
) -> None:
    expected = food101(food101_files(tmp_path / "as published").parent)
    for row in expected.rows:
        number = int(row[-6:-4])
        image(root / "food-101" / parts[number % len(parts)] / row, number)
    dataset = food101(root)
    assert dataset.rows == expected.rows
    assert dataset.fingerprint == expected.fingerprint


def test_flowers102_may_be_sorted_into_numbers(root: Path) -> None:
    image(root / "flowers-102/train/1/image_06734.jpg", 1)
    image(root / "flowers-102/valid/1/image_06739.jpg", 2)
    image(root / "flowers-102/test/102/image_08000.jpg", 3)
    dataset = flowers102(root)
    assert dataset.classes == ("blackberry lily", "pink primrose")
    assert dataset.rows[0] == "blackberry lily/image_08000.jpg"
    with pytest.raises(InputError, match="flowers102: not found under"):
        flowers102(root / "flowers-102")
