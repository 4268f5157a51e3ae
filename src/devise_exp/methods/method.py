"""What a method is: it fits a task, and the fitted method embeds images and classes in one space.

A baseline of your own is a subclass of `Method`, or a plain function, by its `_target_` in config:

    @dataclass(frozen=True, kw_only=True)
    class NearestWord(Method):
        name: str = "nearest_word"
        scale: float = 1.0

        def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
            weights = ...  # from task.features[task.train] and task.targets(task.train)
            return FittedMethod(task.class_vectors, lambda x: normalize_rows(x @ weights))

    # conf/method/nearest_word.yaml
    nearest_word:
      _target_: my_package.NearestWord
      scale: 1.0
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, ClassVar

import numpy as np

from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.methods.task import ClassFold, Task

Hyperparameters = Mapping[str, Any]
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class FittedMethod:
    """Images and classes as vectors of one space, so that cosine tells how near they are.

    Attributes:
        class_vectors: (C, D) unit rows by class id; zero for a class that the method cannot name.
        embed: Maps features (N, feature_dim) to (N, D) unit rows.
        hyperparameters: Those that the method was fitted with, by name.
        draws: In how many spaces of equal width, side by side in D, the method was fitted by random
            draws. Each is measured alone, and metrics are means over them.
    """

    class_vectors: np.ndarray
    embed: Embed
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    draws: int = 1


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to learn from a task; subclasses set the class variables and implement `_fit`.

    Attributes:
        name: Name in tables and files; the key under config.method replaces it.
        uses_seed: Whether the seed of the training changes the result. If not, further seeds of a
            series reuse the result of the first.
        names_unseen: Whether it tells unseen classes apart better than by chance. Only then gamma
            is chosen.
        is_projection: Whether it is a projection trained to the class vectors.
        needs_pretraining: Whether it needs the classifier of the backbone's pretraining. If that is
            unknown, the run leaves the method out.
        needs_texts: Whether it needs a text tower in the space of the backbone's features. If there
            is none, the run leaves the method out.
        reports_search: Whether the metrics of image search by words are reported for it.
    """

    name: str = ""
    uses_seed: ClassVar[bool] = True
    names_unseen: ClassVar[bool] = True
    is_projection: ClassVar[bool] = False
    needs_pretraining: ClassVar[bool] = False
    needs_texts: ClassVar[bool] = False
    reports_search: ClassVar[bool] = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[Any]]:
        """Values to choose among on class folds, by hyperparameter; the first of equals wins."""
        return {}

    @property
    def uses_pretraining(self) -> bool:
        """Whether it may learn from the classifier of the pretraining, which a table says."""
        return self.needs_pretraining

    def combinations(self) -> list[dict[str, Any]]:
        """Expand `param_grid`.

        Returns:
            One dict per combination, the last hyperparameter varying fastest; one empty dict if
            there is nothing to choose.
        """
        grid = self.param_grid
        return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]

    def fit(self, task: Task, hyperparameters: Hyperparameters | None = None) -> FittedMethod:
        """Fit the method to a task.

        Args:
            task: What may be learned from.
            hyperparameters: Values by name; those left out are the middle of `combinations`.

        Returns:
            The fitted method, with the hyperparameters it was fitted with.
        """
        grid = self.combinations()
        chosen = grid[len(grid) // 2]
        chosen |= {name: v for name, v in (hyperparameters or {}).items() if name in chosen}
        return _with_hyperparameters(self._fit(task, chosen), chosen)

    def fit_grid(self, task: Task, grid: Sequence[Hyperparameters]) -> Iterator[FittedMethod]:
        """Fit the method once per combination of hyperparameters.

        Args:
            task: What may be learned from.
            grid: Combinations, as of `combinations`.

        Yields:
            One fitted method per combination, in the order of `grid`.
        """
        for hyperparameters in grid:
            yield self.fit(task, hyperparameters)

    @abstractmethod
    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        """Fit with a value for every name of `param_grid`."""


@dataclass(frozen=True, kw_only=True)
class SolverMethod(Method):
    """A method whose fits to one task share work, such as a decomposition; implement `_solver`."""

    def fit_grid(self, task: Task, grid: Sequence[Hyperparameters]) -> Iterator[FittedMethod]:
        """Fit the method once per combination; the shared work is done once."""
        solve = self._solver(task)
        for hyperparameters in grid:
            yield _with_hyperparameters(solve(hyperparameters), hyperparameters)

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        return self._solver(task)(hyperparameters)

    @abstractmethod
    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        """Do the shared work; return what solves for one combination of hyperparameters."""


@dataclass(frozen=True, kw_only=True)
class FunctionMethod(Method):
    """A plain function as a method; the function chooses its own hyperparameters, if it has any.

    Attributes:
        function: Takes a task and class folds to choose on, which may be none; returns the fitted
            method.
    """

    function: Callable[[Task, Sequence[ClassFold]], FittedMethod]

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        return self.function(task, ())


def _with_hyperparameters(fitted: FittedMethod, chosen: Hyperparameters) -> FittedMethod:
    return replace(fitted, hyperparameters={**fitted.hyperparameters, **chosen})


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedMethod:
    """A fitted method, ready for evaluation.

    Attributes:
        name: Name in tables and files.
        fitted: The fitted method.
        gamma: Number that calibrated stacking subtracts from the similarities of seen labels; None
            if none was chosen.
        gamma_spread: How sure it is; None if that is unknown.
        is_projection: As of Method.
        reports_search: As of Method.
        leaves_out_classes: Whether it is measured without the classes of a zero row, and not left
            out of the protocols that need them.
        none_threshold: Largest cosine with a label below which an image is of none of the labels;
            None if none was chosen.
    """

    name: str
    fitted: FittedMethod
    gamma: float | None = None
    gamma_spread: GammaSpread | None = None
    is_projection: bool = False
    reports_search: bool = False
    leaves_out_classes: bool = False
    none_threshold: float | None = None
