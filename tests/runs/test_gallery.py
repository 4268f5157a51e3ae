"""Galleries: saved and read back, and folders of images kept up with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.runs import gallery
from devise_exp.runs.gallery import GalleryRow, load, save
from devise_exp.search import gallery_sync
from devise_exp.search.gallery_sync import SyncReport, sync

ROWS = [
    GalleryRow("okapi/a.png", "okapi", None, "val"),
    GalleryRow("okapi/b.png", "okapi", None, "unseen"),
    GalleryRow("emu/ä [b] 東京.png", "emu", None, "test"),
    GalleryRow("emu/d.png", "emu", None, "unseen"),
]
VECTORS = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
FEATURES = np.random.default_rng(2).normal(size=(4, 9)).astype(np.float32)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    place = tmp_path / "run" / "gallery"
    save(place, ROWS, {"devise": VECTORS, "backbone": FEATURES}, ExactIndex)
    return place


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# Saving and reading


@pytest.mark.parametrize("make_index", [ExactIndex, NmslibIndex])
def test_a_gallery_is_read_back_in_each_of_its_spaces(tmp_path: Path, make_index: type) -> None:
    save(tmp_path / "g", ROWS, {"devise": VECTORS, "backbone": FEATURES}, make_index)
    for space, vectors in (("devise", VECTORS), ("backbone", FEATURES)):
        found = load(tmp_path / "g", space)
        assert list(found.rows) == ROWS
        assert (found.name, len(found)) == ("g", 4)
        assert isinstance(found.index, make_index)
        np.testing.assert_allclose(found.index.vectors, unit(vectors), atol=1e-6)


def test_a_part_has_its_rows_alone(saved: Path) -> None:
    whole = load(saved, "devise")
    unseen = whole.part("unseen")
    assert [row.name for row in unseen.rows] == ["okapi/b.png", "emu/d.png"]
    np.testing.assert_array_equal(unseen.index.vectors, whole.index.vectors[[1, 3]])
    ids, similarities = unseen.index.search(VECTORS[2:3], 2)
    cosines = unit(VECTORS[[1, 3]]) @ unit(VECTORS[2])
    assert ids[0].tolist() == np.argsort(-cosines).tolist()
    np.testing.assert_allclose(similarities[0], np.sort(cosines)[::-1], atol=1e-6)
    assert whole.part("all") is whole
    with pytest.raises(InputError, match="no images of train: choose all or test or unseen"):
        whole.part("train")


def test_saving_again_replaces_the_gallery_and_paths_become_absolute(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(saved, [GalleryRow("x.png", path="images/x.png")], {"devise": VECTORS[:1]}, ExactIndex)
    found = load(saved, "devise")
    assert [row.path for row in found.rows] == [str(tmp_path / "images" / "x.png")]
    assert sorted(path.name for path in saved.iterdir()) == ["devise", "rows.json"]
    with pytest.raises(InputError, match="no space backbone: choose devise"):
        load(saved, "backbone")


def test_a_gallery_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 rows"):
        save(tmp_path / "g", ROWS, {"devise": VECTORS[:3]}, ExactIndex)
    assert not list(tmp_path.iterdir())


def alter(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "harm",
    [
        lambda place: shutil.rmtree(place),
        lambda place: (place / "rows.json").unlink(),
        lambda place: (place / "rows.json").write_text('{"format": 1, "rows": ['),
        lambda place: (place / "rows.json").write_bytes(b"\xff\xfe"),
        lambda place: (place / "rows.json").write_text("[" * 100_000),
        lambda place: alter(place / "rows.json", format=99),
        lambda place: alter(place / "rows.json", rows=[{"name": "a", "size": 3}]),
        lambda place: alter(place / "rows.json", rows=[{"name": 3}] * 4),
        lambda place: alter(place / "rows.json", rows=[{"name": "a"}] * 3),
        lambda place: alter(place / "rows.json", rows=None),
        lambda place: (place / "devise" / "vectors.npy").write_bytes(b"junk"),
        lambda place: shutil.rmtree(place / "devise"),
    ],
)
def test_a_damaged_gallery_is_one_line_that_names_it(saved: Path, harm) -> None:
    harm(saved)
    with pytest.raises(InputError) as caught:
        load(saved, "devise")
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_image_is_found_by_its_file_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for name in ("a.png", "b.png"):
        (pool / name).write_bytes(b"an image")
    (pool / "link.png").symlink_to(pool / "b.png")
    (tmp_path / "other").symlink_to(pool)
    rows = [
        GalleryRow("a.png", path=str(pool / "a.png")),
        GalleryRow("link.png", path=str(pool / "link.png")),
        GalleryRow("gone.png"),
    ]
    save(tmp_path / "g", rows, {"devise": VECTORS[:3]}, ExactIndex)
    found = load(tmp_path / "g", "devise")
    monkeypatch.chdir(pool)
    for path in ("a.png", "../pool/a.png", str(tmp_path / "other" / "a.png")):
        assert found.row_of(Path(path)) == 0
    assert found.row_of(Path("b.png")) == 1
    assert found.row_of(Path("gone.png")) is None


def test_images_are_located_where_they_are_now(saved: Path, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    for name in ("okapi/a.png", "emu/ä [b] 東京.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"an image")
    found = load(saved, "devise").with_image_root(root)
    assert [row.path for row in found.rows] == [
        str(root / "okapi/a.png"), None, str(root / "emu/ä [b] 東京.png"), None,
    ]  # fmt: skip
    assert found.row_of(root / "okapi/a.png") == 0
    with pytest.raises(InputError, match=r"none of these .* by name.*okapi/a\.png"):
        load(saved, "devise").with_image_root(tmp_path)


# Keeping up with a folder


class Embedder:
    """Mean colours as an embedding; counts the images, and stops a sync as a kill would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen = 0
        self.stop_after = stop_after

    def __call__(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        if self.stop_after is not None and self.seen >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += len(images)
        colours = np.stack([np.asarray(image).mean(axis=(0, 1)) for image in images])
        return {"devise": colours / 255 - 0.4, "backbone": np.hstack([colours, colours**2])}


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five good images of different colours at several depths, and what is no image."""
    root = tmp_path / "my photos"
    for i, name in enumerate(("a.png", "b.png", "deep/er/c.png", "deep/d.png", "ä [x] 東京.png")):
        paint(root / name, (50 * i, 200 - 40 * i, 90))
    for name in (".hidden.png", "notes.txt", ".cache/x.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"no image")
    return root


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "run" / "galleries" / "1"


def assert_up_to_date(place: Path, photos: Path) -> None:
    """The gallery is what embedding every image of the folder now would give."""
    files = {p.relative_to(photos).as_posix(): p for p in photos.rglob("*.png")}
    good = {n: p for n, p in files.items() if "." not in (n[0], n.split("/")[-1][0])}
    for space in ("devise", "backbone"):
        found = load(place, space)
        assert [row.name for row in found.rows] == sorted(good)
        assert [row.path for row in found.rows] == [str(good[n].resolve()) for n in sorted(good)]
        expected = Embedder()([Image.open(good[name]) for name in sorted(good)])[space]
        np.testing.assert_allclose(found.index.vectors, unit(expected), atol=1e-6)
    left = {path.name for path in place.parent.iterdir()}
    assert left == {place.name, f"{place.name}.lock"}


def state(place: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(place.rglob("*"))}


def test_a_folder_is_indexed_and_then_only_what_changed(photos: Path, place: Path) -> None:
    def again() -> tuple[SyncReport, int]:
        embedder = Embedder()
        return sync(place, photos, embedder, ExactIndex), embedder.seen

    assert again() == (SyncReport(5, 5, 0, 0, ()), 5)
    assert_up_to_date(place, photos)
    before = state(place)
    assert again() == (SyncReport(5, 0, 0, 0, ()), 0)
    assert state(place) == before  # nothing was rewritten
    paint(photos / "new.png", (1, 2, 3))
    paint(photos / "deep/d.png", (255, 9, 9)).touch()
    (photos / "a.png").unlink()
    assert again() == (SyncReport(5, 1, 1, 1, ()), 2)
    assert_up_to_date(place, photos)
    shutil.rmtree(photos / "deep")
    assert again() == (SyncReport(3, 0, 0, 2, ()), 0)
    assert_up_to_date(place, photos)


def test_a_broken_image_is_skipped_until_it_is_mended(photos: Path, place: Path) -> None:
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[:40])
    (photos / "no image.jpg").write_text("text")
    report = sync(place, photos, Embedder(), ExactIndex)
    assert (report.n, report.added) == (4, 4)
    assert [note.split(":")[0] for note in report.skipped] == ["b.png", "no image.jpg"]
    again = sync(place, photos, Embedder(), ExactIndex)
    assert (again.added, again.skipped) == (0, report.skipped)  # still said
    (photos / "b.png").write_bytes(whole)
    (photos / "no image.jpg").unlink()
    assert sync(place, photos, Embedder(), ExactIndex) == SyncReport(5, 1, 0, 0, ())
    assert_up_to_date(place, photos)
    (photos / "b.png").write_bytes(whole[:40])  # broken after it was indexed
    report = sync(place, photos, Embedder(), ExactIndex)
    assert (report.n, report.dropped, len(report.skipped)) == (4, 1, 1)
    assert "b.png" not in [row.name for row in load(place, "devise").rows]


def test_a_sync_that_was_killed_goes_on_where_it_was(
    photos: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_sync, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        sync(place, photos, Embedder(stop_after=4), ExactIndex)
    assert not place.exists()
    paint(photos / "a.png", (77, 7, 7)).touch()  # was in the first chunk
    (photos / "b.png").unlink()  # too
    (place.with_name("1.unfinished") / "7.npz").write_bytes(b"PK\3\4 cut short")
    embedder = Embedder()
    assert sync(place, photos, embedder, ExactIndex) == SyncReport(4, 4, 0, 0, ())
    assert embedder.seen == 2  # a.png, and the last, which no chunk had
    assert_up_to_date(place, photos)


def test_a_kill_before_the_new_gallery_is_whole_leaves_the_old_one(
    photos: Path, place: Path
) -> None:
    sync(place, photos, Embedder(), ExactIndex)
    paint(photos / "new.png", (1, 2, 3))

    def failing(vectors: np.ndarray) -> ExactIndex:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(place, photos, Embedder(), failing)
    assert len(load(place, "devise")) == 5
    embedder = Embedder()
    assert sync(place, photos, embedder, ExactIndex) == SyncReport(6, 1, 0, 0, ())
    assert embedder.seen == 0
    assert_up_to_date(place, photos)


def test_a_damaged_gallery_is_made_again(photos: Path, place: Path) -> None:
    sync(place, photos, Embedder(), ExactIndex)
    (place / "devise" / "vectors.npy").write_bytes(b"junk")
    embedder = Embedder()
    sync(place, photos, embedder, ExactIndex)
    assert embedder.seen == 5
    assert_up_to_date(place, photos)


def test_a_folder_without_good_images_is_one_line_and_leaves_the_gallery(
    photos: Path, place: Path, tmp_path: Path
) -> None:
    sync(place, photos, Embedder(), ExactIndex)
    before = state(place)
    shutil.rmtree(photos)
    for make, wrong in (
        (lambda: None, "does not exist"),
        (lambda: photos.write_bytes(b""), "is a file"),
        (lambda: (photos.unlink(), photos.mkdir()), "it holds none"),
        (lambda: (photos / "x.png").write_bytes(b"junk"), "x.png: not a picture"),
    ):
        make()
        with pytest.raises(InputError, match=wrong):
            sync(place, photos, Embedder(), ExactIndex)
    assert state(place) == before


def test_spaces_that_have_changed_are_one_line(photos: Path, place: Path) -> None:
    sync(place, photos, lambda images: {"devise": Embedder()(images)["devise"]}, ExactIndex)
    paint(photos / "new.png", (1, 2, 3))
    with pytest.raises(InputError, match="was indexed in other spaces"):
        sync(place, photos, Embedder(), ExactIndex)


def test_two_processes_index_a_folder_once(photos: Path, place: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counted"
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_gallery import Embedder
from devise_exp.search.gallery_sync import sync
from devise_exp.index import ExactIndex
embedder = Embedder()
sync(Path({str(place)!r}), Path({str(photos)!r}), embedder, ExactIndex)
with open({str(counter)!r}, "a") as file: file.write(f"{{embedder.seen}}\\n")
"""
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(counter.read_text().split()) == ["0", "5"]
    assert_up_to_date(place, photos)


def test_folders_are_listed_by_their_own_names(photos: Path, place: Path, tmp_path: Path) -> None:
    make = partial(sync, embed=Embedder(), make_index=ExactIndex)
    make(place, photos)
    make(place.with_name("2"), photos / "deep")
    make(place.with_name("3"), photos / "deep")
    (place.with_name("3") / "rows.json").write_text("{")
    assert gallery.folders(place.parent) == [str(photos), str(photos / "deep")]
    assert gallery.folders(tmp_path / "nowhere") == []
