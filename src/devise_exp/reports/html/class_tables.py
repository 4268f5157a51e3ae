"""The tables of a run's page about its classes and diagnostics, with bars and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

from markupsafe import Markup

from devise_exp.evaluation.records import flatten
from devise_exp.reports.gamma_rows import GammaRow, gamma_rows
from devise_exp.reports.html.audit_table import audit_table, verdict_cell
from devise_exp.reports.html.confusions import confusions
from devise_exp.reports.html.shown_run import ShownRun, reading
from devise_exp.reports.image_name_cells import (
    IMAGES_HEADING,
    has_image_names,
    image_name_lines,
    image_names_cell,
)
from devise_exp.reports.numbers import metric_cell
from devise_exp.reports.tables import Table, left, right
from devise_exp.reports.titles import protocol_title
from devise_exp.reports.word_cells import SENSE_HEADING
from devise_exp.runs.class_records import ClassRecord
from devise_exp.text.wordnet.sense_notes import NOT_PLACED

_BAR = Markup(
    '<span class="barred"><span class="bar{}" aria-hidden="true"><i style="width: {:.1f}%"></i>'
    "</span>{}</span>"
)
# Words of this page for those of about.json.
_FACT_NAMES = {"leak/unseen_leaked": "overlap/unseen_overlapping", "rehearsals": "class folds"}


def class_tables(run: ShownRun) -> dict[str, Any]:
    """Make the tables of classes and diagnostics.

    Args:
        run: The run.

    Returns:
        Tables by the names that they have in the template; without rows, or none, if the run has no
        file with them.
    """
    records, details, diagnostics = run.classes, run.details, run.diagnostics
    unseen = [record.name for record in records if not record.seen]
    verdicts = details.verdicts(unseen) if details.about else {}
    index = flatten(r for r in run.results.records if r.protocol == "index")
    with reading(run.path, "diagnostics.json"):
        return {
            "tradeoff": _tradeoff(diagnostics.get("tradeoff", {}), gamma_rows(run.results.records)),
            "classes": _classes(diagnostics.get("classes", ()), verdicts),
            "confusions": confusions(run.folder, diagnostics.get("confusions", {})),
            "plane": _plane(diagnostics.get("map", {}).get("classes", ())),
            "hubs": _hubs(diagnostics.get("hubness", {})),
            "similarity": _similarity(diagnostics.get("similarity", {})),
            "audit": audit_table(records, details, verdicts) if records and details.about else None,
            "words": _words(records, run.senses) if records else None,
            "images_named": has_image_names(records),
            "image_name_lines": image_name_lines(records, verdicts, details.unnamed),
            "facts": _facts(details.about | index),
        }


def _tradeoff(curves: Mapping[str, Mapping[str, Any]], gammas: Mapping[str, GammaRow]) -> Table:
    """The curves of seen over unseen, a row for each method, and how sure each gamma is."""
    rows = []
    for method, curve in curves.items():
        chosen, row = curve["chosen"] or {}, gammas.get(method)
        gamma = f"{chosen['factor']:.3f}" if chosen else ""
        shares = (curve["ausuc"], chosen.get("unseen"), chosen.get("seen"))
        area, unseen, seen = (metric_cell(share).text for share in shares)
        sure = (row.interval, row.folds, row.hindsight, row.lost) if row else ("",) * 4
        rows.append((method, area, gamma, *sure[:2], unseen, seen, *sure[2:]))
    headings = ("AUSUC", "gamma chosen", "95 % interval of gamma")
    last = right("u at gamma", "s at gamma", "best gamma, in hindsight", "H lost")
    return Table(
        columns=(*left("method"), *right(*headings), *left("best gamma of each fold"), *last),
        rows=tuple(rows),
        title="The same in figures.",
    )


def _classes(entries: Sequence[Mapping[str, Any]], verdicts: Mapping[str, str]) -> dict[str, Table]:
    """hit@k class by class: "unseen", best first, and "seen", worst first."""
    sides = {
        side: [entry for entry in entries if entry["seen"] == (side == "seen")]
        for side in ("unseen", "seen")
    }
    return {
        side: _class_table(side, _sorted(rows, best_first=side == "unseen"), verdicts)
        for side, rows in sides.items()
        if rows
    }


def _sorted(entries: list[Mapping[str, Any]], best_first: bool) -> list[Mapping[str, Any]]:
    """Sort classes by hit@1, if it was measured for all of them."""
    if not all(isinstance(entry["hit@1"], Number) for entry in entries):
        return entries
    return sorted(entries, key=lambda entry: entry["hit@1"], reverse=best_first)


def _class_table(
    side: str, entries: Sequence[Mapping[str, Any]], verdicts: Mapping[str, str]
) -> Table:
    """Make the table of the classes of one side."""
    unseen = side == "unseen"
    calibrated = any(isinstance(entry["calibrated_hit@1"], Number) for entry in entries)
    rows = []
    for e in entries:
        hit = "" if e["hit@1"] is None else _bar(e["hit@1"], _whole(e["hit@1"]), second=unseen)
        row = [e["name"], e["words"], f"{e['images']:,}", hit]
        row += [_whole(e["hit@5"])]
        row += [_whole(e["calibrated_hit@1"])] if calibrated else []
        row += [_whole(e["all_hit@1"])]
        row += [verdict_cell(verdicts.get(e["name"], e["leak"]))] if unseen else []
        rows.append(tuple(row))
    columns = [*left("class", "words"), *right("images"), *left(f"hit@1 among {side} labels")]
    among_all = [*(["hit@1 among all, calibrated"] if calibrated else []), "hit@1 among all"]
    columns += right("hit@5", *among_all)
    columns += left("pretraining") if unseen else []
    return Table(columns=tuple(columns), rows=tuple(rows))


def _plane(entries: Sequence[Mapping[str, Any]]) -> Table:
    """The classes in the plane."""
    return Table(
        columns=(*left("class", "side"), *right("word", "mean of images")),
        rows=tuple(
            (
                e["name"],
                _side(e["seen"]),
                _point(e["word"]),
                _point(e["images"] or ()),
            )
            for e in entries
        ),
        title="The same as a table",
    )


def _hubs(protocols: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Labels that come often among the nearest, a table for each protocol."""
    return [
        Table(
            columns=(*left("label", f"times among the {entry['k']} nearest"), *right("expected")),
            rows=tuple(
                (
                    hub["name"],
                    _bar(hub["count"] / entry["hubs"][0]["count"], f"{hub['count']:,}"),
                    f"{hub['expected']:.0f}",
                )
                for hub in entry["hubs"]
            ),
            title=f"{protocol_title(protocol)}: labels that come often among the {entry['k']} "
            f"nearest (skewness {round(entry['skewness'], 1) + 0.0:.1f})",
        )
        for protocol, entry in protocols.items()
    ]


