"""What an option can be given, each kind declared once: its type, its range, and how both are said.

Pydantic checks a value against a kind; the description of the kind ends the line of a wrong value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from devise_exp.core.machine import processors

WORKERS_PER_PROCESSOR = 16  # more of them only wait for each other
MAX_SEED = 2**32 - 1  # of numpy and Lightning
_MAX_WIDTH = 100_000  # numbers of a vector; a matrix of that many rows takes gigabytes


def _differ(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("twice the same")
    return values


def _published(number: int) -> int:
    if number not in (1, 7, 80):
        raise ValueError("no list of so many templates was published")
    return number


FromOne = Annotated[int, Field(ge=1, description="a whole number from 1 on")]
Zero = Annotated[int, Field(ge=0, le=0, description="0")]
FromTwo = Annotated[int, Field(ge=2, description="a whole number from 2 on")]
FromZero = Annotated[int, Field(ge=0, description="a whole number from 0 on")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, description=f"a whole number from 0 to {MAX_SEED}")]
NotNegative = Annotated[
    float, Field(ge=0, allow_inf_nan=False, description="a finite number from 0 on")
]
Workers = Annotated[
    int,
    Field(
        ge=0,
        le=WORKERS_PER_PROCESSOR * processors(),
        description=f"a whole number from 0 to {WORKERS_PER_PROCESSOR * processors()} "
        f"({WORKERS_PER_PROCESSOR} for each processor of this machine)",
    ),
]
Factor = Annotated[
    float, Field(ge=0, le=1000, allow_inf_nan=False, description="a number from 0 to 1000")
]
Switch = Annotated[bool, Field(description="true or false")]
Text = Annotated[str, Field(min_length=1, description="a name")]
Name = Annotated[Text | int | float, Field(description="a name")]  # a number may be one
Path = Annotated[str, Field(min_length=1, description="a path")]
# Hydra reads the name of a folder such as 0 as a number.
PathOrNumber = Annotated[Path | int | float, Field(description="a path")]
Names = Annotated[list[str | int | float], Field(description="a list of names")]
Ks = Annotated[
    list[FromOne],
    Field(min_length=1, description="a list of one or more of them, each once"),
    AfterValidator(_differ),
]

# The numbers of parts. Bounds are where a value stops to mean something: a rate below them changes
# no weight of 32 bits, one above throws them away; cosines over a temperature are all alike above,
# and all but one vanish below; a wider matrix fills the memory.
Rate = Annotated[float, Field(ge=1e-10, le=1000, description="a number from 1e-10 to 1000")]
Rates = Annotated[list[Rate], Field(min_length=1, description="a list of rates from 1e-10 to 1000")]
Counts = Annotated[
    list[Annotated[int, Field(ge=1, le=1000)]],
    Field(min_length=1, description="a list of whole numbers from 1 to 1000"),
]
Decay = Annotated[float, Field(ge=0, le=100, description="a number from 0 to 100")]
Temperature = Annotated[float, Field(ge=0.001, le=1000, description="a number from 0.001 to 1000")]
Margin = Annotated[float, Field(gt=0, le=10, description="a number above 0, at most 10")]
Share = Annotated[float, Field(gt=0, lt=1, description="a share above 0 and below 1")]
ShareOrZero = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
ShareOrOne = Annotated[float, Field(gt=0, le=1, description="a number above 0, at most 1")]
Shares = Annotated[
    list[ShareOrOne],
    Field(min_length=1, description="a list of numbers above 0, at most 1"),
]
Width = Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")]
Variant = Annotated[int, Field(ge=0, le=2, description="a number of 0, 1 and 2")]
Links = Annotated[int, Field(ge=2, le=1000, description="a whole number from 2 to 1000")]
Strengths = Annotated[
    Annotated[list[Factor], Field(min_length=1)] | Factor,
    Field(description="a list of weights from 0 to 1000"),
]
Precision = Annotated[Text | int, Field(description="a precision such as 32-true or bf16-mixed")]
Templates = Annotated[
    Annotated[int, AfterValidator(_published)] | Annotated[list[Text], Field(min_length=1)],
    Field(description="1, 7 or 80 published sentences, or a list of sentences with {}"),
]
Part = Annotated[
    dict[str, Any], Field(description="a part by its _target_, as in the files of conf/")
]
Images = Annotated[
    dict[str, Any], Field(description="mean, std, interpolation and resize_mode of images")
]
Devices: TypeAlias = (
    FromOne
    | Annotated[Literal[-1, "auto"], Field(description="auto")]
    | Annotated[str, Field(pattern=r"^\d+(,\d+)*,?$", description="numbers of GPUs")]
    | Annotated[list[FromZero], Field(min_length=1, description="a list of GPUs")]
)


def one_of(*words: Any) -> Any:
    """Make the kind of an option that takes one of some words.

    Args:
        *words: The words.

    Returns:
        An annotated type.
    """
    *first, last = map(str, words)
    said = f"{', '.join(first)} or {last}".removeprefix(" or ")
    return Annotated[Literal[words], Field(description=said)]
