"""The plain options of a config, checked and typed before a run writes anything.

What Hydra builds from a `_target_` is checked by its constructor; every other section of
conf/config.yaml has its model here.
"""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from devise_exp.core.errors import InputError
from devise_exp.runs.folder import SPACES

FromOne = Annotated[int, Field(ge=1, description="a whole number from 1 on")]
FromZero = Annotated[int, Field(ge=0, description="a whole number from 0 on")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a finite number above 0")]
NotNegative = Annotated[
    float, Field(ge=0, allow_inf_nan=False, description="a finite number from 0 on")
]
Switch = Annotated[bool, Field(description="true or false")]
Text = Annotated[str, Field(min_length=1, description="a name")]
_Ks = Annotated[list[FromOne], Field(min_length=1, description="a list of them")]
_Space = Annotated[str, Field(pattern="|".join(rf"^{space}$" for space in SPACES[1:]))]
_Spaces = Annotated[list[_Space], Field(description=f"a list of {' and '.join(SPACES[1:])}, or []")]
_Engine = Annotated[
    Literal["auto", "torch", "openvino"], Field(description="one of auto, torch, openvino")
]
_DType = Annotated[Literal["float16", "float32"], Field(description="float16 or float32")]
_Report = Annotated[Literal["html", "none"], Field(description="html or none")]
_WordCount = Annotated[int, Field(description="a number of words")]
_Path = Annotated[str, Field(min_length=1, description="a path")]
_Names = Annotated[list[str | int | float], Field(description="a list of names")]
Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A section of the config: its types are not converted, and a key that it lacks is an error."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class SubsetSettings(Section):
    """The section `subset`: which images of the dataset take part."""

    min_images: FromOne | None
    limit_per_class: FromOne | None


class FeatureSettings(Section):
    """The section `features`: how features are extracted."""

    batch_size: FromOne
    num_workers: FromZero | None
    dtype: _DType
    device: Text
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
    gradient_clip_val: Positive | None = None


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
    features: FeatureSettings
    training: TrainingSettings
    tuning: TuningSettings
    trainer: TrainerSettings


class EvaluationSettings(Section):
    """The plain options of evaluate.py."""

    model_config = ConfigDict(extra="ignore")

    ks: FromOne | _Ks | None
    extra_labels: _WordCount | _Path | _Names | None
    checkpoint: _Path | None


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
        value = config.get(key)
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
        devise_exp.core.errors.InputError: workers=True: give a whole number from 1 on
    """
    try:
        TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        raise InputError(f"{key}={value}: give {_described(kind)}") from None


def option_error(
    error: ValidationError, model: type[BaseModel], values: dict[str, Any]
) -> InputError:
    """The one line that a failed check ends in.

    Args:
        error: What pydantic found; its first complaint is told.
        model: The model that was checked.
        values: What was checked against it.

    Returns:
        An error that says which option has which value, and what to give instead.
    """
    path: list[str] = []
    kind: Any = model
    value: Any = values
    for part in map(str, error.errors()[0]["loc"]):
        if not _is_model(kind):
            break
        path.append(part)
        if part not in kind.model_fields:
            return InputError(
                f"no option {'.'.join(path)}: {'.'.join(path[:-1])} has "
                f"{', '.join(kind.model_fields)}"
            )
        kind = get_type_hints(kind, include_extras=True)[part]
        value = value.get(part)
    return InputError(f"{'.'.join(path)}={value}: give {_described(kind)}")


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _described(kind: Any) -> str:
    """What an option takes: the description of its type, or of each type of a union."""
    if kind is NoneType:
        return "null"
    if _is_model(kind):
        return f"the keys {', '.join(kind.model_fields)}"
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, FieldInfo) and note.description:
            return note.description
    *first, last = map(_described, get_args(kind))
    return f"{', '.join(first)}, or {last}"
