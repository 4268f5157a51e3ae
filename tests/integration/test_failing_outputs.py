"""A run is finished when its files are: loggers, terminals and pipes can only warn."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from helpers.configs import ALONE, SMALL_NETWORK
from helpers.options import last_given
from helpers.own_process import OwnProcess
from helpers.paths import ROOT

# train.py with an ASCII terminal that goes to a closed pipe, or to a full disk.
STARTED = """
import os, runpy, sys
target = sys.argv.pop(1)
sys.stdout.reconfigure(encoding="ascii", errors="strict")
sys.stderr.reconfigure(encoding="ascii", errors="strict")
if target == "pipe":
    reader, writer = os.pipe()
    os.close(reader)
else:
    writer = os.open("/dev/full", os.O_WRONLY)
os.dup2(writer, 1)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def train(target: str, tree: Path, folder: Path, *more: str, **environment: str) -> tuple[int, str]:
    """Exit code and messages of train.py."""
    code = STARTED.replace("sys.argv[0]", repr(str(ROOT / "train.py")))
    quick = (
        *("data=image_folder", f"data.root={tree}", *SMALL_NETWORK, "projection=linear"),
        *("trainer.max_epochs=1", "training.batch_size=16", "features.num_workers=0", *ALONE),
    )
    flags = [word for word in more if word.startswith("-")]  # which come first
    more = tuple(word for word in more if word not in flags)
    arguments = last_given([*quick, *more])
    process = OwnProcess("-c", code, target, *flags, *arguments, cwd=folder, **environment)
    _, err = process.communicate(timeout=300)
    assert process.returncode is not None
    return process.returncode, err


@pytest.mark.parametrize("target", ["pipe", "full"])
def test_a_run_without_a_home_or_a_terminal_is_finished(
    target: str, image_tree: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.write_text("a file, so that nothing can be written below")
    code, err = train(
        target, image_tree, tmp_path, "hydra.run.dir=run", "report=html", HOME=str(home)
    )
    assert code == 0, err
    assert not (tmp_path / "run/UNFINISHED").exists()
    assert "hit@1" in (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert err.count("warning: the logger has failed, so the run goes on without it") == 1
    assert err.count("warning: stdout: No space left on device") == (target == "full")
    assert "Traceback" not in err


def test_a_reader_that_leaves_does_not_stop_a_grid(image_tree: Path, tmp_path: Path) -> None:
    more = ("-m", "hydra.sweep.dir=grid", "seed=0,1", "logger=none")
    code, err = train("pipe", image_tree, tmp_path, *more)
    assert code == 0, err
    notes = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("grid/*/trial.json"))]
    assert [note["error"] for note in notes] == ["", ""]
    rows = list(csv.DictReader((tmp_path / "grid/trials.csv").open(encoding="utf-8")))
    assert [row["error"] for row in rows] == ["", ""]
    assert all((tmp_path / row["folder"] / "metrics.json").is_file() for row in rows)
