"""Labels and words for images, seen labels lowered by the gamma that the run chose.

Calibrated stacking (Chao et al. 2016) lowers the similarity of every seen label by one gamma, since
a model favours what it was trained on. It changes what an image is called only where seen and
unseen labels are ranked together. Among labels of one kind all are lowered alike, and so are all
images that are ranked for one word: there it changes nothing. A word of the vocabulary is not
lowered, a label's word neither, for its near neighbours (cameras beside camera), which the model
favours as much, would take its place: gamma was chosen for the labels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import uncentre_rows
from devise_exp.data.images import ImageFiles
from devise_exp.data.packed_files import changed_at
from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult, calibrated_search
from devise_exp.evaluation.protocols import MODEL
from devise_exp.index.exact_search import search_unit_rows
from devise_exp.runs.gallery_files import ROWS, saved_rows
from devise_exp.search.neighbours import Neighbours, checked_k, frequent_vectors, named, nearest
from devise_exp.search.saved_run import Run

DEFAULT_TAGS = 5
KINDS = ("all", "seen", "unseen")  # of labels


def tag_images(
    run: Run,
    vectors: np.ndarray,
    k: int | None = None,
    vocabulary: bool = False,
    most_frequent: int | None = None,
    among: str = "all",
    plain: bool = False,
    space: str = MODEL,
) -> list[Neighbours]:
    """Find the labels of a run nearest to images: those of hit@k among the same labels.

    Args:
        run: The run.
        vectors: (N, D) images as a gallery has them in this space.
        k: Number of labels; None: 5, or all of fewer.
        vocabulary: Find words of the whole vocabulary instead of the run's labels.
        most_frequent: With `vocabulary`, search its first words only.
        among: Labels that are ranked: all, seen or unseen.
        plain: Rank all labels by cosine as it is; else seen labels are lowered by the run's gamma.
        space: "devise", or "pretraining", in which nothing is lowered.

    Returns:
        For every image, the labels with the similarity that ranks them, nearest first.

    Raises:
        InputError: For a k out of range, unknown labels, and labels of one kind in a vocabulary.
    """
    _check_kind(among, vocabulary)
    images = uncentre_rows(vectors, run.centre_in(space))
    if vocabulary:
        table = frequent_vectors(run, most_frequent)
        images = images[:, : table.shape[1]]  # of the projection alone, in the space of the words
        k = checked_k(k, DEFAULT_TAGS, len(table), "words")
        return nearest(table, run.vocabulary.words.__getitem__, images, k)
    ids = _ids(run, among)
    k = checked_k(k, DEFAULT_TAGS, len(ids), "labels" if among == "all" else f"{among} labels")
    gamma = _gamma(run, among, plain or space != MODEL)
    labels = run.labels if space == MODEL else run.class_vectors
    if gamma is None:
        result = _search(labels, images, ids, k)
    else:
        seen, unseen = (_search(labels, images, _ids(run, kind), k) for kind in KINDS[1:])
        result = calibrated_search(seen, unseen, gamma, k)
    return named(list(run.classes).__getitem__, *result)


def best_cosines(run: Run, vectors: np.ndarray) -> np.ndarray:
    """Compute the score by which an image is of none of the labels.

    Args:
        run: The run.
        vectors: (N, D) images as a gallery has them in the trained space.

    Returns:
        (N,) the largest cosine of each with a label of the run, no label lowered.
    """
    images = uncentre_rows(vectors, run.centre)
    best: np.ndarray = _search(run.labels, images, np.arange(len(run.classes)), 1)[1][:, 0]
    return best


def calibration_line(
    run: Run, vocabulary: bool = False, among: str = "all", plain: bool = False
) -> str:
    """Say whether tags are calibrated, where that makes a difference.

    Args:
        run: The run.
        vocabulary: As for tag_images.
        among: As for tag_images.
        plain: As for tag_images.

    Returns:
        One line; "" where nobody expects tags to be lowered, or it would change nothing.

    Raises:
        InputError: For unknown labels, labels of one kind in a vocabulary, and a damaged gamma.
    """
    _check_kind(among, vocabulary)
    if plain or among != "all":
        return ""
    if run.gamma is None:
        line = "not calibrated: the run chose no gamma on class folds, and favours its seen labels"
        return "" if vocabulary else line
    if vocabulary:
        return "not calibrated: gamma was chosen for the run's labels, not for any word"
    n, verb = len(_ids(run, "seen")), "lowered" if run.gamma >= 0 else "raised"
    return (
        f"calibrated: similarity of the {n:,} seen labels {verb} by gamma {abs(run.gamma):.2g}, "
        "chosen on class folds"
    )


def embed_files(run: Run, files: Sequence[Path], space: str = MODEL) -> np.ndarray:
    """Embed image files.

    Args:
        run: The run.
        files: N image files.
        space: The space.

    Returns:
        (N, D) as a gallery has them: of images that the run has embedded and that have not changed
        since, what it stored, so that their tags are those of its tables.
    """
    stored: dict[int, np.ndarray] = {}
    rows = run.folder.gallery / ROWS
    if rows.is_file() and space in saved_rows(run.folder.gallery).spaces:
        gallery, written = run.gallery("all", space), rows.stat().st_mtime
        for i, file in enumerate(files):
            row = gallery.row_of(file)
            if row is not None and changed_at(file) <= written:
                stored[i] = gallery.index.vectors[row]
    others = [i for i in range(len(files)) if i not in stored]
    if others:
        embedded = run.embed(ImageFiles(str(files[i]) for i in others))[space]
        stored |= dict(zip(others, embedded, strict=True))
    return np.stack([stored[i] for i in range(len(files))])


def _check_kind(among: str, vocabulary: bool) -> None:
    if among not in KINDS:
        raise InputError(f"labels among {among}: choose among {', '.join(KINDS)}")
    if vocabulary and among != "all":
        raise InputError(
            f"labels among {among}: words of the vocabulary are neither seen nor unseen: leave out "
            "one of the two"
        )


def _ids(run: Run, among: str) -> np.ndarray:
    """Ids of the classes of a kind."""
    seen, unseen = run.folder.class_ids()
    return {"seen": seen, "unseen": unseen, "all": np.arange(len(seen) + len(unseen))}[among]


def _gamma(run: Run, among: str, plain: bool) -> float | None:
    """What lowers the seen labels; None where it changes nothing."""
    return run.gamma if among == "all" and not plain else None


def _search(labels: np.ndarray, images: np.ndarray, ids: np.ndarray, k: int) -> SearchResult:
    """Class ids (N, k) out of `ids`, or all of fewer, nearest first, and their cosines."""
    rows, similarities = search_unit_rows(labels[ids], images, min(k, len(ids)))
    return ids[rows], similarities
