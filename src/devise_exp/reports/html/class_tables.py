"""The tables of a run's page about its classes and diagnostics, with bars and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

from markupsafe import Markup

from devise_exp.evaluation.leakage import AuditReport
from devise_exp.reports.numbers import metric_cell
from devise_exp.reports.tables import Table, left, right
from devise_exp.reports.titles import protocol_title
from devise_exp.runs.records import ClassRecord, RunDetails

_BAR = Markup('<span class="bar{}" aria-hidden="true"><i style="width: {:.1f}%"></i></span>{}')
_CLEAN = Markup('<span class="clean">✓ clean</span>')
_OVERLAPPING = Markup('<span class="overlapping">✕ overlapping</span>: {}')


def tradeoff(curves: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make the table of the curves of seen over unseen.

    Args:
        curves: The entry "tradeoff" of diagnostics.json.

    Returns:
        A row for each method.
    """
    rows = []
    for method, curve in curves.items():
        chosen = curve["chosen"] or {}
        gamma = f"{chosen['factor']:.3f}" if chosen else ""
        shares = (curve["ausuc"], chosen.get("unseen"), chosen.get("seen"))
        area, unseen, seen = (metric_cell(share).text for share in shares)
        rows.append((method, area, gamma, unseen, seen))
    return Table(
        columns=(*left("method"), *right("AUSUC", "gamma chosen", "unseen there", "seen there")),
        rows=tuple(rows),
        title="The same in figures.",
    )


