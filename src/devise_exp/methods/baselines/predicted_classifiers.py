"""Classifiers of unseen classes, predicted from their words by kernel ridge regression.

A classifier of a class is a weight vector in the space of features. Elhoseiny et al. 2013 ("Write a
classifier") predict such a vector from a text about the class; Wang et al. 2018 predict the rows of
a pretraining's classifier from word vectors, by a graph network. Here the regression has a closed
form, and learns from two sets of classes at once: the pretraining classes, whose weights are known,
and the seen classes, whose weights are those of a linear discriminant analysis.

Shapes: K pretraining classes that overlap no unseen class, S seen classes, C classes in all,
features of width d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.linalg

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.discriminants import discriminant_analysis
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task
from devise_exp.methods.word_classifiers import WordClassifiers, word_kernel


@dataclass(frozen=True, kw_only=True)
class PredictedClassifiers(SolverMethod):
    """Predict the classifier of every class from its word vector, in closed form.

    With the unit weights W (K + S, d) of the pretraining classes and the seen classes, and the
    kernel k(u, v) = exp((cos(u, v) - 1) / tau) of their word vectors about the mean of the
    pretraining's, the weights of a class with the word vector v are
    w(v) = k(v)' (k + ridge I)^-1 W. An image x is compared by the cosine of x, about the mean of
    the training images, and w(v). Seen classes get predicted weights too.

    A pretraining class has the weights of its row, about the mean of all rows; a seen class
    Sw^-1 (mean of its images - mean of all training images), with the covariance Sw of images
    about the mean of their class shrunk towards a multiple of the identity. If the pretraining's
    classifier is unknown, the seen classes alone are learned from.

    Attributes:
        name: As of Method.
        shrinkages: Values of the shrinkage of Sw to choose among, from 0 (none) to 1 (identity).
        taus: Values of tau to choose among.
        ridges: Values of ridge to choose among.
    """

    name: str = "predicted_classifiers"
    shrinkages: Sequence[float] = (0.1, 0.5, 0.9)
    taus: Sequence[float] = (0.08, 0.15, 0.3)
    ridges: Sequence[float] = (0.3,)
    uses_seed = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The shrinkage, the width tau of the kernel, and the ridge."""
        return {"shrinkage": self.shrinkages, "tau": self.taus, "ridge": self.ridges}

    @property
    def uses_pretraining(self) -> bool:
        """It learns from the pretraining's classifier, if that is known."""
        return True

    def classifiers(self, task: Task) -> Callable[[Hyperparameters], WordClassifiers]:
        """Learn from a task; the work that all hyperparameters share is done once.

        Args:
            task: What may be learned from.

        Returns:
            What gives the classifiers of any word, for one combination of hyperparameters.
        """
        known = _known_classes(task)
        analysis = discriminant_analysis(
            task.features[task.train], task.targets(task.train), len(task.seen)
        )

        @cache
        def weights(shrinkage: float) -> np.ndarray:
            return normalize_rows(analysis.weights(shrinkage))  # (S, d), of the seen classes

        @cache
        def solutions(tau: float, ridge: float) -> tuple[np.ndarray, np.ndarray]:
            kernel = word_kernel(known.vectors, known.vectors, tau)
            kernel[np.diag_indices_from(kernel)] += ridge
            factor = scipy.linalg.cho_factor(kernel, overwrite_a=True)
            k, (n, d) = len(known.weights), (len(kernel), known.weights.shape[1])
            # The pretraining's weights, and then each seen class alone, as the right-hand side.
            right = np.zeros((n, d + n - k))
            right[:k, :d] = known.weights
            right[k:, d:] = np.eye(n - k)
            solved = scipy.linalg.cho_solve(factor, right, overwrite_b=True)
            return solved[:, :d], solved[:, d:]  # (K + S, d), (K + S, S)

        def solve(hyperparameters: Hyperparameters) -> WordClassifiers:
            tau, ridge = float(hyperparameters["tau"]), float(hyperparameters["ridge"])
            of_pretraining, of_seen = solutions(tau, ridge)
            # Linear in the right-hand side, so one solution serves all shrinkages.
            coefficients = of_pretraining + of_seen @ weights(float(hyperparameters["shrinkage"]))
            return WordClassifiers(
                centre=known.centre,
                vectors=known.vectors,
                coefficients=np.asarray(coefficients, dtype=np.float32),
                tau=tau,
                image_centre=analysis.centre,
            )

        return solve

    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        classifiers = self.classifiers(task)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            of_task = classifiers(hyperparameters)
            return FittedMethod(of_task.of_words(task.class_vectors), of_task.of_images)

        return solve


@dataclass(frozen=True, kw_only=True, eq=False)
class _KnownClasses:
    """The classes whose weights are known.

    Attributes:
        centre: (D,) the mean word vector of the pretraining classes, or else of the seen classes.
        vectors: (K + S, D) unit word vectors about the centre, the seen classes last.
        weights: (K, d) unit weights of the pretraining classes.
    """

    centre: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray


def _known_classes(task: Task) -> _KnownClasses:
    """Collect the word vectors of pretraining and seen classes, and the pretraining's weights."""
    seen, pretraining = task.class_vectors[task.seen], task.pretraining
    if pretraining is None:
        centre, vectors = seen.mean(axis=0), seen
        weights = np.zeros((0, task.features.dim), dtype=np.float32)
    else:
        centre = pretraining.vectors.mean(axis=0)
        vectors = np.concatenate([pretraining.vectors, seen])
        weights = normalize_rows(pretraining.weight - pretraining.weight.mean(axis=0))
    return _KnownClasses(centre=centre, vectors=normalize_rows(vectors - centre), weights=weights)
