"""Questions to a small run that was trained here, held to plain NumPy."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.images import draw
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.search.answers import Answer, find_images, nearest_words
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import tag_images


@pytest.fixture(scope="module")
def trained(searchable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, for folders are indexed in it, of a run that is stored in two spaces."""
    folder = shutil.copytree(searchable, tmp_path_factory.mktemp("run") / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config.spaces = ["backbone"]
    OmegaConf.save(config, folder / "config.yaml")
    return folder


@pytest.fixture
def saved(trained: Path) -> Run:
    return Run.open(trained)


@pytest.fixture(scope="module")
def wordy(trained: Path) -> Path:
    """The run without its weights: no network can be built from it."""
    copy = trained.with_name("without weights")
    return shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("checkpoints"))


@pytest.fixture
def offline(wordy: Path) -> Run:
    return Run.open(wordy)


def unit(vectors: np.ndarray) -> np.ndarray:
    wide = np.asarray(vectors, dtype=np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def ranked(saved: Run, vector: np.ndarray, name: str, space: str) -> list[tuple[str, float]]:
    """Names and cosines of all images, best first, ties in row order."""
    gallery = saved.gallery(name, space)
    cosines = unit(gallery.index.vectors) @ unit(vector)
    order = np.lexsort((np.arange(len(cosines)), -cosines))
    return [(gallery.rows[i].name, cosines[i]) for i in order]


def about(saved: Run, vector: np.ndarray) -> np.ndarray:
    """A word's vector seen from the mean of the seen classes' vectors, in float64."""
    seen = [entry.seen for entry in saved.folder.classes()]
    return unit(unit(vector) - saved.class_vectors[seen].astype(np.float64).mean(axis=0))


def plain(saved: Run, direction: np.ndarray) -> np.ndarray:
    """The unit embedding that lies in this direction from the centre, by bisection."""
    seen = [entry.seen for entry in saved.folder.classes()]
    centre = saved.class_vectors[seen].astype(np.float64).mean(axis=0)
    near, far = 0.0, 2.0
    for _ in range(60):
        step = (near + far) / 2
        short = np.linalg.norm(centre + step * unit(direction)) < 1
        near, far = (step, far) if short else (near, step)
    return unit(centre + near * unit(direction))


def assert_hits(answer: Answer, expected: list[tuple[str, float]], most: int | None = None) -> None:
    """The hits are the first `most` that are expected; images that rounding swaps are as good."""
    similarities = [hit.similarity for hit in answer.hits]
    cosines = dict(expected)
    hit_cosines = [cosines.pop(hit.row.name) for hit in answer.hits]
    np.testing.assert_allclose(similarities, hit_cosines, atol=1e-6)
    np.testing.assert_allclose(similarities, [s for _, s in expected[:most]], atol=1e-6)


@pytest.mark.parametrize("gallery", ["all", "val", "test", "unseen"])
@pytest.mark.parametrize("text", ["cat", "ocean", "2*cat -ship", "wild animal, water"])
def test_words_find_the_nearest_images(offline: Run, gallery: str, text: str) -> None:
    of = {
        "cat": {"cat": 1.0},
        "ocean": {"ocean": 1.0},
        "2*cat -ship": {"cat": 2.0, "ship": -1.0},
        "wild animal, water": {"wild": 2**-0.5, "animal": 2**-0.5, "water": 1.0},
    }[text]
    table = offline.vocabulary
    if text == "wild animal, water":  # the mean of a name's words has unit length before the sum
        name = unit(table.vector("wild") + table.vector("animal"))
        vector = about(offline, name) + about(offline, table.vector("water"))
    else:
        vector = sum(weight * about(offline, table.vector(word)) for word, weight in of.items())
    answer = find_images(offline, text, gallery=gallery)
    n = len(offline.gallery(gallery))
    assert (answer.n, answer.gallery, len(answer.hits)) == (n, gallery, min(12, n))
    assert_hits(answer, ranked(offline, vector, gallery, "devise"), 12)
    assert answer.of_class == ("cat" if text == "cat" else None)
    if gallery == "unseen":
        labels = {hit.row.label for hit in answer.hits}
        seen = {entry.name for entry in offline.folder.classes() if entry.seen}
        assert labels.isdisjoint(seen)


@pytest.mark.parametrize("space", ["devise", "backbone"])
def test_an_image_of_the_gallery_needs_no_network_and_is_no_hit(offline: Run, space: str) -> None:
    gallery = offline.gallery("all", space)
    row = len(gallery) // 2
    path = Path(gallery.rows[row].path or "")
    answer = find_images(offline, image=path, k=len(gallery) - 1, space=space)
    expected = ranked(offline, gallery.index.vectors[row], "all", space)
    assert_hits(answer, [hit for hit in expected if hit[0] != gallery.rows[row].name])
    assert answer.reading == path.name


@pytest.mark.parametrize("space", ["devise", "backbone"])
def test_any_other_image_is_embedded(saved: Run, tmp_path: Path, space: str) -> None:
    draw(tmp_path / "my cat.png", (190, 40, 40), seed=77)
    answer = find_images(saved, image=tmp_path / "my cat.png", gallery="test", space=space)
    vector = saved.embed([open_image(tmp_path / "my cat.png")])[space][0]
    assert_hits(answer, ranked(saved, vector, "test", space), 12)


def test_an_image_and_words_are_added(offline: Run) -> None:
    gallery = offline.gallery("all")
    path, vector = Path(gallery.rows[3].path or ""), gallery.index.vectors[3]
    grass = about(offline, offline.vocabulary.vector("grass"))
    for text, both in (("grass", vector + grass), ("-grass", vector - grass)):
        answer = find_images(offline, text, path, k=5)
        expected = ranked(offline, both, "all", "devise")
        assert_hits(answer, [hit for hit in expected if hit[0] != gallery.rows[3].name], 5)
        assert answer.of_class is None
    assert answer.reading == f"{path.name} and - grass"


def test_images_that_have_moved_are_found_where_they_are(
    offline: Run, searchable: Path, tmp_path: Path
) -> None:
    images = searchable.parent / "images"
    shutil.copytree(images / "cat", tmp_path / "cat")
    answer = find_images(offline, "cat", k=38, image_root=tmp_path)
    for hit in answer.hits:
        root = tmp_path if hit.row.label == "cat" else images
        assert hit.row.path == str(root / hit.row.name)
    moved = next(Path(hit.row.path or "") for hit in answer.hits if hit.row.label == "cat")
    by_image = find_images(offline, image=moved, k=37, image_root=tmp_path)
    assert str(moved) not in [hit.row.path for hit in by_image.hits]


def test_an_indexed_folder_is_searched_like_the_runs_own(saved: Run, tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    for i, colour in enumerate(((190, 40, 40), (40, 40, 190), (30, 120, 200))):
        draw(photos / f"{i}.png", colour, seed=i)
    assert saved.index_folder(photos).added == 3
    assert saved.galleries()[4:] == [str(photos)]
    answer = find_images(saved, "boat", gallery=str(photos))
    boat = about(saved, saved.vocabulary.vector("boat"))
    assert_hits(answer, ranked(saved, boat, str(photos), "devise"))
    assert (answer.n, len(answer.hits)) == (3, 3)
    with pytest.raises(InputError, match="k is 4, but there are 3 images"):
        find_images(saved, "boat", gallery=str(photos), k=4)
    for name in ("1.png", "2.png"):
        (photos / name).unlink()
    saved.index_folder(photos)
    with pytest.raises(InputError, match="there are no images to find"):
        find_images(saved, image=photos / "0.png", gallery=str(photos))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "the query is empty"),
        ({"text": "  "}, "the query is empty"),
        ({"text": "cat", "k": 0}, "k is 0"),
        ({"text": "cat", "k": 1000}, "k is 1000, but there are"),
        ({"text": "catttt"}, "did you mean"),
        (
            {"text": "cat", "space": "backbone"},
            "words are in the spaces devise and pretraining only",
        ),
        ({"text": "cat", "gallery": "nowhere"}, "nowhere: no such folder"),
        ({"text": "cat", "gallery": str(Path(__file__).parent)}, "not indexed yet"),
        ({"image": Path("nowhere.png")}, "nowhere.png: cannot be read"),
        ({"image": Path(__file__)}, "not an image"),
        ({"image": Path(__file__), "space": "classifier"}, "stored in devise, backbone, not in"),
        ({"text": "cat", "image_root": Path("nowhere")}, "none of these images"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    offline: Run, options: dict[str, object], wrong: str
) -> None:
    with pytest.raises(InputError, match=wrong) as caught:
        find_images(offline, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# Words


@pytest.mark.parametrize("most_frequent", [None, 500])
def test_neighbour_words_are_those_of_a_plain_product(
    offline: Run, most_frequent: int | None
) -> None:
    table = offline.vocabulary
    query = unit(table.vector("said"))
    cosines = table.vectors[:most_frequent].astype(np.float64) @ query
    cosines[table.rank("said") or 0] = -2
    order = np.lexsort((np.arange(len(cosines)), -cosines))[:15]
    neighbours = nearest_words(offline, "said", 15, most_frequent)
    assert [word for word, _ in neighbours] == [table.words[i] for i in order]
    np.testing.assert_allclose([cosine for _, cosine in neighbours], cosines[order], atol=1e-5)


def test_words_that_are_asked_for_are_left_out(offline: Run) -> None:
    words = [word for word, _ in nearest_words(offline, "king -man +woman", 10)]
    assert len(words) == 10
    assert not {"king", "man", "woman"} & set(words)
    assert "queen" in words
    assert len(nearest_words(offline, "the", 5, most_frequent=6)) == 5


def test_tags_are_the_nearest_labels_or_words(offline: Run) -> None:
    vectors = offline.gallery("all").index.vectors[:3]
    names = list(offline.classes)
    for vector, tags in zip(vectors, tag_images(offline, vectors, 4), strict=True):
        cosines = unit(offline.class_vectors) @ plain(offline, vector)
        order = np.argsort(-cosines)[:4]
        assert [name for name, _ in tags] == [names[i] for i in order]
        np.testing.assert_allclose([c for _, c in tags], cosines[order], atol=1e-6)
    words = offline.vocabulary.words
    for vector, tags in zip(
        vectors, tag_images(offline, vectors, 4, vocabulary=True, most_frequent=300), strict=True
    ):
        cosines = unit(offline.vocabulary.vectors[:300]) @ plain(offline, vector)
        assert [name for name, _ in tags] == [words[i] for i in np.argsort(-cosines)[:4]]
    assert len(tag_images(offline, vectors)[0]) == 5 < len(names)


def test_words_and_tags_out_of_range_are_one_line(offline: Run) -> None:
    vectors = offline.gallery("all").index.vectors[:1]
    for ask, wrong in (
        (lambda: nearest_words(offline, "cat", 0), "k is 0"),
        (lambda: nearest_words(offline, "cat", 5, 3), "k is 5, but there are 3 words"),
        (lambda: nearest_words(offline, "cat", 5, 0), "the 0 most frequent words"),
        (lambda: nearest_words(offline, "cat", 5, 10**7), "has 400,000"),
        (lambda: tag_images(offline, vectors, 9), "k is 9, but there are 8 labels"),
    ):
        with pytest.raises(InputError, match=wrong):
            ask()
