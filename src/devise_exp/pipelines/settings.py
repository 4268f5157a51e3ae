"""The plain options of a config, checked and typed before a run writes anything.

What Hydra builds from a `_target_` is in `part_options`; every other section of conf/config.yaml
has its model here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devise_exp.core.errors import InputError
from devise_exp.pipelines.option_errors import option_error
from devise_exp.pipelines.option_kinds import (
    Factor,
    FromOne,
    FromTwo,
    FromZero,
    Ks,
    Names,
    NotNegative,
    Path,
    PathOrNumber,
    Seed,
    Switch,
    Text,
    Workers,
    Zero,
)
from devise_exp.pipelines.part_options import check_parts
from devise_exp.reports.predictions import check_format
from devise_exp.runs.folder import SPACES

_Space = Annotated[str, Field(pattern="|".join(rf"^{space}$" for space in SPACES[1:]))]
_Spaces = Annotated[list[_Space], Field(description=f"a list of {', '.join(SPACES[1:])}, or []")]
_Engine = Annotated[
    Literal["auto", "torch", "openvino"], Field(description="one of auto, torch, openvino")
]
_Device = Annotated[str, Field(min_length=1, description="auto, cpu, cuda or cuda:N")]
_DType = Annotated[Literal["float16", "float32"], Field(description="float16 or float32")]
_Report = Annotated[Literal["html", "none"], Field(description="html or none")]
_TableFormat = Annotated[
    Literal["csv", "parquet", "none"], Field(description="csv, parquet or none")
]
_InTwoClasses = Annotated[Literal["keep", "drop"], Field(description="keep or drop")]
_Near = Annotated[Literal["count", "group"], Field(description="count or group")]
_ClassFolds = Annotated[
    Zero | FromTwo | Literal["auto"],
    Field(description="a whole number from 2 to half the seen classes, 0 for none, or auto"),
]
_FewClasses = Annotated[Literal["refuse", "allow"], Field(description="refuse or allow")]
_Leaf = Annotated[Literal["leaf"], Field(description="leaf")]
_Join = Annotated[Literal["join"], Field(description="join")]
_OnUnknown = Annotated[Literal["error", "drop"], Field(description="error or drop")]
_WordCount = Annotated[int, Field(description="a number of words")]
_Protocols = Annotated[list[str], Field(description="a list of names")]
Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A section of the config: its types are not converted, and a key that it lacks is an error."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class SubsetSettings(Section):
    """The section `subset`: which images of the dataset take part."""

    min_images: FromOne | None
    limit_per_class: FromOne | None


class CopySettings(Section):
    """The section `copies`: what happens to copies of an image."""

    in_two_classes: _InTwoClasses
    near: _Near


class FeatureSettings(Section):
    """The section `features`: how features are extracted."""

    batch_size: FromOne | None
    num_workers: Workers | None
    dtype: _DType
    device: _Device
    engine: _Engine
    fast: Switch


class TrainingSettings(Section):
    """The section `training`: batches, and when training stops."""

    batch_size: FromOne
    min_epochs: FromOne = 10
    min_steps: FromZero = 0  # a run of before this option was made without it
    patience: FromOne | None
    num_workers: Workers


class TuningSettings(Section):
    """The section `tuning`: the second stage, which trains the network too."""

    max_epochs: FromOne
    batch_size: FromOne
    num_workers: Workers
    backbone_lr_factor: Factor


class TrainerSettings(Section):
    """The plain values of the group `trainer`; Lightning checks its other arguments."""

    model_config = ConfigDict(extra="ignore")

    max_epochs: FromOne | None = None
    num_nodes: FromOne = 1
    accumulate_grad_batches: FromOne = 1
    gradient_clip_val: NotNegative | None = None  # 0 is off for Lightning


class PredictionSettings(Section):
    """The section `predictions`: the labels of every evaluated image, as a file."""

    format: _TableFormat = "csv"
    labels: FromOne = 5
    max_images: FromOne | None = 50_000
    methods: Switch = False


class Settings(Section):
    """The plain options of train.py."""

    model_config = ConfigDict(extra="ignore")

    seed: Seed
    ks: FromOne | Ks | None
    class_folds: _ClassFolds
    few_classes: _FewClasses = "allow"  # of a run of before
    seeds: FromOne
    split_seeds: FromOne
    train_metrics: Switch
    spaces: _Spaces
    report: _Report
    predictions: PredictionSettings = PredictionSettings()  # a run of before has no such section
    subset: SubsetSettings
    copies: CopySettings
    features: FeatureSettings
    training: TrainingSettings
    tuning: TuningSettings
    trainer: TrainerSettings
    resume: PathOrNumber | None = None
    trust: Switch = False
    hyperparameters_from: PathOrNumber | None = None


class EvaluatedFolder(Section):
    """The section `data` of evaluate.py: a folder of other images."""

    root: PathOrNumber | None
    levels: FromOne | _Leaf | None
    parts: _Join | None
    unknown: _OnUnknown


class EvaluationSettings(Section):
    """The plain options of evaluate.py."""

    model_config = ConfigDict(extra="ignore")

    run_dir: PathOrNumber
    ks: FromOne | Ks | None
    protocols: Text | _Protocols | None
    extra_labels: _WordCount | Path | Names | None
    candidate_sets: Text | _Protocols | None = None
    checkpoint: PathOrNumber | None
    data: EvaluatedFolder
    predictions: PredictionSettings = PredictionSettings()
    trust: Switch = False


def read_settings(config: DictConfig) -> Settings:
    """Check every option of a config, those of its parts too.

    Args:
        config: Of train.py.

    Returns:
        The plain options, typed.

    Raises:
        InputError: If an option has a value that it cannot take; it names the option, its value and
            what to give instead.
    """
    settings = _read(Settings, config)
    check_format(settings.predictions.format)
    check_parts(config)
    return settings


def read_evaluation(config: DictConfig) -> EvaluationSettings:
    """Check the plain options of evaluate.py.

    Args:
        config: Of evaluate.py.

    Returns:
        The options, typed.

    Raises:
        InputError: If an option has a value that it cannot take.
    """
    settings = _read(EvaluationSettings, config)
    check_format(settings.predictions.format)
    data = settings.data
    for key, value in (("levels", data.levels), ("parts", data.parts)):
        if data.root is None and value is not None:
            raise InputError(f"data.{key}={value}: of which folder? add data.root=FOLDER")
    return settings


def _read(model: type[Model], config: DictConfig) -> Model:
    """The fields of a model, from the config."""
    values: dict[str, Any] = {}
    for key in model.model_fields:
        if key not in config and not OmegaConf.is_missing(config, key):
            continue  # taken away by ~KEY
        value = config[key]  # Hydra's error if it is needed and not given
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        values[key] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise option_error(error, model, values) from None
