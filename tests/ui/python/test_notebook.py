"""The notebook of examples/ runs from top to bottom, and its results show themselves."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from helpers.notebooks import execute, results, texts
from helpers.paths import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)
    assert "kernelspec" not in notebook.metadata


def test_the_notebook_runs(tmp_path: Path) -> None:
    done = execute(nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4), tmp_path)
    shown = results(done)
    run = next(data for line, data in shown.items() if line.startswith("options = "))
    assert run["text/plain"].startswith("<Run runs/cosine: image_folder, efficientnet_lite0")
    assert "<table>" in run["text/html"]
    search = shown['run.search("star", among="unseen", k=8)']["text/html"]
    assert search.count("<img src=") == 8
    assert "unseen among unseen" in shown["run.table()"]["text/plain"]
    assert (
        shown[next(line for line in shown if line.startswith("again = "))]["text/plain"] == "True"
    )
    assert "no option lr: did you mean optimizer__lr?\n" in texts(done)
    # Neither escapes of a terminal nor pieces of bars stay in the cells.
    assert not [text for text in texts(done) if "\x1b" in text or "\r" in text or "━" in text]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["cosine", "softmax"]


def test_notes_are_text_and_progress_is_a_line_that_vanishes(tmp_path: Path) -> None:
    cells = [
        "import time\nfrom devise_exp.core.console import *",
        "for _ in track(range(3), '[b]files'):\n    time.sleep(0.25)",
        "with progress('pace') as bar:\n    task = bar.add_task('rows', total=9, pace='')\n"
        "    bar.update(task, completed=3, pace='7/s')",
        "with spinner('a graph'):\n    pass",
        "notify('a note')",
        "print_content('a result')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    outputs = [cell.outputs for cell in execute(notebook, tmp_path).cells]
    for of_cell in outputs[1:4]:
        assert [(o.output_type, o.data["text/plain"]) for o in of_cell] == [("display_data", "")]
    assert [(o.name, o.text) for o in outputs[4]] == [("stderr", "a note\n")]
    assert [(o.name, o.text) for o in outputs[5]] == [("stdout", "a result\n")]
