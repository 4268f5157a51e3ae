"""What is added to a trained projection, and how class folds choose it.

A prior moves the projected images; predicted classifiers have a share in each similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult
from devise_exp.evaluation.metrics.tradeoff import Curve, ausuc, top_answers
from devise_exp.methods.embedding import embed
from devise_exp.methods.gamma import FoldAnswers
from devise_exp.methods.prior import BATCH_ROWS, Prior, Priors, apply_priors
from devise_exp.methods.task import ClassFold, Task
from devise_exp.methods.word_classifiers import ClassifierShare, WordClassifiers

SEEN_COST = 0.02  # how much of the class mean of hit@1 among seen labels an addition may cost

Project = Callable[[Task], nn.Module]  # trains the projection of a task
_Best = tuple[SearchResult, SearchResult]  # among seen labels, among unseen labels


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenClassifiers:
    """Predicted classifiers whose hyperparameters are chosen, but not their share.

    Attributes:
        fit: Fits them to a task.
        shares: Shares to choose among.
        hyperparameters: Those chosen, by name.
    """

    fit: Callable[[Task], WordClassifiers]
    shares: tuple[float, ...]
    hyperparameters: dict[str, Any]


class Classifiers(Protocol):
    """Predicted classifiers whose hyperparameters are not chosen yet."""

    def choose(self, task: Task, folds: Sequence[ClassFold]) -> ChosenClassifiers:
        """Choose the hyperparameters of the classifiers alone.

        Args:
            task: The whole task.
            folds: Class folds of the task, one at least.

        Returns:
            What fits the classifiers to the task or to one of its folds.
        """

    def chosen(self, hyperparameters: Mapping[str, Any]) -> ChosenClassifiers:
        """Take hyperparameters that were chosen before.

        Args:
            hyperparameters: By name.

        Returns:
            What fits the classifiers to a task.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class Additions:
    """What may be added to a trained projection; class folds choose among all of it.

    Attributes:
        priors: Makes the priors; None for none.
        classifiers: The predicted classifiers; None for none.
    """

    priors: Priors | None = None
    classifiers: ChosenClassifiers | None = None

    def priors_of(self, task: Task) -> list[Prior | None]:
        """List the priors.

        Args:
            task: The task, or that of a fold.

        Returns:
            The priors, none first.
        """
        if self.priors is None or task.pretraining is None:
            return [None]
        return [None, *self.priors(task.pretraining)]

    def shares_of(self, task: Task) -> list[ClassifierShare | None]:
        """List the predicted classifiers with each share.

        Args:
            task: The task, or that of a fold.

        Returns:
            The classifiers, none first.
        """
        if self.classifiers is None:
            return [None]
        fitted = self.classifiers.fit(task)
        shares = self.classifiers.shares
        return [None, *(ClassifierShare(classifiers=fitted, share=share) for share in shares)]

    def of(self, task: Task) -> list[tuple[Prior | None, ClassifierShare | None]]:
        """List the pairs of a prior and predicted classifiers.

        Args:
            task: The task, or that of a fold.

        Returns:
            The pairs, in the same order for all tasks: neither first, then each prior.
        """
        return [(prior, share) for share in self.shares_of(task) for prior in self.priors_of(task)]

    def chosen(
        self, task: Task, weight: float, share: float
    ) -> tuple[Prior | None, ClassifierShare | None]:
        """Take the pair that was chosen before.

        Args:
            task: The task.
            weight: Strength of the prior, 0 for none.
            share: Share of the predicted classifiers, 0 for none.

        Returns:
            The pair.

        Raises:
            InputError: There is no such pair any more.
        """
        for prior, classifiers in self.of(task):
            numbers = (prior.strength if prior else 0, classifiers.share if classifiers else 0)
            if numbers == (weight, share):
                return prior, classifiers
        raise InputError(
            f"no prior of strength {weight:g} with classifiers of share {share:g}: leave "
            "hyperparameters_from=null, which selects them anew"
        )


def addition_answers(
    project: Project, additions: Additions, task: Task, fold: ClassFold
) -> list[FoldAnswers]:
    """Find the best answers of a fold's projection with each addition.

    Args:
        project: Trains the projection of the fold.
        additions: What may be added.
        task: The whole task.
        fold: The class fold.

    Returns:
        The answers, in the order of `Additions.of`.
    """
    projection, vectors = project(fold.task), task.class_vectors
    priors = additions.priors_of(fold.task)
    shares = additions.shares_of(fold.task)
    fitted = None if shares[-1] is None else shares[-1].classifiers  # of all shares alike
    labels = None if fitted is None else fitted.of_words(vectors)
    sides = []
    for rows in (fold.seen_rows, fold.unseen_rows):
        best: list[list[_Best]] = []  # by block of rows, then by addition
        for block in np.array_split(rows, max(1, -(-len(rows) // BATCH_ROWS))):
            features = task.features[block]
            rows_of_priors = apply_priors(priors, embed(projection, features), features)
            plain = [embedded @ vectors.T for embedded in rows_of_priors]  # (n, C) similarities
            predicted = None
            if fitted is not None and labels is not None:
                predicted = fitted.of_images(features) @ labels.T
            best.append(
                [
                    (_best(similarities, fold.task.seen), _best(similarities, fold.task.unseen))
                    for share in shares
                    for similarities in _mix(share, plain, predicted)
                ]
            )
        truth = task.class_ids[rows]
        joined = [_joined(parts) for parts in zip(*best, strict=True)]  # by addition
        sides.append([top_answers(seen, unseen, truth) for seen, unseen in joined])
    return [FoldAnswers(*pair) for pair in zip(*sides, strict=True)]


def _mix(
    share: ClassifierShare | None, plain: Sequence[np.ndarray], predicted: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Give predicted classifiers their share of the similarities (n, C) of the trained space.

    As `ClassifierShare` does by longer vectors, whose cosines are these.
    """
    if share is None or predicted is None:
        yield from plain
        return
    for similarities in plain:
        yield (1 - share.share) * similarities + share.share * predicted


def _best(similarities: np.ndarray, labels: np.ndarray) -> SearchResult:
    """Find each image's best of the class ids `labels`: (n, 1) ids and similarities."""
    best = labels[similarities[:, labels].argmax(axis=1)][:, None]
    return best, np.take_along_axis(similarities, best, axis=1)


def _joined(blocks: Sequence[_Best]) -> _Best:
    """Put the best labels of blocks of rows together."""
    seen, unseen = (
        tuple(np.concatenate(parts) for parts in zip(*of_side, strict=True))
        for of_side in zip(*blocks, strict=True)
    )
    return (seen[0], seen[1]), (unseen[0], unseen[1])


def best_addition(curves: Sequence[Sequence[Curve]]) -> tuple[int, dict[str, float]]:
    """Choose the addition of the largest mean AUSUC that keeps the mean seen hit@1.

    Args:
        curves: Per fold, the curves of `addition_answers`.

    Returns:
        The position of the best addition in each row of `curves`, the first of equals, among those
        whose seen hit@1 is at most SEEN_COST below that of the projection alone; and its means over
        the folds: "rehearsal/seen" and "rehearsal/AUSUC".
    """
    area = np.mean([[ausuc(curve) for curve in row] for row in curves], axis=0)
    seen = np.mean([[curve.seen[0] for curve in row] for row in curves], axis=0)
    best = int(np.where(seen >= seen[0] - SEEN_COST, area, -1).argmax())
    return best, {"rehearsal/seen": float(seen[best]), "rehearsal/AUSUC": float(area[best])}
