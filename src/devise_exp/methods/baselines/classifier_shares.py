"""The share that predicted classifiers have in the similarities of the trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from devise_exp.methods.additions import ChosenClassifiers
from devise_exp.methods.baselines.predicted_classifiers import PredictedClassifiers
from devise_exp.methods.method import FittedMethod, Hyperparameters
from devise_exp.methods.selection import choose_combination
from devise_exp.methods.task import ClassFold, Task
from devise_exp.methods.word_classifiers import WordClassifiers

Solver = Callable[[Task], Callable[[Hyperparameters], WordClassifiers]]


@dataclass(frozen=True, kw_only=True)
class ClassifierShares:
    """Predicted classifiers as an addition to the trained model (conf/classifiers).

    Attributes:
        shares: Shares to choose among on class folds, above 0 and below 1.
        shrinkages: As of PredictedClassifiers.
        taus: As of PredictedClassifiers.
        ridges: As of PredictedClassifiers.
    """

    shares: Sequence[float] = (0.5, 0.7, 0.8, 0.9)
    shrinkages: Sequence[float] = (0.1, 0.5, 0.9)
    taus: Sequence[float] = (0.08, 0.15, 0.3)
    ridges: Sequence[float] = (0.3,)

    def choose(self, task: Task, folds: Sequence[ClassFold]) -> ChosenClassifiers:
        """Choose the hyperparameters of the classifiers alone.

        Args:
            task: The whole task.
            folds: Class folds of the task, one at least.

        Returns:
            What fits the classifiers to the task or to one of its folds.
        """
        solver = self._solver()

        def fits(of: Task) -> list[FittedMethod]:
            fitted = [solver(of)(combination) for combination in grid]
            return [FittedMethod(f.of_words(of.class_vectors), f.of_images) for f in fitted]

        grid = self._method.combinations()
        return self._chosen(solver, choose_combination(grid, fits, task, folds))

    def chosen(self, hyperparameters: Mapping[str, Any]) -> ChosenClassifiers:
        """Take hyperparameters that were chosen before.

        Args:
            hyperparameters: The shrinkage, tau and ridge, by name.

        Returns:
            What fits the classifiers to a task.
        """
        return self._chosen(self._solver(), dict(hyperparameters))

    @property
    def _method(self) -> PredictedClassifiers:
        return PredictedClassifiers(shrinkages=self.shrinkages, taus=self.taus, ridges=self.ridges)

    def _solver(self) -> Solver:
        """One decomposition of a task for all that the task is asked."""
        return cache(self._method.classifiers)

    def _chosen(self, solver: Solver, hyperparameters: dict[str, Any]) -> ChosenClassifiers:
        @cache
        def fit(of: Task) -> WordClassifiers:
            return solver(of)(hyperparameters)

        return ChosenClassifiers(
            fit=fit, shares=tuple(self.shares), hyperparameters=hyperparameters
        )
