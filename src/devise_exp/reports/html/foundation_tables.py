"""How many images and classes stand behind the figures of a run, as a table of its page."""

from __future__ import annotations

from devise_exp.data.verdict_kinds import CLEAN, OVERLAPPING, UNDECIDED, kind_of
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.tables import Table, left, right
from devise_exp.reports.titles import in_order, protocol_title

_COLUMNS = {  # of the table of methods, by the protocol whose images they are measured on
    "seen": "seen hit@1",
    "unseen": "unseen hit@1, unseen hit@5",
    "all_seen": "s, H, AUSUC",
    "all_unseen": "u, H, AUSUC",
    "calibrated_seen": "calibrated s, calibrated H",
    "calibrated_unseen": "calibrated u, calibrated H",
    "unseen_clean": "hit@k (in the section hit@k)",
    "unseen_leaked": "hit@k (in the section hit@k)",
    "unseen_unidentified": "hit@k (in the section hit@k)",
}


def sizes(run: ShownRun) -> Table | None:
    """Make the table.

    Args:
        run: The run.

    Returns:
        A row for each kind of figure; None if the run lacks its files.
    """
    rows = []
    for protocol in in_order(run.report.n.keys() & _COLUMNS.keys()):
        title = _COLUMNS[protocol]
        n_images, n_labels = run.report.n[protocol]
        images = _images_by_class(run, protocol)
        classes = f"{len(images)}" if images else ""
        spread = _span(images)
        pair = protocol_title(protocol).replace(" among ", " → ")
        rows.append((title, pair, f"{n_images:,}", classes, spread, n_labels))
    if not rows:
        return None
    heads = right("images", "classes", "images per class", "labels")
    return Table(
        columns=(*left("figure", "images of → labels to choose from"), *heads), rows=tuple(rows)
    )


def _span(images: list[int]) -> str:
    """Write the lowest and the highest of sorted numbers, a single number once."""
    if not images or images[0] == images[-1]:
        return f"{images[0]:,}" if images else ""
    return f"{images[0]:,} – {images[-1]:,}"


def _images_by_class(run: ShownRun, protocol: str) -> list[int]:
    """The numbers of images of the classes of a protocol, lowest first."""
    entries = [e for e in run.diagnostics.get("classes", ()) if e["images"]]
    verdicts = run.details.verdicts(e["name"] for e in entries if not e["seen"])
    groups = {
        "unseen_clean": (CLEAN,),
        "unseen_unidentified": UNDECIDED,
        "unseen_leaked": (OVERLAPPING,),
    }
    if protocol in groups:
        chosen = [n for n, verdict in verdicts.items() if kind_of(verdict) in groups[protocol]]
        return sorted(e["images"] for e in entries if e["name"] in chosen)
    seen = not protocol.endswith("unseen")
    return sorted(e["images"] for e in entries if e["seen"] == seen)
