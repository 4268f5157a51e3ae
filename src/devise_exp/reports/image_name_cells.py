"""What the backbone's own classifier calls the images of the classes, as cells and lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from devise_exp.core.overrides import quoted_value
from devise_exp.evaluation.image_names import doubtful_classes
from devise_exp.runs.class_records import ClassRecord

IMAGES_HEADING = "what the backbone calls its images"
MARK = "! "
SHOWN = 10
FEW_IMAGES = 5  # with fewer, a name that most of them have is no reason to state anything


def has_image_names(records: Sequence[ClassRecord]) -> bool:
    """Tell whether the tables have a column of what the images are called.

    Args:
        records: The classes.

    Returns:
        Whether the backbone's own classifier was asked.
    """
    return any(record.image_names is not None for record in records)


def image_names_cell(record: ClassRecord, verdict: str = "") -> str:
    """Write what the images of a class are called.

    Args:
        record: The class.
        verdict: Of the overlap audit; "" for a seen class.

    Returns:
        The names with their numbers of images, marked if they contradict the verdict.
    """
    names = record.image_names
    if names is None:
        return ""
    doubtful = not record.seen and names.is_doubtful(verdict)
    return f"{MARK if doubtful else ''}{names.text}"


def image_name_lines(
    records: Sequence[ClassRecord], verdicts: Mapping[str, str], missing: str = ""
) -> list[str]:
    """Write what stands below a table of classes: those whose images contradict the audit.

    Args:
        records: The classes.
        verdicts: Unseen class -> the verdict of the overlap audit.
        missing: Why there is no column, if the run knows.

    Returns:
        A line for each of the first ten, one for the others, and one for classes of fewer than
        FEW_IMAGES images; or the line that says why nothing is known.
    """
    if not has_image_names(records):
        reason = missing or "the run does not know it"
        return [f"No column of what the backbone's own classifier calls the images: {reason}."]
    names = {record.name: record.image_names for record in records if not record.seen}
    marked = doubtful_classes(names, verdicts)
    doubtful = {name: called for name, called in marked.items() if called.n >= FEW_IMAGES}
    lines = []
    for name, called in list(doubtful.items())[:SHOWN]:
        category, count = called.names[0]
        lines.append(
            f"{name}: clean by its name, but {count:,} of {called.n:,} images are called "
            f"{category}: state it with {_statement(name, category)} if it is the same thing"
        )
    if len(doubtful) > SHOWN:
        lines.append(f"{len(doubtful) - SHOWN:,} more clean classes are marked so")
    if few := len(marked) - len(doubtful):
        lines.append(
            f"{few:,} clean classes with fewer than {FEW_IMAGES} images have one name for most of "
            "them: too few images to state an overlap"
        )
    return lines


def _statement(name: str, category: str) -> str:
    """The argument that states that a class overlaps with a pretraining class."""
    plain = re.compile(r"[A-Za-z_](?:[\w -]*\w)?", re.ASCII)  # a key has no quotes in Hydra
    if plain.fullmatch(name):
        value = category if plain.fullmatch(category) else quoted_value(category)
        return shlex.quote(f"labels.stated_overlapping={{{name}: {value}}}")
    return f"labels.stated_overlapping=[{_as_option(name)}]"


def _as_option(name: str) -> str:
    """A name as an item of a list in an argument."""
    return name if re.fullmatch(r"[A-Za-z_][\w-]*", name) else quoted_value(name)
