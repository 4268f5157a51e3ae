"""How well a search ranks images: P@k and mAP of class names, and of images, as queries.

Every query ranks its whole gallery by cosine; images of the same similarity stay in row order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.evaluation.draws import mean_records, split_draws
from devise_exp.evaluation.image_ranking import KS, Shares, finite_unit_rows, rank_images
from devise_exp.evaluation.metrics.intervals import mean_interval
from devise_exp.evaluation.metrics.retrieval import chance_average_precision
from devise_exp.evaluation.named_part import nameless, without_images
from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.evaluation.records import CHANCE, MetricRecord

MAX_PAIRS = 500

Sizes = dict[str, tuple[int, int]]  # protocol -> (queries, images that each of them ranks)
Measured = tuple[list[MetricRecord], Sizes]


@dataclass(frozen=True, eq=False)
class WordQueries:
    """Queries by class names over one gallery.

    Attributes:
        name: Name of the protocol after "search/".
        gallery: "seen", "unseen" or "all" images.
        classes: (Q, 1 or 2) class ids that each query names; every class has an image there.
    """

    name: str
    gallery: str
    classes: np.ndarray


def word_evaluations(
    models: Sequence[MethodOutput], seen: np.ndarray, unseen: np.ndarray, compound: np.ndarray
) -> list[Callable[[], Measured]]:
    """List a function for each protocol of `word_queries`, which ranks images for class names.

    A query is a class's vector, or for a pair of classes, asked for as one name of two words, the
    direction of their mean; relevant are the images of these classes. Trained projections are
    searched about their centre, as a person searches them, the other methods by plain cosine.

    Args:
        models: Method outputs, that of the trained model first; a method that cannot name all
            classes of a gallery is left out there.
        seen: Ids of the seen classes.
        unseen: Ids of the unseen classes.
        compound: (C,) bool, whether a class's name has several words.

    Returns:
        Functions that return P@k and mAP of a protocol "search/...", of a random ranking too, and
        its sizes; nothing of a protocol whose every image is relevant to every query, where no
        ranking is wrong.
    """
    queries = word_queries(models[0], seen, unseen, compound)
    return [partial(_evaluate_protocol, models, asked, seen) for asked in queries]


def _evaluate_protocol(
    models: Sequence[MethodOutput], asked: WordQueries, seen: np.ndarray
) -> Measured:
    """Measure all methods by the queries of one protocol; nothing if no ranking can be wrong."""
    _, truth = _images(models[0], asked.gallery)
    n_relevant = np.bincount(truth)[asked.classes].sum(axis=1)
    if n_relevant.min() == len(truth):
        return [], {}
    records: list[MetricRecord] = []
    protocol = f"search/{asked.name}"
    for position, model in enumerate(models):
        gone = nameless(model)
        named = replace(asked, classes=_without(asked.classes, gone))
        if not len(named.classes) or not model.can_name(np.setdiff1d(truth, gone)):
            continue
        method = MODEL if position == 0 else model.name
        of_draws = [_ranked(draw, named, seen) for draw in split_draws(model)]
        if len(of_draws) == 1:
            records += _means(of_draws[0], method, protocol)
        else:
            means = [_means(shares, method, protocol, intervals=False) for shares in of_draws]
            records += mean_records(means)
    records += _chance(n_relevant, len(truth), protocol)
    return records, {protocol: (len(asked.classes), len(truth))}


def evaluate_image_queries(
    spaces: Mapping[str, tuple[np.ndarray, np.ndarray]],
    seen_truth: np.ndarray,
    unseen_truth: np.ndarray,
    max_queries: int = 2000,
) -> Measured:
    """Rank images for an image, which is itself left out; relevant are the others of its class.

    Args:
        spaces: (N, D) embeddings of the seen and (M, D) of the unseen images, by name of the space.
        seen_truth: (N,) class ids.
        unseen_truth: (M,) class ids.
        max_queries: Number of images of a side that ask, the same in each space; more are drawn by
            a fixed seed among those that have another of their class.

    Returns:
        P@k and mAP of "similar/seen" and "similar/unseen" by space, of a random ranking too; and
        the sizes. A side of one class is left out: no ranking of its images is wrong.

    Raises:
        InputError: A vector holds NaN or infinity.
    """
    records: list[MetricRecord] = []
    sizes: Sizes = {}
    for side, truth in enumerate((seen_truth, unseen_truth)):
        protocol = ("similar/seen", "similar/unseen")[side]
        n_others = np.bincount(truth)[truth] - 1  # (N,)
        able = np.flatnonzero(n_others)
        if not len(able) or n_others.max() == len(truth) - 1:
            continue
        rows = able[_draw(len(able), max_queries)]
        for space, sides in spaces.items():
            vectors = sides[side]
            if len(vectors) != len(truth):
                raise ValueError(f"{space}: embeddings and truths differ in number")
            shares = rank_images(vectors[rows], truth[rows, None], vectors, truth, query_rows=rows)
            records += _means(shares, MODEL, protocol, space)
        sizes[protocol] = len(rows), len(truth) - 1
        records += _chance(n_others[rows], len(truth) - 1, protocol)
    return records, sizes


def word_queries(
    model: MethodOutput, seen: np.ndarray, unseen: np.ndarray, compound: np.ndarray
) -> tuple[WordQueries, ...]:
    """Make the queries by class names.

    Args:
        model: Output of any method: its images are asked for.
        seen: Ids of the seen classes.
        unseen: Ids of the unseen classes.
        compound: (C,) bool, whether a class's name has several words.

    Returns:
        Names of seen classes over seen images and of unseen ones over unseen images (seen, unseen),
        both over all images (all_seen, all_unseen), names of several words (seen_compound, ...),
        and pairs of classes, at most MAX_PAIRS drawn by a fixed seed (seen_pairs, ...). A class
        without an image is no query; a protocol without a query is left out.
    """
    classes = {
        "seen": np.intersect1d(seen, model.seen.class_ids),
        "unseen": np.intersect1d(unseen, model.unseen.class_ids),
    }
    asked = [(side, side, ids[:, None]) for side, ids in classes.items()]
    asked += [(f"all_{side}", "all", ids[:, None]) for side, ids in classes.items()]
    asked += [(f"{side}_compound", side, ids[compound[ids], None]) for side, ids in classes.items()]
    asked += [(f"{side}_pairs", side, _pairs(ids)) for side, ids in classes.items()]
    return tuple(WordQueries(*query) for query in asked if len(query[2]))


def _without(queries: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The queries (Q, n) that name none of some classes."""
    kept: np.ndarray = queries[~np.isin(queries, classes).any(axis=1)]
    return kept


