"""Near copies of a hit are folded into it, and shown where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from devise_exp.core.vectors import normalize_rows
from devise_exp.index.exact import ExactIndex
from devise_exp.runs.gallery import Gallery, GalleryRow
from devise_exp.search.folded import nearest_without_copies


def picture(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Coarse coloured fields, as few images have alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def gallery_of(folder: Path) -> Gallery:
    """Six pictures and two copies of the first, one smaller and one as JPEG; nearest first."""
    names = ["0.png", "0_small.png", "1.png", "2.png", "0.jpg", "3.png", "4.png", "5.png"]
    for i in range(6):
        picture(i).save(folder / f"{i}.png")
    picture(0).resize((48, 40)).save(folder / "0_small.png")
    picture(0).save(folder / "0.jpg", quality=80)
    angles = np.linspace(0, 1, len(names))
    vectors = normalize_rows(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    rows = tuple(GalleryRow(name=name, path=str(folder / name)) for name in names)
    return Gallery("photos", rows, ExactIndex(vectors))


def test_copies_are_folded_into_the_nearest_and_k_others_follow(tmp_path: Path) -> None:
    gallery, query = gallery_of(tmp_path), np.array([1.0, 0.0], np.float32)
    hits = nearest_without_copies(gallery, query, 4)
    names = [gallery.rows[i].name for i, _, _ in hits]
    assert names == ["0.png", "1.png", "2.png", "3.png"]
    assert [[gallery.rows[c].name for c in copies] for _, _, copies in hits] == [
        ["0_small.png", "0.jpg"], [], [], [],
    ]  # fmt: skip
    similarities = [s for _, s, _ in hits]
    assert similarities == sorted(similarities, reverse=True)
    whole = nearest_without_copies(gallery, query, 8)
    assert [gallery.rows[i].name for i, _, _ in whole] == [f"{i}.png" for i in range(6)]
    others = nearest_without_copies(gallery, query, 2, left_out={0})
    assert [gallery.rows[i].name for i, _, _ in others] == ["0_small.png", "1.png"]


def test_images_that_are_on_no_disk_are_folded_by_equal_vectors() -> None:
    vectors = normalize_rows(np.array([[1, 0], [1, 0], [1, 0.1], [1, 0.2]], np.float32))
    rows = tuple(GalleryRow(name=str(i)) for i in range(4))
    gallery = Gallery("stored", rows, ExactIndex(vectors))
    hits = nearest_without_copies(gallery, np.array([1.0, 0.0], np.float32), 2)
    assert [(i, copies) for i, _, copies in hits] == [(0, (1,)), (2, ())]
