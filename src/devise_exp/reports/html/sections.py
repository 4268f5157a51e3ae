"""What the tables of a run's page hold, from the files of its folder.

Each function gives plain values for the template, or nothing where its files have nothing to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devise_exp.evaluation.leakage import AuditReport, Overlap
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.figures.plots import Curve
from devise_exp.reports.numbers import to_precision
from devise_exp.reports.run_tables import AVERAGE_TITLES, PROTOCOL_TITLES
from devise_exp.runs.results import RunResults


def heading(protocol: str) -> str:
    """The heading of a protocol in tables and figures."""
    return PROTOCOL_TITLES.get(protocol, protocol.replace("_", " "))


def cell(
    share: float | None, low: float | None = None, high: float | None = None
) -> dict[str, str]:
    """A figure in per cent and its interval, both with the decimals that this supports."""
    if share is None:
        return {"shown": "", "interval": ""}
    shown = to_precision(share, low, high)
    decimals = len(shown.partition(".")[2])
    bounds = (
        ""
        if low is None or high is None
        else (f"{100 * low:.{decimals}f} – {100 * high:.{decimals}f}")
    )
    return {"shown": shown, "interval": bounds}


def curves(records: Iterable[Mapping[str, str]]) -> dict[str, dict[str, Curve]]:
    """hit@k as class means from results.csv: protocol -> method -> curve; chance has but one."""
    found: dict[str, dict[str, Any]] = {}
    for r in records:
        if r["mean_over"] == "class" or r["method"] == CHANCE:
            own = found.setdefault(r["protocol"], {}).setdefault(r["method"], {})
            own[int(r["k"])] = (float(r["hit"]), _number(r["lo"]), _number(r["hi"]))
    return found


def hits(records: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The table of results.csv by protocol: the trained model per image and per class, the others
    per class.
    """
    protocols: dict[str, dict[str, Any]] = {}
    for r in records:
        if r["mean_over"] == "image" and r["method"] not in (MODEL, CHANCE):
            continue
        own = protocols.setdefault(
            r["protocol"],
            {
                "heading": heading(r["protocol"]),
                "images": int(r["n_images"]),
                "labels": int(r["n_labels"]),
                "rows": {},
            },
        )
        row = own["rows"].setdefault((r["method"], r["mean_over"]), {})
        row[int(r["k"])] = cell(float(r["hit"]), _number(r["lo"]), _number(r["hi"]))
    for own in protocols.values():
        own["ks"] = sorted({k for row in own["rows"].values() for k in row})
        own["rows"] = [
            {
                "method": method,
                "mean": AVERAGE_TITLES[mean],
                "cells": [row.get(k, cell(None)) for k in own["ks"]],
            }
            for (method, mean), row in own["rows"].items()
        ]
    return list(protocols.values())


def method_table(table: Comparison) -> dict[str, Any]:
    """The methods side by side, best and not shown to differ from it marked."""
    rows = [
        {
            "name": line.names[0],
            "cells": [
                {**(cell(c.value, c.lo, c.hi) if c else cell(None)), "mark": c.mark if c else ""}
                for c in line.cells
            ],
        }
        for line in table.lines
    ]
    return {"columns": list(table.columns.values()), "rows": rows}


def headline_numbers(table: Comparison, run: RunResults) -> list[dict[str, str]]:
    """The trained model's metrics that come first; "classes" is how far they depend on the choice
    of classes.
    """
    cells = dict(zip(table.columns, table.lines[0].cells, strict=True))
    wanted = {
        MetricName("seen", "hit", 1, "class"): "seen hit@1, mean over classes",
        MetricName("unseen", "hit", 1, "class"): "unseen hit@1, mean over classes",
        MetricName("all", "H", 1): "H among all labels",
        MetricName("calibrated", "H", 1): "H among all labels, calibrated",
        MetricName("all", "AUSUC"): "AUSUC",
    }
    tiles = []
    for name, title in wanted.items():
        record, shown = run.record(MODEL, name), cells.get(name)
        if record and shown:
            classes = cell(record.value, record.classes_low, record.classes_high)["interval"]
            tiles.append(
                {"name": title, "classes": classes, **cell(shown.value, shown.lo, shown.hi)}
            )
    return tiles


def hierarchical(run: RunResults) -> list[dict[str, Any]]:
    """hp@k by protocol and method, of every k that the run has."""
    shares: dict[str, dict[str, dict[int | None, float]]] = {}
    for record in run.records:
        if record.metric == "hp":
            of_protocol = shares.setdefault(record.protocol, {})
            of_protocol.setdefault(record.method, {})[record.k] = record.value
    tables = []
    for protocol in (p for p in PROTOCOL_TITLES if MODEL in shares.get(p, {})):
        ks = sorted(k for k in shares[protocol][MODEL] if k is not None)
        rows = [
            {"name": method, "cells": [cell(shares[protocol][method].get(k)) for k in ks]}
            for method in run.methods
            if method in shares[protocol]
        ]
        tables.append({"heading": heading(protocol), "ks": ks, "rows": rows})
    return tables


def searches(records: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The tables of search.csv: by names, and by pictures."""
    found: dict[str, dict[str, Any]] = {}
    for r in records:
        own = found.setdefault(r["task"], {"task": r["task"], "figures": [], "rows": {}})
        if r["figure"] not in own["figures"]:
            own["figures"].append(r["figure"])
        named = (r["protocol"], int(r["n_queries"]), int(r["n_pictures"]), r["method"])
        row = own["rows"].setdefault(named, {})
        row[r["figure"]] = cell(float(r["value"]), _number(r["lo"]), _number(r["hi"]))
    for own in found.values():
        own["rows"] = [
            {
                "queries": named[0].replace("_", " "),
                "n_queries": named[1],
                "n_pictures": named[2],
                "method": named[3],
                "cells": [row.get(figure, cell(None)) for figure in own["figures"]],
            }
            for named, row in own["rows"].items()
        ]
    return list(found.values())


def audit(classes: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each unseen class: its words, the verdict, and every pretraining class that it met."""
    overlaps = [Overlap(**overlap) for overlap in about["leaks"]]
    checked = str(about["about"].get("leak/checked_by", "nothing"))
    report = AuditReport(() if checked.startswith("nothing") else (checked,), tuple(overlaps))
    unseen = [entry for entry in classes if not entry["seen"]]
    verdicts = report.verdicts(entry["name"] for entry in unseen)
    return [
        {
            "name": entry["name"],
            "words": " ".join(entry["words"]),
            "how": entry["how"],
            "verdict": verdicts[entry["name"]],
            "met": [
                f"{overlap.relation} {overlap.category} (as {overlap.sense})"
                for overlap in overlaps
                if overlap.name == entry["name"]
            ],
        }
        for entry in unseen
    ]


def _number(text: str) -> float | None:
    return float(text) if text else None
