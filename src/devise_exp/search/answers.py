"""A query to a finished run and its answer: images by words or by an image, and words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_rows
from devise_exp.data.file_names import portable
from devise_exp.evaluation.protocols import MODEL
from devise_exp.runs.gallery import Gallery, GalleryRow
from devise_exp.search.far_words import FarWord, far_words
from devise_exp.search.folded import nearest_without_copies
from devise_exp.search.image_query import ImageQuery, QueryImage
from devise_exp.search.neighbours import Neighbours, checked_k, frequent_vectors, nearest
from devise_exp.search.query import WordQuery, word_query
from devise_exp.search.saved_run import Run
from devise_exp.text.text_vectors import SentenceVectors

DEFAULT_HITS = 12
DEFAULT_WORDS = 10


@dataclass(frozen=True)
class Hit:
    """One image of an answer.

    Attributes:
        row: The image in its gallery.
        similarity: Its cosine with the query.
        copies: Further images that show the same, less near or as near.
    """

    row: GalleryRow
    similarity: float
    copies: tuple[GalleryRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The images nearest to a query.

    Attributes:
        reading: The query as it was understood.
        gallery: Name of the gallery that was searched.
        n: Number of images in the gallery.
        hits: The images, nearest first.
        of_class: Class of the run that the query names, if it names one and nothing else.
        far: Names of the query that are far from all trained classes, in the trained space.
    """

    reading: str
    gallery: str
    n: int
    hits: tuple[Hit, ...]
    of_class: str | None = None
    far: tuple[FarWord, ...] = ()


def find_images(
    run: Run,
    text: str = "",
    image: QueryImage | Sequence[QueryImage] | None = None,
    gallery: str = "all",
    k: int | None = None,
    space: str = MODEL,
    image_root: Path | None = None,
    all_copies: bool = False,
) -> Answer:
    """Find the images nearest to words, to images (themselves no hits), or to the sum of both.

    Args:
        run: The run.
        text: The words.
        image: An image file, an image in memory, or several: the mean of their unit vectors.
        gallery: A part of the run's own images, or an indexed folder.
        k: Number of hits; None: 12, or all of a smaller gallery.
        space: Space that the images are compared in; words are in "devise" and "pretraining" only.
        image_root: Folder of the images by row name, if they are elsewhere than in training.
        all_copies: Whether near copies of a hit are hits too; else they are folded into it.

    Returns:
        The answer.

    Raises:
        InputError: For an empty query, words in a space without words, an unreadable image,
            a wrong k.
    """
    several = image if isinstance(image, Sequence) else () if image is None else (image,)
    by_image = ImageQuery(tuple(several))
    query = _read(run, text, bool(by_image.images), space)
    searched = _open_gallery(run, gallery, space, image_root)
    rows = by_image.rows(searched)
    k = checked_k(k, DEFAULT_HITS, len(searched) - len(rows), f"images to find among {gallery}")
    vector = _query_vector(run, searched, query, by_image, space)
    texts = (by_image.title, query and query.reading)
    return Answer(
        reading=" and ".join(text for text in texts if text),
        gallery=portable(gallery),
        n=len(searched),
        hits=_hits(searched, vector, k, rows, all_copies),
        of_class=query.of_class if query and not by_image.images else None,
        far=far_words(run, query) if query and space == MODEL else (),
    )


def nearest_words(
    run: Run, text: str, k: int | None = None, most_frequent: int | None = None
) -> Neighbours:
    """Find the words nearest to a text; the words of the text are left out.

    Args:
        run: The run.
        text: The text, as for find_images.
        k: Number of words; None: 10.
        most_frequent: Search the first words of the vocabulary only.

    Returns:
        The words with their cosine, nearest first.
    """
    query = word_query(text, run.vocabulary, run.classes)
    left_out = {word.casefold() for word in query.words}
    table = frequent_vectors(run, most_frequent)
    k = checked_k(k, DEFAULT_WORDS, len(table), "words")
    depth = min(len(table), k + 3 * len(left_out))  # room for other spellings of the query's words
    (neighbours,) = nearest(table, run.vocabulary.words.__getitem__, query.vector[None], depth)
    return [(word, s) for word, s in neighbours if word.casefold() not in left_out][:k]


def _read(run: Run, text: str, beside_image: bool, space: str) -> WordQuery | None:
    """The words of a query, None if it has none; they are in a space of words only."""
    if not text.strip():
        if not beside_image:
            raise InputError("the query is empty: give words, an image or both")
        return None
    centre = run.centre_in(space)

    def to_space(vectors: np.ndarray) -> np.ndarray:
        return centre_rows(run.words_in(space, vectors), centre)

    query = word_query(text, run.vocabulary, run.classes, beside_image, to_space)
    if isinstance(run.vocabulary, SentenceVectors):
        cut = run.vocabulary.cut_texts(query.words)
        if cut.is_cut.any():
            notify(
                f"the query has more than the {cut.limit} tokens that {run.vocabulary.name} reads: "
                "its end counts for nothing"
            )
    return query


def _open_gallery(run: Run, name: str, space: str, image_root: Path | None) -> Gallery:
    gallery = run.gallery(name, space)
    return gallery if image_root is None else gallery.with_image_root(image_root)


def _hits(
    gallery: Gallery, vector: np.ndarray, k: int, left_out: Collection[int], all_copies: bool
) -> tuple[Hit, ...]:
    """The k images nearest to a vector (D,), without the rows `left_out`."""
    if not all_copies:
        return tuple(
            Hit(gallery.rows[i], s, tuple(gallery.rows[copy] for copy in copies))
            for i, s, copies in nearest_without_copies(gallery, vector, k, left_out)
        )
    ids, similarities = gallery.index.search(vector[None], k + len(left_out))
    neighbours = zip(ids[0].tolist(), similarities[0].tolist(), strict=True)
    return tuple(Hit(gallery.rows[i], s) for i, s in neighbours if i not in left_out)[:k]


def _query_vector(
    run: Run, gallery: Gallery, query: WordQuery | None, by_image: ImageQuery, space: str
) -> np.ndarray:
    """(D,) of words, of images, or of their sum."""
    if not by_image.images:
        assert query is not None
        return query.vector
    vector = by_image.vector(run, gallery, space)
    both: np.ndarray = vector if query is None else vector + query.vector
    if query is not None and not np.linalg.norm(both) > 1e-6:
        raise InputError(
            f"{by_image.title} and {query.reading} cancel out: change a word or a weight"
        )
    return both
