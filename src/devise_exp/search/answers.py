"""A question to a finished run and its answer: images by words or by an image, and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import uncentre_rows
from devise_exp.data.folders import portable
from devise_exp.data.images import open_image
from devise_exp.evaluation.protocols import MODEL
from devise_exp.index.exact_search import search_unit_rows
from devise_exp.runs.gallery import Gallery, GalleryRow
from devise_exp.search.query import WordQuery, word_query
from devise_exp.search.saved_run import Run

DEFAULT_HITS = 12
DEFAULT_WORDS = 10


@dataclass(frozen=True)
class Hit:
    """One image found; similarity: its cosine with the question."""

    row: GalleryRow
    similarity: float


@dataclass(frozen=True)
class Answer:
    """The images nearest to a question, best first.

    asked: the question as it was understood. n: images in the gallery `gallery`. of_class: the
    run's class that was asked for, where the question is just that.
    """

    asked: str
    gallery: str
    n: int
    hits: tuple[Hit, ...]
    of_class: str | None = None


def find_images(
    run: Run,
    text: str = "",
    image: Path | None = None,
    gallery: str = "all",
    k: int | None = None,
    space: str = MODEL,
    image_root: Path | None = None,
) -> Answer:
    """The k images of a gallery nearest to words, to an image, or to the sum of both.

    `k` is 12 unless given, or all of a smaller gallery. `image_root` is the folder that holds the
    images by their row names, where they are elsewhere than in training. An image of the gallery
    itself is asked for without the network and is no hit. InputError for an empty question, words
    in another space than the trained one, an unreadable image and k out of range.
    """
    if not text.strip() and image is None:
        raise InputError("nothing is asked for: give words, an image or both")
    if text.strip() and space != MODEL:
        raise InputError(f"words are in the space {MODEL} only, not in {space}: ask by an image")
    query = None
    if text.strip():
        beside = image is not None
        query = word_query(text, run.vocabulary, run.classes, beside, run.centre)
    searched = run.gallery(gallery, space)
    if image_root is not None:
        searched = searched.with_image_root(image_root)
    own = None if image is None else searched.row_of(image)
    others = len(searched) - (own is not None)
    k = _checked_k(k, DEFAULT_HITS, others, f"images to find among {gallery}")
    vector = _vector(run, searched, query, image, own, space)
    ids, similarities = searched.index.search(vector[None], k + (own is not None))
    found = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
    hits = [Hit(searched.rows[i], similarity) for i, similarity in found if i != own]
    parts = (image and portable(image.name), query and query.reading)
    asked = " and ".join(part for part in parts if part)
    of_class = query.of_class if query and image is None else None
    return Answer(asked, portable(gallery), len(searched), tuple(hits[:k]), of_class)


def nearest_words(
    run: Run, text: str, k: int | None = None, most_frequent: int | None = None
) -> list[tuple[str, float]]:
    """The k words (10 unless given) nearest to a text, with their cosine; the words asked for are
    left out. `most_frequent` searches the first so many words of the vocabulary only.
    """
    asked = word_query(text, run.vocabulary, run.classes)
    left_out = {word.casefold() for word in asked.words}
    table = _most_frequent(run, most_frequent)
    k = _checked_k(k, DEFAULT_WORDS, len(table), "words")
    more = min(len(table), k + 3 * len(left_out))  # room for other spellings of the words asked for
    (found,) = _named(table, run.vocabulary.words.__getitem__, asked.vector[None], more)
    return [(word, cosine) for word, cosine in found if word.casefold() not in left_out][:k]


def tag_images(
    run: Run,
    vectors: np.ndarray,
    k: int | None = None,
    vocabulary: bool = False,
    most_frequent: int | None = None,
) -> list[list[tuple[str, float]]]:
    """The k labels of the run nearest to each of `vectors` (N, D), images as a gallery has them
    in the trained space, with their plain cosine, as hit@k has it; with `vocabulary` the nearest
    words of all, or of the `most_frequent` first.
    """
    if vocabulary:
        table, name_of = _most_frequent(run, most_frequent), run.vocabulary.words.__getitem__
    else:
        table, name_of = run.class_vectors, list(run.classes).__getitem__
    k = _checked_k(k, DEFAULT_WORDS, len(table), "words" if vocabulary else "labels")
    return _named(table, name_of, uncentre_rows(vectors, run.centre), k)


def _vector(
    run: Run,
    gallery: Gallery,
    query: WordQuery | None,
    image: Path | None,
    own: int | None,
    space: str,
) -> np.ndarray:
    """(D,) what the images are compared with; `own` is the row of the image, if it has one."""
    if image is None:
        assert query is not None
        return query.vector
    stored = own is not None
    vector = gallery.index.vectors[own] if stored else run.embed([open_image(image)])[space][0]
    both: np.ndarray = vector if query is None else vector + query.vector
    if query is not None and not np.linalg.norm(both) > 1e-6:
        raise InputError(f"{image.name} and {query.reading} cancel out: change a word or a weight")
    return both


def _checked_k(k: int | None, default: int, n: int, what: str) -> int:
    if not n:
        raise InputError(f"there are no {what}")
    if k is None:
        return min(default, n)
    if not 1 <= k <= n:
        raise InputError(f"k is {k}, but there are {n:,} {what}: give a number from 1 to {n}")
    return k


def _most_frequent(run: Run, most_frequent: int | None) -> np.ndarray:
    """(V, D) the vectors of the vocabulary, or of its first words: a view, memory-mapped."""
    vectors = run.vocabulary.vectors
    if not len(vectors):
        raise InputError(f"the word vectors {run.vocabulary.name} list no words to search")
    if most_frequent is not None and not 1 <= most_frequent <= len(vectors):
        raise InputError(
            f"the {most_frequent} most frequent words: {run.vocabulary.name} has {len(vectors):,}, "
            "give a number from 1 to that"
        )
    return vectors[:most_frequent]


def _named(
    table: np.ndarray, name_of: Callable[[int], str], queries: np.ndarray, k: int
) -> list[list[tuple[str, float]]]:
    """The k nearest rows of `table` (V, D), unit vectors, to each query, by name."""
    ids, similarities = search_unit_rows(table, queries, k)
    return [
        [(name_of(int(i)), float(s)) for i, s in zip(found, cosines, strict=True)]
        for found, cosines in zip(ids, similarities, strict=True)
    ]