def _ranked(model: MethodOutput, asked: WordQueries, seen: np.ndarray) -> Shares:
    """Rank a gallery by one method, without the images of classes that it has no vector for."""
    queries = finite_unit_rows(model.class_vectors[asked.classes].sum(axis=1), "queries")
    vectors, truth = _images(without_images(model, nameless(model)), asked.gallery)
    if model.is_projection:
        centre = centre_of(model.class_vectors, seen)
        queries, vectors = centre_rows(queries, centre), centre_rows(vectors, centre)
    return rank_images(queries, asked.classes, vectors, truth)


def _images(model: MethodOutput, gallery: str) -> tuple[np.ndarray, np.ndarray]:
    """(vectors (N, D), class ids (N,))."""
    sides = ("seen", "unseen") if gallery == "all" else (gallery,)
    parts = [model.parts[side] for side in sides]
    vectors = np.concatenate([part.vectors for part in parts])
    return vectors, np.concatenate([part.class_ids for part in parts])


def _pairs(ids: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of class ids; pair p = j (j - 1) / 2 + i is that of positions i < j."""
    pair = _draw(len(ids) * (len(ids) - 1) // 2, MAX_PAIRS)
    j = ((1 + np.sqrt(1 + 8 * pair)) / 2).astype(np.int64)
    return np.asarray(ids[np.stack([pair - j * (j - 1) // 2, j], axis=1)])


def _draw(n: int, max_: int) -> np.ndarray:
    """The numbers below `n`, or `max_` of them drawn by a fixed seed, in their order."""
    if n <= max_:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size=max_, replace=False))


def _means(
    shares: Shares,
    method: str,
    protocol: str,
    space: str | None = None,
    intervals: bool = True,
) -> list[MetricRecord]:
    """The mean of each metric over the queries, with its 95 % bootstrap interval."""
    records = []
    for (metric, k), of_queries in shares.items():
        low, high = mean_interval(of_queries) if intervals else (None, None)
        records.append(
            MetricRecord(
                method=method,
                protocol=protocol,
                metric=metric,
                k=k,
                space=space,
                value=float(of_queries.mean()),
                low=low,
                high=high,
            )
        )
    return records


def _chance(n_relevant: np.ndarray, n: int, protocol: str) -> list[MetricRecord]:
    """What a random ranking of `n` images is expected to reach; n_relevant: (Q,)."""
    of_chance = partial(MetricRecord, method=CHANCE, protocol=protocol)
    precision = float((n_relevant / n).mean())
    expected = float(chance_average_precision(n_relevant, n).mean())
    return [
        *(of_chance(metric="P", k=k, value=precision) for k in KS if k < n),
        of_chance(metric="mAP", value=expected),
    ]
