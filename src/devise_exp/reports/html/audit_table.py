"""The overlap audit of a run's page: verdicts, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from devise_exp.data.verdict_kinds import CLEAN, NOT_CHECKED, NOT_IDENTIFIED, POSSIBLE, kind_of
from devise_exp.evaluation.verdicts import Overlap
from devise_exp.reports.image_name_cells import (
    IMAGES_HEADING,
    has_image_names,
    image_names_cell,
)
from devise_exp.reports.tables import Table, left
from devise_exp.runs.class_records import ClassRecord
from devise_exp.runs.records import RunDetails

_CLEAN = Markup('<span class="clean">✓ {}</span>')
_UNDECIDED = Markup('<span class="unidentified">? {}</span>')
_OVERLAPPING = Markup('<span class="overlapping">✕ overlapping</span>: {}')


def audit_table(
    records: Sequence[ClassRecord], details: RunDetails, verdicts: Mapping[str, str]
) -> Table:
    """Make the table of the overlap audit.

    Args:
        records: The classes of the run.
        details: What the audit says of the unseen ones.
        verdicts: Class -> its verdict.

    Returns:
        A row for each unseen class.
    """
    overlaps: dict[str, list[Overlap]] = {}
    for o in (*details.overlaps, *details.possible, *details.other_senses):
        overlaps.setdefault(o.name, []).append(o)
    named = has_image_names(records)
    headings = ["unseen class", "words", "found by", "verdict", "rests on"]
    headings += ["pretraining classes met", *([IMAGES_HEADING] if named else [])]
    return Table(
        columns=tuple(left(*headings)),
        rows=tuple(
            (
                record.name,
                " ".join(record.words),
                record.rule,
                verdict_cell(verdicts[record.name]),
                ", ".join(dict.fromkeys(o.basis for o in overlaps.get(record.name, ()) if o.basis)),
                "; ".join(map(_met, overlaps.get(record.name, ()))),
                *([image_names_cell(record, verdicts[record.name])] if named else []),
            )
            for record in records
            if not record.seen
        ),
    )


def _met(overlap: Overlap) -> str:
    """How a class overlaps with a pretraining class."""
    return overlap.text + (f" (as {overlap.sense})" if overlap.sense else "")


def verdict_cell(overlap: str) -> Markup | str:
    """Mark a verdict of the overlap audit by its kind.

    Args:
        overlap: The verdict; "" for a clean class of an earlier run.

    Returns:
        The cell.
    """
    kind = kind_of(overlap or CLEAN)
    if kind in (POSSIBLE, NOT_IDENTIFIED):
        return _UNDECIDED.format(overlap)
    if kind == CLEAN:
        return _CLEAN.format(overlap or CLEAN)
    return overlap if kind == NOT_CHECKED else _OVERLAPPING.format(overlap)
