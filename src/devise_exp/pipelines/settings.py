"""The plain options of a config, checked and typed before a run writes anything.

What Hydra builds from a `_target_` is checked by its constructor; every other section of
conf/config.yaml has its model here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from devise_exp.core.errors import InputError
from devise_exp.pipelines.option_errors import as_written, described, option_error
from devise_exp.runs.folder import SPACES

FromOne = Annotated[int, Field(ge=1, description="a whole number from 1 on")]
FromZero = Annotated[int, Field(ge=0, description="a whole number from 0 on")]
NotNegative = Annotated[
    float, Field(ge=0, allow_inf_nan=False, description="a finite number from 0 on")
]
Switch = Annotated[bool, Field(description="true or false")]
Text = Annotated[str, Field(min_length=1, description="a name")]
_Ks = Annotated[list[FromOne], Field(min_length=1, description="a list of one or more of them")]
_Space = Annotated[str, Field(pattern="|".join(rf"^{space}$" for space in SPACES[1:]))]
_Spaces = Annotated[list[_Space], Field(description=f"a list of {' and '.join(SPACES[1:])}, or []")]
_Engine = Annotated[
    Literal["auto", "torch", "openvino"], Field(description="one of auto, torch, openvino")
]
_Device = Annotated[str, Field(min_length=1, description="auto, cpu, cuda or cuda:N")]
_DType = Annotated[Literal["float16", "float32"], Field(description="float16 or float32")]
_Report = Annotated[Literal["html", "none"], Field(description="html or none")]
_InTwoClasses = Annotated[Literal["keep", "drop"], Field(description="keep or drop")]
_Near = Annotated[Literal["count", "group"], Field(description="count or group")]
_WordCount = Annotated[int, Field(description="a number of words")]
_Path = Annotated[str, Field(min_length=1, description="a path")]
_Names = Annotated[list[str | int | float], Field(description="a list of names")]
_Protocols = Annotated[list[str], Field(description="a list of names")]
# Hydra reads the name of a folder such as 0 as a number.
PathOrNumber = Annotated[_Path | int | float, Field(description="a path")]
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

    batch_size: FromOne
    num_workers: FromZero | None
    dtype: _DType
    device: _Device
    engine: _Engine
    fast: Switch


class TrainingSettings(Section):
    """The section `training`: batches, and when training stops."""

    batch_size: FromOne
    patience: FromOne | None
    num_workers: FromZero


class TuningSettings(Section):
    """The section `tuning`: the second stage, which trains the network too."""

    max_epochs: FromOne
    batch_size: FromOne
    num_workers: FromZero
    backbone_lr_factor: NotNegative


class TrainerSettings(Section):
    """The plain values of the group `trainer`; Lightning checks its other arguments."""

    model_config = ConfigDict(extra="ignore")

    max_epochs: FromOne
    num_nodes: FromOne = 1
    gradient_clip_val: NotNegative | None = None  # 0 is off for Lightning


class Settings(Section):
    """The plain options of train.py."""

    model_config = ConfigDict(extra="ignore")

    seed: FromZero
    ks: FromOne | _Ks | None
    class_folds: FromZero
    seeds: FromOne
    split_seeds: FromOne
    train_metrics: Switch
    spaces: _Spaces
    report: _Report
    subset: SubsetSettings
    copies: CopySettings
    features: FeatureSettings
    training: TrainingSettings
    tuning: TuningSettings
    trainer: TrainerSettings


class EvaluationSettings(Section):
    """The plain options of evaluate.py."""

    model_config = ConfigDict(extra="ignore")

    run_dir: PathOrNumber
    ks: FromOne | _Ks | None
    protocols: Text | _Protocols | None
    extra_labels: _WordCount | _Path | _Names | None
    checkpoint: PathOrNumber | None


def read_settings(config: DictConfig) -> Settings:
    """Check the plain options of a config.

    Args:
        config: Of train.py.

    Returns:
        The options, typed.

    Raises:
        InputError: If an option has a value that it cannot take; it names the option, its value and
            what to give instead.
    """
    return _read(Settings, config)


def read_evaluation(config: DictConfig) -> EvaluationSettings:
    """Check the plain options of evaluate.py.

    Args:
        config: Of evaluate.py.

    Returns:
        The options, typed.

    Raises:
        InputError: If an option has a value that it cannot take.
    """
    return _read(EvaluationSettings, config)


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


def check_option(key: str, value: Any, kind: Any) -> None:
    """Check one option that no section holds.

    Args:
        key: Name of the option, for the message.
        value: What the option was given.
        kind: Its type, such as `FromOne` or `FromOne | None`.

    Raises:
        InputError: If `value` is not of that type.

    Example:
        >>> check_option("workers", 2, FromOne)
        >>> check_option("workers", True, FromOne)
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: workers=true: give a whole number from 1 on
    """
    try:
        TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        raise InputError(f"{key}={as_written(value)}: give {described(kind)}") from None
