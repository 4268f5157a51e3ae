"""ImageNet and Tiny ImageNet in small."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.published_sets import image

from devise_exp.core.errors import InputError
from devise_exp.data.imagenet_sets import imagenet, tiny_imagenet200


def test_imagenet_joins_its_parts_and_names_wnids(root: Path) -> None:
    image(root / "train" / "n01443537" / "n01443537_10.JPEG", 1)
    image(root / "train" / "n02012849" / "n02012849_7.JPEG", 2)
    image(root / "val" / "n01443537" / "ILSVRC2012_val_00000236.JPEG", 3)
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
    twins = next(wnids for wnids in by_name.values() if len(wnids) == 2)
    single = by_name["okapi, Okapia johnstoni"]
    for wnid in twins + single:
        image(root / "train" / wnid / "a.JPEG")
    name = lemmas[twins[0]]
    assert set(imagenet(root).classes) == {
        "okapi, Okapia johnstoni",
        *(f"{name} ({wnid})" for wnid in twins),
    }


def test_imagenet_says_what_is_wrong_with_a_layout(root: Path) -> None:
    image(root / "train" / "goldfish" / "a.JPEG")
    with pytest.raises(InputError, match=r"goldfish in .* is not a WordNet id"):
        imagenet(root)
    image(root / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(InputError, match="not sorted into <wnid> folders"):
        imagenet(root)


def tiny_files(root: Path) -> Path:
    folder = root / "tiny-imagenet-200"
    for wnid in ("n01443537", "n02058221"):
        for number in (0, 1):
            image(folder / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", number)
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("x_0.JPEG\t0\t0\t9\t9\n")
    image(folder / "val" / "images" / "val_0.JPEG", 8)
    image(folder / "test" / "images" / "test_0.JPEG", 9)
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


def test_tiny_imagenet_names_folders_and_classes_that_do_not_fit(root: Path) -> None:
    folder = tiny_files(root)
    image(folder / "train" / "n02099601" / "images" / "n02099601_0.JPEG", 3)
    with (folder / "wnids.txt").open("a") as file:
        file.write("n00001740\n")
    dataset = tiny_imagenet200(root, strict=True)
    assert dataset.classes == ("albatross, mollymawk", "goldfish, Carassius auratus")
    assert dataset.skipped == (
        "train/n02099601: wnids.txt does not list this class",
        "n00001740 (entity): listed, but without images",
    )


def test_tiny_imagenet_says_which_file_is_wrong(root: Path) -> None:
    folder = tiny_files(root)
    (folder / "wnids.txt").write_text("n09999999\n")
    with pytest.raises(InputError, match=r"n09999999 is not in words\.txt"):
        tiny_imagenet200(root)
    (folder / "words.txt").unlink()
    with pytest.raises(InputError, match=r"words\.txt not found under"):
        tiny_imagenet200(root)


@pytest.mark.parametrize("below", ["", "images"])
@pytest.mark.parametrize("annotated", [True, False])
def test_tiny_imagenet_may_be_sorted_into_class_folders(
    root: Path, below: str, annotated: bool
) -> None:
    expected = tiny_imagenet200(tiny_files(root / "as published").parent)
    folder = tiny_files(root)
    target = folder / "val" / "n02058221" / below
    target.mkdir(parents=True)
    (folder / "val" / "images" / "val_0.JPEG").rename(target / "val_0.JPEG")
    (folder / "val" / "images").rmdir()
    if not annotated:
        (folder / "val" / "val_annotations.txt").unlink()
    if not below:
        for wnid in ("n01443537", "n02058221"):
            for image_file in (folder / "train" / wnid / "images").iterdir():
                image_file.rename(folder / "train" / wnid / image_file.name)
    dataset = tiny_imagenet200(root, strict=True)
    assert dataset.rows == expected.rows
    assert dataset.fingerprint == expected.fingerprint
    folder.rename(root / "tiny")
    assert tiny_imagenet200(root / "tiny").fingerprint == expected.fingerprint


def test_lists_may_have_a_byte_order_mark_and_line_ends_of_windows(root: Path) -> None:
    expected = tiny_imagenet200(tiny_files(root / "as published").parent)
    folder = tiny_files(root)
    for name in ("wnids.txt", "words.txt", "val/val_annotations.txt"):
        content = (folder / name).read_bytes().replace(b"\n", b"\r\n")
        (folder / name).write_bytes(b"\xef\xbb\xbf" + content)
    dataset = tiny_imagenet200(root)
    assert dataset.classes == expected.classes
    assert dataset.fingerprint == expected.fingerprint


def test_imagenet_may_lie_where_its_archive_unpacks_it(root: Path) -> None:
    image(root / "ILSVRC/Data/CLS-LOC/train/n01443537/n01443537_10.JPEG", 1)
    assert imagenet(root).rows == ("n01443537/n01443537_10.JPEG",)
