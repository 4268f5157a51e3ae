"""A gallery is kept up with its folder of images."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.galleries import unit
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.runs.gallery_files import gallery_names, load
from devise_exp.search import embedded_files, gallery_sync
from devise_exp.search.gallery_sync import SyncReport, sync


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


def report(n: int, added: int, changed: int, dropped: int) -> SyncReport:
    return SyncReport(n=n, added=added, changed=changed, dropped=dropped, skipped=())


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
def gallery(tmp_path: Path) -> Path:
    return tmp_path / "run" / "galleries" / "1"


def assert_up_to_date(gallery: Path, photos: Path) -> None:
    """The gallery is what embedding every image of the folder now would give."""
    files = {p.relative_to(photos).as_posix(): p for p in photos.rglob("*.png")}
    good = {n: p for n, p in files.items() if "." not in (n[0], n.split("/")[-1][0])}
    for space in ("devise", "backbone"):
        loaded = load(gallery, space)
        assert [row.name for row in loaded.rows] == sorted(good)
        assert [row.path for row in loaded.rows] == [str(good[n].resolve()) for n in sorted(good)]
        expected = Embedder()([Image.open(good[name]) for name in sorted(good)])[space]
        np.testing.assert_allclose(loaded.index.vectors, unit(expected), atol=1e-6)
    left = {path.name for path in gallery.parent.iterdir()}
    assert left == {gallery.name, f"{gallery.name}.lock"}


def state(gallery: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(gallery.rglob("*"))}


def test_a_folder_is_indexed_and_then_only_what_changed(photos: Path, gallery: Path) -> None:
    def again() -> tuple[SyncReport, int]:
        embedder = Embedder()
        return sync(gallery, photos, embedder, ExactIndex), embedder.seen

    assert again() == (report(5, 5, 0, 0), 5)
    assert_up_to_date(gallery, photos)
    before = state(gallery)
    assert again() == (report(5, 0, 0, 0), 0)
    assert state(gallery) == before  # nothing was rewritten
    paint(photos / "new.png", (1, 2, 3))
    paint(photos / "deep/d.png", (255, 9, 9)).touch()
    (photos / "a.png").unlink()
    assert again() == (report(5, 1, 1, 1), 2)
    assert_up_to_date(gallery, photos)
    shutil.rmtree(photos / "deep")
    assert again() == (report(3, 0, 0, 2), 0)
    assert_up_to_date(gallery, photos)


def test_a_broken_image_is_skipped_until_it_is_mended(photos: Path, gallery: Path) -> None:
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[:40])
    (photos / "no image.jpg").write_text("text")
    result = sync(gallery, photos, Embedder(), ExactIndex)
    assert (result.n, result.added) == (4, 4)
    assert [note.split(":")[0] for note in result.skipped] == ["b.png", "no image.jpg"]
    again = sync(gallery, photos, Embedder(), ExactIndex)
    assert (again.added, again.skipped) == (0, result.skipped)  # still said
    (photos / "b.png").write_bytes(whole)
    (photos / "no image.jpg").unlink()
    assert sync(gallery, photos, Embedder(), ExactIndex) == report(5, 1, 0, 0)
    assert_up_to_date(gallery, photos)
    (photos / "b.png").write_bytes(whole[:40])  # broken after it was indexed
    result = sync(gallery, photos, Embedder(), ExactIndex)
    assert (result.n, result.dropped, len(result.skipped)) == (4, 1, 1)
    assert "b.png" not in [row.name for row in load(gallery, "devise").rows]


def test_a_sync_that_was_killed_goes_on_where_it_was(
    photos: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_sync, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        sync(gallery, photos, Embedder(stop_after=4), ExactIndex)
    assert not gallery.exists()
    paint(photos / "a.png", (77, 7, 7)).touch()  # was in the first chunk
    (photos / "b.png").unlink()  # too
    (gallery.with_name("1.unfinished") / "7.npz").write_bytes(b"PK\3\4 cut short")
    embedder = Embedder()
    assert sync(gallery, photos, embedder, ExactIndex) == report(4, 4, 0, 0)
    assert embedder.seen == 2  # a.png, and the last, which no chunk had
    assert_up_to_date(gallery, photos)


def test_a_kill_before_the_new_gallery_is_whole_leaves_the_old_one(
    photos: Path, gallery: Path
) -> None:
    sync(gallery, photos, Embedder(), ExactIndex)
    paint(photos / "new.png", (1, 2, 3))

    def failing(vectors: np.ndarray) -> ExactIndex:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(gallery, photos, Embedder(), failing)
    assert len(load(gallery, "devise")) == 5
    embedder = Embedder()
    assert sync(gallery, photos, embedder, ExactIndex) == report(6, 1, 0, 0)
    assert embedder.seen == 0
    assert_up_to_date(gallery, photos)


def test_a_damaged_gallery_is_made_again(photos: Path, gallery: Path) -> None:
    sync(gallery, photos, Embedder(), ExactIndex)
    (gallery / "devise" / "vectors.npy").write_bytes(b"junk")
    embedder = Embedder()
    sync(gallery, photos, embedder, ExactIndex)
    assert embedder.seen == 5
    assert_up_to_date(gallery, photos)


def test_a_folder_without_good_images_is_one_line_and_leaves_the_gallery(
    photos: Path, gallery: Path, tmp_path: Path
) -> None:
    sync(gallery, photos, Embedder(), ExactIndex)
    before = state(gallery)
    shutil.rmtree(photos)
    for make, wrong in (
        (lambda: None, "does not exist"),
        (lambda: photos.write_bytes(b""), "is a file"),
        (lambda: (photos.unlink(), photos.mkdir()), "it holds none"),
        (lambda: (photos / "x.png").write_bytes(b"junk"), "x.png: not an image"),
    ):
        make()
        with pytest.raises(InputError, match=wrong):
            sync(gallery, photos, Embedder(), ExactIndex)
    assert state(gallery) == before


def test_spaces_that_have_changed_are_one_line(photos: Path, gallery: Path) -> None:
    sync(gallery, photos, lambda images: {"devise": Embedder()(images)["devise"]}, ExactIndex)
    paint(photos / "new.png", (1, 2, 3))
    with pytest.raises(
        InputError, match=r"was indexed in other spaces: remove it and .*\.unfinished"
    ):
        sync(gallery, photos, Embedder(), ExactIndex)


@pytest.mark.parametrize("before", [{"devise"}, {"devise", "backbone", "third"}], ids=len)
def test_a_killed_sync_of_other_spaces_is_begun_again(
    before: set[str], photos: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appended to, its vectors would be those of other images."""
    monkeypatch.setattr(gallery_sync, "CHUNK", 2)
    stopped = Embedder(stop_after=2)

    def in_other_spaces(images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        spaces = stopped(images)
        return {space: spaces.get(space, spaces["devise"]) for space in sorted(before)}

    with pytest.raises(KeyboardInterrupt):
        sync(gallery, photos, in_other_spaces, ExactIndex)
    assert gallery.with_name("1.unfinished").exists()
    sync(gallery, photos, Embedder(), ExactIndex, spaces=["devise", "backbone"])
    assert_up_to_date(gallery, photos)


def test_two_processes_index_a_folder_once(photos: Path, gallery: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counted"
    program = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from pathlib import Path
from test_gallery_sync import Embedder
from devise_exp.search.gallery_sync import sync
from devise_exp.index import ExactIndex
embedder = Embedder()
sync(Path({str(gallery)!r}), Path({str(photos)!r}), embedder, ExactIndex)
with open({str(counter)!r}, "a") as file: file.write(f"{{embedder.seen}}\\n")
"""
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(counter.read_text().split()) == ["0", "5"]
    assert_up_to_date(gallery, photos)


def test_folders_are_listed_by_their_own_names(photos: Path, gallery: Path, tmp_path: Path) -> None:
    make = partial(sync, embed=Embedder(), make_index=ExactIndex)
    make(gallery, photos)
    make(gallery.with_name("2"), photos / "deep")
    make(gallery.with_name("3"), photos / "deep")
    (gallery.with_name("3") / "rows.json").write_text("{")
    assert gallery_names(gallery.parent) == [str(photos), str(photos / "deep")]
    assert gallery_names(tmp_path / "nowhere") == []


@pytest.mark.parametrize("cut", ["keys", "vectors", "both"])
def test_what_a_kill_cut_short_is_embedded_again(
    cut: str, photos: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_sync, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        sync(gallery, photos, Embedder(stop_after=4), ExactIndex)
    unfinished = gallery.with_name("1.unfinished")
    if cut != "vectors":
        keys = unfinished / "keys.jsonl"
        keys.write_bytes(keys.read_bytes()[:-5])
    if cut != "keys":
        vectors = unfinished / "backbone.6.f4"
        vectors.write_bytes(vectors.read_bytes()[:-5])
    embedder = Embedder()
    assert sync(gallery, photos, embedder, ExactIndex) == report(5, 5, 0, 0)
    assert embedder.seen == 2
    assert_up_to_date(gallery, photos)


def test_a_folder_in_many_blocks_is_indexed_as_in_one(
    photos: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "broken.png").write_bytes(b"junk")
    sync(gallery, photos, Embedder(), ExactIndex)
    before = [load(gallery, space).index.vectors for space in ("devise", "backbone")]
    monkeypatch.setattr(gallery_sync, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(embedded_files, "ROWS_AT_ONCE", 2)
    other = gallery.with_name("2")
    result = sync(other, photos, Embedder(), ExactIndex)
    assert (result.n, len(result.skipped)) == (5, 1)
    for space, vectors in zip(("devise", "backbone"), before, strict=True):
        np.testing.assert_array_equal(load(other, space).index.vectors, vectors)
        assert isinstance(load(other, space).index.vectors, np.memmap)
    assert sorted(path.name for path in gallery.parent.iterdir()) == ["1", "1.lock", "2", "2.lock"]
