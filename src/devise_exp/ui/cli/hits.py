"""The hits of a search: printed as a table, and drawn as a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise_exp.core.console import notify, print_content, printable, warn
from devise_exp.data.packed_files import image_exists
from devise_exp.ui.cli.output import writing
from devise_exp.ui.cli.rankings import ranking
from devise_exp.ui.cli.result import Result

if TYPE_CHECKING:
    from devise_exp.search.answers import Answer


COLUMNS = ("rank", "image", "label", "similarity", "path", "copies")


def show_hits(answer: Answer, out: Path | None, usual: Path, result: Result) -> None:
    """Give out the hits, and draw them as a contact sheet.

    Programs read the hits alone: they get a sheet if --out asks for one.
    """
    title = (
        f"{answer.reading}: nearest {len(answer.hits)} of {answer.n:,} images ({answer.gallery})"
    )
    _write_hits(answer, title, result)
    absent = sum(not image_exists(hit.row.path) for hit in answer.hits)
    if absent and (out or result.form == "table"):
        notify(
            f"{absent} of these {len(answer.hits)} images are not on disk, so the sheet has "
            "their names: --image-root FOLDER says where they are"
        )
    if out is not None:
        with writing(out):
            sheet = _write_sheet(answer, title, out)
        if result.form == "table":
            print_content(*sheet)
        return
    if result.form != "table":
        return
    try:
        print_content(*_write_sheet(answer, title, usual))
    except OSError as error:  # a run that others may only read
        warn(f"{usual}: no sheet of these images: {error.strerror}: --out FOLDER takes one")


def _write_hits(answer: Answer, title: str, result: Result) -> None:
    """Write the hits in the format of the result."""
    hits: list[dict[str, Any]] = [
        {
            "rank": rank,
            "image": hit.row.name,
            "label": hit.row.label or None,
            "similarity": round(hit.similarity, 6),
            "path": hit.row.path,
            "copies": [copy.name for copy in hit.copies],
        }
        for rank, hit in enumerate(answer.hits, start=1)
    ]
    result.rows(COLUMNS, [(*tuple(hit.values())[:-1], len(hit["copies"])) for hit in hits])
    about = {"query": answer.reading, "gallery": answer.gallery, "n_images": answer.n}
    result.whole({**about, "hits": hits})
    labelled = any(hit.row.label for hit in answer.hits)
    rows = [
        (hit.row.name, *([hit.row.label] if labelled else []), hit.similarity)
        for hit in answer.hits
    ]
    folded = sum(len(hit.copies) for hit in answer.hits)
    if folded:
        notify(f"near copies folded into these hits: {folded:,} (--all-copies shows them)")
    result.show(title, ranking(["image", *(["label"] if labelled else [])], rows))


def _write_sheet(answer: Answer, title: str, out: Path) -> tuple[str, str]:
    """Draw the sheet; return its two files."""
    from devise_exp.core.files import atomic_path, write_text
    from devise_exp.reports.contact_sheet import Tile, draw_sheet, sheet_html

    tiles = []
    for hit in answer.hits:
        row, note = hit.row, f"{hit.similarity:.3f}"
        image = Path(row.path) if row.path and image_exists(row.path) else None
        marked = row.label == answer.of_class if answer.of_class and row.label else None
        if row.label:
            note += f"  {printable(row.name)}"
        tiles.append(Tile(image, printable(row.label or row.name), note, marked))
    with atomic_path(out / "grid.png") as path:
        draw_sheet(tiles, title).save(path)
    write_text(out / "page.html", sheet_html(tiles, answer.reading, title))
    return str(out / "grid.png"), str(out / "page.html")
