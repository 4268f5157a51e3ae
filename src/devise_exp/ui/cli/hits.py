"""The hits of a search: printed as a table, and drawn as a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devise_exp.core.console import notify, print_content, printable, warn
from devise_exp.ui.cli.output import writing
from devise_exp.ui.cli.rankings import print_ranking

if TYPE_CHECKING:
    from devise_exp.search.answers import Answer


def show_hits(answer: Answer, out: Path | None, usual: Path) -> None:
    """The hits as a table, and as a contact sheet in `out`, by default in the run folder."""
    labelled = any(hit.row.label for hit in answer.hits)
    rows = [
        (number, hit.row.name, *([hit.row.label] if labelled else []), f"{hit.similarity:.3f}")
        for number, hit in enumerate(answer.hits, start=1)
    ]
    title = (
        f"{answer.reading}: nearest {len(answer.hits)} of {answer.n:,} images ({answer.gallery})"
    )
    print_content(title)
    print_ranking(["image", *(["label"] if labelled else [])], rows)
    absent = sum(not (hit.row.path and Path(hit.row.path).is_file()) for hit in answer.hits)
    if absent:
        notify(
            f"{absent} of these {len(answer.hits)} images are not on disk, so the sheet has "
            "their names: --image-root FOLDER says where they are"
        )
    if out is not None:
        with writing(out):
            _write_sheet(answer, title, out)
        return
    try:
        _write_sheet(answer, title, usual)
    except OSError as error:  # a run that others may only read
        warn(f"{usual}: no sheet of these images: {error.strerror}: --out FOLDER takes one")


def _write_sheet(answer: Answer, title: str, out: Path) -> None:
    from devise_exp.core.files import atomic_path, write_text
    from devise_exp.reports.contact_sheet import Tile, draw_sheet, sheet_html

    tiles = []
    for hit in answer.hits:
        row, note = hit.row, f"{hit.similarity:.3f}"
        image = Path(row.path) if row.path and Path(row.path).is_file() else None
        marked = row.label == answer.of_class if answer.of_class and row.label else None
        if row.label:
            note += f"  {printable(row.name)}"
        tiles.append(Tile(image, printable(row.label or row.name), note, marked))
    with atomic_path(out / "grid.png") as path:
        draw_sheet(tiles, title).save(path)
    write_text(out / "page.html", sheet_html(tiles, answer.reading, title))
    print_content(str(out / "grid.png"), str(out / "page.html"))
