"""The methods of a run, fitted and calibrated, the trained model first.

Much of this needs no trained projection: the trainings on class folds, the predicted classifiers,
and most methods. Other processes do that while this one trains (`core.side_work`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from devise_exp.core.side_work import SideWork
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import INFORMED
from devise_exp.methods.additions import ChosenClassifiers, Classifiers
from devise_exp.methods.baselines.conse import ConSE
from devise_exp.methods.baselines.softmax import Softmax, remember_classifier, seen_classifier
from devise_exp.methods.devise_model import cached_per_task, devise
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.task import ClassFold, Task
from devise_exp.methods.word_classifiers import WordClassifiers
from devise_exp.pipelines import reused_hyperparameters
from devise_exp.pipelines.additions import additions_of, has_addition
from devise_exp.pipelines.fit import fit_to, methods_of
from devise_exp.pipelines.plain_names import plain_name_fits
from devise_exp.pipelines.state import MethodFit, RunState

_CLASSIFIER, _CLASSIFIERS = "classifier", "classifiers"


class MethodFits:
    """What fits the methods of a run.

    Args:
        state: Of the run. If its network is trained, as the network was before.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._reused = reused_hyperparameters.read(state.config, state.data)
        self._priors, self._classifiers = additions_of(state.config)
        self._trained: dict[Task, nn.Module] = {}
        self._project = cached_per_task(partial(fit_to, state.recipe), self._trained)
        self._methods = list(methods_of(state.config, state.data, self._project))

    @property
    def may_run_beside(self) -> bool:
        """Whether other processes may do the tasks: on a GPU this one does all."""
        return self._state.recipe.is_plain

    def tasks(self) -> dict[str, Callable[[], Any]]:
        """List what needs no trained projection, what takes longest first.

        Returns:
            Name -> task, as of SideWork; empty if the network is trained, whose features come
            later.
        """
        state = self._state
        if state.data.backbone.trainable:
            return {}
        tasks: dict[str, Callable[[], Any]] = {}
        if any(isinstance(method, Softmax | ConSE) for method in self._methods):
            tasks[_CLASSIFIER] = partial(seen_classifier, state.task)
        if state.folds and not self._reused.methods:
            for i, fold in enumerate(state.folds):
                tasks[_fold(i)] = partial(self._project, fold.task)
            if self._classifiers is not None:
                tasks[_CLASSIFIERS] = partial(
                    _chosen_classifiers, self._classifiers, state.task, state.folds
                )
        # The others share the run's own projection, or are read from a finished run.
        alone = [
            method
            for method in self._methods
            if getattr(method, "project", None) is not self._project
            and not self._reused.has_result(method)
        ]
        fit = partial(self._reused.fit, task=state.task, folds=state.folds)
        return tasks | {f"method {method.name}": partial(fit, method) for method in alone}

    def fit(
        self, projection: nn.Module, work: SideWork
    ) -> tuple[TrainedProjection, list[MethodFit]]:
        """Fit and calibrate every method, the trained model first.

        Methods see training and validation rows: a task gives no others.

        Args:
            projection: The trained one.
            work: Has begun with `tasks`.

        Returns:
            The trained projection with what was added to it, and the methods.
        """
        state, reused = self._state, self._reused
        task, folds = state.task, state.folds
        self._trained[task] = projection
        if _CLASSIFIER in work:
            remember_classifier(task, work.take(_CLASSIFIER))
        for i, fold in enumerate(folds):
            if _fold(i) in work:
                self._trained[fold.task] = work.take(_fold(i))
        classifiers = self._classifiers
        if classifiers is not None and _CLASSIFIERS in work:
            classifiers = _Chosen(classifiers, *work.take(_CLASSIFIERS))
        model, trained = reused.model(task, projection) or devise(
            projection, self._project, self._priors, classifiers, task, folds
        )
        fits = [MethodFit(MODEL, model.fitted.hyperparameters, model)]
        fits += plain_name_fits(state.config, state.data, model, trained, state.about)
        informed = [fit.name for fit in fits] if has_addition(model.fitted.hyperparameters) else []
        for method in self._methods:
            name = f"method {method.name}"
            fit = work.take(name) if name in work else reused.fit(method, task, folds)
            fits.append(MethodFit(method.name, *fit))
            added = has_addition(fits[-1].hyperparameters)
            informed += [method.name] * (method.uses_pretraining if added is None else added)
        if task.pretraining is not None and informed:
            state.about[INFORMED] = ", ".join(informed)
        return trained, fits


def _fold(i: int) -> str:
    return f"class fold {i}"


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Classifiers that another process has chosen on class folds, and fitted.

    Attributes:
        classifiers: What has chosen.
        hyperparameters: Those chosen.
        fitted: The classifiers fitted to the task, then to each fold.
    """

    classifiers: Classifiers
    hyperparameters: dict[str, Any]
    fitted: Sequence[WordClassifiers]

    def choose(self, task: Task, folds: Sequence[ClassFold]) -> ChosenClassifiers:
        """Give what was chosen."""
        chosen = self.classifiers.chosen(self.hyperparameters)
        tasks = [task, *(fold.task for fold in folds)]
        by_task = dict(zip(tasks, self.fitted, strict=True))
        return replace(chosen, fit=by_task.__getitem__)

    def chosen(self, hyperparameters: Mapping[str, Any]) -> ChosenClassifiers:
        """Take hyperparameters that were chosen before."""
        return self.classifiers.chosen(hyperparameters)


def _chosen_classifiers(
    classifiers: Classifiers, task: Task, folds: Sequence[ClassFold]
) -> tuple[dict[str, Any], list[WordClassifiers]]:
    """Choose predicted classifiers on class folds; give them fitted to the task and each fold."""
    chosen = classifiers.choose(task, folds)
    return chosen.hyperparameters, [chosen.fit(task), *(chosen.fit(fold.task) for fold in folds)]