def _similarity(protocols: Mapping[str, Mapping[str, Any]]) -> Table:
    """hit@1 by the similarity of the first label, a row for each bin."""
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


def _words(records: Sequence[ClassRecord], senses: Mapping[str, str]) -> Table:
    """The words of all classes, where these stand in WordNet, and what their images are called."""
    named = [IMAGES_HEADING] if has_image_names(records) else []
    placed = [SENSE_HEADING] if senses else []
    rows = []
    for r in records:
        row = [r.name, _side(r.seen), " ".join(r.words), r.rule]
        row += [senses.get(r.name, NOT_PLACED)] if placed else []
        row += [image_names_cell(r)] if named else []
        rows.append(tuple(row))
    return Table(
        columns=tuple(left("class", "side", "words", "found by", *placed, *named)),
        rows=tuple(rows),
        title=f"Words of all {len(records)} classes",
    )


def _facts(values: Mapping[str, Any]) -> Table:
    """What the metrics rest on."""
    return Table(
        columns=tuple(left("name", "value")),
        rows=tuple(
            (_fact_name(k), f"{v:.4g}" if isinstance(v, float) else v) for k, v in values.items()
        ),
        title="All values that the run has noted (about.json)",
    )


def _fact_name(key: str) -> str:
    """The name of a value as this page says it."""
    return _FACT_NAMES.get(key, key.replace("leak/", "overlap/"))


def _bar(share: float, text: str, second: bool = False) -> Markup:
    """A number as a bar of this length, 1 at most, with the number beside it."""
    return _BAR.format(" second" if second else "", 100 * share, text)


def _whole(share: float | None) -> str:
    """A share as whole per cents."""
    return "" if share is None else f"{100 * share:.0f}"


def _point(point: Sequence[float]) -> str:
    """A point of the plane, () for none."""
    return ", ".join(f"{coordinate:.2f}" for coordinate in point)


def _side(seen: bool) -> str:
    """The side of a class."""
    return "seen" if seen else "unseen"
