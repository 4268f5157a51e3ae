"""How well a search ranks pictures: P@k and mAP of class names, and of pictures, as queries.

Every query ranks its whole gallery by cosine; pictures of the same similarity stay in row order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_of, centre_rows, normalize_rows
from devise_exp.evaluation.metrics.intervals import mean_interval
from devise_exp.evaluation.metrics.retrieval import (
    average_precision,
    chance_average_precision,
    precision_at_k,
)
from devise_exp.evaluation.protocols import MethodOutput

KS = (1, 5, 10)
MOST_PAIRS = 500
NUMBERS_AT_ONCE = 1 << 22  # in the largest array of a block: 32 MB of places in the ranking

Figures = dict[str, float]
Sizes = dict[str, tuple[int, int]]  # protocol -> (queries, pictures that each of them ranks)


@dataclass(frozen=True)
class WordQueries:
    """`classes` (Q, 1 or 2): the class ids that each query names, over the pictures of `gallery`,
    which is "seen", "unseen" or "all"; every class has a picture there.
    """

    name: str
    gallery: str
    classes: np.ndarray


def evaluate_word_queries(
    models: Sequence[MethodOutput], seen: np.ndarray, unseen: np.ndarray, compound: np.ndarray
) -> tuple[Figures, Sizes]:
    """Pictures ranked for class names: figures search/PROTOCOL/{P@k,mAP}, each with /lo and /hi.

    A query is a class's vector, or for a pair of classes, asked for as one name of two words, the
    direction of their mean; relevant are the pictures of these classes. Trained maps are searched
    about their centre, as a person searches them; the other models by plain cosine. Protocols:
    `word_queries`. The first model's figures have plain names; those of each other model that names
    all classes of the gallery, and those of a random ranking, start with method/NAME/. seen,
    unseen: class ids; compound: (C,) bool, whether a class's name has several words.
    """
    values: Figures = {}
    sizes: Sizes = {}
    for asked in word_queries(models[0], seen, unseen, compound):
        _, truth = _pictures(models[0], asked.gallery)
        protocol = f"search/{asked.name}"
        for position, model in enumerate(models):
            if not model.can_name(np.unique(truth)):
                continue
            queries = _unit(model.class_vectors[asked.classes].sum(axis=1), "queries")  # (Q, D)
            vectors, _ = _pictures(model, asked.gallery)
            if model.is_projection:
                centre = centre_of(model.class_vectors, seen)
                queries, vectors = centre_rows(queries, centre), centre_rows(vectors, centre)
            of_queries = _each_query(queries, asked.classes, vectors, truth)
            prefix = protocol if position == 0 else f"method/{model.name}/{protocol}"
            values |= _means(of_queries, prefix)
        n_relevant = np.bincount(truth)[asked.classes].sum(axis=1)
        values |= _chance(n_relevant, len(truth), f"method/chance/{protocol}")
        sizes[protocol] = len(asked.classes), len(truth)
    return values, sizes


def evaluate_image_queries(
    spaces: Mapping[str, tuple[np.ndarray, np.ndarray]],
    seen_truth: np.ndarray,
    unseen_truth: np.ndarray,
    max_queries: int = 2000,
) -> tuple[Figures, Sizes]:
    """Pictures ranked for a picture, itself left out: figures similar/SPACE/{seen,unseen}/... and
    method/chance/similar/{seen,unseen}/..., as those of `by_words`.

    spaces: embeddings (n, D) of the seen and (m, D) of the unseen pictures by name of the space;
    relevant are the other pictures of the class. At most `max_queries` pictures of each side ask,
    the same in each space, drawn by a fixed seed among those that have another of their class.
    """
    values: Figures = {}
    sizes: Sizes = {}
    for side, name, truth in ((0, "seen", seen_truth), (1, "unseen", unseen_truth)):
        n_others = np.bincount(truth)[truth] - 1  # (N,)
        able = np.flatnonzero(n_others)
        if not len(able):
            continue
        rows = able[_drawn(len(able), max_queries)]
        for space, sides in spaces.items():
            vectors = sides[side]
            if len(vectors) != len(truth):
                raise ValueError(f"{space}: embeddings and truths differ in number")
            of_queries = _each_query(vectors[rows], truth[rows, None], vectors, truth, own=rows)
            values |= _means(of_queries, f"similar/{space}/{name}")
        n_pictures = len(truth) - 1
        values |= _chance(n_others[rows], n_pictures, f"method/chance/similar/{name}")
        sizes[f"similar/{name}"] = len(rows), n_pictures
    return values, sizes


def word_queries(
    model: MethodOutput, seen: np.ndarray, unseen: np.ndarray, compound: np.ndarray
) -> tuple[WordQueries, ...]:
    """The names of seen classes over seen pictures, of unseen classes over unseen ones (seen,
    unseen), both over all pictures (all_seen, all_unseen), those of several words
    (seen_compound, ...), and pairs of classes, at most 500 drawn by a fixed seed (seen_pairs, ...).

    A class without a picture is no query; a protocol without a query is left out.
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