def classes(entries: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> dict[str, Table]:
    """Make the tables of hit@k class by class.

    Args:
        entries: The entry "classes" of diagnostics.json.
        known: Unseen class -> verdict of the audit, if there is one.

    Returns:
        "unseen", best first, and "seen", worst first, those that have classes.
    """
    sides = {
        side: [entry for entry in entries if entry["seen"] == (side == "seen")]
        for side in ("unseen", "seen")
    }
    return {
        side: _class_table(side, _sorted(rows, side == "unseen"), known)
        for side, rows in sides.items()
        if rows
    }


def _sorted(entries: list[Mapping[str, Any]], best_first: bool) -> list[Mapping[str, Any]]:
    """Sort classes by hit@1, if it was measured for all of them."""
    if not all(isinstance(entry["hit@1"], Number) for entry in entries):
        return entries
    return sorted(entries, key=lambda entry: entry["hit@1"], reverse=best_first)


def _class_table(
    side: str, entries: Sequence[Mapping[str, Any]], known: Mapping[str, str]
) -> Table:
    """Make the table of the classes of one side."""
    unseen = side == "unseen"
    calibrated = any(isinstance(entry["calibrated_hit@1"], Number) for entry in entries)
    rows = []
    for e in entries:
        hit = "" if e["hit@1"] is None else bar(e["hit@1"], _whole(e["hit@1"]), second=unseen)
        row = [e["name"], e["words"], f"{e['images']:,}", hit]
        row += [_whole(e["hit@5"]), _whole(e["all_hit@1"])]
        row += [_whole(e["calibrated_hit@1"])] if calibrated else []
        row += [verdict(known.get(e["name"], e["leak"]))] if unseen else []
        rows.append(tuple(row))
    columns = [*left("class", "words"), *right("images"), *left(f"hit@1 among {side} labels")]
    columns += right("hit@5", "hit@1 among all", *(["calibrated"] if calibrated else []))
    columns += left("pretraining") if unseen else []
    return Table(columns=tuple(columns), rows=tuple(rows))


def plane(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of the classes in the plane.

    Args:
        entries: The classes of the entry "map" of diagnostics.json.

    Returns:
        A row for each class.
    """
    return Table(
        columns=(*left("class", "side"), *right("word", "mean of images")),
        rows=tuple(
            (
                e["name"],
                _side(e["seen"]),
                _point(e["word"]),
                _point(e["images"]) if e["images"] else "",
            )
            for e in entries
        ),
        title="The same as a table",
    )


def hubs(protocols: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Make the tables of labels that come often among the nearest.

    Args:
        protocols: The entry "hubness" of diagnostics.json.

    Returns:
        A table for each protocol.
    """
    return [
        Table(
            columns=(*left("label", f"times among the {entry['k']} nearest"), *right("expected")),
            rows=tuple(
                (
                    hub["name"],
                    bar(hub["count"] / entry["hubs"][0]["count"], f"{hub['count']:,}"),
                    f"{hub['expected']:.0f}",
                )
                for hub in entry["hubs"]
            ),
            title=f"{protocol_title(protocol)}: labels that come often among the {entry['k']} "
            f"nearest (skewness {entry['skewness']:.1f}; 0 where none stands out)",
        )
        for protocol, entry in protocols.items()
    ]


def similarity(protocols: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make the table of hit@1 by the similarity of the first label.

    Args:
        protocols: The entry "similarity" of diagnostics.json.

    Returns:
        A row for each bin of each protocol.
    """
    return Table(
        columns=(*left("protocol"), *right("similarity from", "to", "images", "hit@1")),
        rows=tuple(
            (
                protocol_title(protocol),
                f"{b['lo']:.2f}",
                f"{b['hi']:.2f}",
                f"{b['images']:,}",
                _whole(b["hit@1"]),
            )
            for protocol, entry in protocols.items()
            for b in entry["bins"]
        ),
        title="The same as a table",
    )


def verdicts(records: Sequence[ClassRecord], details: RunDetails) -> dict[str, str]:
    """Say what the pretraining knew of the unseen classes.

    Args:
        records: The classes of the run.
        details: What its metrics rest on.

    Returns:
        Unseen class -> verdict.
    """
    checked = str(details.about.get("leak/checked_by", "nothing"))
    report = AuditReport(() if checked.startswith("nothing") else (checked,), details.overlaps)
    return report.verdicts(record.name for record in records if not record.seen)


def audit(records: Sequence[ClassRecord], details: RunDetails) -> Table:
    """Make the table of the overlap audit.

    Args:
        records: The classes of the run.
        details: What its metrics rest on.

    Returns:
        A row for each unseen class: its words, the verdict, and the pretraining classes that it
        overlaps with.
    """
    known = verdicts(records, details)
    overlaps: dict[str, list[str]] = {}
    for o in details.overlaps:
        overlaps.setdefault(o.name, []).append(f"{o.relation} {o.category} (as {o.sense})")
    headings = ("unseen class", "words", "found by", "verdict", "pretraining classes met")
    return Table(
        columns=tuple(left(*headings)),
        rows=tuple(
            (
                record.name,
                " ".join(record.words),
                record.rule,
                verdict(known[record.name]),
                "; ".join(overlaps.get(record.name, ())),
            )
            for record in records
            if not record.seen
        ),
    )


def words(records: Sequence[ClassRecord]) -> Table:
    """Make the table of the words of all classes.

    Args:
        records: The classes of the run.

    Returns:
        A row for each class.
    """
    return Table(
        columns=tuple(left("class", "side", "words", "found by")),
        rows=tuple((r.name, _side(r.seen), " ".join(r.words), r.rule) for r in records),
        title=f"Words of all {len(records)} classes",
    )


def facts(values: Mapping[str, Any]) -> Table:
    """Make the table of what the metrics rest on.

    Args:
        values: Values by name.

    Returns:
        A row for each value.
    """
    return Table(
        columns=tuple(left("name", "value")),
        rows=tuple((k, f"{v:.4g}" if isinstance(v, float) else v) for k, v in values.items()),
        title="What the figures rest on",
    )


def bar(share: float, text: str, second: bool = False) -> Markup:
    """Draw a number as a bar with the number beside it.

    Args:
        share: The length of the bar, 1 at most.
        text: The number.
        second: Draw it in the second colour.

    Returns:
        The cell.
    """
    return _BAR.format(" second" if second else "", 100 * share, text)


def verdict(overlap: str) -> Markup | str:
    """Write what the pretraining knew of a class.

    Args:
        overlap: The strongest overlap; "" or "clean" for none, or "not checked".

    Returns:
        The cell.
    """
    if overlap in ("", "clean"):
        return _CLEAN
    return overlap if overlap == "not checked" else _OVERLAPPING.format(overlap)


def _whole(share: float | None) -> str:
    """A share as whole per cents."""
    return "" if share is None else f"{100 * share:.0f}"


def _point(point: Sequence[float]) -> str:
    """A point of the plane, () for none."""
    return ", ".join(f"{coordinate:.2f}" for coordinate in point)


def _side(seen: bool) -> str:
    """The side of a class."""
    return "seen" if seen else "unseen"
