"""What the steps of a run hand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from devise_exp.core.row_shards import Rows
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MethodOutput
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import CalibratedMethod
from devise_exp.methods.task import ClassFold, Task
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.recipe import Recipe
from devise_exp.pipelines.settings import Settings
from devise_exp.runs.folder import RunFolder


@dataclass(kw_only=True, eq=False)
class RunState:
    """What the steps of a run share. A network that is trained replaces `features` and `task`.

    Attributes:
        config: Of the run.
        settings: Its plain options.
        recipe: How it trains.
        run: Its folder.
        data: Images, classes and split.
        features: (N, feature_dim) of data.dataset, under the network as it is now.
        task: What methods may learn from.
        folds: Class folds, on which hyperparameters are selected.
        about: What every metric of the run rests on.
        pretrained: Before a network was trained: the projection, and the features that it maps.
    """

    config: DictConfig
    settings: Settings
    recipe: Recipe
    run: RunFolder
    data: ExperimentData
    features: Rows
    task: Task
    folds: tuple[ClassFold, ...] = ()
    about: dict[str, Any]
    pretrained: tuple[TrainedProjection, Rows] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRun:
    """What is shown of a run once it has its files; another process may have made them.

    Attributes:
        report: Its metrics.
        best: Its best epoch with the validation hit@1 there.
        about: What every metric of the run rests on.
        page: The config's `report`.
    """

    report: EvalReport
    best: dict[str, float]
    about: dict[str, Any]
    page: str


@dataclass(frozen=True, eq=False)
class MethodFit:
    """A fitted method of a run, or its stored output if no seed changes it.

    Attributes:
        name: Its name in the config.
        hyperparameters: What it chose.
        result: The fitted method, or what an earlier seed stored.
    """

    name: str
    hyperparameters: dict[str, Any]
    result: CalibratedMethod | MethodOutput