def _pictures(model: MethodOutput, gallery: str) -> tuple[np.ndarray, np.ndarray]:
    """(vectors (N, D), class ids (N,))."""
    if gallery == "all":
        return (
            np.concatenate([model.seen.vectors, model.unseen.vectors]),
            np.concatenate([model.seen.class_ids, model.unseen.class_ids]),
        )
    part = model.parts[gallery]
    return part.vectors, part.class_ids


def _pairs(ids: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of class ids; pair p = j (j - 1) / 2 + i is that of places i < j."""
    pair = _drawn(len(ids) * (len(ids) - 1) // 2, MOST_PAIRS)
    j = ((1 + np.sqrt(1 + 8 * pair)) / 2).astype(np.int64)
    return np.asarray(ids[np.stack([pair - j * (j - 1) // 2, j], axis=1)])


def _drawn(n: int, most: int) -> np.ndarray:
    """The numbers below `n`, or `most` of them drawn by a fixed seed, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, size=most, replace=False))


def _each_query(
    queries: np.ndarray,
    classes: np.ndarray,
    vectors: np.ndarray,
    truth: np.ndarray,
    own: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """P@k and AP (Q,) of each query (Q, D) over pictures (N, D) of class `truth` (N,).

    classes: (Q, n) class ids whose pictures are relevant; own: (Q,) the query's own row, left out.
    """
    vectors, queries = _unit(vectors, "pictures"), _unit(queries, "queries")
    n = len(vectors) - (own is not None)
    ks = [k for k in KS if k <= n]
    parts: list[list[np.ndarray]] = []
    step = max(1, NUMBERS_AT_ONCE // len(vectors))
    for block in (slice(start, start + step) for start in range(0, len(queries), step)):
        similarity = _cosines(queries[block], vectors)  # (B, N)
        if own is not None:
            similarity[np.arange(len(similarity)), own[block]] = -np.inf  # comes last, is cut off
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :n]
        relevant = (truth[order][..., None] == classes[block, None]).any(axis=2)  # (B, n)
        precision = [precision_at_k(relevant, k) for k in ks]
        parts.append([*precision, average_precision(relevant)])
    names = [*(f"P@{k}" for k in ks), "mAP"]
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def _cosines(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(B, N) float32 of unit rows. Summed in float64, so that neither the size of a block nor the
    processor's order of summing decides between pictures, and twins tie.
    """
    similarity = np.empty((len(queries), len(vectors)), dtype=np.float32)
    step = max(1, NUMBERS_AT_ONCE // vectors.shape[1])
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step].astype(np.float64)
        similarity[:, start : start + step] = wide @ part.T
    return similarity


def _unit(vectors: np.ndarray, what: str) -> np.ndarray:
    """Rows of unit length, or of length 0: those are like nothing."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise InputError(
            f"row {np.flatnonzero(~np.isfinite(lengths[:, 0]))[0]} of the {what} holds NaN or "
            "infinity: leave such rows out, or mend what made them"
        )
    return normalize_rows(vectors)


def _means(of_queries: dict[str, np.ndarray], prefix: str) -> Figures:
    """The mean of each figure over the queries, with its 95 % bootstrap interval."""
    values: Figures = {}
    for name, shares in of_queries.items():
        key = f"{prefix}/{name}"
        values[key] = float(shares.mean())
        values[f"{key}/lo"], values[f"{key}/hi"] = mean_interval(shares)
    return values


def _chance(n_relevant: np.ndarray, n: int, prefix: str) -> Figures:
    """What a random ranking of `n` pictures is expected to reach; n_relevant: (Q,)."""
    precision = float((n_relevant / n).mean())
    expected = chance_average_precision(n_relevant, n)
    return {f"{prefix}/P@{k}": precision for k in KS if k <= n} | {
        f"{prefix}/mAP": float(expected.mean())
    }
